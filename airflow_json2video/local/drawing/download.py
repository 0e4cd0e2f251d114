"""Fetching what a movie names. Addresses and sizes are treated as hostile, also on a laptop."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

__all__ = ["Download", "DownloadFault"]

MAX_REDIRECTS = 3
# Global by Python's reckoning in some versions, and yet a way to this machine or this network.
_DENIED = tuple(
    ipaddress.ip_network(net)
    for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "224.0.0.0/4", "ff00::/8")
)


class DownloadFault(Exception):
    """A download failed; the text says why, in a few words."""


@dataclass(frozen=True, kw_only=True)
class Download:
    """Fetches from public addresses, within limits.

    :param timeout: seconds for one download, redirects included.
    """

    allow_private: bool = False
    max_bytes: int = 200 * 1024 * 1024
    timeout: float = 30.0

    def save(self, url: str, target: Path) -> None:
        """Fetch *url* to *target*, whole or not at all.

        :raises DownloadFault: it cannot be had.
        """
        address, deadline = url, time.monotonic() + self.timeout
        try:
            for _ in range(MAX_REDIRECTS + 1):
                following = self._get(address, target, deadline)
                if following is None:
                    return
                address = urljoin(address, following)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DownloadFault(str(error)) from None
        raise DownloadFault("too many redirects")

    def _get(self, url: str, target: Path, deadline: float) -> str | None:
        """Fetch to *target*, or give where the answer redirects to."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DownloadFault("only http and https addresses are fetched")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        connection = self._connect(parts.scheme, parts.hostname, port, deadline)
        try:
            query = f"?{parts.query}" if parts.query else ""
            connection.request("GET", (parts.path or "/") + query, headers={"Accept": "*/*"})
            answer = connection.getresponse()
            if answer.status in (301, 302, 303, 307, 308) and (following := answer.getheader("location")):
                return following
            if answer.status != 200:
                raise DownloadFault(str(answer.status))
            self._save(answer, target, deadline)
        finally:
            connection.close()
        return None

    def _connect(self, scheme: str, host: str, port: int, deadline: float) -> http.client.HTTPConnection:
        """Connect to an address that was looked at, and to no other: the name is resolved once."""
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(info[4][0]) for info in infos]
        if not self.allow_private:
            refused = [a for a in addresses if not _public(a)]
            if refused:
                raise ValueError(f"{refused[0]} is no public address")
        wait = max(0.1, deadline - time.monotonic())
        plain = socket.create_connection((addresses[0], port), timeout=wait)
        if scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(host, port, timeout=wait)
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=wait)
            connection.sock = plain
        return connection

    def _save(self, answer: http.client.HTTPResponse, target: Path, deadline: float) -> None:
        partial = target.with_suffix(".part")
        size = 0
        try:
            with partial.open("wb") as out:
                while block := answer.read(65536):
                    size += len(block)
                    if size > self.max_bytes:
                        raise DownloadFault(f"larger than {self.max_bytes} bytes")
                    if time.monotonic() > deadline:
                        raise DownloadFault("too slow")
                    out.write(block)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


def _public(text: str) -> bool:
    address = ipaddress.ip_address(text.split("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_global and not any(address in net for net in _DENIED if net.version == address.version)
