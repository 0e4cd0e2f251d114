"""What a finished render gives to the next task: a plain dictionary."""

from __future__ import annotations

from typing import Any, TypedDict

__all__ = ["MOVIE_FACTS", "RenderResult", "in_words", "movie_facts", "render_result"]

MOVIE_FACTS = (
    "project",
    "status",
    "message",
    "url",
    "ass",
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


class RenderResult(TypedDict):
    """The result of a render task, as its XCom.

    ``duration`` and ``rendering_time`` are seconds, ``size`` is bytes, ``url`` lives seven days,
    ``subtitles`` is the address of the generated ASS file or None, ``remaining_quota`` is what the
    service said last (``time`` = credits left).
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


def movie_facts(movie: dict[str, Any]) -> dict[str, Any]:
    """Pick from a movie object, in wire names, what an event may carry."""
    return {name: movie[name] for name in MOVIE_FACTS if name in movie}


def render_result(
    movie: dict[str, Any], *, remaining_quota: dict[str, Any] | None, submission_key: str | None
) -> RenderResult:
    """Build the task's result from a finished movie object in wire names."""
    return RenderResult(
        project=str(movie["project"]),
        url=movie.get("url"),
        duration=_number(movie.get("duration")),
        width=_whole(movie.get("width")),
        height=_whole(movie.get("height")),
        size=_whole(movie.get("size")),
        rendering_time=_number(movie.get("rendering_time")),
        subtitles=movie.get("ass") or None,
        created_at=movie.get("created_at"),
        ended_at=movie.get("ended_at"),
        remaining_quota=dict(remaining_quota or {}),
        submission_key=submission_key,
    )


def in_words(result: RenderResult) -> str:
    """Write a result as a line for the log."""
    return (
        f"Render {result['project']} is done: {result['duration']} s of video, {result['width']}x{result['height']}, "
        f"{result['size']} bytes, rendered in {result['rendering_time']} s. {result['url']}"
    )


def _number(value: Any) -> float | None:
    # The service has been seen to send numbers as strings.
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
