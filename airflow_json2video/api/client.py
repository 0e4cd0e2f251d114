"""The synchronous client, on ``requests``."""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING, Any, TypeVar

import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError
from urllib3.util import SKIP_HEADER

from airflow_json2video.api.base_client import BaseClient, Request, Response
from airflow_json2video.api.calls import put_file, start_upload
from airflow_json2video.api.config import DEFAULT_HOST, ClientConfig
from airflow_json2video.api.pagination import MovieListing
from airflow_json2video.api.transport import TrackingAdapter, track_request
from airflow_json2video.api.upload import FileContent
from airflow_json2video.exceptions import ConfigurationError, Json2VideoError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from types import TracebackType
    from typing import BinaryIO

    from airflow_json2video.api.calls import Call
    from airflow_json2video.api.responses import MovieStatus, UploadedFile

__all__ = ["Json2VideoClient", "new_session"]

log = logging.getLogger(__name__)

T = TypeVar("T")

_CHUNK_SIZE = 64 * 1024


class Json2VideoClient:
    """Execute the calls of :mod:`airflow_json2video.api.calls`, one at a time.

    Calls that may be repeated share a connection. A call that must not be repeated uses a new connection, since the
    service may just have closed an open one.

    For the parameters see :class:`~airflow_json2video.api.config.ClientConfig`; *sleep* waits before a retry, and *rng*
    returns the jitter of the delay.

    ::

        with Json2VideoClient(key) as client:
            project = client.execute(submit_movie({"scenes": [...]})).project
    """

    def __init__(
        self,
        api_key: str,
        *,
        host: str = DEFAULT_HOST,
        connect_timeout: float = 10.0,
        read_timeout: float = 30.0,
        total_timeout: float = 120.0,
        retries: int = 4,
        proxy: str | None = None,
        ca_file: str | None = None,
        user_agent: str | None = None,
        sleep: Callable[[float], object] = time.sleep,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.config = ClientConfig(
            api_key=api_key,
            host=host,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            total_timeout=total_timeout,
            retries=retries,
            proxy=proxy,
            ca_file=ca_file,
            user_agent=user_agent,
        )
        self._base = BaseClient(self.config)
        self._sleep = sleep
        self._rng = rng
        self._session = new_session()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(host={self.config.host!r})"

    def __enter__(self) -> Json2VideoClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. The client can be used again and opens new ones."""
        self._session.close()

    def execute(self, call: Call[T]) -> T:
        """Send *call*, retry it if that is safe and may help, and return its result.

        :raises TransportError: no usable response was received.
        :raises ApiError: the service refused the request.
        :raises ConfigurationError: the arguments of the call are not valid.
        """
        request = self._base.request(call)
        attempt = 0
        while True:
            attempt += 1
            response = self._send(call, request)
            outcome = self._base.read(call, response)
            if not isinstance(outcome, Json2VideoError):
                return outcome
            delay = self._base.retry_delay(call, outcome, attempt=attempt, jitter=self._rng())
            if delay is None:
                raise outcome
            log.debug("%s Retrying in %.1f s.", outcome.message, delay)
            self._sleep(delay)

    def movies(
        self,
        date_start: datetime | str | None = None,
        date_end: datetime | str | None = None,
        *,
        page_size: int = 100,
    ) -> Iterator[MovieStatus]:
        """Iterate over all the account's renders in a range of at most 93 days, in undefined order.

        :param page_size: renders per request, 1 to 100; use fewer if the documents are large.
        :raises InvalidResponse: the list could not be read to its end; missing renders are *unknown*, not absent.
        """
        listing = MovieListing(date_start=date_start, date_end=date_end, page_size=page_size)
        while call := listing.next_call():
            yield from listing.accept(self.execute(call))

    def upload_file(
        self,
        source: str | os.PathLike[str] | BinaryIO,
        *,
        folder: str = "",
        name: str | None = None,
        content_type: str | None = None,
        size: int | None = None,
    ) -> UploadedFile:
        """Upload a file to the drive: announce it, then send it to the URL that the service returns.

        If the second step fails, the drive keeps a ``pending`` record, which blocks the name until it is deleted
        (:func:`~airflow_json2video.api.calls.delete_file`).

        :param source: a path, or a file opened in binary mode.
        :param folder: the folder; the service deletes files in ``temp``.
        :param name: required if the file has no name; the service replaces characters other than ``[a-zA-Z0-9._-]``.
        :param content_type: MIME type; the default is derived from the name.
        :param size: bytes; required if the file is not seekable.
        :raises ConfigurationError: the file does not exist, is empty, or is larger than 500 MB.
        :raises AlreadyExists: the folder has a file of this name.
        """
        content = FileContent.from_source(source, name=name, content_type=content_type, size=size)
        ticket = self.execute(start_upload(content, folder=folder))
        self.execute(put_file(ticket, content))
        return content.uploaded(folder=folder, url=ticket.file_url)

    def _send(self, call: Call[Any], request: Request) -> Response | Json2VideoError:
        config = self.config
        session = self._session if call.repeatable else new_session()
        headers: dict[str, str] = {"User-Agent": SKIP_HEADER, "Accept-Encoding": SKIP_HEADER} | dict(request.headers)
        if call.url is None:
            headers["Accept-Encoding"] = "gzip, deflate"
        started = time.monotonic()
        max_bytes = min(config.max_body, call.max_bytes or config.max_body)
        problem: BaseException | str
        with track_request(request.time_limit, redact=config.redact) as tracker:
            try:
                with session.request(
                    request.method,
                    request.url,
                    headers=headers,
                    data=request.body if call.content is None else _Body(call.content),
                    timeout=(config.connect_timeout, config.read_timeout),
                    proxies={"http": request.proxy, "https": request.proxy} if request.proxy else None,
                    verify=config.ca_bundle() or True,
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    # Without this, urllib3 1.26 accepts an incomplete body.
                    response.raw.enforce_content_length = True
                    body = bytearray()
                    for chunk in response.iter_content(_CHUNK_SIZE):
                        body += chunk
                        if len(body) > max_bytes:
                            break
                    # A connection that was shut down during the headers looks like an empty response.
                    if not tracker.expired and len(body) <= max_bytes:
                        seconds = time.monotonic() - started
                        log.debug("%s answered %d in %.2fs", call.name, response.status_code, seconds)
                        received = Response(
                            status=response.status_code,
                            reason=response.reason or "",
                            headers=response.headers,
                            body=bytes(body),
                        )
                        self._base.record_time(call, received, seconds=seconds)
                        return received
                    problem = f"the response is larger than {max_bytes} bytes"
            except ConfigurationError as error:
                return error
            except Exception as error:
                # After an unexpected exception too, a render may have been started.
                if not tracker.sent and not isinstance(error, (requests.RequestException, HTTPError, OSError)):
                    raise
                problem = error
            finally:
                if session is not self._session:
                    session.close()
        if tracker.expired:
            problem = f"it took more than {request.time_limit:g} seconds"
        return self._base.transport_error(call, problem, sent=tracker.sent)


class _NoNetrc(AuthBase):
    """Prevents ``requests`` from adding the credentials of a ``.netrc``."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class _Body:
    """A file in the form that ``requests`` expects: iterable, and with a length."""

    def __init__(self, content: FileContent) -> None:
        self._content = content

    def __len__(self) -> int:
        return self._content.size

    def __iter__(self) -> Iterator[bytes]:
        return self._content.chunks()


def new_session() -> requests.Session:
    """Return a session that adds no credentials and no headers, and does not follow redirects or retry."""
    session = requests.Session()
    # ClientConfig reads proxies and CA files from the environment, for both clients.
    session.trust_env = False
    session.auth = _NoNetrc()
    session.headers.clear()
    session.mount("https://", TrackingAdapter())
    session.mount("http://", TrackingAdapter())
    return session
