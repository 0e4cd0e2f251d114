"""Where a finished video is to be kept, and whether what is there is that video: names and checks. Pure."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from airflow_json2video.core.result import RenderResult, created_at, ended_at, number_of
from airflow_json2video.exceptions import ConfigurationError, RenderExpired

__all__ = [
    "IMAGE_EXTENSIONS",
    "RETENTION_SECONDS",
    "FileState",
    "StoredVideo",
    "check_path_template",
    "durations_match",
    "expected_size",
    "file_state",
    "format_path",
    "matches_stored_file",
    "may_be_overwritten",
    "media_error",
    "missing_file_error",
    "paths_written",
    "placeholders",
    "seconds_left",
    "sibling_path",
]

RETENTION_SECONDS = 7 * 86400.0
"""Seconds from a render's end for which the service keeps its file (API reference, on every plan)."""

_FILE_LATE = 3600.0
"""Seconds from a render's end within which a file that the service does not name yet may still appear."""
_CLOCKS_DIFFER = 300.0
"""Seconds by which the clock that dates a stored file may be behind the service's."""
IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "webp")

_ENDING = "{project}.mp4"
"""Name of a video whose path ends in a slash."""
_NOTHING_SENT = "Nothing was submitted."
_VIDEO_ENDINGS = frozenset({"mp4", "m4v", "mov"})
_LONGEST_NAME = 255


@dataclass(frozen=True)
class StoredVideo:
    """What is kept where.

    :ivar path: the video. :ivar bytes: its length there.
    :ivar duration: seconds, read back from the MP4 itself; None if it does not say.
    :ivar downloaded: False if it was there already.
    :ivar subtitles: path of the ASS file, if one was asked for and the render has one.
    :ivar thumbnail: path of the picture, likewise.
    :ivar deleted: whether the service's file was deleted after it was stored.
    """

    path: str
    bytes: int
    duration: float | None
    downloaded: bool
    subtitles: str | None = None
    thumbnail: str | None = None
    deleted: bool = False

    def add_to(self, result: RenderResult) -> RenderResult:
        """Give *result* with what is kept of it. An address whose file was deleted is none any more."""
        kept: RenderResult = {
            **result,
            "stored_path": self.path,
            "stored_bytes": self.bytes,
            "subtitles_path": self.subtitles,
            "thumbnail_path": self.thumbnail,
        }
        return {**kept, "url": None, "subtitles": None} if self.deleted else kept


def placeholders(template: str) -> frozenset[str]:
    """Give the names in single braces of a path template, as ``project`` in ``s3://videos/{project}.mp4``.

    :raises ConfigurationError: a brace is not closed, or there is more in it than a name.
    """
    names = set()
    try:
        for _, name, form, conversion in string.Formatter().parse(_whole(template)):
            if name is None:
                continue
            if not name.isidentifier() or form or conversion:
                raise ValueError(f"{{{name}}} is no plain name")
            names.add(name)
    except ValueError as error:
        raise ConfigurationError(
            f"output_path {template!r}: {error}.",
            advice=f"Write a field as {{project}} and a brace of the path itself twice. {_NOTHING_SENT}",
        ) from None
    return frozenset(names)


def check_path_template(template: str, *, known: Iterable[str]) -> None:
    """Refuse a path that could not be filled in once a render is paid for.

    :param known: names of the fields that will have a value, besides ``project``.
    :raises ConfigurationError: empty, a relative path, or a field that is not known.
    """
    if not isinstance(template, str) or not template.strip():
        raise ConfigurationError(f"output_path must be a path, not {template!r}.", advice=_NOTHING_SENT)
    if "://" not in template and not template.startswith("/"):
        raise ConfigurationError(
            f"output_path {template!r} is relative, and to what depends on the worker.",
            advice=f"Write a whole path, as /data/{{project}}.mp4 or s3://videos/{{project}}.mp4. {_NOTHING_SENT}",
        )
    allowed = {"project", *known}
    if unknown := placeholders(template) - allowed:
        raise ConfigurationError(
            f"output_path {template!r} has the field {_listed(unknown)}, which is not known.",
            advice=f"Known: {_listed(allowed)}. {_NOTHING_SENT}",
        )


def format_path(template: str, fields: Mapping[str, str]) -> str:
    """Give the path for these values.

    :raises ConfigurationError: a value would lead to another folder, or is no part of a name.
    """
    names = placeholders(template)
    for name in sorted(names):
        value = fields.get(name)
        if not isinstance(value, str) or value in ("", ".", "..") or any(c in "/\\" or ord(c) < 32 for c in value):
            raise ConfigurationError(
                f"output_path {template!r}: the value {value!r} of {{{name}}} cannot be part of a file's name.",
                advice="It may not be empty, '.' or '..', and have no slash and no control character.",
            )
    path = _whole(template).format_map({name: fields[name] for name in names})
    if len(path.rpartition("/")[2].encode()) > _LONGEST_NAME:
        raise ConfigurationError(
            f"output_path {template!r} becomes a file name of more than {_LONGEST_NAME} bytes: {path!r}."
        )
    return path


def sibling_path(path: str, ending: str) -> str:
    """Return the path of a file that belongs to the video at *path*: the same name with another *ending*.

    Only the ending of a video is replaced: in ``price-1.5`` what follows the dot is a part of the name.
    """
    folder, slash, name = path.rpartition("/")
    stem, dot, last = name.rpartition(".")
    return f"{folder}{slash}{stem if dot and stem and last.lower() in _VIDEO_ENDINGS else name}{ending}"


