"""Between Pillow's pictures and PyAV's frames; typed here because PyAV's own functions are not."""

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
    """Copy a frame into a picture, its colours converted by its own tags: RGBA if it has transparency, else RGB."""
    mode = "RGBA" if any(component.is_alpha for component in frame.format.components) else "RGB"
    # Not by PyAV's own to_image(), which copies line by line in Python.
    coloured = frame.reformat(format="rgba" if mode == "RGBA" else "rgb24")
    plane = coloured.planes[0]
    return Image.frombytes(mode, (coloured.width, coloured.height), memoryview(plane), "raw", mode, plane.line_size, 1)
