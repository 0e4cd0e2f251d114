"""Keeping a finished video: downloaded whole, checked, and only then put under its final name."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_json2video.core.storage_path import (
    IMAGE_EXTENSIONS,
    StoredVideo,
    durations_match,
    expected_size,
    format_path,
    matches_stored_file,
    may_be_overwritten,
    media_error,
    missing_file_error,
    placeholders,
    sibling_path,
)
from airflow_json2video.exceptions import DestinationFailed, Json2VideoError, VideoCorrupted
from airflow_json2video.storage.destinations import Destination, get_destination
from airflow_json2video.storage.download import Cancellation, Download, DownloadResult
from airflow_json2video.storage.mp4 import InvalidMp4, read_duration

if TYPE_CHECKING:
    from airflow_json2video.api.config import ClientConfig
    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.task_log import TaskLog

__all__ = ["find_stored", "store_video"]

_MAX_EXTRA_BYTES = 64 * 1024 * 1024
"""Bytes that subtitles or a thumbnail may have."""


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
    path = format_path(template, {**(fields or {}), "project": project})
    destination = get_destination(path)
    endpoint = hook.client.config
    fetcher = _Fetcher(movie=movie, endpoint=endpoint, log=log, time_limit=time_limit, cancellation=cancellation)
    names_project = "project" in placeholders(template)
    try:
        stored = _find(destination, movie, names_project=names_project, log=log)
    except DestinationFailed as error:
        # A place that may only be written to. What is deleted afterwards is looked at before that.
        if delete or not isinstance(error.__cause__, PermissionError):
            raise
        stored = None
    if stored is None:
        if not movie.get("url"):
            raise missing_file_error(movie, now=time.time())
        if delete and not names_project:
            _require_own_file(destination, movie, project=project)
        stored = fetcher.fetch_video(destination)
    if subtitles:
        stored = replace(stored, subtitles=_store_subtitles(fetcher, stored))
    if thumbnail:
        stored = replace(stored, thumbnail=_store_thumbnail(fetcher, stored))
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
    path = format_path(template, {**(fields or {}), "project": str(movie["project"])})
    return _find(get_destination(path), movie, names_project="project" in placeholders(template), log=log)


def _find(
    destination: Destination, movie: Mapping[str, Any], *, names_project: bool, log: TaskLog
) -> StoredVideo | None:
    project = str(movie["project"])
    there = destination.stat(project=project)
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


def _require_own_file(destination: Destination, movie: Mapping[str, Any], *, project: str) -> None:
    there = destination.stat(project=project)
    if there is not None and not may_be_overwritten(movie, modified=there.modified):
        raise DestinationFailed(
            f"{destination.path!r} was written by another task or run while render {project} ran. With "
            "delete_remote it may be the only copy of another video, so it is not overwritten.",
            project=project,
            retryable=False,
            advice="Move that file away and clear the task: it stores this render without paying again, while its file "
            "is at JSON2Video (seven days). With {project} in output_path each video has a name of its own.",
        )


def _store_subtitles(fetcher: _Fetcher, video: StoredVideo) -> str | None:
    destination = get_destination(sibling_path(video.path, ".ass"))
    url = _text(fetcher.movie, "ass", "subtitles")
    if url is not None:
        fetcher.fetch_subtitles(destination, url)
        return destination.path
    return _stored_before(destination, video, what="subtitles", fetcher=fetcher)


def _store_thumbnail(fetcher: _Fetcher, video: StoredVideo) -> str | None:
    url = _text(fetcher.movie, "thumbnail")
    destination = get_destination(fetcher.thumbnail_path(video.path, url or ""))
    if url is not None:
        fetcher.fetch_thumbnail(destination, url)
        return destination.path
    return _stored_before(destination, video, what="thumbnail", fetcher=fetcher)


def _stored_before(destination: Destination, video: StoredVideo, *, what: str, fetcher: _Fetcher) -> str | None:
    """Give the path of what an earlier attempt kept, before it deleted the service's files."""
    if not video.downloaded and destination.stat(project=fetcher.project) is not None:
        return destination.path
    fetcher.log.warning("The service names no %s of render %s, so none is kept.", what, fetcher.project)
    return None


def _delete(destination: Destination, stored: StoredVideo, *, hook: Json2VideoHook, log: TaskLog, project: str) -> bool:
    # There is no second copy afterwards.
    there = destination.stat(project=project)
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