def matches_stored_file(
    movie: Mapping[str, Any], *, names_project: bool, size: int | None, modified: float | None
) -> bool:
    """Whether a file of this length and age can be the video of this render; whether it is whole has still to be read.

    A name without the project may hold the video of another render, which can have the same length. So it has to
    be younger than this render's end as well, give or take five minutes, since two clocks are compared.

    :param movie: the service's movie object, or a result. :param names_project: whether the path contains the project.
    :param size: bytes. :param modified: epoch seconds; None if the store does not say.
    """
    expected = expected_size(
        movie
    )  # whether the service still says it of a render whose file it deleted is not documented
    if not size or (expected is not None and size != expected):
        return False
    if names_project:
        return True
    ended = ended_at(movie)
    return modified is not None and ended is not None and modified >= ended - _CLOCKS_DIFFER


def may_be_overwritten(movie: Mapping[str, Any], *, modified: float | None) -> bool:
    """Return whether what stands where the video of this render is to be stored stood there when it was submitted.

    Before that the place was checked. What was written since is the video of another task or run, whose original may
    be deleted.

    :param modified: epoch seconds; None if the store does not say, and then it is unknown and allowed.
    """
    created = created_at(movie)
    return modified is None or created is None or modified < created


def paths_written(path: str, *, subtitles: bool, thumbnail: bool) -> list[str]:
    """Return all paths that may be written to for the video at *path*."""
    endings = [".ass"] * subtitles + [f".{ending}" for ending in IMAGE_EXTENSIONS if thumbnail]
    return [path, *(sibling_path(path, ending) for ending in endings)]


class FileState(str, Enum):
    """Where the file of a finished render stands at the service."""

    THERE = "there"
    LATE = "late"
    """It is not named yet, and the render ended so recently that it may still appear."""
    DELETED = "deleted"
    EXPIRED = "expired"
    MISSING = "missing"
    """It should be there by the service's own rules, and is not named."""


def file_state(movie: Mapping[str, Any], *, now: float) -> FileState:
    """Return where the file of a render that is done stands.

    :param movie: the service's movie object in wire names. :param now: epoch seconds.
    """
    if movie.get("url"):
        return FileState.THERE
    if movie.get("deleted_at"):
        return FileState.DELETED
    age = _age(movie, now=now)
    if age is None or age >= RETENTION_SECONDS:
        return FileState.EXPIRED
    return FileState.LATE if age < _FILE_LATE else FileState.MISSING


def missing_file_error(movie: Mapping[str, Any], *, now: float) -> RenderExpired:
    """Return the error that says why there is no file of a render that is done."""
    project, state = str(movie["project"]), file_state(movie, now=now)
    message = f"Render {project} is done, but {_why_no_file(state, _age(movie, now=now))}."
    if state is not FileState.LATE:
        return RenderExpired(message, project=project)
    advice = "The render is paid for. A retry asks for its file again, and submits nothing."
    return RenderExpired(message, project=project, retryable=True, advice=advice)


def _why_no_file(state: FileState, age: float | None) -> str:
    if state is FileState.DELETED:
        return "its file was deleted at JSON2Video"
    if state is FileState.LATE:
        return "JSON2Video does not name its file yet"
    if age is None:
        return "JSON2Video names no file: it was deleted, or is older than seven days"
    if state is FileState.EXPIRED:
        return "JSON2Video has deleted its file, since it is older than seven days"
    return f"JSON2Video names no file, although it keeps files for seven days and this ended {age / 3600:.0f} hours ago"


def _age(movie: Mapping[str, Any], *, now: float) -> float | None:
    """Return the seconds since the render's end, or since its submission where the service does not say its end."""
    moment = ended_at(movie) or created_at(movie)
    return None if moment is None else now - moment


def durations_match(found: float | None, movie: Mapping[str, Any]) -> bool:
    """Whether a video of *found* seconds can be the movie: a second or 2 % may differ, and unknown is not otherwise.

    The service gives a tenth of a second, and a container rounds up to the last frame of picture or sound.
    """
    expected = number_of(movie.get("duration"))
    if found is None or expected is None:
        return True
    return abs(found - expected) <= max(1.0, 0.02 * expected)


def media_error(begin: bytes, content_type: str | None) -> str | None:
    """Say why what begins like this cannot be a file of a render; None if it can.

    :param begin: the first bytes. :param content_type: as the server gives it.
    """
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/json", "application/xml", "text/xml"):
        return f"it was sent as {kind}"
    if begin.lstrip()[:1] == b"<":
        return "it begins like HTML or XML"
    return None


def seconds_left(movie: Mapping[str, Any], *, now: float) -> float | None:
    """Give the seconds for which the service still keeps the file; None if it is not known when the render ended."""
    ended = ended_at(movie)
    return None if ended is None else ended + RETENTION_SECONDS - now


def expected_size(movie: Mapping[str, Any]) -> int | None:
    """Give the length of the video in bytes, as the service says it; None if it does not."""
    number = number_of(movie.get("size"))
    return int(number) if number else None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))


def _whole(template: str) -> str:
    return f"{template}{_ENDING}" if template.endswith("/") else template
