"""Download a render's file: in blocks, resumed by range after an interruption, in limited tries and time.

The API key is never sent: a file's host is not the API. Redirects are followed one by one, to ``https`` only.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError
from urllib3.util import SKIP_HEADER

from airflow_json2video.api.base_client import root_cause
from airflow_json2video.api.client import new_session
from airflow_json2video.api.config import ClientConfig, is_loopback
from airflow_json2video.api.transport import SendTracker, track_request
from airflow_json2video.exceptions import DownloadFailed

if TYPE_CHECKING:
    from airflow_json2video.task_log import TaskLog

__all__ = ["Cancellation", "Download", "DownloadResult"]

_BLOCK = 64 * 1024
_MAX_TRIES = 50
_MAX_TRIES_WITHOUT_PROGRESS = 5
"""Tries in a row that received nothing, after which the download fails."""
_MAX_REDIRECTS = 5
_MAX_DELAY = 30.0
_RETRYABLE_STATUSES = (404, 403, 408, 409, 425, 429)
"""Refusals that may be temporary: a file can appear at its URL a moment late."""


@dataclass(frozen=True)
class DownloadResult:
    """What was received.

    :ivar length: bytes. :ivar content_type: as the server sent it. :ivar resumed: how often the download was resumed.
    :ivar head: the first bytes.
    """

    length: int
    content_type: str | None
    resumed: int
    head: bytes


class _Interrupted(Exception):
    """This try ended without the complete file; the message says why."""

    def __init__(
        self, message: str, *, retry_after: float | None = None, is_retryable: bool = True, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.is_retryable = is_retryable
        self.status = status


class Cancellation:
    """Cancels downloads that run in other threads, including one that waits for the server to send a byte."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._trackers: list[SendTracker] = []

    @property
    def is_set(self) -> bool:
        """Return whether the downloads were canceled."""
        return self._event.is_set()

    def set(self) -> None:
        """Cancel the downloads now."""
        self._event.set()
        with self._lock:
            for tracker in self._trackers:
                tracker.expire()

    def sleep(self, seconds: float) -> None:
        """Wait, at most until the downloads are canceled."""
        self._event.wait(seconds)

    @contextmanager
    def covering(self, tracker: SendTracker) -> Iterator[None]:
        """Cancel the request of *tracker* too."""
        with self._lock:
            self._trackers.append(tracker)
        if self.is_set:
            tracker.expire()
        try:
            yield
        finally:
            with self._lock:
                self._trackers.remove(tracker)


