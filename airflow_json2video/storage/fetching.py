"""A file of a render on its way: downloaded into a temporary file, checked, and put in its place."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_json2video.core.storage_path import (
    PICTURES,
    StoredVideo,
    beside,
    durations_match,
    expected_size,
    media_error,
)
from airflow_json2video.exceptions import Json2VideoError, VideoCorrupted
from airflow_json2video.storage.download import Cancellation, Download, DownloadResult
from airflow_json2video.storage.mp4 import InvalidMp4, read_duration

if TYPE_CHECKING:
    from airflow_json2video.api.config import ClientConfig
    from airflow_json2video.storage.destinations import Destination
    from airflow_json2video.task_log import TaskLog

__all__ = ["Fetcher"]

_MOST_BESIDE = 64 * 1024 * 1024
"""Bytes that subtitles or a thumbnail may have."""


@dataclass(frozen=True, kw_only=True)
class Fetcher:
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

    def video(self, destination: Destination) -> StoredVideo:
        """Keep the video.

        :raises StoreError: it was not kept, and nothing of it stands under the final name.
        """
        began = time.monotonic()
        duration: float | None = None

        def check(got: DownloadResult, part: Path) -> None:
            nonlocal duration
            duration = self._duration_of_whole(got, part)

        size = expected_size(self.movie)
        got = self._through(destination, str(self.movie["url"]), about="The video", check=check, expected=size)
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

    def subtitles(self, destination: Destination, url: str) -> None:
        """Keep the subtitles."""
        self._through(destination, url, about="The subtitles", check=self._usable("subtitles"), most=_MOST_BESIDE)

    def thumbnail(self, destination: Destination, url: str) -> None:
        """Keep the picture."""
        self._through(destination, url, about="The thumbnail", check=self._usable("thumbnail"), most=_MOST_BESIDE)

    @staticmethod
    def thumbnail_path(video: str, url: str) -> str:
        """Give where the picture is kept: beside the video, with the ending of its address."""
        ending = Path(url.partition("?")[0]).suffix.lower()
        return beside(video, ending if ending[1:] in PICTURES else ".jpg")

    def _through(
        self,
        destination: Destination,
        url: str,
        *,
        about: str,
        check: Callable[[DownloadResult, Path], None],
        expected: int | None = None,
        most: int | None = None,
    ) -> DownloadResult:
        try:
            with destination.part() as part:
                _require_room(part.parent, expected)
                with part.open("wb") as file:
                    download = Download(
                        url,
                        file,
                        endpoint=self.endpoint,
                        log=self.log,
                        about=about,
                        project=self.project,
                        most=most,
                        time_limit=self.time_limit,
                        cancellation=self.cancellation,
                    )
                    got = download.run()
                    file.flush()
                    os.fsync(file.fileno())
                check(got, part)
                destination.put(part)
                return got
        except Json2VideoError:
            raise
        except Exception as error:  # whatever a file system raises: nothing stands under the final name
            raise destination.failed(error, "could not be written", project=self.project) from error

    def _duration_of_whole(self, got: DownloadResult, part: Path) -> float | None:
        problem, duration = media_error(got.begin, got.content_type), None
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

    def _usable(self, what: str) -> Callable[[DownloadResult, Path], None]:
        def check(got: DownloadResult, _: Path) -> None:
            problem = media_error(got.begin, got.content_type) if got.length else "it is empty"
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
