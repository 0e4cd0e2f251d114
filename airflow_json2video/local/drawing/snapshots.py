"""Draws single frames of a movie or of a video file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from airflow_json2video.local.drawing.assets import Assets
from airflow_json2video.local.drawing.clips import ClipReader, measure
from airflow_json2video.local.drawing.render import open_movie

__all__ = ["FileStills", "MovieStills", "Still", "Stills"]


@dataclass(frozen=True, kw_only=True)
class Still:
    """A picture and its time, in seconds."""

    seconds: float
    picture: Image.Image


class Stills(Protocol):
    """A source of pictures at given times."""

    duration: float
    """Seconds."""

    def at(self, moments: Sequence[float]) -> Iterator[Still]:
        """Yield the pictures at these times, in order."""


class MovieStills:
    """Single frames of a movie.

    :param html: draw html elements with an installed Chromium.
    :raises MovieFault: the movie cannot be rendered.
    """

    def __init__(self, document: Mapping[str, Any], *, assets: Assets, html: bool = False) -> None:
        self._warnings: dict[str, None] = {}
        self.timeline, self._painter = open_movie(document, assets=assets, warn=self._warn, html=html)
        self.duration = self.timeline.duration

    def _warn(self, text: str) -> None:
        self._warnings[text] = None

    @property
    def warnings(self) -> list[str]:
        """The warnings so far."""
        return list(dict.fromkeys([*self.timeline.warnings, *self._warnings]))

    def at(self, moments: Sequence[float]) -> Iterator[Still]:
        """Yield the frame at each time; after the end, the last one."""
        fps, last = self.timeline.fps, self.timeline.frames - 1
        wanted = sorted({max(0, min(last, int(moment * fps + 1e-6))) for moment in moments})
        for frame, picture in self._painter.stills(wanted):
            yield Still(seconds=float(frame / fps), picture=picture)


class FileStills:
    """Single frames of a video file.

    :raises NotMedia: the file is not a video.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.duration = measure(path, kind="video")

    def at(self, moments: Sequence[float]) -> Iterator[Still]:
        """Yield the frame at each time. The file is opened for each one, so that its length does not matter."""
        for moment in sorted(moments):
            # The last frame starts slightly before the end.
            start = max(0.0, min(moment, self.duration - 0.1))
            reader = ClipReader(self._path, seek=start)
            try:
                yield Still(seconds=moment, picture=reader.at(0.0)[1])
            finally:
                reader.close()
