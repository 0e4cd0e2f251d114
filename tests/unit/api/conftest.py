"""A scripted service on a real socket, which records the requests."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import os
import socket
import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from airflow_json2video.api import AsyncJson2VideoClient, Json2VideoClient

KEY = "Kq7mPz2Lw9RtBv4XcN8dYh3S"
PROJECT = "Qk3vT9zLm2XcB7wA"


@dataclass
class Seen:
    """One received request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


Behavior = Callable[[socket.socket, Seen], None]


def answer(
    status: int = 200, body: Any = None, *, headers: dict[str, str] | None = None, raw: bytes | None = None
) -> Behavior:
    """Return a behavior that responds with JSON, or with *raw* unchanged."""
    content = raw if raw is not None else json.dumps(body if body is not None else {}).encode()

    def act(connection: socket.socket, seen: Seen) -> None:
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Length: {len(content)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)

    return act


def hang_up(connection: socket.socket, seen: Seen) -> None:
    """Close the connection after the request has been read."""
    connection.shutdown(socket.SHUT_RDWR)


def reset(connection: socket.socket, seen: Seen) -> None:
    """Reset the connection, after the request has been read."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # A close() would wait for the reader that shares the descriptor.
    os.close(connection.detach())


def cut_short(connection: socket.socket, seen: Seen) -> None:
    """Send less than the announced length."""
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"success": true, "pro')
    connection.shutdown(socket.SHUT_RDWR)


def cut_in_headers(connection: socket.socket, seen: Seen) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nConte")
    connection.shutdown(socket.SHUT_RDWR)


def no_http(connection: socket.socket, seen: Seen) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
    connection.shutdown(socket.SHUT_RDWR)


def silence(connection: socket.socket, seen: Seen) -> None:
    """Do not respond until the client closes the connection."""
    with contextlib.suppress(OSError):
        connection.settimeout(10)
        connection.recv(1)


def drip(connection: socket.socket, seen: Seen) -> None:
    """Send a byte often enough for any read timeout, and never finish."""
    with contextlib.suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{")
        for _ in range(200):
            connection.sendall(b" ")
            time.sleep(0.05)


def drip_headers(connection: socket.socket, seen: Seen) -> None:
    """Send headers without an end."""
    with contextlib.suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(200):
            connection.sendall(b"x")
            time.sleep(0.05)


def endless(connection: socket.socket, seen: Seen) -> None:
    """Send more than any client should read."""
    with contextlib.suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        for _ in range(2000):
            connection.sendall(piece)


def echo_key(connection: socket.socket, seen: Seen) -> None:
    """Repeat the key in the message."""
    words = f"Error: Invalid API Key {seen.headers['x-api-key']} given"
    answer(400, {"success": False, "message": words})(connection, seen)


class Service:
    """The scripted service: each request uses the next behavior, and the last behavior is repeated."""

    def __init__(self, *, tls: tuple[Path, Path] | None = None, before_tls: Callable | None = None) -> None:
        self.requests: list[Seen] = []
        self.script: list[Behavior] = []
        self.connections = 0
        self._closing: list[socket.socket] = []
        service = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                service.connections += 1
                service._serve(self.request, service.connections)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Log nothing: broken connections are intended."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._context = None
        self._before_tls = before_tls
        if tls:
            self.use(*tls)
        self.url = f"{'https' if tls or before_tls else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def use(self, certificate: Path, key: Path) -> None:
        """Use this certificate for new connections."""
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)

    def then(self, *behaviors: Behavior) -> Service:
        self.script += behaviors
        return self

    def sent(self, method: str = "POST") -> int:
        return sum(seen.method == method for seen in self.requests)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, connection: socket.socket, number: int) -> None:
        if self._before_tls:
            self._before_tls(connection)
            return
        if self._context:
            connection = self._context.wrap_socket(connection, server_side=True)
        with connection, contextlib.suppress(OSError):
            reader = connection.makefile("rb")
            while seen := self._read(reader, number):
                self.requests.append(seen)
                behavior = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                behavior(connection, seen)

    def _read(self, reader: Any, number: int) -> Seen | None:
        line = reader.readline()
        if not line:
            return None
        method, path, _ = line.decode().split(" ", 2)
        headers = {}
        while (line := reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(reader.readline(), 16):
                body += reader.read(size)
                reader.readline()
            reader.readline()
        else:
            body = reader.read(int(headers.get("content-length", 0)))
        return Seen(method=method, path=path, headers=headers, body=body, connection=number)


@pytest.fixture
def service() -> Iterator[Service]:
    running = Service()
    yield running
    running.close()


@dataclass
class Driver:
    """One interface for both clients, so that one table of behaviors tests both."""

    kind: str
    loop: asyncio.AbstractEventLoop | None = None
    slept: list[float] = field(default_factory=list)
    chance: float = 1.0
    client: Any = None

    def open(self, host: str, key: str = KEY, **options: Any) -> Driver:
        options.setdefault("connect_timeout", 2.0)
        options.setdefault("read_timeout", 2.0)
        options.setdefault("retries", 3)
        if self.kind == "sync":
            self.client = Json2VideoClient(key, host=host, sleep=self.slept.append, rng=lambda: self.chance, **options)
        else:

            async def sleep(seconds: float) -> None:
                self.slept.append(seconds)

            self.client = AsyncJson2VideoClient(key, host=host, sleep=sleep, rng=lambda: self.chance, **options)
        return self

    def execute(self, call: Any) -> Any:
        return self._run(self.client.execute(call))

    def upload_file(self, *args: Any, **kwargs: Any) -> Any:
        return self._run(self.client.upload_file(*args, **kwargs))

    def movies(self, *args: Any, **kwargs: Any) -> list[Any]:
        if self.kind == "sync":
            return list(self.client.movies(*args, **kwargs))

        async def collect() -> list[Any]:
            return [movie async for movie in self.client.movies(*args, **kwargs)]

        return self._run(collect())

    def close(self) -> None:
        if self.client is not None:
            self._run(self.client.close() if self.kind == "sync" else self.client.aclose())

    def _run(self, result: Any) -> Any:
        return result if self.kind == "sync" else self.loop.run_until_complete(result)


@pytest.fixture(params=["sync", "async"])
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    loop = asyncio.new_event_loop() if request.param == "async" else None
    driven = Driver(request.param, loop)
    yield driven
    driven.close()
    if loop:
        loop.run_until_complete(asyncio.sleep(0.02))
        loop.close()


@pytest.fixture
def client(driver: Driver, service: Service) -> Driver:
    """Return either client, connected to the scripted service."""
    return driver.open(service.url)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Create an untrusted certificate for 127.0.0.1, and its key."""
    return new_certificate(tmp_path_factory.mktemp("tls"))


def new_certificate(folder: Path) -> tuple[Path, Path]:
    """Create a self-signed certificate for 127.0.0.1, and its key."""
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem", folder / "key.pem"
