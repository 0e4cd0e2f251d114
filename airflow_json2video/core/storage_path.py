"""The path of a stored video, and whether an existing file is that video: names and checks. Pure."""

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
"""Seconds from a render's end for which the service stores its file (API reference, on every plan)."""

_MAX_FILE_DELAY = 3600.0
"""Seconds from a render's end within which a missing file may still appear."""
_MAX_CLOCK_SKEW = 300.0
"""Seconds by which the clock of the file store may be behind the service's."""
IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "webp")

_DEFAULT_NAME = "{project}.mp4"
"""Name of a video whose path ends in a slash."""
_NOT_SUBMITTED = "Nothing was submitted."
_VIDEO_EXTENSIONS = frozenset({"mp4", "m4v", "mov"})
_MAX_NAME_BYTES = 255


@dataclass(frozen=True)
class StoredVideo:
    """The stored files of a render.

    :ivar path: of the video. :ivar bytes: size of the stored video.
    :ivar duration: seconds, read from the MP4 itself; None if it does not contain it.
    :ivar downloaded: False if the video was already stored.
    :ivar subtitles: path of the ASS file, if requested and the render has one. :ivar thumbnail: likewise.
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
        """Return *result* with the stored paths. The URLs of deleted files are removed."""
        stored: RenderResult = {
            **result,
            "stored_path": self.path,
            "stored_bytes": self.bytes,
            "subtitles_path": self.subtitles,
            "thumbnail_path": self.thumbnail,
        }
        return {**stored, "url": None, "subtitles": None} if self.deleted else stored


def placeholders(output_path: str) -> frozenset[str]:
    """Return the names in single braces of a path template, such as ``project`` in ``s3://videos/{project}.mp4``.

    :raises ConfigurationError: a brace is not closed, or contains more than a name.
    """
    names = set()
    try:
        for _, name, form, conversion in string.Formatter().parse(_with_name(output_path)):
            if name is None:
                continue
            if not name.isidentifier() or form or conversion:
                raise ValueError(f"{{{name}}} is not a plain name")
            names.add(name)
    except ValueError as error:
        raise ConfigurationError(
            f"output_path {output_path!r}: {error}.",
            advice=f"Write a placeholder as {{project}}, and double a brace that belongs to the path. {_NOT_SUBMITTED}",
        ) from None
    return frozenset(names)


def check_path_template(output_path: str, *, known: Iterable[str]) -> None:
    """Raise if a path could not be formatted once a render is paid for.

    :param known: names of the placeholders that will have a value, in addition to ``project``.
    :raises ConfigurationError: the path is empty or relative, or has an unknown placeholder.
    """
    if not isinstance(output_path, str) or not output_path.strip():
        raise ConfigurationError(f"output_path must be a path, got {output_path!r}.", advice=_NOT_SUBMITTED)
    if "://" not in output_path and not output_path.startswith("/"):
        raise ConfigurationError(
            f"output_path must be absolute, got {output_path!r}.",
            advice=f"Write a path such as /data/{{project}}.mp4 or s3://videos/{{project}}.mp4. {_NOT_SUBMITTED}",
        )
    allowed = {"project", *known}
    if unknown := placeholders(output_path) - allowed:
        raise ConfigurationError(
            f"Unknown placeholder {_format_names(unknown)} in output_path {output_path!r}.",
            advice=f"Available: {_format_names(allowed)}. {_NOT_SUBMITTED}",
        )


def format_path(output_path: str, fields: Mapping[str, str]) -> str:
    """Return the path for these values.

    :raises ConfigurationError: a value would change the directory, or is not allowed in a file name.
    """
    names = placeholders(output_path)
    for name in sorted(names):
        value = fields.get(name)
        if not isinstance(value, str) or value in ("", ".", "..") or any(c in "/\\" or ord(c) < 32 for c in value):
            raise ConfigurationError(
                f"output_path {output_path!r}: the value {value!r} of {{{name}}} cannot be part of a file's name.",
                advice="It must not be empty, '.' or '..', or contain a slash or a control character.",
            )
    path = _with_name(output_path).format_map({name: fields[name] for name in names})
    if len(path.rpartition("/")[2].encode()) > _MAX_NAME_BYTES:
        raise ConfigurationError(
            f"output_path {output_path!r} results in a file name of more than {_MAX_NAME_BYTES} bytes: {path!r}."
        )
    return path


def sibling_path(path: str, suffix: str) -> str:
    """Return the path of a file that belongs to the video at *path*: the same name with another *suffix*.

    Only the suffix of a video is replaced: in ``price-1.5`` the part after the dot belongs to the name.
    """
    folder, slash, name = path.rpartition("/")
    stem, dot, last = name.rpartition(".")
    return f"{folder}{slash}{stem if dot and stem and last.lower() in _VIDEO_EXTENSIONS else name}{suffix}"


def matches_stored_file(
    movie: Mapping[str, Any], *, names_project: bool, size: int | None, modified: float | None
) -> bool:
    """Return whether a file of this size and age can be the video of this render; its content is not checked here.

    A path without the project may hold the video of another render of the same size. So the file must also be newer
    than this render's end, with a tolerance of five minutes, since two clocks are compared.

    :param movie: the service's movie object, or a result. :param names_project: whether the path contains the project.
    :param size: bytes. :param modified: epoch seconds; None if the store does not say.
    """
    # It is not documented whether the service still reports the size of a render whose file it has deleted.
    expected = expected_size(movie)
    if not size or (expected is not None and size != expected):
        return False
    if names_project:
        return True
    ended = ended_at(movie)
    return modified is not None and ended is not None and modified >= ended - _MAX_CLOCK_SKEW


def may_be_overwritten(movie: Mapping[str, Any], *, modified: float | None) -> bool:
    """Return whether the existing file at a video's path was already there when the render was submitted.

    The path was checked before the submission. A file that was written later is the video of another task or run, and
    its original may be deleted.

    :param modified: epoch seconds; None if the store does not say: then overwriting is allowed.
    """
    created = created_at(movie)
    return modified is None or created is None or modified < created


def paths_written(path: str, *, subtitles: bool, thumbnail: bool) -> list[str]:
    """Return all paths that may be written to for the video at *path*."""
    suffixes = [".ass"] * subtitles + [f".{extension}" for extension in IMAGE_EXTENSIONS if thumbnail]
    return [path, *(sibling_path(path, suffix) for suffix in suffixes)]


class FileState(str, Enum):
    """The state of a finished render's file at the service."""

    THERE = "there"
    LATE = "late"
    """There is no URL yet, and the render ended so recently that it may still appear."""
    DELETED = "deleted"
    EXPIRED = "expired"
    MISSING = "missing"
    """The file should exist by the service's own rules, but has no URL."""


