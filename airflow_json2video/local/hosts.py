"""The host names that the service accepts, as a protection against DNS rebinding.

A web page can resolve its own host name to the address of this machine; the browser then treats the service as a part
of the page's site. The Host header reveals it.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

__all__ = ["HostCheck", "is_local_name"]

Message = MutableMapping[str, Any]
App = Callable[[Any, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


class HostCheck:
    """An ASGI application that refuses requests for a foreign host name with 403, and forwards the others.

    :param listening: the address that the service listens on, which is also allowed.
    """

    def __init__(self, app: App, *, listening: str) -> None:
        self._app = app
        self._listening = listening.lower()

    async def __call__(
        self, scope: Any, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Check the Host header of an HTTP request."""
        hosts = [value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"host"]
        if scope["type"] != "http" or (len(hosts) == 1 and self._is_allowed(hosts[0])):
            await self._app(scope, receive, send)
            return
        reason = (
            f"host name '{hosts[0][:100]}' is not allowed" if len(hosts) == 1 else "exactly one Host header is required"
        )
        message = f"The local service refused this request: {reason}. Use localhost, or start it with --allow-remote."
        body = json.dumps({"success": False, "message": message}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _is_allowed(self, header: str) -> bool:
        try:
            host = (urlsplit(f"//{header}").hostname or "").lower()
        except ValueError:
            return False
        return is_local_name(host) or host == self._listening


def is_local_name(host: str) -> bool:
    """Return whether *host* is ``localhost``, an address in 127.0.0.0/8, or ``::1``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
