"""What the event of an asset says of a video. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from airflow_json2video.movie.catalog import render_credits

__all__ = ["asset_event_extra", "credits_of", "lineage_dataset", "strip_query_strings", "without_credentials"]

_AZURE_HOSTS = (".core.windows.net",)
"""Hosts whose addresses write a container where others write a user: ``abfss://container@account``."""


def asset_event_extra(result: Mapping[str, Any], *, movie_hash: str | None = None) -> dict[str, Any]:
    """Pick from a task's result what an event may carry: no key, no quota, none of the author's own data.

    :param result: as :class:`~airflow_json2video.core.result.RenderResult`; ``stored_path`` if it was stored.
    :param movie_hash: fingerprint of the document, the same for the same movie; None if the document is not at hand.
    :returns: plain JSON, all keys always there, None where something is not known. ``duration`` is seconds, ``size``
        bytes, ``credits`` as :func:`credits_of`.
    """
    stored = result.get("stored_path")
    return {
        "project": result["project"],
        "url": result.get("url"),
        "stored_path": without_credentials(str(stored)) if stored else None,
        "duration": result.get("duration"),
        "size": result.get("size"),
        "width": result.get("width"),
        "height": result.get("height"),
        "credits": credits_of(result),
        "ended_at": result.get("ended_at"),
        "movie_hash": movie_hash,
    }


def credits_of(result: Mapping[str, Any]) -> int | None:
    """Give the credits for the seconds of a finished video; what was generated for it comes on top.

    The service does not say what it charged, so this is by its published prices.
    """
    try:
        seconds, width, height = (float(result.get(name) or 0) for name in ("duration", "width", "height"))
    except (TypeError, ValueError):
        return None
    if not seconds or not width or not height:
        return None
    return render_credits(seconds, width=int(width), height=int(height))


def without_credentials(address: str) -> str:
    """Leave a user and password out of an address; a user without a password too, which may be a key."""
    parts = urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    if not at or (":" not in user and host.endswith(_AZURE_HOSTS)):
        return address
    return parts._replace(netloc=host).geturl()


def strip_query_strings(text: str) -> str:
    """Leave the queries of addresses out of the service's words: an address that is signed is signed there."""
    return re.sub(r"(\w+://[^\s'\"?]+)\?[^\s'\"]*", r"\1", text)


def lineage_dataset(address: str) -> tuple[str, str] | None:
    """Give namespace and name of the file at *address* by OpenLineage's naming: scheme and host, and the path.

    :returns: None for what is no address of a file: a query and credentials are left out, ``data:`` is not a place.
    """
    try:
        parts = urlsplit(without_credentials(address.strip()))
    except ValueError:
        return None
    if not parts.scheme or parts.scheme == "file":
        path = parts.path or parts.netloc
        return ("file", path) if path.startswith("/") else None
    if not parts.netloc:
        return None
    return f"{parts.scheme.lower()}://{parts.netloc}", parts.path.lstrip("/") or "/"