@dataclass(frozen=True, kw_only=True)
class _Fetcher:
    """Fetches the files of one render.

    :ivar movie: the service's movie object, or a result. :ivar endpoint: of the connection; its key is not used.
    :ivar time_limit: seconds for each file. :ivar cancellation: ends the downloads early.
    """

    movie: Mapping[str, Any]
    endpoint: ClientConfig
    log: TaskLog
    time_limit: float
    cancellation: Cancellation | None = None

    @property
    def project(self) -> str:
        """The render."""
        return str(self.movie["project"])

    def fetch_video(self, destination: Destination) -> StoredVideo:
        """Keep the video.

        :raises StoreError: it was not kept, and nothing of it stands under the final name.
        """
        began = time.monotonic()
        duration: float | None = None

        def check(got: DownloadResult, part: Path) -> None:
            nonlocal duration
            duration = self._check_video(got, part)

        size = expected_size(self.movie)
        got = self._download_checked(destination, str(self.movie["url"]), about="The video", check=check, expected=size)
        self.log.info(
            "Render %s is kept: %s, %d bytes, %s s of video, in %.1fs%s.",
            self.project,
            destination.path,
            got.length,
            "an unknown number of" if duration is None else f"{duration:.1f}",
            time.monotonic() - began,
            f", resumed {got.resumed} times" if got.resumed else "",
        )
        return StoredVideo(path=destination.path, bytes=got.length, duration=duration, downloaded=True)

    def fetch_subtitles(self, destination: Destination, url: str) -> None:
        """Keep the subtitles."""
        self._download_checked(
            destination, url, about="The subtitles", check=self._validator("subtitles"), max_bytes=_MAX_EXTRA_BYTES
        )

    def fetch_thumbnail(self, destination: Destination, url: str) -> None:
        """Keep the picture."""
        self._download_checked(
            destination, url, about="The thumbnail", check=self._validator("thumbnail"), max_bytes=_MAX_EXTRA_BYTES
        )

    @staticmethod
    def thumbnail_path(video: str, url: str) -> str:
        """Give where the picture is kept: beside the video, with the ending of its address."""
        ending = Path(url.partition("?")[0]).suffix.lower()
        return sibling_path(video, ending if ending[1:] in IMAGE_EXTENSIONS else ".jpg")

    def _download_checked(
        self,
        destination: Destination,
        url: str,
        *,
        about: str,
        check: Callable[[DownloadResult, Path], None],
        expected: int | None = None,
        max_bytes: int | None = None,
    ) -> DownloadResult:
        try:
            with destination.temporary() as part:
                _require_room(part.parent, expected)
                with part.open("wb") as file:
                    download = Download(
                        url,
                        file,
                        endpoint=self.endpoint,
                        log=self.log,
                        about=about,
                        project=self.project,
                        max_bytes=max_bytes,
                        time_limit=self.time_limit,
                        cancellation=self.cancellation,
                    )
                    got = download.run()
                    file.flush()
                    os.fsync(file.fileno())
                check(got, part)
                destination.commit(part)
                return got
        except Json2VideoError:
            raise
        except Exception as error:  # whatever a file system raises: nothing stands under the final name
            raise destination.failed(error, "could not be written", project=self.project) from error

    def _check_video(self, got: DownloadResult, part: Path) -> float | None:
        problem, duration = media_error(got.head, got.content_type), None
        size = expected_size(self.movie)
        if problem is None and size is not None and got.length != size:
            problem = f"it has {got.length} bytes, and the service says that the video has {size}"
        if problem is None:
            try:
                with part.open("rb") as file:
                    duration = read_duration(file, got.length)
            except InvalidMp4 as error:
                problem = str(error)
        if problem is None and not durations_match(duration, self.movie):
            expected = self.movie.get("duration")
            problem = f"it lasts {duration:.1f} s, and the service says that the video lasts {expected} s"
        if problem is not None:
            raise VideoCorrupted(
                f"What arrived as the video of render {self.project} is not it: {problem}. It was not kept.",
                project=self.project,
            )
        return duration

    def _validator(self, what: str) -> Callable[[DownloadResult, Path], None]:
        def check(got: DownloadResult, _: Path) -> None:
            problem = media_error(got.head, got.content_type) if got.length else "it is empty"
            if problem is not None:
                raise VideoCorrupted(
                    f"What arrived as the {what} of render {self.project} is not it: {problem}. The video itself is "
                    "kept.",
                    project=self.project,
                )

        return check


def _require_room(folder: Path, needed: int | None) -> None:
    if needed is None:
        return
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"{folder} has {free} bytes free, and the video needs {needed}")
