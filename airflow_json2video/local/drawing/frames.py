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
    if any(component.is_alpha for component in frame.format.components):
        if frame.width % 8:
            # FFmpeg converts eight columns at a time, and leaves out the last ones where they are fewer.
            green, blue, red, alpha = (_plane(plane) for plane in frame.reformat(format="gbrap").planes)
            return Image.merge("RGBA", (red, green, blue, alpha))
        clear = frame.reformat(format="rgba")
        plane = clear.planes[0]
        size = (clear.width, clear.height)
        return Image.frombuffer("RGBA", size, bytes(plane), "raw", "RGBA", plane.line_size, 1)
    picture: Image.Image = frame.to_image()
    return picture


def _plane(plane: Any) -> Image.Image:
    return Image.frombuffer("L", (plane.width, plane.height), bytes(plane), "raw", "L", plane.line_size, 1)
