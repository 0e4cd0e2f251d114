"""Open images and clips."""

from __future__ import annotations

from collections.abc import Hashable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from airflow_json2video.local.drawing.clips import ClipReader
from airflow_json2video.local.drawing.layout import Box
from airflow_json2video.local.drawing.open_layers import OpenLayer, Warn
from airflow_json2video.local.drawing.pictures import PictureProcessor
from airflow_json2video.local.drawing.placement import Sprite
from airflow_json2video.local.drawing.prefetch import Prefetcher
from airflow_json2video.local.planning.plan import number

if TYPE_CHECKING:
    from airflow_json2video.local.planning.timeline import Layer

__all__ = ["ClipLayer", "ImageLayer"]

Size = tuple[int, int]


class ImageLayer(OpenLayer):
    """An image, optionally with a view that moves over it."""

    def __init__(self, layer: Layer, picture: Image.Image, *, size: Size, fps: Fraction, note: Warn) -> None:
        super().__init__(layer, size=size, fps=fps)
        self._processor = PictureProcessor(layer.element, picture.size, size, note=note)
        self._prepared = self._processor.prepared(picture)
        self._prefetcher = Prefetcher(last=layer.first + layer.frames - 1)

    @property
    def box(self) -> Box:
        """Its box on the canvas."""
        return self._processor.box

    def _state_key(self, frame: int) -> Hashable:
        return frame if self._processor.motion else 0

    def _view_at(self, frame: int) -> Image.Image:
        return self._processor.still(self._prepared, self.progress(frame))

    def sprite(self, frame: int) -> Sprite:
        """Return its picture at a frame, without its fades."""
        picture = self._prefetcher.at(frame, self._view_at) if self._processor.motion else self._prepared
        return Sprite(picture, self.box.x, self.box.y)

    def close(self) -> None:
        """Discard the prefetched pictures."""
        self._prefetcher.close()


class ClipLayer(OpenLayer):
    """A clip, at its own speed.

    :raises NotMedia: the file is not a clip.
    """

    def __init__(self, layer: Layer, path: Path, *, size: Size, fps: Fraction, note: Warn) -> None:
        super().__init__(layer, size=size, fps=fps)
        element = layer.element
        loops = int(number(element.get("loop"), 1))
        self._reader = ClipReader(path, seek=number(element.get("seek"), 0), loops=loops or 1)
        self._processor = PictureProcessor(element, self._reader.size, size, note=note)
        self._made: tuple[Hashable, Sprite] | None = None

    @property
    def box(self) -> Box:
        """Its box on the canvas."""
        return self._processor.box

    def _state_key(self, frame: int) -> Hashable:
        return (self._reader.at(self.seconds(frame))[0], frame if self._processor.motion else 0)

    def sprite(self, frame: int) -> Sprite:
        """Return its picture at a frame, without its fades."""
        key = self._state_key(frame)
        if self._made is None or self._made[0] != key:
            picture = self._reader.at(self.seconds(frame))[1]
            self._made = (key, Sprite(self._processor.frame(picture, self.progress(frame)), self.box.x, self.box.y))
        return self._made[1]

    def close(self) -> None:
        """Close its file."""
        self._reader.close()
