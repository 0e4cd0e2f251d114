"""A webhook as an argument: the one destination that most movies want, put where Movie JSON keeps destinations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from airflow_json2video.api.config import is_loopback
from airflow_json2video.exceptions import ConfigurationError

__all__ = ["with_webhook"]


def with_webhook(document: Mapping[str, Any], webhook: str | Mapping[str, Any]) -> dict[str, Any]:
    """Give a copy of *document* whose exports call *webhook* when the render has ended.

    It is put behind the destinations of the movie's first export, so that it is called after them; a document that
    calls this address already stays as it is.

    :param webhook: the address, or a whole destination: ``{"endpoint": ..., "content-type": ...}``, or the ``id``
        of a connection of the dashboard.
    :raises ConfigurationError: it is no https address, or no destination.
    """
    destination = _destination(webhook)
    exports = document.get("exports")
    if exports is not None and not isinstance(exports, list):
        raise ConfigurationError("A webhook cannot be added: the movie's 'exports' are no array.", advice=_NOTHING_SENT)
    first, *others = exports or [{}]
    if not isinstance(first, Mapping) or not isinstance(first.get("destinations", []), list):
        raise ConfigurationError(
            "A webhook cannot be added: the movie's first export has no array of 'destinations'.", advice=_NOTHING_SENT
        )
    before = list(first.get("destinations", []))
    if any(_is_same(other, destination) for other in before):
        return dict(document)
    return {**document, "exports": [{**first, "destinations": [*before, destination]}, *others]}


_NOTHING_SENT = "Nothing was submitted."


def _destination(webhook: Any) -> dict[str, Any]:
    if isinstance(webhook, str):
        return {"type": "webhook", "endpoint": _address(webhook)}
    if not isinstance(webhook, Mapping):
        raise ConfigurationError(
            f"'webhook' must be an https address or a destination object, not {type(webhook).__name__}.",
            advice=_NOTHING_SENT,
        )
    if webhook.get("type", "webhook") != "webhook":
        raise ConfigurationError(
            f"'webhook' is a destination of type {webhook['type']!r}.",
            advice=f"Write other destinations into the movie's 'exports'. {_NOTHING_SENT}",
        )
    if "id" in webhook:
        return {key: value for key, value in webhook.items() if key != "type"}
    if "endpoint" not in webhook:
        raise ConfigurationError(
            "'webhook' has neither an 'endpoint' nor the 'id' of a dashboard connection.", advice=_NOTHING_SENT
        )
    return {"type": "webhook", **webhook, "endpoint": _address(webhook["endpoint"])}


def _address(address: Any) -> str:
    text = address.strip() if isinstance(address, str) else ""
    try:
        parts = urlsplit(text)
        host = parts.hostname
        local = is_loopback(host)
        with_login = bool(parts.username or parts.password)
    except ValueError:
        host, local, with_login, parts = None, False, False, urlsplit("")
    if not host or parts.scheme not in ("https", "http") or (parts.scheme == "http" and not local):
        raise ConfigurationError(
            f"'webhook' must be an address that begins with https://, and this is {text[:80]!r}.", advice=_NOTHING_SENT
        )
    if with_login:
        raise ConfigurationError(
            "'webhook' has a user or a password in its address, which the service would store and list.",
            advice=f"Put an unguessable token into its path instead. {_NOTHING_SENT}",
        )
    return text


def _is_same(other: Any, destination: Mapping[str, Any]) -> bool:
    if not isinstance(other, Mapping):
        return False
    key = "id" if "id" in destination else "endpoint"
    return bool(other.get(key) == destination[key])
