"""The configuration of a client: host, API key, proxy, CA file and limits. No I/O."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from airflow_json2video import __version__
from airflow_json2video.api.redaction import secret_pattern
from airflow_json2video.exceptions import ConfigurationError

__all__ = [
    "DEFAULT_HOST",
    "ClientConfig",
    "check_api_key",
    "check_host",
    "check_upload_url",
    "is_loopback",
]

DEFAULT_HOST = "https://api.json2video.com/v2"
"""The only public address of the API."""

_VERSION_PATH = "/v2"
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f\\]")


def is_loopback(hostname: str | None) -> bool:
    """Whether *hostname* is this machine for certain: ``localhost``, 127.0.0.0/8 or ::1."""
    if hostname is None:
        return False
    if hostname.lower() == "localhost":
        return True
    try:
        return ip_address(hostname).is_loopback
    except ValueError:
        return False


def check_host(host: str) -> str:
    """Return the base URL of the API for a configured *host*.

    ``https`` is required, since every request contains the API key; plain ``http`` is allowed for this machine only,
    where the local service runs. The default scheme is ``https``. The ``/v2`` at the end is optional.

    :param host: for example ``https://api.json2video.com/v2`` or ``http://127.0.0.1:8095``.
    :return: the URL with ``/v2`` and without a slash at the end.
    :raises ConfigurationError: the host is not usable; names the reason.
    """
    if not isinstance(host, str) or not host.strip():
        raise ConfigurationError(f"The host is empty. Omit it to use {DEFAULT_HOST}.")
    host = host.strip()
    if _UNPRINTABLE.search(host):
        raise ConfigurationError("The host contains a space, a backslash or a control character.")
    address = host if "://" in host else f"https://{host}"
    try:
        parts = urlsplit(address)
        hostname, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"The host is not a valid URL: {error}.") from None
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        # Not shown, since it is a secret.
        raise ConfigurationError(
            "The host contains a user or a password. JSON2Video uses only an API key, which belongs in the password of"
            " the connection."
        )
    if not hostname:
        raise ConfigurationError(f"The host {host!r} has no hostname.")
    if parts.query or parts.fragment or "?" in address or "#" in address:
        raise ConfigurationError("The host must not have a query or a fragment ('?' or '#').")
    if parts.scheme == "http" and not is_loopback(hostname):
        raise ConfigurationError(
            f"The host {hostname!r} must be reached over https: plain http exposes the API key to the network."
            " http is allowed for this machine only (localhost, 127.0.0.0/8, ::1)."
        )
    if parts.scheme not in ("http", "https"):
        raise ConfigurationError(f"The scheme of the host must be https, got {parts.scheme!r}.")
    if port == 0:
        raise ConfigurationError("The port of the host must be from 1 to 65535, got 0.")
    path = parts.path.rstrip("/")
    if not path.endswith(_VERSION_PATH):
        path += _VERSION_PATH
    return f"{parts.scheme}://{parts.netloc}{path}"


def check_upload_url(url: str) -> str:
    """Return *url* if a file may be sent there: ``https``, or ``http`` to this machine.

    :raises ValueError: otherwise; the message does not show the URL, which contains a signature.
    """
    parts = urlsplit(url)
    if _UNPRINTABLE.search(url) or not parts.hostname:
        raise ValueError("the upload URL is not a URL")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise ValueError("the upload URL is not https")
    return url


def check_api_key(api_key: str) -> str:
    """Return *api_key* if it can be sent as a header.

    :raises ConfigurationError: otherwise; the message never shows the key.
    """
    advice = "Put the API key, and nothing else, into the password of the connection."
    if not isinstance(api_key, str) or not api_key.strip():
        raise ConfigurationError("The API key is empty.", advice=advice)
    if api_key != api_key.strip():
        raise ConfigurationError("The API key begins or ends with whitespace.", advice=advice)
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in api_key):
        raise ConfigurationError("The API key contains a control character, such as a line break.", advice=advice)
    try:
        api_key.encode("latin-1")
    except UnicodeEncodeError:
        raise ConfigurationError(
            "The API key contains a character that is not allowed in a header.", advice=advice
        ) from None
    return api_key


def _check_proxy(proxy: str) -> str:
    """Return *proxy* if it is the URL of an HTTP proxy; an error does not show its password."""
    if _UNPRINTABLE.search(proxy):
        raise ConfigurationError("The proxy contains a space, a backslash or a control character.")
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        _ = parts.port
    except ValueError:
        raise ConfigurationError("The proxy is not a valid URL; write it as http://host:port.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            f"The scheme of the proxy must be http or https, got {parts.scheme!r}; write it as http://host:port."
        )
    return parts.geturl()


@dataclass(frozen=True, kw_only=True)
class ClientConfig:
    """The configuration of both clients.

    :param api_key: sent as ``x-api-key``; not part of the repr.
    :param host: see :func:`check_host`.
    :param connect_timeout: seconds to establish the connection.
    :param read_timeout: seconds between two parts of a response.
    :param total_timeout: seconds for one request and its complete response; it also applies to a server that sends one
        byte per second.
    :param retries: how many times a call is repeated, if that is safe.
    :param proxy: an HTTP proxy for all requests; None uses the environment's (``HTTPS_PROXY``, ``NO_PROXY``).
    :param ca_file: PEM file of the trusted authorities; None uses ``REQUESTS_CA_BUNDLE``, else certifi's.
    :param user_agent: None sends this package's name and version.
    :param max_body: maximum size of a response, in bytes.
    :raises ConfigurationError: one of them is not usable.
    """

    api_key: str = field(repr=False)
    host: str = DEFAULT_HOST
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    total_timeout: float = 120.0
    retries: int = 4
    proxy: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    user_agent: str | None = None
    max_body: int = 50 * 1024 * 1024
    _proxies: dict[str, str | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_api_key(self.api_key)
        object.__setattr__(self, "host", check_host(self.host))
        for name in ("connect_timeout", "read_timeout", "total_timeout", "max_body"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
                raise ConfigurationError(f"{name} must be a number greater than 0, got {value!r}.")
        if isinstance(self.retries, bool) or not isinstance(self.retries, int) or not 0 <= self.retries <= 20:
            raise ConfigurationError(f"retries must be an integer from 0 to 20, got {self.retries!r}.")
        if self.proxy is not None:
            object.__setattr__(self, "proxy", _check_proxy(self.proxy))
        if self.ca_file is not None and not os.path.isfile(self.ca_file):  # noqa: PTH113 - one stat
            raise ConfigurationError(f"CA file not found: {self.ca_file!r}.")
        agent = self.user_agent or f"airflow-json2video/{__version__}"
        if not agent.isascii() or not agent.isprintable():
            raise ConfigurationError("user_agent must consist of printable ASCII characters.")
        object.__setattr__(self, "user_agent", agent)

    def proxy_for(self, url: str) -> str | None:
        """Return the proxy for *url*; None for this machine, since the API key would leave it."""
        parts = urlsplit(url)
        if is_loopback(parts.hostname):
            return None
        if self.proxy is not None:
            return self.proxy
        address = f"{parts.scheme}://{parts.hostname}"
        if address not in self._proxies:  # reads all environment variables
            self._proxies[address] = _environment_proxy(parts.scheme, parts.hostname or "")
        return self._proxies[address]

    def ca_bundle(self) -> str | None:
        """Return the PEM file of the trusted authorities; None for the default ones."""
        return self.ca_file or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or None

    def redact(self, text: str) -> str:
        """Return *text* without the API key and the proxies' passwords, in any encoding."""
        for secret in self._secrets():
            text = secret_pattern(secret).sub("***", text)
        return text

    def _secrets(self) -> list[str]:
        found = [self.api_key]
        for proxy in (self.proxy, *getproxies().values()):
            parts = urlsplit(proxy) if proxy and "@" in proxy else None
            if parts is not None and parts.password:
                found += [parts.password, unquote(parts.password)]
                user = f"{unquote(parts.username or '')}:{unquote(parts.password)}"
                found.append(b64encode(user.encode()).decode())
        return list(dict.fromkeys(found))


def _environment_proxy(scheme: str, host: str) -> str | None:
    if proxy_bypass(host):
        return None
    proxies = getproxies()
    found = proxies.get(scheme) or proxies.get("all")
    return _check_proxy(found) if found else None
