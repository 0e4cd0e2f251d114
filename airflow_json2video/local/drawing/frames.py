"""Converts between Pillow's pictures and PyAV's frames. Typed, unlike PyAV's own functions."""

from __future__ import annotations

from typing import Any

import av
from PIL import Image

__all__ = ["from_image", "to_image"]


def from_image(picture: Image.Image) -> av.VideoFrame:
    """Copy an RGB picture into a frame."""
    make: Any = av.VideoFrame.from_image
    frame: av.VideoFrame = make(picture)
    return frame


def to_image(frame: Any) -> Image.Image:
    """Copy a frame into a picture, with colors converted by its tags: RGBA if it has transparency, else RGB."""
    is_clear = any(component.is_alpha for component in frame.format.components)
    if is_clear and frame.width % 8:
        # FFmpeg converts eight columns at a time, and omits the last ones if there are fewer.
        green, blue, red, alpha = (_picture("L", plane) for plane in frame.reformat(format="gbrap").planes)
        return Image.merge("RGBA", (red, green, blue, alpha))
    # PyAV's to_image() would copy line by line in Python.
    colored = frame.reformat(format="rgba" if is_clear else "rgb24")
    return _picture("RGBA" if is_clear else "RGB", colored.planes[0])


def _picture(mode: str, plane: Any) -> Image.Image:
    size = (plane.width, plane.height)
    return Image.frombytes(mode, size, memoryview(plane), "raw", mode, plane.line_size, 1)
