"""The video of a finished render is kept whole, or not at all. HTTP goes to the local service."""

from __future__ import annotations

import os
import time

import pytest

from airflow_json2video.exceptions import (
    ConfigurationError,
    DestinationFailed,
    DownloadFailed,
    RenderExpired,
    VideoDamaged,
)
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.hooks.storing import check_destination, find_stored, store_video
from airflow_json2video.hooks.waiting import wire
from tests.unit.stores import FolderStore, PlainFolder, attach

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2, "elements": [{"type": "text", "text": "Hi"}]}]}
SPOKEN = {**MOVIE, "elements": [{"type": "subtitles", "captions": "1\n00:00:00,000 --> 00:00:01,000\nHi\n"}]}


class Log(list):
    def info(self, event, *args):
        self.append(event % args)

    warning = info


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def hook(connection):
    return Json2VideoHook(connection)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("airflow_json2video.hooks.download._LONGEST_PAUSE", 0.01)


@pytest.fixture
def rendered(hook):
    def rendered(document=MOVIE):
        project = hook.submit_movie(document).project
        until = time.monotonic() + 30
        while (movie := hook.get_movie(project).movie).status != "done":
            assert movie.status != "error", movie.message
            assert time.monotonic() < until
            time.sleep(0.05)
        return wire(movie)

    return rendered


@pytest.fixture
def keep(hook, log):
    def keep(movie, template, **options):
        return store_video(movie, template=template, hook=hook, log=log, **options)

    return keep


def bytes_of(movie, service):
    return service.backend.file_of(movie["project"], subtitles=False).read_bytes()


def names_in(folder):
    return sorted(found.name for found in folder.iterdir())


def test_the_video_stands_under_its_final_name_byte_by_byte_and_nothing_else_is_left(rendered, keep, service, tmp_path):
    movie = rendered()
    kept = keep(movie, f"{tmp_path}/videos/{{project}}.mp4")
    assert kept.path == f"{tmp_path}/videos/{movie['project']}.mp4"
    assert names_in(tmp_path / "videos") == [f"{movie['project']}.mp4"]
    assert (tmp_path / "videos" / f"{movie['project']}.mp4").read_bytes() == bytes_of(movie, service)
    assert (kept.bytes, kept.duration, kept.downloaded) == (movie["size"], 2.0, True)


def test_a_video_that_is_there_and_whole_is_not_downloaded_again(rendered, keep, service, tmp_path):
    movie = rendered()
    first = keep(movie, f"{tmp_path}/{{project}}.mp4")
    service.add_fault("file", status="missing", times=None)
    again = keep(movie, f"{tmp_path}/{{project}}.mp4")
    assert (again.path, again.bytes, again.duration) == (first.path, first.bytes, first.duration)
    assert not again.downloaded


def test_a_video_whose_name_does_not_tell_the_render_is_the_renders_only_if_it_is_younger(
    rendered, keep, service, tmp_path
):
    first, second = rendered(), rendered()
    assert first["size"] == second["size"]
    keep(first, f"{tmp_path}/latest.mp4")
    os.utime(tmp_path / "latest.mp4", (time.time() - 3600, time.time() - 3600))
    assert keep(second, f"{tmp_path}/latest.mp4").downloaded
    os.utime(tmp_path / "latest.mp4", (time.time() + 5, time.time() + 5))
    assert not keep(second, f"{tmp_path}/latest.mp4").downloaded


@pytest.fixture
def bucket(tmp_path):
    (tmp_path / "store" / "bucket").mkdir(parents=True)
    return attach("s3", FolderStore(root=tmp_path / "store"))


@pytest.fixture
def server(tmp_path):
    (tmp_path / "server").mkdir()
    return attach("sftp", PlainFolder(root=tmp_path / "server"))


def test_an_object_store_gets_the_whole_file_in_one_put(rendered, keep, bucket, service):
    movie = rendered()
    kept = keep(movie, "s3://bucket/films/{project}.mp4")
    assert bucket.puts == [f"bucket/films/{movie['project']}.mp4"]
    assert kept.path == f"s3://bucket/films/{movie['project']}.mp4"
    assert (bucket.root / bucket.puts[0]).read_bytes() == bytes_of(movie, service)
    service.add_fault("file", status="missing", times=None)
    assert not keep(movie, "s3://bucket/films/{project}.mp4").downloaded


def test_the_connection_in_a_path_is_the_one_that_is_used(rendered, keep, tmp_path):
    (tmp_path / "other" / "bucket").mkdir(parents=True)
    other = attach("s3", FolderStore(root=tmp_path / "other"), conn_id="my_store")
    movie = rendered()
    kept = keep(movie, "s3://my_store@bucket/{project}.mp4")
    assert kept.path == f"s3://my_store@bucket/{movie['project']}.mp4"
    assert names_in(other.root / "bucket") == [f"{movie['project']}.mp4"]


def test_another_file_system_gets_it_under_a_temporary_name_first(rendered, keep, server):
    movie = rendered()
    keep(movie, "sftp://host/films/{project}.mp4")
    (put,) = server.puts
    assert put.endswith(".part")
    assert names_in(server._of("/films")) == [f"{movie['project']}.mp4"]
    older = server._of(f"/films/{movie['project']}.mp4")
    older.write_bytes(b"another one")
    assert keep(movie, "sftp://host/films/{project}.mp4").downloaded
    assert older.stat().st_size == movie["size"]
