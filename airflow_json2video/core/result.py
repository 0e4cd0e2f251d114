"""What a finished render gives to the next task: a plain dictionary."""

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
"""The fields of the service's movie object that travel in an event; the author's own data stays behind."""

_MOST_WARNINGS = 20
_LONGEST_WARNING = 200
_AZURE_HOSTS = (".core.windows.net",)
"""Hosts whose addresses write a container where others write a user: ``abfss://container@account``."""


class RenderResult(TypedDict):
    """The result of a render task, as its XCom.

    ``duration`` and ``rendering_time`` are seconds, ``size`` is bytes, ``url`` lives seven days,
    ``subtitles`` is the address of the generated ASS file or None, ``remaining_quota`` is what the
    service said last (``time`` = credits left). ``stored_path`` and the keys after it say what was kept
    where (``stored_bytes`` is the video's length there); they are None unless the task was asked to keep it.
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
    """Pick from a movie object, in wire names, what an event may carry."""
    facts = {name: movie[name] for name in RESULT_FIELDS if name in movie}
    if warnings := get_warnings(movie):
        facts["warnings"] = warnings
    return facts


def get_warnings(movie: Mapping[str, Any]) -> list[str]:
    """Give what the local service did not draw as it was asked to; JSON2Video itself says nothing of the kind.

    :returns: at most 20 lines of at most 200 characters, since they travel in an event.
    """
    found = movie.get("warnings")
    lines = [" ".join(text.split()) for text in found if isinstance(text, str)] if isinstance(found, list) else []
    if len(lines) > _MOST_WARNINGS:
        left_out = len(lines) - _MOST_WARNINGS + 1
        lines = [*lines[: _MOST_WARNINGS - 1], f"and {left_out} more; the local service's page lists them"]
    return [text if len(text) <= _LONGEST_WARNING else f"{text[: _LONGEST_WARNING - 3]}..." for text in lines]


def render_result(
    movie: dict[str, Any], *, remaining_quota: dict[str, Any] | None, submission_key: str | None
) -> RenderResult:
    """Build the task's result from a finished movie object in wire names."""
    return RenderResult(
        project=str(movie["project"]),
        url=movie.get("url"),
        duration=number_of(movie.get("duration")),
        width=_whole(movie.get("width")),
        height=_whole(movie.get("height")),
        size=_whole(movie.get("size")),
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
    """Write a result as a line for the log."""
    return (
        f"Render {result['project']} is done: {result['duration']} s of video, {result['width']}x{result['height']}, "
        f"{result['size']} bytes, rendered in {result['rendering_time']} s. {result['url']}"
    )


def created_at(movie: Mapping[str, Any]) -> float | None:
    """Give the moment of the submission by the service's clock, epoch seconds; None if it does not say."""
    return _moment(movie.get("created_at"))


def ended_at(movie: Mapping[str, Any]) -> float | None:
    """Give the moment of the render's end by the service's clock, epoch seconds; None if it does not say."""
    return _moment(movie.get("ended_at"))


def seconds_taken(movie: Mapping[str, Any]) -> float | None:
    """Give the seconds from submission to end, both by the service's clock; None if it does not say both."""
    begun, ended = _moment(movie.get("created_at")), _moment(movie.get("ended_at"))
    return None if begun is None or ended is None or ended <= begun else ended - begun


def _moment(value: Any) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        # Python 3.10 does not read the Z.
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def number_of(value: Any) -> float | None:
    """Return a number that the service said; None for anything else, infinity and what is not a number included.

    The service has been seen to send numbers as strings.
    """
    try:
        number = math.nan if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _whole(value: Any) -> int | None:
    number = number_of(value)
    return None if number is None else int(number)


def to_json(answer: Any) -> dict[str, Any]:
    """Return a typed response as the JSON object that it came as."""
    dumped: dict[str, Any] = answer.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return dumped


def asset_event_extra(result: Mapping[str, Any], *, movie_hash: str | None = None) -> dict[str, Any]:
    """Pick from a task's result what an event may carry: no key, no quota, none of the author's own data.

    :param result: as :class:`RenderResult`; ``stored_path`` if it was stored.
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
