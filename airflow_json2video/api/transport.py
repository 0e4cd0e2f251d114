"""A ``requests`` transport that knows two things which ``requests`` does not tell.

Whether a request was sent: a TLS handshake that is reset and a request that is reset raise the same
exception, and only one of them may have started a render. And when to give up: ``requests`` bounds the
time between two bytes, so a server that sends one byte a second is waited for without an end.

Both are learnt at urllib3's documented seam, the connection class of a pool.
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
    """What happens to one request.

    :param redact: takes the secrets out of a text.
    :ivar sent: whether its first byte may have left. :ivar expired: whether its time is over.
    """

    def __init__(self, redact: Callable[[str], str]) -> None:
        self.redact = redact
        self.sent = False
        self.expired = False
        self._lock = threading.Lock()
        self._sockets: list[Any] = []

    def mark_sent(self, sock: Any) -> None:
        """Note that the request is about to be written to *sock*."""
        self.sent = True
        self.add_socket(sock)

    def add_socket(self, sock: Any) -> None:
        """Note a socket that must be shut when the time is over."""
        with self._lock:
            if sock not in self._sockets:
                self._sockets.append(sock)
            if self.expired:
                _shut(sock)

    def expire(self) -> None:
        """End the request now, wherever it is: a read or a write that blocks returns with an error."""
        with self._lock:
            self.expired = True
            for sock in self._sockets:
                _shut(sock)


def _shut(sock: Any) -> None:
    # Not the TLS socket's own shutdown, which would pull the TLS state from under the thread that reads.
    with suppress(OSError, TypeError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


_current: ContextVar[SendTracker | None] = ContextVar("json2video_send_tracker", default=None)


@contextmanager
def track_request(time_limit: float, *, redact: Callable[[str], str]) -> Iterator[SendTracker]:
    """Watch the one request that is made inside, and end it after *time_limit* seconds.

    :param redact: takes the secrets out of what urllib3 logs of it.
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
    """Takes the secrets of the request out of what urllib3 logs: it shows headers that it could not read."""

    def filter(self, record: logging.LogRecord) -> bool:
        if tracker := _current.get():
            record.msg, record.args = tracker.redact(record.getMessage()), None
            # The traceback ends in the same words.
            record.exc_info = record.exc_text = None
        return True


for _name in ("connection", "connectionpool", "response", "util.retry"):
    logging.getLogger(f"urllib3.{_name}").addFilter(_RedactingFilter())


class _TrackingMixin:
    """Mixed into urllib3's connections, before them."""

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
        # What is sent while connecting is the CONNECT to a proxy, and no part of the request.
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
    """Sends a request once: urllib3 retries nothing underneath."""

    def __init__(self) -> None:
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Make the pools of connections through a proxy."""
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager
