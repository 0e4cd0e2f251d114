"""Read a connection as arguments of a client. Pure: the same for the worker and the triggerer."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from airflow_json2video.api.config import DEFAULT_HOST, check_host, is_loopback
from airflow_json2video.exceptions import ConfigurationError

__all__ = [
    "CONN_FIELDS",
    "DEFAULT_CONFIRMATION_TIME",
    "ConnectionLike",
    "ConnectionSettings",
    "connection_settings",
]

DEFAULT_CONFIRMATION_TIME = 300.0
"""Seconds after which a render that was submitted must be in the account's list, unless the connection says otherwise.

The service does not document how soon a new project is listed.
"""

CONN_FIELDS: dict[str, tuple[str, str, type[float] | type[int] | type[str]]] = {
    "connect_timeout": ("Connect timeout", "Seconds to wait for a connection. Default 10.", float),
    "read_timeout": ("Read timeout", "Seconds to wait for more of a response. Default 30.", float),
    "retries": (
        "Retries",
        "Repeats of a call that is safe to repeat; never a submission. Default 4.",
        int,
    ),
    "proxy": ("Proxy", "Address of an HTTP proxy, if the environment does not have one.", str),
    "ca_file": ("CA file", "Path of a PEM file with the certificates to trust.", str),
    "namespace": (
        "Namespace",
        "Name of this deployment, if several share the account. Default: the id of its metadata database.",
        str,
    ),
    "confirmation_time": (
        "Confirmation time",
        "Seconds until a submission whose response was lost is sent again, if the list does not show it. Default 300.",
        float,
    ),
}
"""The options in ``extra``: label, description and type. Both kinds of connection form are built from it."""

_NAMESPACE = re.compile(r"[A-Za-z0-9._-]{1,64}")


class ConnectionLike(Protocol):
    """The attributes of an Airflow connection that are read here."""

    conn_id: str
    host: str | None
    port: int | None
    schema: str | None
    password: str | None
    extra: Any


@dataclass(frozen=True)
class ConnectionSettings:
    """Arguments for a client, and settings of its submissions. The repr does not show the key.

    :ivar options: arguments of a client. :ivar namespace: the name of this deployment; None if it has an id.
    :ivar confirmation_time: seconds; see :data:`DEFAULT_CONFIRMATION_TIME`.
    """

    api_key: str = field(repr=False)
    host: str
    options: dict[str, Any] = field(default_factory=dict, repr=False)
    namespace: str | None = None
    confirmation_time: float = DEFAULT_CONFIRMATION_TIME

    @property
    def is_loopback(self) -> bool:
        """Whether the host is a service on this machine, which is free and does not limit polling."""
        return is_loopback(urlsplit(self.host).hostname)

    @property
    def kwargs(self) -> dict[str, Any]:
        """Keyword arguments for either client."""
        return {"host": self.host, **self.options}


def connection_settings(connection: ConnectionLike) -> ConnectionSettings:
    """Read a connection.

    :raises ConfigurationError: the key is missing, the host is neither https nor loopback, or an option has the
        wrong type. The message names the connection and the field, and never shows the key.
    """
    name = connection.conn_id
    api_key = connection.password or ""
    if not api_key.strip():
        raise ConfigurationError(
            f"Connection {name!r} does not contain an API key.",
            advice="Enter the JSON2Video API key in its field 'API key', which is the password.",
        )
    try:
        host = check_host(_host(connection))
    except ConfigurationError as error:
        raise ConfigurationError(f"Connection {name!r}, host: {error.message}", advice=error.advice) from None
    options = _options(connection)
    namespace = options.pop("namespace", None)
    if namespace is not None and not _NAMESPACE.fullmatch(namespace):
        raise ConfigurationError(
            f"Connection {name!r}: 'namespace' in extra must be 1 to 64 letters, digits, '.', '_' and '-', "
            f"got {namespace!r}."
        )
    return ConnectionSettings(
        api_key=api_key,
        host=host,
        options=options,
        namespace=namespace,
        confirmation_time=options.pop("confirmation_time", DEFAULT_CONFIRMATION_TIME),
    )


def _host(connection: ConnectionLike) -> str:
    host = (connection.host or "").strip().rstrip("/")
    if not host:
        return DEFAULT_HOST
    if "://" not in host:
        # A connection written as a URI arrives in pieces: json2video://:KEY@127.0.0.1:8080/v2
        bracketed = f"[{host}]" if ":" in host and not host.startswith("[") else host
        host = f"{'http' if is_loopback(host.strip('[]')) else 'https'}://{bracketed}"
        if connection.port:
            host += f":{connection.port}"
        if connection.schema and connection.schema not in ("http", "https"):
            host += f"/{connection.schema.strip('/')}"
    elif connection.port and host.count(":") == 1:
        host += f":{connection.port}"
    return host


def _options(connection: ConnectionLike) -> dict[str, Any]:
    # extra_dejson would mask through a blocking call to the supervisor, which deadlocks in a triggerer.
    extra = connection.extra
    if not extra:
        return {}
    try:
        extra = json.loads(extra) if isinstance(extra, str) else dict(extra)
    except ValueError:
        raise ConfigurationError(
            f"Connection {connection.conn_id!r}: extra is not valid JSON.",
            advice='Write an object, such as {"read_timeout": 60}.',
        ) from None
    options: dict[str, Any] = {}
    for name, (label, _, kind) in CONN_FIELDS.items():
        value = extra.get(name)
        if value in (None, ""):
            continue
        try:
            options[name] = kind(value)
        except (TypeError, ValueError):
            raise ConfigurationError(
                f"Connection {connection.conn_id!r}: {label.lower()} ({name!r} in extra) must be "
                f"{'an integer' if kind is int else 'a number'}, got {value!r}.",
            ) from None
        if kind is float and not math.isfinite(options[name]):
            raise ConfigurationError(
                f"Connection {connection.conn_id!r}: {name!r} in extra must be a finite number, got {value!r}."
            )
        if kind is not str and options[name] < 0:
            raise ConfigurationError(f"Connection {connection.conn_id!r}: {name!r} in extra must not be negative.")
    return options
