"""Paid renders that are not stored are found and stored before they expire."""

from __future__ import annotations

import time

import pytest

from airflow_json2video.exceptions import ConfigurationError, DestinationFailed, DownloadFailed
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.storage.archive import archive_renders, find_unstored
from tests.unit.attempts import Attempt
from tests.unit.stores import FolderStore, attach

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2}]}
DAY = 86400


class Log(list):
    def info(self, event, *args):
        self.append(event % args)

    warning = info


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("airflow_json2video.storage.download._MAX_DELAY", 0.01)


@pytest.fixture
def hook(connection):
    return Json2VideoHook(connection)


@pytest.fixture
def rendered(connection):
    def rendered(task_id, **arguments):
        operator = Json2VideoRenderOperator(task_id=task_id, movie=MOVIE, poll_interval=0.3, **arguments)
        return Attempt(operator).run()["project"]

    return rendered


@pytest.fixture
def unkept(hook):
    def unkept(output_path, **options):
        return [render.project for render in find_unstored(hook, output_path=output_path, log=Log(), **options)]

    return unkept


def test_unstored_renders_are_stored_once(hook, rendered, unkept, tmp_path):
    path = f"{tmp_path}/{{project}}.mp4"
    lost, kept = rendered("lost"), rendered("kept", output_path=path)
    hook.submit_movie(MOVIE)  # of another user
    time.sleep(1)
    assert unkept(path) == [lost]
    (saved,) = archive_renders(hook, output_path=path, log=Log())
    assert (saved.render.project, saved.error) == (lost, None)
    assert sorted(found.stem for found in tmp_path.glob("*.mp4")) == sorted([lost, kept])
    assert list(archive_renders(hook, output_path=path, log=Log())) == []


def test_the_next_to_expire_comes_first_and_expired_renders_are_omitted(rendered, unkept, service, tmp_path):
    path, now = f"{tmp_path}/{{project}}.mp4", time.time()
    rendered("oldest")
    service.clock.advance(4 * DAY)
    older = rendered("older")
    service.clock.advance(2 * DAY)
    newest = rendered("newest")
    service.clock.advance(2 * DAY)
    assert unkept(path, now=now + 8 * DAY) == [older, newest]


def test_one_that_cannot_be_stored_does_not_stop_the_others(hook, rendered, service, tmp_path):
    first, second = rendered("first"), rendered("second")
    service.add_fault("file", status="missing", project=first, times=None)
    told = {
        one.render.project: one for one in archive_renders(hook, output_path=f"{tmp_path}/{{project}}.mp4", log=Log())
    }
    assert isinstance(told[first].error, DownloadFailed)
    assert told[second].stored.bytes > 0


def test_a_video_stored_in_the_also_in_directory_counts(rendered, unkept, tmp_path):
    project = rendered("task", output_path=f"{tmp_path}/kept/2026-05-12/film-{{project}}.mp4")
    path = f"{tmp_path}/archive/{{project}}.mp4"
    assert unkept(path) == [project]
    assert unkept(path, also_in=f"{tmp_path}/kept") == []
    (tmp_path / "kept" / "2026-05-12" / f"film-{project}.mp4").write_bytes(b"half of it")
    assert unkept(path, also_in=f"{tmp_path}/kept") == [project]


def test_the_path_can_contain_the_task_and_the_day(hook, rendered, tmp_path):
    rendered("weekly")
    (saved,) = archive_renders(hook, output_path=f"{tmp_path}/{{date}}/{{submission_key}}-{{project}}.mp4", log=Log())
    assert saved.stored.path.startswith(f"{tmp_path}/20")
    assert "/a_dag.weekly-" in saved.stored.path


@pytest.mark.parametrize("name", ["video.mp4", "{date}.mp4", "{submission_key}.mp4"])
def test_two_videos_are_never_archived_to_one_path(hook, rendered, tmp_path, name):
    """The second would overwrite the first, which is the only copy once the service has deleted its file."""
    rendered("one")
    with pytest.raises(ConfigurationError, match=r"must contain the placeholder \{project\}"):
        list(archive_renders(hook, output_path=f"{tmp_path}/{name}", log=Log()))
    assert list(tmp_path.glob("*.mp4")) == []


def test_the_stamps_to_archive_can_be_selected(rendered, unkept, tmp_path):
    rendered("mine")
    theirs = rendered("theirs")
    path = f"{tmp_path}/{{project}}.mp4"
    assert unkept(path, wanted=lambda stamp: stamp.submission_key.startswith("a_dag.theirs-")) == [theirs]


def test_a_destination_that_does_not_respond_is_an_error(rendered, unkept, tmp_path):
    rendered("task")
    store = attach("s3", FolderStore(root=tmp_path))
    (tmp_path / "bucket").mkdir()
    store.ls = store.info = lambda path, *_, **__: (_ for _ in ()).throw(ConnectionError("no route"))
    with pytest.raises(DestinationFailed, match="no route"):
        unkept("s3://bucket/{project}.mp4")
    with pytest.raises(DestinationFailed, match="it is unknown what is stored there"):
        unkept(f"{tmp_path}/{{project}}.mp4", also_in="s3://bucket/")


def test_a_path_with_an_unknown_placeholder_is_refused(unkept):
    with pytest.raises(ConfigurationError, match=r"Unknown placeholder \{item\}"):
        unkept("/videos/{item}.mp4")


def test_a_stamp_that_is_not_a_file_name_does_not_stop_the_others(hook, rendered, monkeypatch, tmp_path):
    path = f"{tmp_path}/{{submission_key}}-{{project}}.mp4"
    rendered("good")
    odd = {"deployment": "id:x", "submission_key": "../../up", "task_key": "t", "name_key": "n"}
    odd |= {"generation": 0, "attempt": 1, "fingerprint": "f"}
    hook.submit_movie({**MOVIE, "client-data": {"airflow_json2video": odd}})
    time.sleep(1)
    everyone = list(archive_renders(hook, output_path=path, log=Log(), wanted=lambda stamp: True))
    assert sorted(one.stored is not None for one in everyone) == [False, True]
    assert len(list(tmp_path.glob("*.mp4"))) == 1
    (refused,) = (one.error for one in everyone if one.error is not None)
    assert "cannot be part of a file's name" in str(refused)
