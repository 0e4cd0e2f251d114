"""The check that a destination is writable, before anything is paid for; it leaves nothing behind."""

from __future__ import annotations

import os

import pytest

from airflow_json2video.exceptions import Billing, ConfigurationError, DestinationFailed
from airflow_json2video.storage.destinations import get_destination
from airflow_json2video.storage.preflight import check_destination
from tests.unit.stores import FolderStore, PlainFolder, attach


class Log(list):
    def info(self, event, *args):
        self.append(event % args)

    warning = info


def check(output_path, **options):
    log = Log()
    check_destination(output_path, log=log, **options)
    return log


@pytest.fixture
def bucket(tmp_path):
    (tmp_path / "store" / "bucket").mkdir(parents=True)
    return attach("s3", FolderStore(root=tmp_path / "store"))


def test_the_check_leaves_a_writable_destination_unchanged(tmp_path, bucket):
    check(f"{tmp_path}/a/b/{{project}}.mp4")
    check(f"file://{tmp_path}/a/b/")
    check("s3://bucket/{project}.mp4")
    assert sorted(found.name for found in tmp_path.rglob("*")) == ["bucket", "store"]


@pytest.mark.parametrize(
    ("output_path", "why"),
    [
        ("", "must be a path"),
        ("videos/{project}.mp4", "must be absolute"),
        ("/videos/{film}.mp4", r"Unknown placeholder \{film\}"),
        ("/videos/{project:>9}.mp4", "not a plain name"),
        ("/videos/{project.x}.mp4", "not a plain name"),
        ("/videos/{}.mp4", "not a plain name"),
        ("/videos/{project.mp4", "expected '}'"),
        ("nonsense://videos/{project}.mp4", "cannot be used here"),
        ("s3://no-such-bucket/{project}.mp4", "'no-such-bucket' does not exist"),
        ("file://videos/{project}.mp4", "where a file URL has a host"),
    ],
)
def test_a_path_that_cannot_be_used_is_refused_with_the_reason(output_path, why, bucket):
    with pytest.raises(ConfigurationError, match=why) as failure:
        check(output_path)
    assert failure.value.billing is Billing.NOT_CHARGED


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    (tmp_path / "latest.mp4").mkdir()
    with pytest.raises(ConfigurationError, match="is a directory"):
        check(f"{tmp_path}/latest.mp4")


def test_a_file_in_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "videos").write_text("a file")
    with pytest.raises(ConfigurationError, match="is not a directory"):
        check(f"{tmp_path}/videos/{{project}}.mp4")


@pytest.mark.parametrize("path", ["/proc/{project}.mp4", "/proc/self/videos/{project}.mp4", "/sys/{project}.mp4"])
def test_a_destination_that_only_appears_writable_is_refused(path):
    with pytest.raises(ConfigurationError, match="the worker cannot write to") as failure:
        check(path)
    assert failure.value.billing is Billing.NOT_CHARGED


def test_a_full_disk_is_retryable(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("airflow_json2video.storage.destinations.os.replace", full)
    with pytest.raises(
        DestinationFailed, match=r"the disk is full.*Free some space\. Nothing was submitted"
    ) as failure:
        check(f"{tmp_path}/{{project}}.mp4")
    assert failure.value.retryable
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_store_is_refused(bucket):
    def forbidden(*arguments, **options):
        raise PermissionError("s3:PutObject is not allowed")

    bucket.put_file = forbidden
    with pytest.raises(DestinationFailed, match="PutObject is not allowed") as failure:
        check("s3://bucket/{project}.mp4")
    assert failure.value.billing is Billing.NOT_CHARGED


def test_without_the_permission_to_delete_one_small_file_remains_and_is_logged(bucket):
    def forbidden(path):
        raise PermissionError("s3:DeleteObject is not allowed")

    bucket.rm_file = forbidden
    assert "could not be deleted" in check("s3://bucket/videos/{project}.mp4")[0]
    check("s3://bucket/videos/{project}.mp4")
    assert [found.name for found in (bucket.root / "bucket" / "videos").iterdir()] == [".json2video-write-check"]


def test_the_check_leaves_a_file_server_unchanged(tmp_path):
    (tmp_path / "server" / "films").mkdir(parents=True)
    server = attach("sftp", PlainFolder(root=tmp_path / "server"))
    moved = []
    mv = server.mv
    server.mv = lambda old, new: (moved.append(new), mv(old, new))
    check("sftp://host/films/2026/{project}.mp4")
    assert len(moved) == 1
    assert list((tmp_path / "server").rglob("*")) == [tmp_path / "server" / "films"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_without_write_permission_is_refused(tmp_path):
    (tmp_path / "videos").mkdir(mode=0o555)
    with pytest.raises(ConfigurationError, match="cannot write to"):
        check(f"{tmp_path}/videos/{{project}}.mp4")


def test_a_missing_connection_is_refused(monkeypatch):
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    def no_connection(path):
        raise AirflowNotFoundException("The conn_id `mine` isn't defined")

    monkeypatch.setattr("airflow_json2video.storage.destinations.object_storage", no_connection)
    with pytest.raises(ConfigurationError, match="`mine` isn't defined"):
        check("s3://mine@bucket/{project}.mp4")


def test_a_bucket_without_read_permission_may_be_writable(bucket):
    def forbidden(path, **options):
        raise PermissionError("Forbidden")

    bucket.info = forbidden
    check("s3://bucket/{project}.mp4")
    assert bucket.puts == ["bucket/.json2video-write-check"]
    with pytest.raises(DestinationFailed, match=r"could not be read.*Nothing was submitted"):
        check("s3://bucket/{project}.mp4", deletes=True)


def test_a_store_that_does_not_respond_is_retryable(bucket):
    def down(path, **options):
        raise ConnectionError("Could not connect to the endpoint URL")

    bucket.info = down
    with pytest.raises(DestinationFailed, match="could not be reached") as failure:
        check("s3://bucket/{project}.mp4")
    assert failure.value.retryable
    assert failure.value.billing is Billing.NOT_CHARGED


@pytest.mark.parametrize("name", ["a[1].mp4", "b?c.mp4", "d*.mp4", "e#f.mp4", "g%20h.mp4", " i .mp4"])
@pytest.mark.parametrize("scheme", ["memory", "sftp"])
def test_a_name_is_literal_and_neither_a_pattern_nor_part_of_a_url(tmp_path, scheme, name):
    import fsspec

    class Generic(fsspec.get_filesystem_class("memory")):  # fsspec's own mv expands patterns
        store, pseudo_dirs = {}, [""]

    if scheme == "memory":
        fs = attach("memory", Generic())
        fs.pipe("/films/a1.mp4", b"another one")
    else:
        (tmp_path / "films").mkdir()
        fs = attach("sftp", PlainFolder(root=tmp_path))
    destination = get_destination(f"{scheme}://films/{name}" if scheme == "memory" else f"sftp://host/films/{name}")
    with destination.temporary() as part:
        part.write_bytes(b"film")
        destination.commit(part)
    if scheme == "memory":
        assert {path: fs.cat_file(path) for path in fs.find("/films")} == {
            "/films/a1.mp4": b"another one",
            f"/films/{name}": b"film",
        }
    else:
        assert [found.name for found in (tmp_path / "films").iterdir()] == [name]
