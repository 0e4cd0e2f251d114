"""The video of a finished render is stored completely or not at all. HTTP goes to the local service."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest

from airflow_json2video.core.result import to_json
from airflow_json2video.exceptions import (
    DestinationFailed,
    DownloadFailed,
    RenderExpired,
    VideoCorrupted,
)
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.storage.store import find_stored, store_video
from tests.unit.stores import FolderStore, PlainFolder, attach
from tests.unit.videohost import video_host

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
    monkeypatch.setattr("airflow_json2video.storage.download._MAX_DELAY", 0.01)


@pytest.fixture
def rendered(hook):
    def rendered(document=MOVIE):
        project = hook.submit_movie(document).project
        until = time.monotonic() + 30
        while (movie := hook.get_movie(project).movie).status != "done":
            assert movie.status != "error", movie.message
            assert time.monotonic() < until
            time.sleep(0.05)
        return to_json(movie)

    return rendered


@pytest.fixture
def keep(hook, log):
    def keep(movie, output_path, **options):
        return store_video(movie, output_path=output_path, hook=hook, log=log, **options)

    return keep


def bytes_of(movie, service):
    return service.backend.file_of(movie["project"], subtitles=False).read_bytes()


def names_in(folder):
    return sorted(found.name for found in folder.iterdir())


def test_the_video_is_stored_completely_and_nothing_else_remains(rendered, keep, service, tmp_path):
    movie = rendered()
    kept = keep(movie, f"{tmp_path}/videos/{{project}}.mp4")
    assert kept.path == f"{tmp_path}/videos/{movie['project']}.mp4"
    assert names_in(tmp_path / "videos") == [f"{movie['project']}.mp4"]
    assert (tmp_path / "videos" / f"{movie['project']}.mp4").read_bytes() == bytes_of(movie, service)
    assert (kept.bytes, kept.duration, kept.downloaded) == (movie["size"], 2.0, True)


def test_a_complete_stored_video_is_not_downloaded_again(rendered, keep, service, tmp_path):
    movie = rendered()
    first = keep(movie, f"{tmp_path}/{{project}}.mp4")
    service.add_fault("file", status="missing", times=None)
    again = keep(movie, f"{tmp_path}/{{project}}.mp4")
    assert (again.path, again.bytes, again.duration) == (first.path, first.bytes, first.duration)
    assert not again.downloaded


def test_a_video_without_the_project_in_its_name_must_be_newer_than_the_render(rendered, keep, service, tmp_path):
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


def test_an_object_store_receives_the_file_in_one_upload(rendered, keep, bucket, service):
    movie = rendered()
    kept = keep(movie, "s3://bucket/films/{project}.mp4")
    assert bucket.puts == [f"bucket/films/{movie['project']}.mp4"]
    assert bucket.pieces == [8 * 1024 * 1024], "and in small pieces: a client may hold several of them in memory"
    assert kept.path == f"s3://bucket/films/{movie['project']}.mp4"
    assert (bucket.root / bucket.puts[0]).read_bytes() == bytes_of(movie, service)
    service.add_fault("file", status="missing", times=None)
    assert not keep(movie, "s3://bucket/films/{project}.mp4").downloaded


def test_a_video_is_stored_in_a_write_only_bucket(rendered, keep, bucket, service, log):
    """The check before the render passes, so the paid video must be stored there."""

    def forbidden(path, **options):
        raise PermissionError("Forbidden")

    bucket.info = forbidden
    movie = rendered()
    keep(movie, "s3://bucket/videos/{project}.mp4")
    assert names_in(bucket.root / "bucket" / "videos") == [f"{movie['project']}.mp4"]
    with pytest.raises(DestinationFailed, match="could not be read"):  # unknown is not absent
        find_stored(movie, output_path="s3://bucket/videos/{project}.mp4", log=log)


def test_the_connection_in_a_path_is_the_one_that_is_used(rendered, keep, tmp_path):
    (tmp_path / "other" / "bucket").mkdir(parents=True)
    other = attach("s3", FolderStore(root=tmp_path / "other"), conn_id="my_store")
    movie = rendered()
    kept = keep(movie, "s3://my_store@bucket/{project}.mp4")
    assert kept.path == f"s3://my_store@bucket/{movie['project']}.mp4"
    assert names_in(other.root / "bucket") == [f"{movie['project']}.mp4"]


def test_other_file_systems_receive_it_under_a_temporary_name_first(rendered, keep, server):
    movie = rendered()
    keep(movie, "sftp://host/films/{project}.mp4")
    (put,) = server.puts
    assert put.endswith(".part")
    assert names_in(server._of("/films")) == [f"{movie['project']}.mp4"]
    older = server._of(f"/films/{movie['project']}.mp4")
    older.write_bytes(b"another one")
    assert keep(movie, "sftp://host/films/{project}.mp4").downloaded
    assert older.stat().st_size == movie["size"]


@pytest.mark.parametrize(
    ("fault", "error", "why"),
    [
        ({"status": "missing"}, DownloadFailed, "404"),
        ({"status": "truncated"}, VideoCorrupted, "bytes, expected"),
        ({"status": "wrong-length"}, DownloadFailed, "The download of the video of render"),
    ],
)
def test_an_incomplete_file_is_never_visible_and_the_next_try_stores_it(
    rendered, keep, service, tmp_path, fault, error, why
):
    movie = rendered()
    service.add_fault("file", times=None, **fault)
    with pytest.raises(error, match=why) as failure:
        keep(movie, f"{tmp_path}/kept/{{project}}.mp4")
    assert failure.value.retryable
    assert failure.value.project == movie["project"]
    assert names_in(tmp_path / "kept") == []
    service.clear_faults()
    assert keep(movie, f"{tmp_path}/kept/{{project}}.mp4").bytes == movie["size"]


def test_a_broken_connection_is_resumed(rendered, keep, service, tmp_path, log):
    movie = rendered()
    service.add_fault("cut", path="/renders/*", bytes=1000)
    keep(movie, f"{tmp_path}/{{project}}.mp4")
    assert (tmp_path / f"{movie['project']}.mp4").read_bytes() == bytes_of(movie, service)


def test_an_html_page_instead_of_the_video_is_not_stored(rendered, keep, service, tmp_path):
    movie = rendered()
    service.add_fault("answer", path="/renders/*", status=200, body="<html>Please log in</html>", times=None)
    with pytest.raises(VideoCorrupted, match=r"sent as text/html|begins like HTML"):
        keep({**movie, "size": None}, f"{tmp_path}/{{project}}.mp4")
    assert f"{movie['project']}.mp4" not in names_in(tmp_path)


def test_a_complete_video_of_another_duration_is_not_stored(rendered, keep, tmp_path):
    movie = rendered()
    with pytest.raises(VideoCorrupted, match=r"it lasts 2.0 s, expected 9"):
        keep({**movie, "duration": 9}, f"{tmp_path}/kept/{{project}}.mp4")
    assert names_in(tmp_path / "kept") == []


def test_the_error_says_why_a_render_has_lost_its_file(rendered, keep, tmp_path):
    movie = {**rendered(), "url": None}
    for facts, why in (
        ({"deleted_at": movie["ended_at"]}, "its file was deleted at JSON2Video"),
        ({"ended_at": "2026-01-01T10:00:00Z"}, "it is older than seven days"),
        ({}, "has not published its file yet"),
    ):
        with pytest.raises(RenderExpired, match=why):
            keep({**movie, **facts}, f"{tmp_path}/{{project}}.mp4")


def test_without_a_size_from_the_service_only_a_complete_video_counts_as_stored(rendered, keep, service, tmp_path, log):
    movie, path = rendered(), f"{tmp_path}/{{project}}.mp4"
    keep(movie, path)
    forgotten = {**movie, "url": None, "size": None}
    assert find_stored(forgotten, output_path=path, log=log)
    file = tmp_path / f"{movie['project']}.mp4"
    file.write_bytes(file.read_bytes()[:-10])
    assert find_stored(forgotten, output_path=path, log=log) is None


def test_a_damaged_stored_video_is_replaced(rendered, keep, service, tmp_path):
    movie = rendered()
    path = tmp_path / f"{movie['project']}.mp4"
    path.write_bytes(b"x" * movie["size"])
    assert keep(movie, f"{tmp_path}/{{project}}.mp4").downloaded
    assert path.read_bytes() == bytes_of(movie, service)


def test_subtitles_are_stored_next_to_the_video_and_found_again(rendered, keep, tmp_path):
    movie = rendered(SPOKEN)
    kept = keep(movie, f"{tmp_path}/{{project}}.mp4", subtitles=True)
    assert kept.subtitles == f"{tmp_path}/{movie['project']}.ass"
    assert "[Script Info]" in (tmp_path / f"{movie['project']}.ass").read_text()
    assert keep({**movie, "ass": False}, f"{tmp_path}/{{project}}.mp4", subtitles=True).subtitles == kept.subtitles


def test_a_render_without_subtitles_or_thumbnail_is_stored_without_them(rendered, keep, tmp_path, log):
    kept = keep(rendered(), f"{tmp_path}/kept/", subtitles=True, thumbnail=True)
    assert (kept.subtitles, kept.thumbnail) == (None, None)
    assert len(names_in(tmp_path / "kept")) == 1
    assert any("no subtitles" in line for line in log)
    assert any("no thumbnail" in line for line in log)


def test_a_thumbnail_is_stored_next_to_the_video(rendered, keep, tmp_path):
    movie = rendered()
    with video_host(size=4000) as host:
        host.content_type = "image/jpeg"
        picture = host.url.replace("film.mp4", "picture.png?signed=1")
        kept = keep({**movie, "thumbnail": picture}, f"{tmp_path}/{{project}}.mp4", thumbnail=True)
    assert kept.thumbnail == f"{tmp_path}/{movie['project']}.png"
    assert (tmp_path / f"{movie['project']}.png").stat().st_size == 4000


def test_the_remote_file_is_deleted_only_after_the_stored_one_was_verified(rendered, keep, service, hook, tmp_path):
    movie = rendered()
    kept = keep(movie, f"{tmp_path}/{{project}}.mp4", delete=True)
    assert kept.deleted
    assert hook.get_movie(movie["project"]).movie.url is None
    again = keep({**movie, "url": None}, f"{tmp_path}/{{project}}.mp4", delete=True)
    assert (again.downloaded, again.deleted) == (False, False)


def test_the_remote_file_is_not_deleted_if_the_stored_one_disappears(rendered, keep, hook, bucket):
    movie = rendered()
    put = bucket.put_file

    def put_and_lose(lpath, rpath, **options):
        put(lpath, rpath, **options)
        bucket.info = lambda path, **_: (_ for _ in ()).throw(FileNotFoundError(path))

    bucket.put_file = put_and_lose
    with pytest.raises(DestinationFailed):
        keep(movie, "s3://bucket/{project}.mp4", delete=True)
    assert hook.get_movie(movie["project"]).movie.url


def test_a_refused_deletion_does_not_affect_the_stored_video(rendered, keep, service, tmp_path, log):
    movie = rendered()
    service.add_fault("answer", method="DELETE", path="/v2/movies", status=403, body={"message": "No"}, times=None)
    kept = keep(movie, f"{tmp_path}/{{project}}.mp4", delete=True)
    assert not kept.deleted
    assert any("Could not delete" in line for line in log)


@pytest.mark.parametrize("scheme", ["s3://bucket/", "sftp://host/films/"])
def test_an_interrupted_upload_leaves_no_visible_file(rendered, keep, bucket, server, scheme):
    movie = rendered()
    store = bucket if scheme.startswith("s3") else server
    store.block = 512

    def full(sent):
        if sent > 1000:
            raise OSError(28, "No space left on device")

    store.on_block = full
    with pytest.raises(DestinationFailed, match="the disk is full") as failure:
        keep(movie, f"{scheme}{{project}}.mp4")
    assert failure.value.retryable
    assert "without a new render" in str(failure.value)
    assert not [path for path in store.root.rglob("*") if path.is_file() and "not-there-yet" not in path.name]
    store.on_block = lambda sent: None
    assert keep(movie, f"{scheme}{{project}}.mp4").downloaded


def test_a_full_disk_is_reported_before_the_download(rendered, keep, service, tmp_path, monkeypatch):
    movie = rendered()
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=10))
    with pytest.raises(DestinationFailed, match="the disk is full"):
        keep(movie, f"{tmp_path}/kept/{{project}}.mp4")
    assert names_in(tmp_path / "kept") == []


def test_a_directory_without_write_permission_is_reported(rendered, keep, tmp_path):
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(DestinationFailed, match="could not be"):
        keep(rendered(), f"{tmp_path}/kept/{{project}}.mp4")


def test_a_store_that_does_not_respond_is_unknown_and_not_absent(rendered, bucket, log):
    movie = rendered()

    def down(path, **options):
        raise OSError("the store is down")

    bucket.info = down
    with pytest.raises(DestinationFailed, match="the store is down"):
        find_stored(movie, output_path="s3://bucket/{project}.mp4", log=log)
