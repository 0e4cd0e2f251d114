"""Whether a place can be written to is found out before anything is paid for, and leaves no trace."""

from __future__ import annotations

import os

import pytest

from airflow_json2video.exceptions import ConfigurationError, DestinationFailed, Money
from airflow_json2video.hooks.storing import check_destination
from tests.unit.stores import FolderStore, attach


class Log(list):
    def info(self, event, *args):
        self.append(event % args)

    warning = info


def check(template, **options):
    log = Log()
    check_destination(template, log=log, **options)
    return log


@pytest.fixture
def bucket(tmp_path):
    (tmp_path / "store" / "bucket").mkdir(parents=True)
    return attach("s3", FolderStore(root=tmp_path / "store"))


def test_a_place_that_can_be_written_to_is_left_as_it_is(tmp_path, bucket):
    check(f"{tmp_path}/a/b/{{project}}.mp4")
    check(f"file://{tmp_path}/a/b/")
    check("s3://bucket/{project}.mp4")
    assert sorted(found.name for found in tmp_path.rglob("*")) == ["bucket", "store"]


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("", "must be a path"),
        ("videos/{project}.mp4", "is relative"),
        ("/videos/{film}.mp4", r"has the field \{film\}, which is not known"),
        ("/videos/{project:>9}.mp4", "no plain name"),
        ("/videos/{project.x}.mp4", "no plain name"),
        ("/videos/{}.mp4", "no plain name"),
        ("/videos/{project.mp4", "expected '}'"),
        ("nonsense://videos/{project}.mp4", "cannot be written to from here"),
        ("s3://no-such-bucket/{project}.mp4", "there is no 'no-such-bucket'"),
        ("file://videos/{project}.mp4", "where a machine's name stands"),
    ],
)
def test_a_path_that_cannot_be_used_is_refused_with_the_reason(template, why, bucket):
    with pytest.raises(ConfigurationError, match=why) as failure:
        check(template)
    assert failure.value.money is Money.NOT_SPENT


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    (tmp_path / "latest.mp4").mkdir()
    with pytest.raises(ConfigurationError, match="is a folder"):
        check(f"{tmp_path}/latest.mp4")


def test_a_file_in_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "videos").write_text("a file")
    with pytest.raises(ConfigurationError, match="is no folder"):
        check(f"{tmp_path}/videos/{{project}}.mp4")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_refused(tmp_path):
    (tmp_path / "videos").mkdir(mode=0o555)
    with pytest.raises(ConfigurationError, match="may not write"):
        check(f"{tmp_path}/videos/{{project}}.mp4")


def test_a_connection_that_is_not_there_is_refused(monkeypatch):
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    def no_connection(path):
        raise AirflowNotFoundException("The conn_id `mine` isn't defined")

    monkeypatch.setattr("airflow_json2video.hooks.destinations.object_storage", no_connection)
    with pytest.raises(ConfigurationError, match="`mine` isn't defined"):
        check("s3://mine@bucket/{project}.mp4")


def test_a_bucket_that_may_not_be_looked_at_may_still_be_written_to(bucket):
    def forbidden(path, **options):
        raise PermissionError("Forbidden")

    bucket.info = forbidden
    assert "cannot be told beforehand" in check("s3://bucket/{project}.mp4")[0]


def test_a_store_that_does_not_answer_may_answer_the_next_attempt(bucket):
    def down(path, **options):
        raise ConnectionError("Could not connect to the endpoint URL")

    bucket.info = down
    with pytest.raises(DestinationFailed, match="cannot be reached") as failure:
        check("s3://bucket/{project}.mp4")
    assert failure.value.retryable
    assert failure.value.money is Money.NOT_SPENT
