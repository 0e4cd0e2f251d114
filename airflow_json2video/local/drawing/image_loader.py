"""Reads a picture from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from airflow_json2video.local.drawing.pictures import opaque

__all__ = ["NotAPicture", "Still", "open_still"]

Image.MAX_IMAGE_PIXELS = 50_000_000
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")


class NotAPicture(Exception):
    """The file cannot be read as a picture."""


@dataclass(frozen=True)
class Still:
    """A picture, RGB or RGBA, rotated as its EXIF data says; of an animated one the first frame."""

    picture: Image.Image
    animated: bool


def open_still(path: Path) -> Still:
    """Read a picture.

    :raises NotAPicture: another kind of file, a damaged file, or too many pixels.
    """
    try:
        with Image.open(path, formats=_FORMATS) as source:
            animated = bool(getattr(source, "is_animated", False))
            return Still(opaque(ImageOps.exif_transpose(source).convert("RGBA")), animated)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise NotAPicture(str(error)) from None
