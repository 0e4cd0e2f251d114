"""Downloads the media files of a movie. Addresses, sizes and speed are not trusted."""

from __future__ import annotations

import http.client
import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from airflow_json2video.local.limits import LIMITS

__all__ = ["Download", "DownloadFault"]

_REDIRECTS = (301, 302, 303, 307, 308)
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
# Global in some versions of Python, but these can lead to this machine or this network: Teredo and 6to4 contain an
# IPv4 address, the last two are relays and multicast. NAT64 and similar are outside 2000::/3.
_DENIED_V6 = tuple(map(ipaddress.IPv6Network, ("2001::/32", "2002::/16")))
_DENIED_V4 = tuple(map(ipaddress.IPv4Network, ("192.88.99.0/24", "224.0.0.0/4")))
# Characters that stay unchanged in an address; a percent sign is treated as an existing escape.
_AS_IT_IS = "/%:=&?~+!$,;'@()*[]|"


class DownloadFault(Exception):
    """A download failed; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Download:
    """Downloads from public addresses, within limits. Proxies of the environment are not used.

    :param timeout: seconds for one download, including redirects.
    :param resolve: like :func:`socket.getaddrinfo`; called once per connection.
    :param connect: like :func:`socket.create_connection`; called with a checked address, never with a name.
    """

    allow_private: bool = False
    max_bytes: int = LIMITS.asset_bytes
    timeout: float = LIMITS.download_seconds
    max_redirects: int = LIMITS.redirects
    resolve: Callable[..., Any] = socket.getaddrinfo
    connect: Callable[..., socket.socket] = socket.create_connection

    def save(self, url: str, target: Path) -> None:
        """Download *url* to *target* atomically.

        :raises DownloadFault: the download failed.
        """
        address, deadline = url, time.monotonic() + self.timeout
        try:
            for _ in range(self.max_redirects + 1):
                following = self._get(address, target, deadline)
                if following is None:
                    return
                address = urljoin(address, following)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() >= deadline:
                raise DownloadFault(f"not downloaded within {self.timeout:g} s") from None
            raise DownloadFault(str(error) or type(error).__name__) from None
        raise DownloadFault("too many redirects")

    def _get(self, url: str, target: Path, deadline: float) -> str | None:
        """Download to *target*, or return the address of a redirect."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DownloadFault("only http and https addresses are downloaded")
        if "@" in parts.netloc:
            raise DownloadFault("an address with a user name or password is not allowed")
        plain = self._connected(parts, deadline)
        with _until(deadline, plain):
            connection = _speaking(parts, plain)
            try:
                query = f"?{quote(parts.query, safe=_AS_IT_IS)}" if parts.query else ""
                path = quote(parts.path, safe=_AS_IT_IS) or "/"
                connection.request("GET", path + query, headers={"Accept": "*/*"})
                with connection.getresponse() as answer:
                    if answer.status in _REDIRECTS and (following := answer.getheader("location")):
                        return following
                    if answer.status != 200:
                        raise DownloadFault(str(answer.status))
                    self._save(answer, target, deadline)
            finally:
                connection.close()
        return None

    def _connected(self, parts: SplitResult, deadline: float) -> socket.socket:
        """Connect only to an address that was checked: the name is resolved once."""
        host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
        addresses = dict.fromkeys(str(info[4][0]) for info in self._resolved(host, port, deadline))
        if not self.allow_private and (refused := [a for a in addresses if not _public(a)]):
            raise ValueError(f"{refused[0]} is not a public address")
        failure: OSError = OSError(f"{host} has no address")
        for address in addresses:
            if (left := deadline - time.monotonic()) <= 0:
                break
            try:
                return self.connect((address, port), timeout=left)
            except OSError as error:
                failure = error
        raise failure

    def _resolved(self, host: str, port: int, deadline: float) -> Any:
        """Resolve a name within the time limit; a name server can take minutes, and the system call has no timeout."""
        answers: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put((self.resolve(host, port, type=socket.SOCK_STREAM), None))
            except Exception as error:
                answers.put((None, error))

        threading.Thread(target=ask, name=f"resolve-{host[:40]}", daemon=True).start()
        try:
            found, error = answers.get(timeout=max(0.0, deadline - time.monotonic()) + 0.01)
        except queue.Empty:
            raise TimeoutError(f"{host} was not resolved in time") from None
        if error is not None:
            raise error
        return found

    def _save(self, answer: http.client.HTTPResponse, target: Path, deadline: float) -> None:
        encoding = (answer.getheader("content-encoding") or "identity").strip().lower()
        if encoding != "identity":
            raise DownloadFault(f"the response is compressed ({encoding[:20]}), although no encoding was requested")
        announced = answer.length
        if announced is not None and announced > self.max_bytes:
            raise DownloadFault(f"larger than {self.max_bytes} bytes")
        partial = target.with_suffix(".part")
        size = 0
        try:
            with partial.open("wb") as out:
                # read1 returns what has arrived, without waiting for a full block.
                while block := answer.read1(65536):
                    size += len(block)
                    if size > self.max_bytes:
                        raise DownloadFault(f"larger than {self.max_bytes} bytes")
                    out.write(block)
            if time.monotonic() >= deadline:
                raise TimeoutError  # interrupted: the data can be incomplete
            if announced is not None and size < announced:
                raise OSError(f"the connection ended after {size} of {announced} bytes")
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


def _speaking(parts: SplitResult, plain: socket.socket) -> http.client.HTTPConnection:
    """Return a connection over an open socket; https is verified against the name in the address."""
    host = str(parts.hostname)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, parts.port)
        connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    else:
        connection = http.client.HTTPConnection(host, parts.port)
        connection.sock = plain
    return connection


@contextmanager
def _until(deadline: float, plain: socket.socket) -> Iterator[None]:
    """Close the connection at *deadline*.

    The timeout of a socket applies to a single read: a server that sends a byte per second never exceeds it.
    """
    # A duplicate of the socket, since TLS takes over the first one.
    held = plain.dup()

    def cut() -> None:
        try:
            held.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # already closed

    # Slightly after the deadline, so that the reader sees that it has passed.
    timer = threading.Timer(max(0.0, deadline - time.monotonic()) + 0.01, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        held.close()
        plain.close()


def _public(text: str) -> bool:
    address = ipaddress.ip_address(text.split("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            is_reachable = address in _GLOBAL_V6 and not any(address in net for net in _DENIED_V6)
            return address.is_global and is_reachable
        address = address.ipv4_mapped
    return address.is_global and not any(address in net for net in _DENIED_V4)
