"""Processes the pictures of an image or a clip: crop, flip, size, colors, view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps

from airflow_json2video.local.drawing.correction import Correction
from airflow_json2video.local.drawing.layout import Box, fitted, motion_of, placed, turn_of
from airflow_json2video.local.planning.plan import number

if TYPE_CHECKING:
    from airflow_json2video.local.drawing.chroma import ChromaKey

__all__ = ["PictureProcessor", "opaque"]

Size = tuple[int, int]
Part = tuple[float, float, float, float]
"""Left, top, right and bottom, as fractions of a picture."""

_ALL: Part = (0.0, 0.0, 1.0, 1.0)


class PictureProcessor:
    """The processing of an element's pictures, computed once.

    :param natural: size of the source, pixels.
    :param note: called for values that cannot be used.
    """

    box: Box
    """The box of the pictures on the canvas."""

    def __init__(self, element: Mapping[str, Any], natural: Size, canvas: Size, *, note: Callable[[str], None]) -> None:
        self._flips = (element.get("flip-horizontal") is True, element.get("flip-vertical") is True)
        self._crop = _crop(element.get("crop"), natural)
        self._correction = Correction.read(element, note)
        self._key = _key(element, note)
        self.motion = motion_of(element)
        cut = (self._crop[2] - self._crop[0], self._crop[3] - self._crop[1]) if self._crop else natural
        whole = placed(element, fitted(element, cut, canvas), canvas)
        self.box, self._part = whole, _ALL
        moves_whole = self.motion is not None and not self.motion.crop
        # With cover, the part outside the canvas is never visible; cropping it keeps pan and zoom inside the frame.
        if element.get("resize") in ("cover", "fill") and turn_of(element) is None and not moves_whole:
            self.box, self._part = _inside(whole, canvas)

    def prepared(self, picture: Image.Image) -> Image.Image:
        """Process a still once, as each picture of a clip."""
        source = self._source(picture)
        wide, high = (self._part[2] - self._part[0]) * source.width, (self._part[3] - self._part[1]) * source.height
        # A picture that is zoomed into is prepared larger than its box, if it has the pixels.
        spare = min(wide / self.box.width, high / self.box.height)
        factor = max(1.0, min(self.motion.nearest if self.motion else 1.0, spare))
        size = (round(self.box.width * factor), round(self.box.height * factor))
        return self._colored(_view(source, self._part, size, Image.Resampling.LANCZOS))

    def still(self, prepared: Image.Image, progress: float) -> Image.Image:
        """Return the view of a prepared picture at *progress*, 0 to 1 of the element's time."""
        if self.motion is None:
            return prepared
        return _view(prepared, self.motion.window(progress, (1, 1)), (self.box.width, self.box.height))

    def frame(self, picture: Image.Image, progress: float) -> Image.Image:
        """Return the view of a picture of a clip at *progress*."""
        part = self._part
        if self.motion is not None:
            left, top, right, bottom = self.motion.window(progress, (1, 1))
            wide, high = part[2] - part[0], part[3] - part[1]
            part = (part[0] + left * wide, part[1] + top * high, part[0] + right * wide, part[1] + bottom * high)
        return self._colored(_view(self._source(picture), part, (self.box.width, self.box.height)))

    def _source(self, picture: Image.Image) -> Image.Image:
        if self._crop:
            picture = picture.crop(self._crop)
        if self._flips[0]:
            picture = ImageOps.mirror(picture)
        return ImageOps.flip(picture) if self._flips[1] else picture

    def _colored(self, picture: Image.Image) -> Image.Image:
        # The key comes first, since it is a color of the source.
        if self._key is not None:
            picture = self._key.keyed(picture)
        return self._correction.corrected(picture) if self._correction else picture


def opaque(picture: Image.Image) -> Image.Image:
    """Remove an alpha channel that is fully opaque."""
    return picture.convert("RGB") if picture.getchannel("A").getextrema() == (255, 255) else picture


def _key(element: Mapping[str, Any], note: Callable[[str], None]) -> ChromaKey | None:
    if "chroma-key" not in element:
        return None
    # NumPy is imported only for a movie that needs it, since it takes a third of a worker's start.
    from airflow_json2video.local.drawing.chroma import ChromaKey

    return ChromaKey.read(element, note)


def _crop(crop: Any, natural: Size) -> tuple[int, int, int, int] | None:
    if not isinstance(crop, Mapping):
        return None
    x, y = number(crop.get("x"), 0), number(crop.get("y"), 0)
    edges = (x, y, x + number(crop.get("width"), 0), y + number(crop.get("height"), 0))
    left, top, right, bottom = (round(max(0.0, min(e, natural[i % 2]))) for i, e in enumerate(edges))
    return (left, top, right, bottom) if right > left and bottom > top else None


def _inside(box: Box, canvas: Size) -> tuple[Box, Part]:
    """Return the part of a box that is on the canvas, and the same part as fractions of the box."""
    left, top = max(0, -box.x), max(0, -box.y)
    right, bottom = min(box.width, canvas[0] - box.x), min(box.height, canvas[1] - box.y)
    if right <= left or bottom <= top:
        return box, _ALL
    part = (left / box.width, top / box.height, right / box.width, bottom / box.height)
    return Box(box.x + left, box.y + top, right - left, bottom - top), part


def _view(
    picture: Image.Image, part: Part, size: Size, filter_: Image.Resampling = Image.Resampling.BILINEAR
) -> Image.Image:
    if part == _ALL and size == picture.size:
        return picture
    width, height = picture.size
    # A window at fractions of a pixel prevents a slow zoom from jittering.
    edges = (part[0] * width, part[1] * height, min(part[2] * width, width), min(part[3] * height, height))
    return picture.resize(size, filter_, box=(max(0.0, edges[0]), max(0.0, edges[1]), edges[2], edges[3]))
