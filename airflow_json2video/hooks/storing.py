"""Keeping a finished video: downloaded whole, checked, and only then put under its final name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_json2video.exceptions import DestinationFailed, Json2VideoError, RenderExpired
from airflow_json2video.hooks.destinations import Destination, destination_of
from airflow_json2video.hooks.fetching import Fetcher
from airflow_json2video.hooks.mp4 import NotAnMp4, read_duration
from airflow_json2video.rendering.storing import (
    StoredVideo,
    beside,
    check_template,
    fields_of,
    fill,
    is_kept_already,
    lasts_as_long,
)

if TYPE_CHECKING:
    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.hooks.waiting import TaskLog

__all__ = ["check_destination", "find_stored", "store_video"]


def check_destination(template: str, *, log: TaskLog, known: Iterable[str] = ()) -> None:
    """Find out before anything is paid for whether a video could be kept there, as far as that can be told.

    Nothing is written.

    :param template: as of :func:`store_video`. :param known: names of the fields besides ``project``.
    :raises ConfigurationError: the path cannot be filled in, or certainly cannot be written to.
    :raises DestinationFailed: the place does not answer; a later attempt may find it well.
    """
    check_template(template, known=known)
    destination_of(fill(template, dict.fromkeys(fields_of(template), "0" * 16))).check(log)


def store_video(
    movie: Mapping[str, Any],
    *,
    template: str,
    hook: Json2VideoHook,
    log: TaskLog,
    fields: Mapping[str, str] | None = None,
    subtitles: bool = False,
    thumbnail: bool = False,
    delete: bool = False,
    time_limit: float = 3600.0,
) -> StoredVideo:
    """Keep the video of a finished render; not downloaded again if it is there already and whole.

    Memory stays flat: the file goes through a temporary one on a local disk, in blocks. Whatever happens on the
    way, a kill too, there is never a part of a file under the final name, and a repeat is safe.

    :param movie: a result, or the service's movie object in wire names, of a render that is done.
    :param template: where to, as ``s3://my_connection@videos/{item}/{project}.mp4``; single braces are fields, a path
        that ends in a slash gets the name ``{project}.mp4``.
    :param hook: of the connection, for its proxy and authorities. The API key does not go to the file's host.
    :param fields: values of the fields; ``project`` is known from *movie*.
    :param subtitles: keep the render's ASS file beside it, if it has one. :param thumbnail: keep its picture likewise.
    :param delete: delete the file at JSON2Video, once what was stored has been looked at.
    :param time_limit: seconds for the download of each file.
    :raises ConfigurationError: the path cannot be filled in, or there is no such file system.
    :raises RenderExpired: the service does not have the file any more, and it is not there either.
    :raises StoreError: it was not kept; ``retryable`` says whether another try can help.
    """
    project = str(movie["project"])
    path = fill(template, {**(fields or {}), "project": project})
    destination = destination_of(path)
    fetcher = Fetcher(movie=movie, endpoint=hook.client.endpoint, log=log, time_limit=time_limit)
    stored = _find(destination, movie, names_project="project" in fields_of(template), log=log)
    if stored is None:
        if not movie.get("url"):
            raise RenderExpired(
                f"Render {project} is done, but JSON2Video does not have its file any more, and {path!r} is not it.",
                project=project,
            )
        stored = fetcher.video(destination)
    if subtitles:
        stored = replace(stored, subtitles=_keep_subtitles(fetcher, stored))
    if thumbnail:
        stored = replace(stored, thumbnail=_keep_thumbnail(fetcher, stored))
    if delete and movie.get("url"):
        stored = replace(stored, deleted=_delete(destination, stored, hook=hook, log=log, project=project))
    return stored


def find_stored(
    movie: Mapping[str, Any], *, template: str, log: TaskLog, fields: Mapping[str, str] | None = None
) -> StoredVideo | None:
    """Give what is kept of a render already; None if it is not there, not whole, or not certainly this render's.

    A render whose file the service has deleted need not be paid for again if this finds it.

    :param movie: as of :func:`store_video`; it may have lost its ``url``.
    :raises StoreError: it is not known, since the place does not answer.
    """
    path = fill(template, {**(fields or {}), "project": str(movie["project"])})
    return _find(destination_of(path), movie, names_project="project" in fields_of(template), log=log)


def _find(
    destination: Destination, movie: Mapping[str, Any], *, names_project: bool, log: TaskLog
) -> StoredVideo | None:
    there = destination.look()
    if there is None:
        return None
    project, size = str(movie["project"]), there.size or 0
    if not is_kept_already(movie, names_project=names_project, size=size, modified=there.modified):
        log.info("%s is there, and is not known to be the video of render %s.", destination.path, project)
        return None
    try:
        with destination.open() as file:
            duration = read_duration(file, size)
    except (NotAnMp4, PermissionError):
        return None
    except Exception as error:
        raise destination.failed(error, "could not be read", project=project) from error
    if not lasts_as_long(duration, movie):
        return None
    log.info("Render %s is kept already: %s, %d bytes.", project, destination.path, size)
    return StoredVideo(path=destination.path, bytes=size, duration=duration, downloaded=False)


def _keep_subtitles(fetcher: Fetcher, video: StoredVideo) -> str | None:
    destination = destination_of(beside(video.path, ".ass"))
    url = _text(fetcher.movie, "ass", "subtitles")
    if url is not None:
        fetcher.subtitles(destination, url)
        return destination.path
    return _kept_before(destination, video, what="subtitles", fetcher=fetcher)


def _keep_thumbnail(fetcher: Fetcher, video: StoredVideo) -> str | None:
    url = _text(fetcher.movie, "thumbnail")
    destination = destination_of(fetcher.thumbnail_path(video.path, url or ""))
    if url is not None:
        fetcher.thumbnail(destination, url)
        return destination.path
    return _kept_before(destination, video, what="thumbnail", fetcher=fetcher)


def _kept_before(destination: Destination, video: StoredVideo, *, what: str, fetcher: Fetcher) -> str | None:
    """Give the path of what an earlier attempt kept, before it deleted the service's files."""
    if not video.downloaded and destination.look() is not None:
        return destination.path
    fetcher.log.warning("The service names no %s of render %s, so none is kept.", what, fetcher.project)
    return None


def _delete(destination: Destination, stored: StoredVideo, *, hook: Json2VideoHook, log: TaskLog, project: str) -> bool:
    # There is no second copy afterwards.
    there = destination.look()
    if there is None or there.size != stored.bytes:
        raise DestinationFailed(
            f"{stored.path!r} is not what was stored there ({stored.bytes} bytes), so the file of render {project} is "
            "left at JSON2Video.",
            project=project,
        )
    try:
        hook.delete_movie(project)
    except Json2VideoError as error:
        log.warning("The file of render %s could not be deleted at JSON2Video: %s", project, error)
        return False
    log.info("The file of render %s is deleted at JSON2Video; it is kept at %s.", project, stored.path)
    return True


def _text(movie: Mapping[str, Any], *names: str) -> str | None:
    return next((value for name in names if isinstance(value := movie.get(name), str) and value), None)
