"""Store a finished video: download it, check it, and only then write it under its final name."""

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
"""Size limit of subtitles and of a thumbnail, in bytes."""


def store_video(
    movie: Mapping[str, Any],
    *,
    output_path: str,
    hook: Json2VideoHook,
    log: TaskLog,
    fields: Mapping[str, str] | None = None,
    subtitles: bool = False,
    thumbnail: bool = False,
    delete: bool = False,
    time_limit: float = 3600.0,
    cancellation: Cancellation | None = None,
) -> StoredVideo:
    """Store the video of a finished render; it is not downloaded again if it is already stored and complete.

    Memory use is constant: the file passes through a temporary one on a local disk, in blocks. Whatever happens, even
    a kill, the final name never holds an incomplete file, and a repeat is safe.

    :param movie: a result, or the service's movie object as JSON, of a render that is done.
    :param output_path: the path, such as ``s3://my_connection@videos/{item}/{project}.mp4``; single braces are
        placeholders, and ``{project}.mp4`` is added to a path that ends in a slash.
    :param hook: its connection's proxy and certificate authorities are used. The API key is not sent to the file's
        host.
    :param fields: values of the placeholders; ``project`` is taken from *movie*.
    :param subtitles: also store the render's ASS file next to the video, if it has one.
    :param thumbnail: also store the render's thumbnail.
    :param delete: delete JSON2Video's copy after the stored file has been verified.
    :param time_limit: seconds for the download of each file. :param cancellation: ends the downloads early.
    :raises ConfigurationError: the path cannot be formatted, or its file system does not exist.
    :raises RenderExpired: the service has deleted the file, and it is not stored either.
    :raises StoreError: the video was not stored; ``retryable`` says whether another try can help.
    """
    project = str(movie["project"])
    path = format_path(output_path, {**(fields or {}), "project": project})
    destination = get_destination(path)
    config = hook.client.config
    fetcher = _Fetcher(movie=movie, config=config, log=log, time_limit=time_limit, cancellation=cancellation)
    names_project = "project" in placeholders(output_path)
    try:
        stored = _find(destination, movie, names_project=names_project, log=log)
    except DestinationFailed as error:
        # The worker may only write there. Before a deletion the stored file must be readable.
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
    movie: Mapping[str, Any], *, output_path: str, log: TaskLog, fields: Mapping[str, str] | None = None
) -> StoredVideo | None:
    """Return the stored video of a render; None if it does not exist, is incomplete, or may be another render's.

    A render whose file the service has deleted need not be paid for again if it is found here.

    :param movie: as in :func:`store_video`; its ``url`` may be missing.
    :raises StoreError: the destination does not respond, so that it is unknown.
    """
    path = format_path(output_path, {**(fields or {}), "project": str(movie["project"])})
    return _find(get_destination(path), movie, names_project="project" in placeholders(output_path), log=log)


def _find(
    destination: Destination, movie: Mapping[str, Any], *, names_project: bool, log: TaskLog
) -> StoredVideo | None:
    project = str(movie["project"])
    existing = destination.stat(project=project)
    if existing is None:
        return None
    size = existing.size or 0
    if not matches_stored_file(movie, names_project=names_project, size=size, modified=existing.modified):
        log.info("%s exists, but could not be identified as the video of render %s.", destination.path, project)
        return None
    try:
        with destination.open() as file:
            duration = read_duration(file, size)
    except (InvalidMp4, PermissionError):
        return None
    except Exception as error:
        raise destination.failure(error, "could not be read", project=project) from error
    if not durations_match(duration, movie):
        return None
    log.info("Render %s is already stored: %s (%d bytes).", project, destination.path, size)
    return StoredVideo(path=destination.path, bytes=size, duration=duration, downloaded=False)


