"""Every operation of the vendor's n8n node, done as docs/operations.md says, against the local service."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from airflow_json2video.exceptions import MediaNotFound, TemplateNotFound
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.operators.drive import (
    Json2VideoCreateFolderOperator,
    Json2VideoDeleteFileOperator,
    Json2VideoDeleteFolderOperator,
    Json2VideoListFilesOperator,
    Json2VideoMoveFileOperator,
)
from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.operators.renders import Json2VideoDeleteRenderOperator, Json2VideoListRendersOperator
from airflow_json2video.operators.template import Json2VideoSyncTemplateOperator
from airflow_json2video.sensors.render import Json2VideoRenderSensor
from airflow_json2video.transfers.object_storage_to_json2video import ObjectStorageToJson2VideoOperator
from tests.unit.attempts import Attempt

PAGE = Path(__file__).parents[3] / "docs" / "operations.md"
MOVIE = {
    "resolution": "sd",
    "variables": {"headline": "Hello"},
    "scenes": [{"duration": 1, "elements": [{"type": "text", "text": "{{ headline }}"}]}],
}


@pytest.fixture
def hook(connection, service):
    service.settings.update({"upload_confirm": 0.0})
    return Json2VideoHook()


def run(operator_class, **arguments):
    return Attempt(operator_class(task_id="task", **arguments)).render_templates().run()


def upload(tmp_path, folder=""):
    (tmp_path / "a.png").write_bytes(b"a picture")
    return run(ObjectStorageToJson2VideoOperator, source=str(tmp_path / "a.png"), folder=folder)


def movie_create(hook, service, _):
    result = run(Json2VideoRenderOperator, movie=MOVIE, wait_for_completion=False)
    assert hook.get_movie(result["project"]).movie.project == result["project"]
    assert service.posts == 1


def movie_render_and_wait(*_):
    assert run(Json2VideoRenderOperator, movie=MOVIE, poll_interval=0.3)["url"].endswith(".mp4")


def movie_get_status(hook, *_):
    project = hook.submit_movie(MOVIE).project
    assert run(Json2VideoRenderSensor, project=project, poke_interval=0.3)["project"] == project
    assert hook.get_movie(project).movie.status == "done"


def movie_get_many(hook, *_):
    project = hook.submit_movie(MOVIE).project
    since = datetime.now(timezone.utc) - timedelta(days=1)
    assert [movie["project"] for movie in run(Json2VideoListRendersOperator, date_start=since)] == [project]


def movie_delete(hook, *_):
    project = run(Json2VideoRenderOperator, movie=MOVIE, poll_interval=0.3)["project"]
    run(Json2VideoDeleteRenderOperator, project=project)
    assert hook.get_movie(project).movie.deleted_at


def template_create(hook, *_):
    assert hook.get_template(run(Json2VideoSyncTemplateOperator, name="t", movie=MOVIE)).movie == MOVIE


def template_update(hook, *_):
    made = run(Json2VideoSyncTemplateOperator, name="t", movie=MOVIE)
    assert run(Json2VideoSyncTemplateOperator, name="t", movie={**MOVIE, "fps": 30}, tags=["new"]) == made
    assert (hook.get_template(made).movie["fps"], hook.get_template(made).tags) == (30, ["new"])


def template_get(hook, *_):
    assert hook.get_template(hook.create_template("t", MOVIE)).name == "t"


def template_get_many(hook, *_):
    made = hook.create_template("t", MOVIE, tags=["shop"])
    hook.create_template("u", MOVIE)
    assert [template.id for template in hook.list_templates(tag="shop")] == [made]


def template_get_library(hook, *_):
    gallery = hook.list_template_library()
    assert gallery
    assert all(template.width and template.height for template in gallery)


def template_get_variables(hook, *_):
    schema = hook.get_template_variables(hook.create_template("t", MOVIE))
    assert schema["properties"]["headline"]["type"] == "string"


def template_duplicate(hook, *_):
    made = hook.create_template("t", MOVIE)
    copy = hook.duplicate_template(made, name="u", variables={"headline": "Bye"})
    assert copy != made
    assert hook.get_template(copy).name == "u"


def template_delete(hook, *_):
    made = hook.create_template("t", MOVIE)
    hook.delete_template(made)
    with pytest.raises(TemplateNotFound):
        hook.get_template(made)


def storage_upload_file(hook, _, tmp_path):
    assert upload(tmp_path, "brand")["url"] == hook.get_file("brand/a.png").url


def storage_get_file(hook, _, tmp_path):
    upload(tmp_path)
    assert hook.get_file("a.png").size == 9


def storage_list_folder(_, __, tmp_path):
    upload(tmp_path, "brand")
    assert [file["name"] for file in run(Json2VideoListFilesOperator, folder="brand", file_type="image")] == ["a.png"]


def storage_get_folder_tree(hook, _, tmp_path):
    upload(tmp_path, "brand")
    assert {node.path: node.files for node in hook.list_folders()}["brand"] == 1


def storage_move_file(hook, _, tmp_path):
    upload(tmp_path)
    assert run(Json2VideoMoveFileOperator, name="a.png", destination="brand")["folder"] == "brand"
    assert hook.get_file("brand/a.png").size == 9


def storage_delete_file(hook, _, tmp_path):
    upload(tmp_path)
    run(Json2VideoDeleteFileOperator, name="a.png")
    with pytest.raises(MediaNotFound):
        hook.get_file("a.png")


def storage_create_folder(hook, *_):
    run(Json2VideoCreateFolderOperator, folder="videos/2026")
    assert hook.get_folder("videos").folders == ["2026"]


def storage_delete_folder(hook, *_):
    hook.create_folder("videos")
    run(Json2VideoDeleteFolderOperator, folder="videos")
    assert "videos" not in [node.path for node in hook.list_folders()]


def storage_get_storage_usage(hook, _, tmp_path):
    upload(tmp_path)
    assert hook.get_storage().used_bytes == 9


def rows():
    """The table's resource, operation and way, without marks."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = lines.index("| resource | operation | in a DAG | more |") + 2
    table = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


ROWS = rows()


def test_the_table_has_the_nodes_twenty_two_operations():
    assert len({(resource, operation) for resource, operation, *_ in ROWS}) == len(ROWS) == 22


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}: {row[1]}")
def test_an_operation_of_the_table_is_done_from_a_task(row, hook, service, tmp_path):
    resource, operation, *_ = row
    done = globals()[f"{resource}_{operation}".lower().replace(" ", "_")]
    done(hook, service, tmp_path)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}: {row[1]}")
def test_every_name_in_the_table_exists(row):
    named = re.findall(r"`(hook\.\w+|\w*Json2Video\w+)", row[2])
    assert named
    for name in named:
        if name.startswith("hook."):
            assert callable(getattr(Json2VideoHook, name.removeprefix("hook.")))
        else:
            assert name in globals()
