"""The result of a finished render, and the facts about it that leave the task: plain dictionaries. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, TypedDict
from urllib.parse import urlsplit

from airflow_json2video.movie.pricing import render_credits

__all__ = [
    "RESULT_FIELDS",
    "RenderResult",
    "asset_event_extra",
    "created_at",
    "credits_of",
    "ended_at",
    "get_warnings",
    "lineage_dataset",
    "number_of",
    "render_result",
    "seconds_taken",
    "select_fields",
    "strip_query_strings",
    "summarize",
    "to_json",
    "without_credentials",
]

RESULT_FIELDS = (
    "project",
    "status",
    "message",
    "url",
    "ass",
    "thumbnail",
    "created_at",
    "ended_at",
    "duration",
    "size",
    "width",
    "height",
    "rendering_time",
    "deleted_at",
)
"""The fields of the service's movie object that an event carries; the author's own data is left out."""

_MAX_WARNINGS = 20
_MAX_WARNING_LENGTH = 200
_AZURE_HOSTS = (".core.windows.net",)
"""Hosts whose URLs have a container in the place of a user: ``abfss://container@account``."""


class RenderResult(TypedDict):
    """The result of a render task, as its XCom.

    ``duration`` and ``rendering_time`` are seconds, ``size`` is bytes, ``url`` is valid for seven days,
    ``subtitles`` is the URL of the generated ASS file or None, ``remaining_quota`` is what the service
    reported last (``time`` = credits left). ``stored_path`` and the keys after it say where the files are stored
    (``stored_bytes`` is the size of the stored video); they are None unless the task stores its video.
    """

    project: str
    url: str | None
    duration: float | None
    width: int | None
    height: int | None
    size: int | None
    rendering_time: float | None
    subtitles: str | None
    created_at: str | None
    ended_at: str | None
    remaining_quota: dict[str, Any]
    submission_key: str | None
    stored_path: str | None
    stored_bytes: int | None
    subtitles_path: str | None
    thumbnail_path: str | None


def select_fields(movie: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a movie object (as JSON) that an event may carry."""
    fields = {name: movie[name] for name in RESULT_FIELDS if name in movie}
    if warnings := get_warnings(movie):
        fields["warnings"] = warnings
    return fields


def get_warnings(movie: Mapping[str, Any]) -> list[str]:
    """Return what the local service could not draw as requested; JSON2Video itself does not report this.

    :returns: at most 20 lines of at most 200 characters, since an event carries them.
    """
    found = movie.get("warnings")
    lines = [" ".join(text.split()) for text in found if isinstance(text, str)] if isinstance(found, list) else []
    if len(lines) > _MAX_WARNINGS:
        omitted = len(lines) - _MAX_WARNINGS + 1
        lines = [*lines[: _MAX_WARNINGS - 1], f"and {omitted} more; the local service's page lists them"]
    return [text if len(text) <= _MAX_WARNING_LENGTH else f"{text[: _MAX_WARNING_LENGTH - 3]}..." for text in lines]


def render_result(
    movie: dict[str, Any], *, remaining_quota: dict[str, Any] | None, submission_key: str | None
) -> RenderResult:
    """Build the task's result from a finished movie object (as JSON)."""
    return RenderResult(
        project=str(movie["project"]),
        url=movie.get("url"),
        duration=number_of(movie.get("duration")),
        width=_to_int(movie.get("width")),
        height=_to_int(movie.get("height")),
        size=_to_int(movie.get("size")),
        rendering_time=number_of(movie.get("rendering_time")),
        subtitles=movie.get("ass") or None,
        created_at=movie.get("created_at"),
        ended_at=movie.get("ended_at"),
        remaining_quota=dict(remaining_quota or {}),
        submission_key=submission_key,
        stored_path=None,
        stored_bytes=None,
        subtitles_path=None,
        thumbnail_path=None,
    )


def summarize(result: RenderResult) -> str:
    """Return a result as a line for the log."""
    return (
        f"Render {result['project']} is done: {result['duration']} s of video, {result['width']}x{result['height']}, "
        f"{result['size']} bytes, rendered in {result['rendering_time']} s. {result['url']}"
    )


def created_at(movie: Mapping[str, Any]) -> float | None:
    """Return when the render was submitted, epoch seconds by the service's clock; None if it is not reported."""
    return _timestamp(movie.get("created_at"))


def ended_at(movie: Mapping[str, Any]) -> float | None:
    """Return when the render ended, epoch seconds by the service's clock; None if it is not reported."""
    return _timestamp(movie.get("ended_at"))


def seconds_taken(movie: Mapping[str, Any]) -> float | None:
    """Return the seconds from submission to end, by the service's clock; None if one of them is not reported."""
    created, ended = created_at(movie), ended_at(movie)
    return None if created is None or ended is None or ended <= created else ended - created


def _timestamp(value: Any) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        # Python 3.10 does not read the Z.
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def number_of(value: Any) -> float | None:
    """Return a number that the service sent; None for anything else, including infinity and NaN.

    The service is known to send numbers as strings.
    """
    try:
        number = math.nan if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _to_int(value: Any) -> int | None:
    number = number_of(value)
    return None if number is None else int(number)


def to_json(response: Any) -> dict[str, Any]:
    """Return a typed response as the JSON object that it came as."""
    dumped: dict[str, Any] = response.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return dumped


def asset_event_extra(result: Mapping[str, Any], *, movie_hash: str | None = None) -> dict[str, Any]:
    """Return the facts about a video that an asset event carries: no key, no quota, none of the author's own data.

    :param result: see :class:`RenderResult`.
    :param movie_hash: fingerprint of the document, the same for the same movie; None if the document is unknown.
    :returns: plain JSON that always has all keys; a value is None if it is unknown. ``duration`` is seconds, ``size``
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
    """Return the credits for the duration of a finished video, without generated assets.

    The service does not report what it charged, so this is computed from its published prices.
    """
    try:
        seconds, width, height = (float(result.get(name) or 0) for name in ("duration", "width", "height"))
    except (TypeError, ValueError):
        return None
    if not seconds or not width or not height:
        return None
    return render_credits(seconds, width=int(width), height=int(height))


def without_credentials(url: str) -> str:
    """Return a URL without user and password; a user without a password is removed too, since it may be a key."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at or (":" not in user and host.endswith(_AZURE_HOSTS)):
        return url
    return parts._replace(netloc=host).geturl()


def strip_query_strings(text: str) -> str:
    """Remove the query strings of URLs from a message of the service: they may contain a signature."""
    return re.sub(r"(\w+://[^\s'\"?]+)\?[^\s'\"]*", r"\1", text)


def lineage_dataset(url: str) -> tuple[str, str] | None:
    """Return namespace and name of the file at *url* by OpenLineage's naming rules: scheme and host, and the path.

    :returns: without query and credentials; None if *url* does not name a file, such as a ``data:`` URL.
    """
    try:
        parts = urlsplit(without_credentials(url.strip()))
    except ValueError:
        return None
    if not parts.scheme or parts.scheme == "file":
        path = parts.path or parts.netloc
        return ("file", path) if path.startswith("/") else None
    if not parts.netloc:
        return None
    return f"{parts.scheme.lower()}://{parts.netloc}", parts.path.lstrip("/") or "/"
