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
    """Copy a frame into a picture, its colors converted by its own tags: RGBA if it has transparency, else RGB."""
    is_clear = any(component.is_alpha for component in frame.format.components)
    if is_clear and frame.width % 8:
        # FFmpeg converts eight columns at a time, and leaves out the last ones where they are fewer.
        green, blue, red, alpha = (_picture("L", plane) for plane in frame.reformat(format="gbrap").planes)
        return Image.merge("RGBA", (red, green, blue, alpha))
    # Not by PyAV's own to_image(), which copies line by line in Python.
    colored = frame.reformat(format="rgba" if is_clear else "rgb24")
    return _picture("RGBA" if is_clear else "RGB", colored.planes[0])


def _picture(mode: str, plane: Any) -> Image.Image:
    size = (plane.width, plane.height)
    return Image.frombytes(mode, size, memoryview(plane), "raw", mode, plane.line_size, 1)