class Download:
    """The download of one file into *into*.

    :param url: ``https``, or ``http`` on this machine.
    :param into: a local file opened for writing bytes, empty.
    :param config: of the connection: its proxy, certificate authorities and timeouts are used.
    :param what: the file in a message, such as ``The video``. :param project: of the render.
    :param max_bytes: limit above which the download fails.
    :param time_limit: seconds for all tries together.
    :param cancellation: ends the download early.
    """

    def __init__(
        self,
        url: str,
        into: BinaryIO,
        *,
        config: ClientConfig,
        log: TaskLog,
        what: str,
        project: str,
        max_bytes: int | None = None,
        time_limit: float = 3600.0,
        cancellation: Cancellation | None = None,
        sleep: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._into = into
        self._config = config
        self._log = log
        self._what = what
        self._project = project
        self._max_bytes = max_bytes
        self._cancellation = cancellation or Cancellation()
        self._sleep = sleep or self._cancellation.sleep
        self._clock = clock
        self._until = clock() + time_limit
        self._received = 0
        self._total: int | None = None
        self._version: str | None = None
        self._type: str | None = None
        self._head = b""
        self._resumed = 0

    def run(self) -> DownloadResult:
        """Download the complete file.

        :raises DownloadFailed: the file is incomplete after the last request, or its URL is refused.
        :raises OSError: the file could not be written.
        """
        without_progress = 0
        for number in range(1, _MAX_TRIES + 1):
            before = self._received
            try:
                with new_session() as session:
                    self._try(session)
                return DownloadResult(
                    length=self._received, content_type=self._type, resumed=self._resumed, head=self._head
                )
            except _Interrupted as error:
                interruption = error
            without_progress = 0 if self._received > before else without_progress + 1
            backoff = min(_MAX_DELAY, 0.5 * 2.0**without_progress)
            delay = interruption.retry_after or random.random() * backoff  # noqa: S311
            is_out_of_time = self._clock() + delay >= self._until
            is_last = number == _MAX_TRIES or without_progress >= _MAX_TRIES_WITHOUT_PROGRESS
            if is_out_of_time or is_last or not interruption.is_retryable:
                break
            self._log.warning(
                "%s of render %s: %s (%s). Trying again in %.1f s.",
                self._what,
                self._project,
                interruption,
                self._progress(),
                delay,
            )
            self._sleep(delay)
        is_missing = interruption.status in (404, 403, 410)
        raise DownloadFailed(
            f"The download of {self._what[0].lower()}{self._what[1:]} of render {self._project} failed "
            f"({self._progress()}, {number} {'request' if number == 1 else 'requests'}): {interruption}.",
            http_status=interruption.status,
            project=self._project,
            advice="JSON2Video stores a file for seven days and reports this one as available; a retry downloads it."
            if is_missing
            else None,
        )

    def _try(self, session: requests.Session) -> None:
        left = self._until - self._clock()
        if left <= 0:
            raise _Interrupted("time limit exceeded", is_retryable=False)
        write_error: OSError | None = None
        with track_request(left, redact=self._config.redact) as tracker, self._cancellation.covering(tracker):
            try:
                with self._open(session) as response:
                    self._start_body(response)
                    response.raw.enforce_content_length = True
                    while block := response.raw.read(_BLOCK, decode_content=False):
                        try:
                            self._write(block)
                        except OSError as error:
                            write_error = error
                            raise
            except (requests.RequestException, HTTPError, OSError) as error:
                if write_error is not None:
                    raise write_error from None
                root = root_cause(error)
                reason = self._why_expired() if tracker.expired else f"{type(root).__name__}: {root}".rstrip(".: ")
                raise _Interrupted(self._config.redact(reason), is_retryable=not tracker.expired) from None
        if tracker.expired:
            raise _Interrupted(self._why_expired(), is_retryable=False)
        if self._total is not None and self._received != self._total:
            raise _Interrupted(f"the connection closed after {self._received} of {self._total} bytes")

    def _why_expired(self) -> str:
        return "the task is ending" if self._cancellation.is_set else "time limit exceeded"

    def _open(self, session: requests.Session) -> requests.Response:
        url, config = self._url, self._config
        for _ in range(_MAX_REDIRECTS + 1):
            _check_url(url, redirected_from=self._url)
            headers = {
                "User-Agent": config.user_agent or SKIP_HEADER,
                "Accept-Encoding": "identity",
                "Accept": "*/*",
            }
            if self._received and self._version is not None:
                headers["Range"] = f"bytes={self._received}-"
                headers["If-Range"] = self._version
            proxy = config.proxy_for(url)
            response = session.get(
                url,
                headers=headers,
                timeout=(config.connect_timeout, config.read_timeout),
                proxies={"http": proxy, "https": proxy} if proxy else None,
                verify=config.ca_bundle() or True,
                allow_redirects=False,
                stream=True,
            )
            if response.status_code not in (301, 302, 303, 307, 308) or "Location" not in response.headers:
                return response
            url = urljoin(url, response.headers["Location"])
            response.close()
        raise _Interrupted(f"more than {_MAX_REDIRECTS} redirects", is_retryable=False)

    def _start_body(self, response: requests.Response) -> None:
        """Read the headers of a response: whether it continues the last one, or starts from the beginning."""
        status = response.status_code
        if status == 206 and self._received and self._continues(response):
            self._resumed += 1
            return
        if status not in (200, 206, 416):
            retry_after = response.headers.get("Retry-After", "")
            raise _Interrupted(
                f"the server answered HTTP {status} {response.reason or ''}".rstrip(),
                retry_after=min(float(retry_after), _MAX_DELAY) if retry_after.isdigit() else None,
                is_retryable=status >= 500 or status in _RETRYABLE_STATUSES,
                status=status,
            )
        # The server does not support ranges, or the file has changed: the bytes received so far are useless.
        is_restart = self._received > 0
        self._into.seek(0)
        self._into.truncate()
        self._received, self._head, self._version = 0, b"", None
        if status != 200:
            raise _Interrupted("the server sent another range than was requested")
        if is_restart:
            self._log.info(
                "%s of render %s: the server restarted the download from the beginning.", self._what, self._project
            )
        length = response.headers.get("Content-Length", "")
        self._total = int(length) if length.isdigit() else None
        if self._max_bytes is not None and (self._total or 0) > self._max_bytes:
            raise _Interrupted(
                f"the file has {self._total} bytes, expected at most {self._max_bytes}", is_retryable=False
            )
        self._type = response.headers.get("Content-Type")
        etag = response.headers.get("ETag", "")
        # A weak ETag does not identify bytes, and may not be sent in If-Range. Without either header it is unknown
        # whether the rest would belong to the same file, so the next try starts over.
        self._version = etag if etag.startswith('"') else response.headers.get("Last-Modified")

    def _continues(self, response: requests.Response) -> bool:
        unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
        span, _, total = rest.partition("/")
        if unit != "bytes" or span.partition("-")[0] != str(self._received):
            return False
        name = "ETag" if (self._version or "").startswith('"') else "Last-Modified"
        if response.headers.get(name) not in (None, self._version):  # a server that ignores If-Range
            return False
        return self._total is None or total in ("*", str(self._total))

    def _write(self, block: bytes) -> None:
        self._into.write(block)
        self._received += len(block)
        if len(self._head) < 512:
            self._head = (self._head + block)[:512]
        if self._max_bytes is not None and self._received > self._max_bytes:
            raise DownloadFailed(
                f"{self._what} of render {self._project} has more than {self._max_bytes} bytes. Nothing was stored.",
                project=self._project,
            )

    def _progress(self) -> str:
        return f"{self._received} of {self._total if self._total is not None else 'an unknown number of'} bytes"


def _check_url(url: str, *, redirected_from: str) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise _Interrupted("invalid URL", is_retryable=False) from None
    if not host or parts.username is not None or parts.password is not None:
        raise _Interrupted("the URL has no host, or contains a password", is_retryable=False)
    is_local = is_loopback(host)
    if is_local and not is_loopback(urlsplit(redirected_from).hostname):
        raise _Interrupted("a redirect to this machine is refused", is_retryable=False)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_local):
        raise _Interrupted(f"the URL {parts.scheme}://{host} is not https", is_retryable=False)
