"""The outermost ASGI layer: it records the calls in the journal and applies the fault rules.

It must be outside Starlette's error handling, which would turn an aborted response into a 500.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qsl

from airflow_json2video.local.drive import UPLOADS
from airflow_json2video.local.faults import Call, Fault, Faults, Kind, marker_text

__all__ = ["FaultLayer", "Journal", "JournalEntry"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
VIDEOS = "/renders/"
FILES = (VIDEOS, UPLOADS)
"""Path prefixes outside of the API; a rule that names such a path applies to it."""
_PIECES = 10


@dataclass(kw_only=True)
class JournalEntry:
    """One call. It contains no headers, and so no API key."""

    method: str
    path: str
    query: str
    time: float
    """Epoch seconds on the service's clock."""
    status: int | None = None
    """The status that was sent to the client; None if nothing was sent."""
    project: str | None = None
    reached_app: bool = False
    faults: list[str] | None = None


class Journal:
    """The calls of the API, in order of arrival."""

    def __init__(self) -> None:
        self._entries: list[JournalEntry] = []
        self._lock = threading.Lock()

    def add(self, entry: JournalEntry) -> None:
        """Record a call."""
        with self._lock:
            self._entries.append(entry)

    def entries(self) -> list[JournalEntry]:
        """Return the calls so far."""
        with self._lock:
            return list(self._entries)

    def count(self, *, method: str, path: str) -> int:
        """Count the calls that reached the app."""
        return sum(e.reached_app and e.method == method and e.path == path for e in self.entries())

    def clear(self) -> None:
        """Delete the calls."""
        with self._lock:
            self._entries.clear()

    def describe(self) -> list[dict[str, Any]]:
        """Return the calls as JSON."""
        return [asdict(entry) for entry in self.entries()]


class FaultLayer:
    """ASGI middleware around the whole application.

    :param app: the wrapped application.
    :param now: the service's clock.
    :param client_data_of: returns the ``client-data`` text of a project, for rules with a marker.
    """

    def __init__(
        self,
        app: App,
        *,
        faults: Faults,
        journal: Journal,
        now: Callable[[], float],
        client_data_of: Callable[[str], str],
    ) -> None:
        self._app = app
        self._faults = faults
        self._journal = journal
        self._now = now
        self._client_data_of = client_data_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or not scope["path"].startswith(("/v2/", *FILES)):
            await self._app(scope, receive, send)
        elif scope["path"].startswith(FILES) and not self._faults.has_live_rules:
            await self._app(scope, receive, send)  # a file is streamed, not buffered
        else:
            await _Exchange(self, scope, receive, send).run()


