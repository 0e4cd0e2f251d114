"""Where the API is, and with which key, proxy and limits it is spoken to. No I/O."""

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
    """Give the base address of the API for what a person wrote as *host*.

    ``https`` is required, since every request carries the API key; plain ``http`` is allowed to this
    machine only, where the local service listens. A name without a scheme is taken as ``https``. The
    ``/v2`` at the end may be left out.

    :param host: for example ``https://api.json2video.com/v2`` or ``http://127.0.0.1:8095``.
    :return: the address without a slash at the end, with ``/v2``.
    :raises ConfigurationError: for anything else, with the reason.
    """
    if not isinstance(host, str) or not host.strip():
        raise ConfigurationError(f"The host is empty. Leave it out to use {DEFAULT_HOST}.")
    host = host.strip()
    if _UNPRINTABLE.search(host):
        raise ConfigurationError("The host contains a space, a backslash or a control character.")
    address = host if "://" in host else f"https://{host}"
    try:
        parts = urlsplit(address)
        hostname, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"The host is no valid address: {error}.") from None
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        # Not shown: what stands there is a secret by its nature.
        raise ConfigurationError(
            "The host contains a user or a password. JSON2Video knows only an API key, and that belongs into the"
            " password of the connection."
        )
    if not hostname:
        raise ConfigurationError(f"The host {host!r} names no machine.")
    if parts.query or parts.fragment or "?" in address or "#" in address:
        raise ConfigurationError("The host has a query or a fragment ('?' or '#'), where an API's address has none.")
    if parts.scheme == "http" and not is_loopback(hostname):
        raise ConfigurationError(
            f"The host {hostname!r} would be reached over plain http, which shows the API key to the network."
            " Use https; http is allowed to this machine only (localhost, 127.0.0.0/8, ::1)."
        )
    if parts.scheme not in ("http", "https"):
        raise ConfigurationError(f"The host has the scheme {parts.scheme!r}; only https is possible.")
    if port == 0:
        raise ConfigurationError("The host has port 0, on which nothing listens.")
    path = parts.path.rstrip("/")
    if not path.endswith(_VERSION_PATH):
        path += _VERSION_PATH
    return f"{parts.scheme}://{parts.netloc}{path}"


def check_upload_url(url: str) -> str:
    """Give *url* back if a file may be sent there: ``https``, or ``http`` to this machine.

    :raises ValueError: otherwise; the message does not show the address, which carries a signature.
    """
    parts = urlsplit(url)
    if _UNPRINTABLE.search(url) or not parts.hostname:
        raise ValueError("the upload address is no address")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise ValueError("the upload address is not https")
    return url


def check_api_key(api_key: str) -> str:
    """Give *api_key* back if it can be sent as a header.

    :raises ConfigurationError: otherwise; the message never shows the key.
    """
    advice = "Put the API key, and nothing else, into the password of the connection."
    if not isinstance(api_key, str) or not api_key.strip():
        raise ConfigurationError("The API key is empty.", advice=advice)
    if api_key != api_key.strip():
        raise ConfigurationError("The API key begins or ends with white space.", advice=advice)
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in api_key):
        raise ConfigurationError("The API key contains a control character, as a line break.", advice=advice)
    try:
        api_key.encode("latin-1")
    except UnicodeEncodeError:
        raise ConfigurationError(
            "The API key contains a character that a header cannot carry.", advice=advice
        ) from None
    return api_key


def _check_proxy(proxy: str) -> str:
    """Give *proxy* back if it is an HTTP proxy's address; a password in it is not shown."""
    if _UNPRINTABLE.search(proxy):
        raise ConfigurationError("The proxy contains a space, a backslash or a control character.")
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        _ = parts.port
    except ValueError:
        raise ConfigurationError("The proxy is no valid address; write it as http://host:port.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            f"The proxy has the scheme {parts.scheme!r}; only HTTP proxies are supported, written as http://host:port."
        )
    return parts.geturl()


@dataclass(frozen=True, kw_only=True)
class ClientConfig:
    """Everything that both clients need to know before they speak.

    :param api_key: sent as ``x-api-key``; in no repr.
    :param host: see :func:`check_host`.
    :param connect_timeout: seconds for the connection to be made.
    :param read_timeout: seconds between two pieces of an answer.
    :param total_timeout: seconds for one request and its whole answer; the bound that a server which
        sends one byte a second cannot stretch.
    :param retries: how often a call that may be repeated is repeated.
    :param proxy: an HTTP proxy for all requests; None takes the environment's (``HTTPS_PROXY``, ``NO_PROXY``).
    :param ca_file: PEM file of the authorities to trust; None takes ``REQUESTS_CA_BUNDLE``, else certifi's.
    :param user_agent: None gives this package's name and version.
    :param max_body: largest answer that is read, in bytes.
    :raises ConfigurationError: when any of them is not usable.
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
                raise ConfigurationError(f"{name} must be a number above 0, and not {value!r}.")
        if isinstance(self.retries, bool) or not isinstance(self.retries, int) or not 0 <= self.retries <= 20:
            raise ConfigurationError(f"retries must be a whole number from 0 to 20, and not {self.retries!r}.")
        if self.proxy is not None:
            object.__setattr__(self, "proxy", _check_proxy(self.proxy))
        if self.ca_file is not None and not os.path.isfile(self.ca_file):  # noqa: PTH113 - one stat
            raise ConfigurationError(f"The CA file {self.ca_file!r} is not there.")
        agent = self.user_agent or f"airflow-json2video/{__version__}"
        if not agent.isascii() or not agent.isprintable():
            raise ConfigurationError("user_agent must be of printable ASCII characters.")
        object.__setattr__(self, "user_agent", agent)

    def proxy_for(self, url: str) -> str | None:
        """Give the proxy for *url*. This machine is never reached through one: the key would leave it."""
        parts = urlsplit(url)
        if is_loopback(parts.hostname):
            return None
        if self.proxy is not None:
            return self.proxy
        address = f"{parts.scheme}://{parts.hostname}"
        if address not in self._proxies:  # the whole environment is read for it
            self._proxies[address] = _environment_proxy(parts.scheme, parts.hostname or "")
        return self._proxies[address]

    def ca_bundle(self) -> str | None:
        """Give the PEM file of trusted authorities, or None for the default ones."""
        return self.ca_file or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or None

    def redact(self, text: str) -> str:
        """Return *text* without the API key and the proxies' passwords, however they are written in it."""
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
