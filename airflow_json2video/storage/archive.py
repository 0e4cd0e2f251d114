"""Find and store the finished renders of this deployment that are not stored yet, before the service deletes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_json2video.core.identity import Stamp, read_stamp
from airflow_json2video.core.result import select_fields, to_json
from airflow_json2video.core.storage_path import (
    RETENTION_SECONDS,
    StoredVideo,
    check_path_template,
    expected_size,
    format_path,
    placeholders,
    seconds_left,
)
from airflow_json2video.deployment import get_deployment
from airflow_json2video.exceptions import ConfigurationError, DestinationFailed, Json2VideoError
from airflow_json2video.storage.preflight import check_destination
from airflow_json2video.storage.store import find_stored, store_video
from airflow_json2video.version_compat import object_storage

if TYPE_CHECKING:
    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.task_log import TaskLog

__all__ = ["ArchiveOutcome", "UnstoredRender", "archive_renders", "find_unstored"]

_FIELDS = ("submission_key", "date")
_MAX_RENDER_TIME = timedelta(days=1)
"""The list is ordered by submission, and a file's seven days start at the end of the render."""


@dataclass(frozen=True)
class UnstoredRender:
    """A finished render that is not stored.

    :ivar movie: the service's movie object, as an event carries it. :ivar stamp: identifies the task that submitted it.
    :ivar seconds_left: until the service deletes the file; None if it does not report when the render ended.
    """

    movie: Mapping[str, Any]
    stamp: Stamp
    seconds_left: float | None

    @property
    def project(self) -> str:
        """The render."""
        return str(self.movie["project"])

    @property
    def fields(self) -> dict[str, str]:
        """Values for a path template: ``submission_key`` and the ``date`` of the submission (UTC)."""
        return {
            "submission_key": self.stamp.submission_key,
            "date": str(self.movie.get("created_at") or "")[:10] or "undated",
        }


@dataclass(frozen=True)
class ArchiveOutcome:
    """The result for one of them: ``stored``, or ``error``."""

    render: UnstoredRender
    stored: StoredVideo | None = None
    error: Json2VideoError | None = None


def find_unstored(
    hook: Json2VideoHook,
    *,
    output_path: str,
    log: TaskLog,
    also_in: str | None = None,
    wanted: Callable[[Stamp], bool] | None = None,
    now: float | None = None,
) -> list[UnstoredRender]:
    """Return the finished renders of this deployment that are not stored, the next to expire first. Free.

    :param output_path: where they would be stored; the placeholders are ``project``, ``submission_key`` and ``date``.
    :param also_in: a directory: a file anywhere below it that has the project in its name and the right size counts
        as stored too.
    :param wanted: called with each stamp of this package; default: those of this deployment.
    :param now: epoch seconds.
    :raises ConfigurationError: *output_path* cannot be used. :raises Json2VideoError: the list could not be read, or it
        is unknown which deployment this is.
    :raises DestinationFailed: a destination did not respond, so that it is unknown what is stored.
    """
    check_path_template(output_path, known=_FIELDS)
    if "project" not in placeholders(output_path):
        raise ConfigurationError(
            f"{output_path!r} must contain the placeholder {{project}}: without it, several videos would be stored at "
            "one path, each overwriting the one before.",
            advice="Add {project} to the name. Nothing was stored.",
        )
    wanted = wanted if wanted is not None else _of_this_deployment(hook)
    moment = time.time() if now is None else now
    today = datetime.fromtimestamp(moment, timezone.utc)
    elsewhere = _sizes_in(also_in) if also_in is not None else {}
    found = []
    start = today - timedelta(seconds=RETENTION_SECONDS) - _MAX_RENDER_TIME
    for movie in hook.iter_movies(date_start=start, date_end=today + timedelta(days=1)):
        stamp = read_stamp(movie.client_data, movie.json_text)
        if stamp is None or movie.status != "done" or not movie.url or not wanted(stamp):
            continue
        fields = select_fields(to_json(movie))
        left = seconds_left(fields, now=moment)
        if left is None or left > 0:
            found.append(UnstoredRender(movie=fields, stamp=stamp, seconds_left=left))
    found.sort(key=lambda render: (render.seconds_left is None, render.seconds_left or 0.0, render.project))
    return [
        render
        for render in found
        if not _is_among(render, elsewhere) and not _is_stored(render, output_path=output_path, log=log)
    ]


def archive_renders(
    hook: Json2VideoHook,
    *,
    output_path: str,
    log: TaskLog,
    also_in: str | None = None,
    wanted: Callable[[Stamp], bool] | None = None,
    subtitles: bool = False,
    thumbnail: bool = False,
    now: float | None = None,
) -> Iterator[ArchiveOutcome]:
    """Store what :func:`find_unstored` returns, one after the other; one that cannot be stored does not stop the rest.

    Nothing is rendered, paid for or deleted, and a repeat stores only what is still missing.

    .. code-block:: python

        for render in archive_renders(Json2VideoHook(), output_path="s3://videos/archive/{project}.mp4", log=log):
            print(render.render.project, render.stored or render.error)
    """
    check_destination(output_path, known=_FIELDS, log=log)
    for render in find_unstored(hook, output_path=output_path, log=log, also_in=also_in, wanted=wanted, now=now):
        try:
            stored = store_video(
                render.movie,
                output_path=output_path,
                fields=render.fields,
                hook=hook,
                log=log,
                subtitles=subtitles,
                thumbnail=thumbnail,
            )
        except Json2VideoError as error:
            yield ArchiveOutcome(render, error=error)
        else:
            yield ArchiveOutcome(render, stored=stored)


def _of_this_deployment(hook: Json2VideoHook) -> Callable[[Stamp], bool]:
    deployment = get_deployment(hook.settings.namespace)
    return lambda stamp: stamp.deployment == deployment


def _is_stored(render: UnstoredRender, *, output_path: str, log: TaskLog) -> bool:
    try:
        format_path(output_path, {"project": render.project, **render.fields})
    except ConfigurationError:  # a stamp may hold what cannot be a file name: storing reports it, and the others follow
        return False
    return find_stored(render.movie, output_path=output_path, fields=render.fields, log=log) is not None


def _sizes_in(folder: str) -> dict[str, set[int]]:
    """Return the sizes of all files below *folder*, by name."""
    url = folder if "://" in folder else f"file://{folder}"
    sizes: dict[str, set[int]] = {}
    try:
        fs, path = object_storage(url)
        # find() would skip what cannot be read.
        for _, _, files in fs.walk(path, detail=True, on_error="raise"):
            for name, info in files.items():
                sizes.setdefault(name, set()).add(info.get("size") or 0)
    except Exception as error:
        raise DestinationFailed(
            f"{folder!r} could not be searched, so it is unknown what is stored there: "
            f"{type(error).__name__}: {error}.",
        ) from error
    return sizes


def _is_among(render: UnstoredRender, files: Mapping[str, set[int]]) -> bool:
    size = expected_size(render.movie)
    return any(render.project in name and size in sizes for name, sizes in files.items())