class _Exchange:
    """One request to which the rules are applied."""

    def __init__(self, layer: FaultLayer, scope: Scope, receive: Receive, send: Send) -> None:
        self._layer = layer
        self._scope = scope
        self._receive = receive
        self._wire = receive
        self._send = send
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        self._project = query.get("project") or query.get("id") or _project_in(scope["path"])
        self.entry = JournalEntry(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            time=layer._now(),
            project=self._project,
        )
        if not scope["path"].startswith(FILES):
            layer._journal.add(self.entry)

    async def run(self) -> None:
        kinds: tuple[Kind, ...] = ("answer", "delay", "slow", "lost", "cut")
        if self._scope["path"].startswith(VIDEOS):
            kinds = (*kinds, "file")
        rules = self._layer._faults.matching(await self._call(), kinds=kinds)
        if not rules and "file" in kinds:
            await self._layer._app(self._scope, self._receive, self._send)
            return
        if rules:
            self.entry.faults = [rule.id for rule in rules]
        for rule in rules:
            if rule.kind == "delay" and rule.when != "after":
                await asyncio.sleep(rule.seconds)
        for rule in rules:
            if rule.kind == "answer" and rule.when != "after":
                await self._answer(rule)
                return
            if rule.kind == "lost" and rule.when == "before":
                await self._abort()
                return
        self.entry.reached_app = True
        # The response is buffered, because the journal needs its content and a rule can replace it.
        buffered = await self._run_app()
        for rule in rules:
            if rule.kind == "delay" and rule.when == "after":
                await asyncio.sleep(rule.seconds)
        for rule in rules:
            if rule.kind == "answer":
                await self._answer(rule)
                return
            if rule.kind == "lost":
                await self._abort()
                return
            if rule.kind == "cut":
                await self._cut(buffered, rule.bytes)
                return
            if rule.kind == "slow":
                await self._send_slowly(buffered, rule.seconds)
                return
            if rule.kind == "file":
                await self._damage_file(buffered, rule)
                return
        for message in buffered:
            await self._forward(message)

    async def _call(self) -> Call:
        client_data = ""
        if self._layer._faults.need_body:
            if self._scope["method"] == "POST":
                client_data = marker_text(_parsed(await self._read_body()))
            elif self._project:
                client_data = self._layer._client_data_of(self._project)
        return Call(
            method=self._scope["method"],
            path=self._scope["path"],
            project=self._project,
            client_data=client_data,
        )

    async def _read_body(self) -> bytes:
        """Read the body, and let the app receive it again."""
        messages: list[Message] = []
        body = b""
        while True:
            message = await self._receive()
            messages.append(message)
            body += bytes(message.get("body", b""))
            if message["type"] != "http.request" or not message.get("more_body"):
                break

        async def again() -> Message:
            return messages.pop(0) if messages else await self._wire()

        self._receive = again
        return body

    async def _run_app(self) -> list[Message]:
        buffered: list[Message] = []

        async def hold(message: Message) -> None:
            buffered.append(message)
            if message["type"] == "http.response.body" and self.entry.project is None:
                answer = _parsed(message.get("body", b""))
                if isinstance(answer, dict) and isinstance(answer.get("project"), str):
                    self.entry.project = answer["project"]

        await self._layer._app(self._scope, self._receive, hold)
        return buffered

    async def _forward(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.entry.status = message["status"]
        await self._send(message)

    async def _answer(self, rule: Fault) -> None:
        body, content_type = _wire_body(rule)
        headers = {"content-type": content_type, "content-length": str(len(body))}
        if rule.retry_after is not None:
            headers["retry-after"] = str(rule.retry_after)
        headers |= {name.lower(): str(value) for name, value in rule.headers.items()}
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._forward({"type": "http.response.start", "status": rule.status, "headers": raw})
        await self._forward({"type": "http.response.body", "body": body})

    async def _send_slowly(self, buffered: list[Message], seconds: float) -> None:
        body = b"".join(m.get("body", b"") for m in buffered if m["type"] == "http.response.body")
        await self._forward(next(m for m in buffered if m["type"] == "http.response.start"))
        step = max(1, -(-len(body) // _PIECES))
        for at in range(0, len(body), step):
            await asyncio.sleep(seconds / _PIECES)
            await self._send({"type": "http.response.body", "body": body[at : at + step], "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    async def _damage_file(self, buffered: list[Message], rule: Fault) -> None:
        body = b"".join(m.get("body", b"") for m in buffered if m["type"] == "http.response.body")
        start = next(m for m in buffered if m["type"] == "http.response.start")
        if rule.status == "missing":
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"9")]
            await self._forward({"type": "http.response.start", "status": 404, "headers": headers})
            await self._forward({"type": "http.response.body", "body": b"Not found"})
        elif rule.status == "wrong-length":
            await self._cut(buffered, len(body) // 2)
        else:
            # From the header, because the response to HEAD has no body.
            half = int(dict(start["headers"]).get(b"content-length", len(body))) // 2
            headers = [(k, v) for k, v in start["headers"] if k not in (b"content-length", b"etag")]
            await self._forward({**start, "headers": [*headers, (b"content-length", str(half).encode())]})
            await self._forward({"type": "http.response.body", "body": body[:half]})

    async def _cut(self, buffered: list[Message], length: int) -> None:
        body = b"".join(m.get("body", b"") for m in buffered if m["type"] == "http.response.body")
        await self._forward(next(m for m in buffered if m["type"] == "http.response.start"))
        await self._send({"type": "http.response.body", "body": body[:length], "more_body": True})
        await asyncio.sleep(0.02)  # let the bytes be sent before the connection is aborted
        await self._abort()

    async def _abort(self) -> None:
        """Abort the connection. The transport is internal to uvicorn, both with httptools and with h11."""
        cycle = getattr(self._send, "__self__", None)
        transport = getattr(cycle, "transport", None)
        if transport is not None:
            transport.abort()
            # After uvicorn has noticed the disconnect, it logs no error about an unfinished response.
            while (await self._wire())["type"] != "http.disconnect":
                pass
        else:
            raise ConnectionAbortedError("a fault rule aborted this connection")


def _project_in(path: str) -> str | None:
    last = path.rsplit("/", 1)[-1].removesuffix(".mp4")
    return last if len(last) == 16 and last.isalnum() else None


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _wire_body(rule: Fault) -> tuple[bytes, str]:
    body = rule.body
    if body is None and rule.message is not None:
        body = {"success": False, "message": rule.message}
    if body is None:
        return (b'{"message": "Internal server error"}' if rule.status != 204 else b""), "application/json"
    if isinstance(body, str):
        html = body.lstrip().startswith("<")
        return body.encode(), "text/html" if html else "application/json"
    return json.dumps(body).encode(), "application/json"
