"""Keeping a finished video: downloaded whole, checked, and only then put under its final name."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_json2video.core.storage_path import (
    StoredVideo,
    beside,
    check_template,
    durations_match,
    fields_of,
    fill,
    matches_stored_file,
    may_be_overwritten,
    no_file,
    places_of,
)
from airflow_json2video.exceptions import ConfigurationError, DestinationFailed, Json2VideoError
from airflow_json2video.storage.destinations import Destination, destination_of, is_local
from airflow_json2video.storage.fetching import Fetcher
from airflow_json2video.storage.mp4 import InvalidMp4, read_duration

if TYPE_CHECKING:
    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.storage.download import Cancellation
    from airflow_json2video.task_log import TaskLog

__all__ = ["check_destination", "find_stored", "require_unoccupied", "store_video", "warn_of_local_path"]


def check_destination(template: str, *, log: TaskLog, known: Iterable[str] = (), deletes: bool = False) -> None:
    """Check before anything is paid for that a video can be stored there, by writing a small file and removing it.

    :param template: as of :func:`store_video`. :param known: names of the fields in addition to ``project``.
    :param deletes: whether the original is deleted afterwards, for which what was stored has to be looked at.
    :raises ConfigurationError: the path cannot be filled in, or cannot be written to.
    :raises DestinationFailed: the place does not answer; a later attempt may find it well.
    """
    check_template(template, known=known)
    destination = destination_of(fill(template, dict.fromkeys(fields_of(template), "0" * 16)))
    destination.check(log)
    if deletes:
        destination.look()


def require_unoccupied(
    template: str, *, fields: Mapping[str, str] | None = None, subtitles: bool = False, thumbnail: bool = False
) -> None:
    """Refuse before anything is paid for to store over what may be the only copy of another video.

    To be asked where the original at JSON2Video is deleted afterwards, so that of each video at such a path there is
    one copy. A path that contains the project is never another video's.

    :param template: as of :func:`store_video`. :param fields: values of the fields.
    :raises ConfigurationError: something is stored there. :raises DestinationFailed: the place does not answer.
    """
    if "project" in fields_of(template):
        return
    for path in places_of(fill(template, fields or {}), subtitles=subtitles, thumbnail=thumbnail):
        if destination_of(path).look() is not None:
            raise ConfigurationError(
                f"{path!r} exists already. With delete_after_store it may be the only copy of another video, and this "
                "render would overwrite it.",
                advice="Write {project} into output_path, so that each video has a name of its own; or move the file "
                "away; or leave delete_after_store out. Nothing was submitted.",
            )


def warn_of_local_path(template: str, *, executor: str | None, log: TaskLog) -> None:
    """Warn where the only copy of a video will be on the disk of one worker.

    :param template: as of :func:`store_video`. :param executor: that runs tasks on several machines; None: a local one.
    """
    if executor is not None and is_local(template):
        log.warning(
            "output_path %s is on the disk of this worker (%s), and with delete_after_store it is the only copy. If "
            "that disk is not shared and lasting (a pod's is not), the video is lost with it. Use object storage or a "
            "volume.",
            template,
            executor,
        )


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
    cancellation: Cancellation | None = None,
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
    :param time_limit: seconds for the download of each file. :param cancellation: ends the downloads early.
    :raises ConfigurationError: the path cannot be filled in, or there is no such file system.
    :raises RenderExpired: the service does not have the file any more, and it is not there either.
    :raises StoreError: it was not kept; ``retryable`` says whether another try can help.
    """
    project = str(movie["project"])
    path = fill(template, {**(fields or {}), "project": project})
    destination = destination_of(path)
    endpoint = hook.client.endpoint
    fetcher = Fetcher(movie=movie, endpoint=endpoint, log=log, time_limit=time_limit, cancellation=cancellation)
    names_project = "project" in fields_of(template)
    try:
        stored = _find(destination, movie, names_project=names_project, log=log)
    except DestinationFailed as error:
        # A place that may only be written to. What is deleted afterwards is looked at before that.
        if delete or not isinstance(error.__cause__, PermissionError):
            raise
        stored = None
    if stored is None:
        if not movie.get("url"):
            raise no_file(movie, now=time.time())
        if delete and not names_project:
            _require_ours(destination, movie, project=project)
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
    project = str(movie["project"])
    there = destination.look(project=project)
    if there is None:
        return None
    size = there.size or 0
    if not matches_stored_file(movie, names_project=names_project, size=size, modified=there.modified):
        log.info("%s is there, and is not known to be the video of render %s.", destination.path, project)
        return None
    try:
        with destination.open() as file:
            duration = read_duration(file, size)
    except (InvalidMp4, PermissionError):
        return None
    except Exception as error:
        raise destination.failed(error, "could not be read", project=project) from error
    if not durations_match(duration, movie):
        return None
    log.info("Render %s is kept already: %s, %d bytes.", project, destination.path, size)
    return StoredVideo(path=destination.path, bytes=size, duration=duration, downloaded=False)


def _require_ours(destination: Destination, movie: Mapping[str, Any], *, project: str) -> None:
    there = destination.look(project=project)
    if there is not None and not may_be_overwritten(movie, modified=there.modified):
        raise DestinationFailed(
            f"{destination.path!r} was written by another task or run while render {project} ran. With "
            "delete_after_store it may be the only copy of another video, so it is not overwritten.",
            project=project,
            retryable=False,
            advice="Move that file away and clear the task: it stores this render without paying again, while its file "
            "is at JSON2Video (seven days). With {project} in output_path each video has a name of its own.",
        )


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
    if not video.downloaded and destination.look(project=fetcher.project) is not None:
        return destination.path
    fetcher.log.warning("The service names no %s of render %s, so none is kept.", what, fetcher.project)
    return None


def _delete(destination: Destination, stored: StoredVideo, *, hook: Json2VideoHook, log: TaskLog, project: str) -> bool:
    # There is no second copy afterwards.
    there = destination.look(project=project)
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
