"""A file is downloaded completely or not at all, whatever the server does."""

from __future__ import annotations

import hashlib
import io
import threading

import pytest

from airflow_json2video.api.config import ClientConfig
from airflow_json2video.exceptions import DownloadFailed
from airflow_json2video.storage.download import Cancellation, Download
from tests.unit.videohost import video_host

SIZE = 3_000_000


class Log(list):
    def info(self, event, *args):
        self.append(event % args)

    warning = info


@pytest.fixture
def host():
    with video_host(size=SIZE) as host:
        yield host


@pytest.fixture
def get(host):
    """Download the server's file without delays."""

    def get(url=None, **options):
        get.into, get.log, get.delays = io.BytesIO(), Log(), []
        options = {"what": "The video", "project": "p", "sleep": get.delays.append, **options}
        config = ClientConfig(api_key="a-key-of-the-tests", read_timeout=5)
        return Download(url or host.url, get.into, config=config, log=get.log, **options).run()

    return get


def digest(content):
    return hashlib.sha256(content).hexdigest()


def test_an_interrupted_download_is_resumed_without_sending_a_byte_twice(get, host):
    host.breaks = [1_000_000, 700_000]
    got = get()
    assert digest(get.into.getvalue()) == digest(host.bytes_of(0, SIZE))
    assert (got.length, got.resumed) == (SIZE, 2)
    ranges = [int(headers["Range"].removeprefix("bytes=").rstrip("-")) for headers in host.requests[1:]]
    # What was read of a block that broke off is asked for again.
    assert 1_000_000 - 65_536 <= ranges[0] <= 1_000_000
    assert sum(host.sent) - SIZE <= 2 * 65_536
    assert all(headers["If-Range"] == '"one"' for headers in host.requests[1:])


def test_a_server_without_ranges_restarts_the_download(get, host):
    host.breaks, host.ranges = [2_000_000], False
    got = get()
    assert digest(get.into.getvalue()) == digest(host.bytes_of(0, SIZE))
    assert (got.length, got.resumed) == (SIZE, 0)


def test_a_file_that_changed_during_the_download_is_restarted(get, host):
    host.breaks = [2_000_000]

    def replaced(seconds):
        host.etag = '"another one"'

    get(sleep=replaced)
    assert digest(get.into.getvalue()) == digest(host.bytes_of(0, SIZE))


def test_the_number_of_tries_is_limited(get, host):
    host.breaks = [0] * 1000
    with pytest.raises(DownloadFailed, match="The download of the video of render p failed") as failure:
        get()
    assert failure.value.retryable
    assert len(host.requests) <= 6
    assert sum(get.delays) > 0


def test_the_time_is_limited_although_each_read_makes_progress(get, host):
    host.pause = 0.3
    with pytest.raises(DownloadFailed, match="time limit exceeded"):
        get(time_limit=1.0)


def test_the_api_key_is_not_sent(get, host):
    get()
    assert "a-key-of-the-tests" not in str(host.requests)
    assert "authorization" not in {name.lower() for headers in host.requests for name in headers}


def test_a_redirect_on_this_machine_is_followed(get, host):
    host.redirect = "/there.mp4"
    assert get().length == SIZE


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("http://example.com/film.mp4", "is not https"),
        ("ftp://127.0.0.1/film.mp4", "is not https"),
        ("file:///etc/passwd", "has no host"),
        ("https://user:word@example.com/film.mp4", "contains a password"),
        ("/film.mp4", "more than 5 redirects"),
    ],
)
def test_a_redirect_to_a_forbidden_url_is_refused(get, host, to, why):
    host.redirect = to
    with pytest.raises(DownloadFailed, match=why):
        get()
    assert "word" not in str(get.log)


@pytest.mark.parametrize("url", ["http://example.com/a.mp4", "ftp://example.com/a.mp4", "/etc/passwd"])
def test_a_url_that_is_not_https_is_refused(get, url):
    with pytest.raises(DownloadFailed, match=r"is not https|has no host"):
        get(url)


def test_a_file_larger_than_expected_is_not_read_to_its_end(get, host):
    with pytest.raises(DownloadFailed, match="expected at most 1000"):
        get(max_bytes=1000)
    assert not get.into.getvalue()


def test_without_an_etag_an_interrupted_download_is_restarted(get, host):
    host.breaks, host.etag = [2_000_000], ""
    before = host.bytes_of

    def replaced(seconds):
        host.bytes_of = lambda start, end: b"2" * (end - start)

    got = get(sleep=replaced)
    assert get.into.getvalue() == b"2" * SIZE, "not the beginning of one file with the end of another of the same size"
    assert got.resumed == 0
    assert before(0, 1) != b"2"


def test_a_range_with_another_etag_is_not_used(get, host):
    host.breaks = [2_000_000]
    host.dated, host.etag, host.heeds = "Thu, 26 Nov 2026 10:00:00 GMT", "", False

    def replaced(seconds):
        host.dated = "Thu, 26 Nov 2026 11:00:00 GMT"
        host.bytes_of = lambda start, end: b"2" * (end - start)

    get(sleep=replaced)
    assert get.into.getvalue() == b"2" * SIZE


def test_a_cancelled_download_ends_immediately_although_the_server_sends_nothing(host, get):
    host.pause = 60.0
    cancellation = Cancellation()
    threading.Timer(0.5, cancellation.set).start()
    with pytest.raises(DownloadFailed, match="the task is ending"):
        get(cancellation=cancellation, sleep=None)
