"""``mask``: a grayscale picture or clip that sets the opacity of an element. Black is transparent, white opaque."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from airflow_json2video.local.drawing.clips import ClipReader
from airflow_json2video.local.drawing.image_loader import NotAPicture, open_still

if TYPE_CHECKING:
    from airflow_json2video.local.planning.timeline import Layer

__all__ = ["Mask", "mask_of"]

Size = tuple[int, int]


def mask_of(layer: Layer) -> Layer | None:
    """Return the mask of a layer as a layer with its ``src``, to find its file; None if it has no mask."""
    source = layer.element.get("mask")
    if not source or layer.kind == "subtitles":
        return None
    return replace(layer, element={"type": "mask", "src": source})


class Mask:
    """An open mask, stretched to the element's size.

    :raises NotMedia: the file is neither a picture nor a clip.
    """

    def __init__(self, path: Path, size: Size) -> None:
        self._size = size
        self._clip: ClipReader | None = None
        self._made: tuple[Hashable, Image.Image] | None = None
        try:
            self._made = (0, self._to_grayscale(open_still(path).picture))
        except NotAPicture:
            # A mask that is shorter than its element plays again.
            self._clip = ClipReader(path, loops=-1)

    def at(self, seconds: float) -> tuple[Hashable, Image.Image]:
        """Return the mask at a time of the element, and a key that changes with it."""
        if self._clip is not None:
            key, picture = self._clip.at(seconds)
            if self._made is None or self._made[0] != key:
                self._made = (key, self._to_grayscale(picture))
        if self._made is None:
            raise ValueError("a mask must be a picture or a clip")
        return self._made

    def _to_grayscale(self, picture: Image.Image) -> Image.Image:
        if picture.mode == "RGBA":
            # A transparent pixel of the mask is transparent in the element, whatever its color.
            ground = Image.new("RGBA", picture.size, (0, 0, 0, 255))
            picture = Image.alpha_composite(ground, picture)
        return picture.convert("L").resize(self._size, Image.Resampling.BILINEAR)

    def close(self) -> None:
        """Close the file."""
        if self._clip is not None:
            self._clip.close()