def file_state(movie: Mapping[str, Any], *, now: float) -> FileState:
    """Return the state of the file of a render that is done.

    :param movie: the service's movie object as JSON. :param now: epoch seconds.
    """
    if movie.get("url"):
        return FileState.THERE
    if movie.get("deleted_at"):
        return FileState.DELETED
    age = _age(movie, now=now)
    if age is None or age >= RETENTION_SECONDS:
        return FileState.EXPIRED
    return FileState.LATE if age < _MAX_FILE_DELAY else FileState.MISSING


def missing_file_error(movie: Mapping[str, Any], *, now: float) -> RenderExpired:
    """Return the error that says why a render that is done does not have a file."""
    project, state = str(movie["project"]), file_state(movie, now=now)
    message = f"Render {project} is done, but {_explain_missing_file(state, _age(movie, now=now))}."
    if state is not FileState.LATE:
        return RenderExpired(message, project=project)
    advice = "The render is paid for. A retry requests its file again and submits nothing."
    return RenderExpired(message, project=project, retryable=True, advice=advice)


def _explain_missing_file(state: FileState, age: float | None) -> str:
    if state is FileState.DELETED:
        return "its file was deleted at JSON2Video"
    if state is FileState.LATE:
        return "JSON2Video has not published its file yet"
    if age is None:
        return "its file is not available at JSON2Video: it was deleted, or is older than seven days"
    if state is FileState.EXPIRED:
        return "JSON2Video has deleted its file, since it is older than seven days"
    return (
        "its file is missing at JSON2Video, although files are stored for seven days and the render ended "
        f"{age / 3600:.0f} hours ago"
    )


def _age(movie: Mapping[str, Any], *, now: float) -> float | None:
    """Return the seconds since the render's end, or since its submission if the service does not report the end."""
    moment = ended_at(movie) or created_at(movie)
    return None if moment is None else now - moment


def durations_match(found: float | None, movie: Mapping[str, Any]) -> bool:
    """Return whether a video of *found* seconds can be the movie. True if one of the two is unknown.

    A difference of one second or 2 % is allowed: the service reports tenths of a second, and a container rounds up to
    the last frame of picture or sound.
    """
    expected = number_of(movie.get("duration"))
    if found is None or expected is None:
        return True
    return abs(found - expected) <= max(1.0, 0.02 * expected)


def media_error(head: bytes, content_type: str | None) -> str | None:
    """Return why a file cannot be one of a render, such as an error page; None if it can.

    :param head: the first bytes. :param content_type: as the server sent it.
    """
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/json", "application/xml", "text/xml"):
        return f"it was sent as {kind}"
    if head.lstrip()[:1] == b"<":
        return "it begins like HTML or XML"
    return None


def seconds_left(movie: Mapping[str, Any], *, now: float) -> float | None:
    """Return the seconds until the service deletes the file; None if it is unknown when the render ended."""
    ended = ended_at(movie)
    return None if ended is None else ended + RETENTION_SECONDS - now


def expected_size(movie: Mapping[str, Any]) -> int | None:
    """Return the size of the video in bytes, as the service reports it; None if it does not."""
    number = number_of(movie.get("size"))
    return int(number) if number else None


def _format_names(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))


def _with_name(output_path: str) -> str:
    return f"{output_path}{_DEFAULT_NAME}" if output_path.endswith("/") else output_path
