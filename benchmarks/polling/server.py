"""The server: HTTP/1.1 with keep-alive over TLS, each response 50 ms after its request. A process of its own.

It speaks just enough HTTP for the clients that are measured, because it shares two cores with them. Next to the TLS
port there is a plain one for the harness: a line of JSON in, a line of JSON out.

::

    python -m benchmarks.polling.server CHAIN_PEM ADDRESS PORT_FILE
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import ssl
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.polling.answers import World, world

__all__ = ["LATENCY", "Counts", "ask", "raise_file_limit", "serve"]

LATENCY = 0.05
"""Seconds from the end of a request to its response."""

_REASONS = {200: b"OK", 400: b"Bad Request", 404: b"Not Found", 503: b"Service Unavailable"}


class Service:
    """The state that all connections share."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.world: World | None = None
        self.opened = 0
        self.open = 0
        self.latest = 0.0
        """The most by which an answer was later than it should, in seconds: the server's own share in any delay."""

    def command(self, command: dict[str, Any]) -> dict[str, Any]:
        """Run a command of the harness."""
        do = command.pop("do")
        if do == "begin":
            self.world = world(**command)
            self.opened, self.latest = 0, 0.0
            gc.collect()
            gc.freeze()
        if do == "finish" and self.world:
            return {"numbers": self.world.finish(**command)}
        if do == "ends" and self.world:
            return {"ends": self.world.ends()}
        return {
            "cpu": time.process_time(),
            "opened": self.opened,
            "open": self.open,
            "latest": self.latest,
            "met": self.world.met if self.world else 0,
            "statuses": self.world.statuses if self.world else 0,
            "requests": dict(self.world.requests) if self.world else {},
        }


class Connection(asyncio.Protocol):
    """One client connection."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.transport: Any = None
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        self.transport = transport
        self.service.opened += 1
        self.service.open += 1

    def connection_lost(self, _: Exception | None) -> None:
        """Count it."""
        self.transport = None
        self.service.open -= 1

    def data_received(self, data: bytes) -> None:
        """Read requests from the stream; each is answered after the latency."""
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end]
            length = 0
            place = head.lower().find(b"\r\ncontent-length:")
            if place >= 0:
                length = int(head[place + 17 :].split(b"\r\n", 1)[0])
            if len(self.buffer) < end + 4 + length:
                return
            body = self.buffer[end + 4 : end + 4 + length]
            self.buffer = self.buffer[end + 4 + length :]
            method, target = head[: head.index(b"\r\n")].decode("latin-1").split(" ")[:2]
            loop = self.service.loop
            loop.call_later(LATENCY, self.answer, method, target, body, loop.time() + LATENCY)

    def answer(self, method: str, target: str, body: bytes, due: float) -> None:
        """Send the response to one request."""
        service = self.service
        service.latest = max(service.latest, service.loop.time() - due)
        if self.transport is None:
            return
        if service.world is None:
            status, content = 503, b'{"message":"no run has begun"}'
        else:
            status, content = service.world.answer(target, body, now=time.time(), method=method)
        head = b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (
            status,
            _REASONS[status],
            len(content),
        )
        self.transport.write(head + content)


def raise_file_limit() -> None:
    """Raise the number of open sockets of this process to the limit of the system."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def serve(chain: str, address: str, port_file: str) -> None:
    """Write both ports into *port_file*, and serve until the process is stopped."""
    service = Service()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    server = await service.loop.create_server(lambda: Connection(service), address, 0, ssl=context, backlog=8192)

    async def control(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(json.dumps(service.command(json.loads(line))).encode() + b"\n")
        writer.close()

    plain = await asyncio.start_server(control, "127.0.0.1", 0)
    ports = {"tls": server.sockets[0].getsockname()[1], "control": plain.sockets[0].getsockname()[1]}
    Path(port_file).write_text(json.dumps(ports))  # noqa: ASYNC240 - before anybody is served
    await asyncio.gather(server.serve_forever(), plain.serve_forever())


class Counts:
    """A client of the control port for the harness; it does not block."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, do: str = "count", **arguments: Any) -> dict[str, Any]:
        """Send a command and return the counts."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self._streams
        writer.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        answer: dict[str, Any] = json.loads(await reader.readline())
        return answer

    async def aclose(self) -> None:
        """Close the connection; the next command opens another."""
        if self._streams is not None:
            self._streams[1].close()
            await self._streams[1].wait_closed()
            self._streams = None


def ask(port: int, do: str = "count", **arguments: Any) -> dict[str, Any]:
    """Send one command without an event loop."""

    async def once() -> dict[str, Any]:
        counts = Counts(port)
        try:
            return await counts.ask(do, **arguments)
        finally:
            await counts.aclose()

    return asyncio.run(once())


if __name__ == "__main__":
    raise_file_limit()
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(*sys.argv[1:]))
    else:
        uvloop.run(serve(*sys.argv[1:]))