def _require_own_file(destination: Destination, movie: Mapping[str, Any], *, project: str) -> None:
    existing = destination.stat(project=project)
    if existing is not None and not may_be_overwritten(movie, modified=existing.modified):
        raise DestinationFailed(
            f"{destination.path!r} was written by another task or run while render {project} ran. With "
            "delete_remote it may be the only copy of another video, so it is not overwritten.",
            project=project,
            retryable=False,
            advice="Move that file and clear the task: it stores this render without paying again, as long as its file "
            "is available at JSON2Video (seven days). With {project} in output_path each video has its own name.",
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
    """Return the path of what an earlier attempt stored before it deleted the service's files."""
    if not video.downloaded and destination.stat(project=fetcher.project) is not None:
        return destination.path
    fetcher.log.warning("Render %s has no %s; nothing to store.", fetcher.project, what)
    return None


def _delete(destination: Destination, stored: StoredVideo, *, hook: Json2VideoHook, log: TaskLog, project: str) -> bool:
    # After the deletion there is no other copy.
    existing = destination.stat(project=project)
    if existing is None or existing.size != stored.bytes:
        raise DestinationFailed(
            f"{stored.path!r} has changed since it was stored ({stored.bytes} bytes), so JSON2Video's copy of render "
            f"{project} was not deleted.",
            project=project,
        )
    try:
        hook.delete_movie(project)
    except Json2VideoError as error:
        log.warning("Could not delete JSON2Video's copy of render %s: %s", project, error)
        return False
    log.info("Deleted JSON2Video's copy of render %s; it is stored at %s.", project, stored.path)
    return True


def _text(movie: Mapping[str, Any], *names: str) -> str | None:
    return next((value for name in names if isinstance(value := movie.get(name), str) and value), None)


@dataclass(frozen=True, kw_only=True)
class _Fetcher:
    """Downloads, checks and stores the files of one render.

    :ivar movie: the service's movie object, or a result. :ivar config: of the connection; its key is not used.
    :ivar time_limit: seconds for each file. :ivar cancellation: ends the downloads early.
    """

    movie: Mapping[str, Any]
    config: ClientConfig
    log: TaskLog
    time_limit: float
    cancellation: Cancellation | None = None

    @property
    def project(self) -> str:
        """The render."""
        return str(self.movie["project"])

    def fetch_video(self, destination: Destination) -> StoredVideo:
        """Store the video.

        :raises StoreError: it was not stored, and the final name does not hold an incomplete file.
        """
        started = time.monotonic()
        duration: float | None = None

        def check(downloaded: DownloadResult, part: Path) -> None:
            nonlocal duration
            duration = self._check_video(downloaded, part)

        size = expected_size(self.movie)
        downloaded = self._download_checked(
            destination, str(self.movie["url"]), what="The video", check=check, expected=size
        )
        self.log.info(
            "Stored render %s to %s (%d bytes, %s s of video) in %.1f s%s.",
            self.project,
            destination.path,
            downloaded.length,
            "an unknown number of" if duration is None else f"{duration:.1f}",
            time.monotonic() - started,
            f", resumed {downloaded.resumed} times" if downloaded.resumed else "",
        )
        return StoredVideo(path=destination.path, bytes=downloaded.length, duration=duration, downloaded=True)

    def fetch_subtitles(self, destination: Destination, url: str) -> None:
        """Store the subtitles."""
        self._download_checked(
            destination, url, what="The subtitles", check=self._validator("subtitles"), max_bytes=_MAX_EXTRA_BYTES
        )

    def fetch_thumbnail(self, destination: Destination, url: str) -> None:
        """Store the thumbnail."""
        self._download_checked(
            destination, url, what="The thumbnail", check=self._validator("thumbnail"), max_bytes=_MAX_EXTRA_BYTES
        )

    @staticmethod
    def thumbnail_path(video: str, url: str) -> str:
        """Return the path of the thumbnail: next to the video, with the suffix of its URL."""
        ending = Path(url.partition("?")[0]).suffix.lower()
        return sibling_path(video, ending if ending[1:] in IMAGE_EXTENSIONS else ".jpg")

    def _download_checked(
        self,
        destination: Destination,
        url: str,
        *,
        what: str,
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
                        config=self.config,
                        log=self.log,
                        what=what,
                        project=self.project,
                        max_bytes=max_bytes,
                        time_limit=self.time_limit,
                        cancellation=self.cancellation,
                    )
                    downloaded = download.run()
                    file.flush()
                    os.fsync(file.fileno())
                check(downloaded, part)
                destination.commit(part)
                return downloaded
        except Json2VideoError:
            raise
        except Exception as error:  # whatever a file system raises: the final name is untouched
            raise destination.failure(error, "could not be written", project=self.project) from error

    def _check_video(self, downloaded: DownloadResult, part: Path) -> float | None:
        problem, duration = media_error(downloaded.head, downloaded.content_type), None
        size = expected_size(self.movie)
        if problem is None and size is not None and downloaded.length != size:
            problem = f"it has {downloaded.length} bytes, expected {size}"
        if problem is None:
            try:
                with part.open("rb") as file:
                    duration = read_duration(file, downloaded.length)
            except InvalidMp4 as error:
                problem = str(error)
        if problem is None and not durations_match(duration, self.movie):
            expected = self.movie.get("duration")
            problem = f"it lasts {duration:.1f} s, expected {expected} s"
        if problem is not None:
            raise VideoCorrupted(
                f"The file downloaded for render {self.project} is not its video ({problem}). Nothing was stored.",
                project=self.project,
            )
        return duration

    def _validator(self, what: str) -> Callable[[DownloadResult, Path], None]:
        def check(downloaded: DownloadResult, _: Path) -> None:
            problem = media_error(downloaded.head, downloaded.content_type) if downloaded.length else "it is empty"
            if problem is not None:
                raise VideoCorrupted(
                    f"The file downloaded as the {what} of render {self.project} is not usable ({problem}). The video "
                    "itself is stored.",
                    project=self.project,
                )

        return check


def _require_room(folder: Path, needed: int | None) -> None:
    if needed is None:
        return
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"{folder} has {free} bytes free, the video needs {needed}")
