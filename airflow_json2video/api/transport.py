"""A ``requests`` transport that adds two features to ``requests``.

It records whether a request was sent: a reset during the TLS handshake and a reset after the request raise the same
exception, but only the second one may have started a render. And it limits the total time of a request: ``requests``
limits the time between two bytes, so a server that sends one byte per second never times out.

Both use urllib3's documented extension point, the connection class of a pool.
"""

from __future__ import annotations

import logging
import socket
import threading
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["SendTracker", "TrackingAdapter", "track_request"]


class SendTracker:
    """The state of one request.

    :param redact: removes the secrets from a text.
    :ivar sent: whether its first byte may have been sent. :ivar expired: whether its time limit was exceeded.
    """

    def __init__(self, redact: Callable[[str], str]) -> None:
        self.redact = redact
        self.sent = False
        self.expired = False
        self._lock = threading.Lock()
        self._sockets: list[Any] = []

    def mark_sent(self, sock: Any) -> None:
        """Record that the request is about to be written to *sock*."""
        self.sent = True
        self.add_socket(sock)

    def add_socket(self, sock: Any) -> None:
        """Add a socket that is shut down when the time limit is exceeded."""
        with self._lock:
            if sock not in self._sockets:
                self._sockets.append(sock)
            if self.expired:
                _shut(sock)

    def expire(self) -> None:
        """Abort the request: a read or a write that blocks returns with an error."""
        with self._lock:
            self.expired = True
            for sock in self._sockets:
                _shut(sock)


def _shut(sock: Any) -> None:
    # Not the TLS socket's own shutdown, which would discard the TLS state that the reading thread uses.
    with suppress(OSError, TypeError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


_current: ContextVar[SendTracker | None] = ContextVar("json2video_send_tracker", default=None)


@contextmanager
def track_request(time_limit: float, *, redact: Callable[[str], str]) -> Iterator[SendTracker]:
    """Track the one request that is made in this context, and abort it after *time_limit* seconds.

    :param redact: removes the secrets from what urllib3 logs about it.
    """
    tracker = SendTracker(redact)
    token = _current.set(tracker)
    timer = threading.Timer(time_limit, tracker.expire)
    timer.daemon = True
    timer.start()
    try:
        yield tracker
    finally:
        timer.cancel()
        _current.reset(token)


class _RedactingFilter(logging.Filter):
    """Removes the secrets of the request from urllib3's log, which shows headers that it could not parse."""

    def filter(self, record: logging.LogRecord) -> bool:
        if tracker := _current.get():
            record.msg, record.args = tracker.redact(record.getMessage()), None
            # The traceback ends with the same text.
            record.exc_info = record.exc_text = None
        return True


for _name in ("connection", "connectionpool", "response", "util.retry"):
    logging.getLogger(f"urllib3.{_name}").addFilter(_RedactingFilter())


class _TrackingMixin:
    """A mixin for urllib3's connections."""

    sock: Any
    _connecting = False

    def connect(self) -> None:
        self._connecting = True
        try:
            super().connect()  # type: ignore[misc]
        finally:
            self._connecting = False

    def _new_conn(self) -> Any:
        sock = super()._new_conn()  # type: ignore[misc]
        if tracker := _current.get():
            tracker.add_socket(sock)
        return sock

    def send(self, data: Any) -> None:
        # While connecting, only the CONNECT to a proxy is sent, which is not part of the request.
        if not self._connecting:
            if self.sock is None:
                self.connect()
            if tracker := _current.get():
                tracker.mark_sent(self.sock)
        super().send(data)  # type: ignore[misc]


class _TrackedHTTPConnection(_TrackingMixin, HTTPConnection):
    pass


class _TrackedHTTPSConnection(_TrackingMixin, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _TrackedHTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _TrackedHTTPSConnection


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class TrackingAdapter(HTTPAdapter):
    """An adapter that sends a request once: urllib3 does not retry."""

    def __init__(self) -> None:
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pools of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Create the pools of connections through a proxy."""
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager
