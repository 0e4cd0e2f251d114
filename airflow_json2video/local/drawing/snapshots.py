"""Single frames, of a movie that is not rendered or of a video file, at moments that are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from PIL import Image

from airflow_json2video.local.drawing.assets import Assets
from airflow_json2video.local.drawing.clips import ClipReader, measure
from airflow_json2video.local.drawing.painter import Painter
from airflow_json2video.local.drawing.render import _Render

if TYPE_CHECKING:
    from airflow_json2video.local.planning.timeline import Timeline

__all__ = ["FileStills", "MovieStills", "Still", "Stills"]


@dataclass(frozen=True, kw_only=True)
class Still:
    """A picture and its moment, in seconds."""

    seconds: float
    picture: Image.Image


class Stills(Protocol):
    """Something that gives pictures of moments."""

    duration: float
    """Seconds."""

    def at(self, moments: Sequence[float]) -> Iterator[Still]:
        """Give the pictures of these moments, in order of time."""


class _Ready(Exception):
    """The timeline is known and every file is there."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__()
        self.timeline = timeline


class _Opening(_Render):
    """A render that stops where it would begin to draw."""

    def _draw(self, timeline: Timeline, scratch: Path) -> NoReturn:  # noqa: ARG002 - the render's own
        raise _Ready(timeline)


class MovieStills:
    """Frames of a movie, drawn without those between them.

    :param html: draw ``html`` elements with a Chromium of this machine.
    :raises MovieFault: the movie cannot be rendered.
    """

    def __init__(self, document: Mapping[str, Any], *, assets: Assets, html: bool = False) -> None:
        self._render = _Opening(document, Path(), mode="preview", assets=assets, progress=None, html=html)
        try:
            self._render.run()
        except _Ready as ready:
            self.timeline = ready.timeline
        self._painter = Painter(self.timeline, find=self._render._find, warn=self._render._warn)
        self.duration = self.timeline.duration

    @property
    def warnings(self) -> list[str]:
        """What was not drawn as asked so far."""
        return list(self._render._warnings)

    def at(self, moments: Sequence[float]) -> Iterator[Still]:
        """Give the frame that shows at each moment; a moment past the end gives the last one."""
        fps, last = self.timeline.fps, self.timeline.frames - 1
        wanted = sorted({max(0, min(last, int(moment * fps + 1e-6))) for moment in moments})
        for frame, picture in self._painter.stills(wanted):
            yield Still(seconds=float(frame / fps), picture=picture)


class FileStills:
    """Frames of a video file.

    :raises NotMedia: it is no video.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.duration = measure(path, kind="video")

    def at(self, moments: Sequence[float]) -> Iterator[Still]:
        """Give the frame at each moment; the file is opened at each, so its length costs nothing."""
        for moment in sorted(moments):
            # The last frame begins a little before the end.
            start = max(0.0, min(moment, self.duration - 0.1))
            reader = ClipReader(self._path, seek=start)
            try:
                yield Still(seconds=moment, picture=reader.at(0.0)[1])
            finally:
                reader.close()
