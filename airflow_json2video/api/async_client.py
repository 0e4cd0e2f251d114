"""The asynchronous client, on ``aiohttp``."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import ssl
import time
from functools import lru_cache
from types import SimpleNamespace, TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
import certifi
from yarl import URL

from airflow_json2video.api.base_client import BaseClient, Request, Response, root_cause
from airflow_json2video.api.calls import put_file, start_upload
from airflow_json2video.api.config import DEFAULT_HOST, ClientConfig
from airflow_json2video.api.pagination import MovieListing
from airflow_json2video.api.upload import FileContent
from airflow_json2video.exceptions import ConfigurationError, Json2VideoError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import datetime
    from typing import BinaryIO

    from airflow_json2video.api.calls import Call
    from airflow_json2video.api.responses import MovieStatus, UploadedFile

__all__ = ["AsyncJson2VideoClient"]

log = logging.getLogger(__name__)

T = TypeVar("T")

_CHUNK_SIZE = 64 * 1024
_TRUST_FOR = 60.0
"""Seconds after which the CA file is checked for changes; after a refused certificate, immediately."""


class AsyncJson2VideoClient:
    """Execute the calls of :mod:`airflow_json2video.api.calls` in an event loop, any number at a time.

    The connections of a client belong to the loop of its first call. A call that must not be repeated uses a new
    connection.

    For the parameters see :class:`~airflow_json2video.api.client.Json2VideoClient`; *sleep* is awaited.

    ::

        async with AsyncJson2VideoClient(key) as client:
            response = await client.execute(get_movie(project))
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
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reusable: aiohttp.ClientSession | None = None
        self._single_use: aiohttp.ClientSession | None = None
        self._trust: ssl.SSLContext | None = None
        self._trust_until = 0.0
        self._certificate_failures = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}(host={self.config.host!r})"

    async def __aenter__(self) -> AsyncJson2VideoClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. The client can be used again and opens new ones."""
        sessions, self._reusable, self._single_use = (self._reusable, self._single_use), None, None
        for session in sessions:
            if session is not None:
                await session.close()

    async def execute(self, call: Call[T]) -> T:
        """Send *call*, retry it if that is safe and may help, and return its result.

        :raises TransportError: no usable response was received.
        :raises ApiError: the service refused the request.
        :raises ConfigurationError: the arguments of the call are not valid.
        """
        request = self._base.request(call)
        attempt = 0
        while True:
            attempt += 1
            response = await self._send(call, request)
            outcome = self._base.read(call, response)
            if not isinstance(outcome, Json2VideoError):
                return outcome
            delay = self._base.retry_delay(call, outcome, attempt=attempt, jitter=self._rng())
            if delay is None:
                raise outcome
            log.debug("%s Retrying in %.1f s.", outcome.message, delay)
            await self._sleep(delay)

    async def movies(
        self,
        date_start: datetime | str | None = None,
        date_end: datetime | str | None = None,
        *,
        page_size: int = 100,
    ) -> AsyncIterator[MovieStatus]:
        """Iterate over all the account's renders in a range of at most 93 days, in undefined order.

        :param page_size: renders per request, 1 to 100; use fewer if the documents are large.
        :raises InvalidResponse: the list could not be read to its end; missing renders are *unknown*, not absent.
        """
        listing = MovieListing(date_start=date_start, date_end=date_end, page_size=page_size)
        while call := listing.next_call():
            for movie in listing.accept(await self.execute(call)):
                yield movie

    async def upload_file(
        self,
        source: str | os.PathLike[str] | BinaryIO,
        *,
        folder: str = "",
        name: str | None = None,
        content_type: str | None = None,
        size: int | None = None,
    ) -> UploadedFile:
        """Upload a file to the drive; see :meth:`.Json2VideoClient.upload_file`.

        The file is read in a thread.
        """
        content = await asyncio.to_thread(
            FileContent.from_source, source, name=name, content_type=content_type, size=size
        )
        ticket = await self.execute(start_upload(content, folder=folder))
        await self.execute(put_file(ticket, content))
        return content.uploaded(folder=folder, url=ticket.file_url)

    async def _trusted(self) -> ssl.SSLContext:
        """Return the trusted authorities; the file is checked for changes once a minute."""
        if self._trust is not None and time.monotonic() < self._trust_until:
            return self._trust
        try:
            # In a thread, since loading 200 KB takes tens of milliseconds.
            self._trust = await asyncio.to_thread(_tls, self.config.ca_bundle(), self._certificate_failures)
        except OSError as error:  # ssl.SSLError is one
            if self._trust is None:
                raise
            log.warning("Could not read the CA file (%s). Using the authorities that were read before.", error)
        self._trust_until = time.monotonic() + _TRUST_FOR
        return self._trust

    def _session(self, *, keep: bool) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # The loop of the first sessions has ended, and their connections are closed.
            self._loop, self._reusable, self._single_use = loop, None, None
        session = self._reusable if keep else self._single_use
        if session is None or session.closed:
            session = aiohttp.ClientSession(
                connector=(
                    # Longer than the time between two polls of a render, so that a poll needs no handshake.
                    aiohttp.TCPConnector(keepalive_timeout=55.0) if keep else aiohttp.TCPConnector(force_close=True)
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[_trace()],
                trust_env=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
            if keep:
                self._reusable = session
            else:
                # aiohttp retries a PUT or a DELETE if the connection breaks, and has no public option for it. It does
                # not retry a POST.
                session._retry_connection = False
                self._single_use = session
        return session

    async def _send(self, call: Call[Any], request: Request) -> Response | Json2VideoError:
        config = self.config
        headers = dict(request.headers)
        if call.url is None:
            headers["Accept-Encoding"] = "gzip, deflate"
        tracker = SimpleNamespace(sent=False)
        started = time.monotonic()
        max_bytes = min(config.max_body, call.max_bytes or config.max_body)
        problem: BaseException | str
        try:
            is_tls = request.url.startswith("https:")
            trust: ssl.SSLContext | bool = await self._trusted() if is_tls else True
            async with self._session(keep=call.repeatable).request(
                request.method,
                # Not quoted again by yarl, which would break the signature of a URL.
                URL(request.url, encoded=True),
                headers=headers,
                data=request.body if call.content is None else _read_chunks(call.content),
                timeout=aiohttp.ClientTimeout(
                    total=request.time_limit,
                    sock_connect=config.connect_timeout,
                    sock_read=config.read_timeout,
                ),
                proxy=request.proxy,
                ssl=trust,  # connections with other authorities are not reused
                allow_redirects=False,
                trace_request_ctx=tracker,
            ) as response:
                body = bytearray()
                async for chunk in response.content.iter_chunked(_CHUNK_SIZE):
                    body += chunk
                    if len(body) > max_bytes:
                        break
                else:
                    seconds = time.monotonic() - started
                    log.debug("%s answered %d in %.2fs", call.name, response.status, seconds)
                    received = Response(
                        status=response.status,
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
            expected = (asyncio.TimeoutError, aiohttp.ClientError, OSError)
            if not tracker.sent and not isinstance(error, expected):
                raise
            root = root_cause(error)
            if isinstance(root, ConfigurationError):
                return root
            if isinstance(root, ssl.SSLCertVerificationError):
                self._certificate_failures, self._trust_until = self._certificate_failures + 1, 0.0
            problem = error
        if time.monotonic() - started >= request.time_limit:
            problem = f"it took more than {request.time_limit:g} seconds"
        return self._base.transport_error(call, problem, sent=tracker.sent)


def _trace() -> aiohttp.TraceConfig:
    """Record whether a request may have been sent: whether it has a connection."""

    async def on_connected(_: object, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.sent = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(on_connected)
    trace.on_connection_reuseconn.append(on_connected)
    return trace


async def _read_chunks(content: FileContent) -> AsyncIterator[bytes]:
    """Read a file in chunks, in a thread."""
    chunks = content.chunks()
    while chunk := await asyncio.to_thread(next, chunks, b""):
        yield chunk


def _tls(ca_file: str | None, failures: int) -> ssl.SSLContext:
    """Load the authorities, unless their file is unchanged.

    :param failures: number of refused certificates so far; after each one the file is read again.
    """
    path = ca_file or certifi.where()
    found = os.stat(path)  # noqa: PTH116
    return _load(path, (found.st_mtime_ns, found.st_size, found.st_ino, failures))


@lru_cache(maxsize=4)
def _load(path: str, version: tuple[int, ...]) -> ssl.SSLContext:  # noqa: ARG001 - the key of the cache
    if os.path.isdir(path):  # noqa: PTH112
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)
