"""Getting a render's file: in blocks, resumed by range after a break, in bounded tries and time.

The API key never goes along: a file's host is not the API. Redirects are followed one by one, to ``https`` only.
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

from airflow_json2video.exceptions import DownloadFailed

if TYPE_CHECKING:
    import requests

    from airflow_json2video.api.config import ClientConfig
    from airflow_json2video.api.transport import SendTracker
    from airflow_json2video.task_log import TaskLog

__all__ = ["Cancellation", "Download", "DownloadResult"]

_BLOCK = 64 * 1024
_MAX_TRIES = 50
_MAX_TRIES_WITHOUT_PROGRESS = 5
"""Tries in a row without a byte more after which it is given up."""
_MAX_REDIRECTS = 5
_MAX_DELAY = 30.0
_RETRYABLE_STATUSES = (404, 403, 408, 409, 425, 429)
"""Refusals that may pass: a file can be a moment late at its address."""


@dataclass(frozen=True)
class DownloadResult:
    """What arrived.

    :ivar length: in bytes. :ivar content_type: as the server gave it. :ivar resumed: how often it went on after a
        break. :ivar head: the first bytes.
    """

    length: int
    content_type: str | None
    resumed: int
    head: bytes


class _Interrupted(Exception):
    """This try ended without the whole file; the words say why."""

    def __init__(
        self, words: str, *, retry_after: float | None = None, is_retryable: bool = True, status: int | None = None
    ) -> None:
        super().__init__(words)
        self.retry_after = retry_after
        self.is_retryable = is_retryable
        self.status = status


class Cancellation:
    """Ends downloads that run in other threads, also one that waits for its host to send a byte."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._trackers: list[SendTracker] = []

    @property
    def is_set(self) -> bool:
        """Whether the downloads are to end."""
        return self._event.is_set()

    def set(self) -> None:
        """End them now."""
        self._event.set()
        with self._lock:
            for tracker in self._trackers:
                tracker.expire()

    def sleep(self, seconds: float) -> None:
        """Wait, at most until the downloads are to end."""
        self._event.wait(seconds)

    @contextmanager
    def covering(self, tracker: SendTracker) -> Iterator[None]:
        """End the request that *tracker* watches too."""
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
    """One file on its way into *into*.

    :param url: ``https``, or ``http`` on this machine.
    :param into: a local file opened for writing bytes, empty.
    :param endpoint: of the connection: proxy, authorities and limits of time are its.
    :param about: what it is, for messages. :param project: of the render.
    :param max_bytes: bytes above which it is refused.
    :param time_limit: seconds for all tries together.
    :param cancellation: ends it early.
    """

    def __init__(
        self,
        url: str,
        into: BinaryIO,
        *,
        endpoint: ClientConfig,
        log: TaskLog,
        about: str,
        project: str,
        max_bytes: int | None = None,
        time_limit: float = 3600.0,
        cancellation: Cancellation | None = None,
        sleep: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._into = into
        self._endpoint = endpoint
        self._log = log
        self._about = about
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
        """Get it whole.

        :raises DownloadFailed: not whole after all tries, or not at an address that may be asked.
        :raises OSError: it could not be written.
        """
        from airflow_json2video.api.client import new_session

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
                "%s of render %s: %s, at %s. Trying again in %.1fs.",
                self._about,
                self._project,
                interruption,
                self._progress(),
                delay,
            )
            self._sleep(delay)
        gone = interruption.status in (404, 403, 410)
        raise DownloadFailed(
            f"{self._about} of render {self._project} did not arrive whole ({self._progress()}, {number} "
            f"{'try' if number == 1 else 'tries'}): {interruption}.",
            http_status=interruption.status,
            project=self._project,
            advice="The service keeps a file for seven days and says that this one is there; a retry asks for it again."
            if gone
            else None,
        )

    def _try(self, session: requests.Session) -> None:
        import requests
        from urllib3.exceptions import HTTPError

        from airflow_json2video.api.base_client import root_cause
        from airflow_json2video.api.transport import track_request

        left = self._until - self._clock()
        if left <= 0:
            raise _Interrupted("the time for it is over", is_retryable=False)
        written: OSError | None = None
        with track_request(left, redact=self._endpoint.redact) as tracker, self._cancellation.covering(tracker):
            try:
                with self._open(session) as response:
                    self._start_body(response)
                    response.raw.enforce_content_length = True
                    while block := response.raw.read(_BLOCK, decode_content=False):
                        try:
                            self._write(block)
                        except OSError as error:
                            written = error
                            raise
            except (requests.RequestException, HTTPError, OSError) as error:
                if written is not None:
                    raise written from None
                root = root_cause(error)
                words = self._why_expired() if tracker.expired else f"{type(root).__name__}: {root}".rstrip(".: ")
                raise _Interrupted(self._endpoint.redact(words), is_retryable=not tracker.expired) from None
        if tracker.expired:
            raise _Interrupted(self._why_expired(), is_retryable=False)
        if self._total is not None and self._received != self._total:
            raise _Interrupted(f"the connection ended after {self._received} of {self._total} bytes")

    def _why_expired(self) -> str:
        return "the task is ending" if self._cancellation.is_set else "the time for it is over"

    def _open(self, session: requests.Session) -> requests.Response:
        from urllib3.util import SKIP_HEADER

        url, endpoint = self._url, self._endpoint
        for _ in range(_MAX_REDIRECTS + 1):
            _check_address(url, came_from=self._url)
            headers = {
                "User-Agent": endpoint.user_agent or SKIP_HEADER,
                "Accept-Encoding": "identity",
                "Accept": "*/*",
            }
            if self._received and self._version is not None:
                headers["Range"] = f"bytes={self._received}-"
                headers["If-Range"] = self._version
            proxy = endpoint.proxy_for(url)
            response = session.get(
                url,
                headers=headers,
                timeout=(endpoint.connect_timeout, endpoint.read_timeout),
                proxies={"http": proxy, "https": proxy} if proxy else None,
                verify=endpoint.ca_bundle() or True,
                allow_redirects=False,
                stream=True,
            )
            if response.status_code not in (301, 302, 303, 307, 308) or "Location" not in response.headers:
                return response
            url = urljoin(url, response.headers["Location"])
            response.close()
        raise _Interrupted(f"more than {_MAX_REDIRECTS} redirects", is_retryable=False)

    def _start_body(self, response: requests.Response) -> None:
        """Read the head of an answer: whether it goes on where the last one broke, or begins anew."""
        status = response.status_code
        if status == 206 and self._received and self._continues(response):
            self._resumed += 1
            return
        if status not in (200, 206, 416):
            after = response.headers.get("Retry-After", "")
            raise _Interrupted(
                f"its host answered {status} {response.reason or ''}".rstrip(),
                retry_after=min(float(after), _MAX_DELAY) if after.isdigit() else None,
                is_retryable=status >= 500 or status in _RETRYABLE_STATUSES,
                status=status,
            )
        # The server knows no ranges, or the file is another one now: what is there is of no use.
        again = self._received > 0
        self._into.seek(0)
        self._into.truncate()
        self._received, self._head, self._version = 0, b"", None
        if status != 200:
            raise _Interrupted("its host answered with another part than was asked for")
        if again:
            self._log.info("%s of render %s: its host begins anew.", self._about, self._project)
        length = response.headers.get("Content-Length", "")
        self._total = int(length) if length.isdigit() else None
        if self._max_bytes is not None and (self._total or 0) > self._max_bytes:
            raise _Interrupted(
                f"it has {self._total} bytes, where at most {self._max_bytes} are expected", is_retryable=False
            )
        self._type = response.headers.get("Content-Type")
        etag = response.headers.get("ETag", "")
        # A weak tag says nothing about bytes, and may not stand in an If-Range. Without either, nothing tells whether
        # the rest would be of the same file, so the next try starts over.
        self._version = etag if etag.startswith('"') else response.headers.get("Last-Modified")

    def _continues(self, response: requests.Response) -> bool:
        unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
        span, _, total = rest.partition("/")
        if unit != "bytes" or span.partition("-")[0] != str(self._received):
            return False
        name = "ETag" if (self._version or "").startswith('"') else "Last-Modified"
        if response.headers.get(name) not in (None, self._version):  # a host that does not know If-Range
            return False
        return self._total is None or total in ("*", str(self._total))

    def _write(self, block: bytes) -> None:
        self._into.write(block)
        self._received += len(block)
        if len(self._head) < 512:
            self._head = (self._head + block)[:512]
        if self._max_bytes is not None and self._received > self._max_bytes:
            raise DownloadFailed(
                f"{self._about} of render {self._project} has more than {self._max_bytes} bytes.", project=self._project
            )

    def _progress(self) -> str:
        return f"{self._received} of {self._total if self._total is not None else 'an unknown number of'} bytes"


def _check_address(url: str, *, came_from: str) -> None:
    from airflow_json2video.api.config import is_loopback

    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise _Interrupted("its address is none", is_retryable=False) from None
    if not host or parts.username is not None or parts.password is not None:
        raise _Interrupted("its address names no host, or holds a password", is_retryable=False)
    here = is_loopback(host)
    if here and not is_loopback(urlsplit(came_from).hostname):
        raise _Interrupted("it is redirected to this machine, which is not followed", is_retryable=False)
    if parts.scheme != "https" and not (parts.scheme == "http" and here):
        raise _Interrupted(f"its address {parts.scheme}://{host} is not https, so it is not asked", is_retryable=False)
