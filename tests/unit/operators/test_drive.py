"""The drive's operators against the local service."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_json2video.exceptions import ConfigurationError, MediaNotFound
from airflow_json2video.operators.drive import (
    Json2VideoCreateFolderOperator,
    Json2VideoDeleteFileOperator,
    Json2VideoDeleteFolderOperator,
    Json2VideoListFilesOperator,
    Json2VideoMoveFileOperator,
)
from tests.unit import uploads
from tests.unit.attempts import Attempt
from tests.unit.uploads import upload

hook, logo, quick = uploads.hook, uploads.logo, uploads.quick


def test_an_unknown_file_type_is_refused_when_the_dag_is_parsed():
    with pytest.raises(ConfigurationError, match="file_type must be one of"):
        Json2VideoListFilesOperator(task_id="list", file_type="film")


def move(**arguments):
    return Attempt(Json2VideoMoveFileOperator(task_id="move", **arguments)).run()


def test_a_move_may_be_repeated(hook, logo):
    upload(logo, folder="inbox")
    moved = move(name="logo.png", folder="inbox", destination="brand")
    assert (moved["folder"], moved["size"]) == ("brand", 9)
    assert move(name="logo.png", folder="inbox", destination="brand") == moved


def test_a_file_is_moved_only_once_the_storage_has_confirmed_it(hook, service, logo, monkeypatch):
    service.settings.update({"upload_confirm": 3600.0, "lose_moved_pending": True})
    monkeypatch.setattr("airflow_json2video.operators._drive._MOVE_WAIT", 0.1)
    monkeypatch.setattr("airflow_json2video.storage.drive_upload._MAX_CONFIRMATION_WAIT", 0.1)
    upload(logo)
    with pytest.raises(MediaNotFound, match="A move now could lose the file"):
        move(name="logo.png", destination="brand")
    service.clock.advance(3601)
    assert move(name="logo.png", destination="brand")["folder"] == "brand"


def test_a_move_of_a_missing_file_fails(hook):
    with pytest.raises(AirflowFailException, match=r"The drive has neither 'a/x.png' nor 'b/x.png'"):
        move(name="x.png", folder="a", destination="b")


def test_a_move_onto_another_file_is_refused_by_the_service(hook, logo):
    upload(logo, folder="a")
    upload(logo, folder="b")
    with pytest.raises(AirflowFailException, match="already exists in the destination folder"):
        move(name="logo.png", folder="a", destination="b")


def test_a_deletion_may_be_repeated_and_says_that_there_was_nothing(hook, logo, times_logged):
    upload(logo)
    delete = Json2VideoDeleteFileOperator(task_id="delete", name="logo.png")
    Attempt(delete).run()
    with pytest.raises(MediaNotFound):
        hook.get_file("logo.png")
    Attempt(delete).run()
    assert times_logged("The drive does not have 'logo.png'; nothing to delete.") == 1


def test_folders_are_created_and_deleted_and_both_may_be_repeated(hook):
    create = Json2VideoCreateFolderOperator(task_id="create", folder="videos/2026")
    delete = Json2VideoDeleteFolderOperator(task_id="delete", folder="videos/2026")
    for _ in range(2):
        Attempt(create).run()
    assert "videos/2026" in [node.path for node in hook.list_folders()]
    for _ in range(2):
        Attempt(delete).run()
    assert "videos/2026" not in [node.path for node in hook.list_folders()]


def test_a_folder_with_files_is_not_deleted(hook, logo):
    upload(logo, folder="brand")
    with pytest.raises(AirflowFailException, match="Folder is not empty"):
        Attempt(Json2VideoDeleteFolderOperator(task_id="delete", folder="brand")).run()
    assert hook.get_file("brand/logo.png").size == 9


def test_a_list_holds_every_file_of_all_pages(hook, tmp_path, monkeypatch):
    monkeypatch.setattr("airflow_json2video.operators.drive._PAGE_SIZE", 2)
    for name in ("a.png", "b.png", "c.mp3", "d.png"):
        (tmp_path / name).write_bytes(b"x")
        upload(tmp_path / name, folder="all")

    def listed(**arguments):
        operator = Json2VideoListFilesOperator(task_id="list", folder="all", **arguments)
        return [file["name"] for file in Attempt(operator).run()]

    assert listed() == ["a.png", "b.png", "c.mp3", "d.png"]
    assert listed(file_type="audio") == ["c.mp3"]
    assert listed(search="d") == ["d.png"]
