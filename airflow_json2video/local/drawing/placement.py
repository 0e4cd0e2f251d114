"""A picture at its position, moved by fractions of a pixel, because rounded positions jitter."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image, ImageChops

__all__ = ["Sprite", "masked", "set_at", "turned"]

_SEEN = Image.Resampling.BILINEAR


@dataclass(frozen=True)
class Sprite:
    """A picture at its position; RGB if it is opaque, which is faster, else RGBA."""

    picture: Image.Image
    x: int
    y: int


def set_at(picture: Image.Image, place: tuple[float, float, float, float]) -> Sprite:
    """Draw a picture into a box (left, top, right, bottom) whose edges can be between pixels."""
    left, top, right, bottom = place
    x, y = math.floor(left) - 1, math.floor(top) - 1
    size = (math.ceil(right) + 1 - x, math.ceil(bottom) + 1 - y)
    across, down = picture.width / max(1e-3, right - left), picture.height / max(1e-3, bottom - top)
    edge = math.ceil(2 * max(across, down)) + 1
    wide = Image.new("RGBA", (picture.width + 2 * edge, picture.height + 2 * edge), (0, 0, 0, 0))
    wide.paste(picture, (edge, edge))
    box = (
        edge + (x - left) * across,
        edge + (y - top) * down,
        edge + (x + size[0] - left) * across,
        edge + (y + size[1] - top) * down,
    )
    return Sprite(wide.resize(size, _SEEN, box=box), x, y)


def turned(sprite: Sprite, angle: float, pivot: tuple[float, float]) -> Sprite:
    """Rotate a sprite clockwise about a point of the canvas.

    :param angle: degrees.
    """
    picture = sprite.picture
    center = (sprite.x + picture.width / 2, sprite.y + picture.height / 2)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    away = (center[0] - pivot[0], center[1] - pivot[1])
    goes = (pivot[0] + away[0] * cos - away[1] * sin, pivot[1] + away[0] * sin + away[1] * cos)
    # The same size at every angle, so that the center does not jump by half a pixel between frames.
    side = math.ceil(math.hypot(*picture.size)) + 2
    size = tuple(side + (side - own) % 2 for own in picture.size)
    x, y = math.floor(goes[0] - size[0] / 2), math.floor(goes[1] - size[1] / 2)
    wide = Image.new("RGBA", (size[0], size[1]), (0, 0, 0, 0))
    wide.paste(picture, ((size[0] - picture.width) // 2, (size[1] - picture.height) // 2))
    rest = (goes[0] - size[0] / 2 - x, goes[1] - size[1] / 2 - y)
    done = wide.rotate(-angle, Image.Resampling.BICUBIC, translate=rest)  # type: ignore[arg-type]
    return Sprite(done, x, y)


def masked(sprite: Sprite, mask: Image.Image, origin: tuple[int, int]) -> Sprite:
    """Apply a grayscale mask, whose corner is at *origin* on the canvas, to a sprite."""
    picture = sprite.picture.convert("RGBA")
    left, top = sprite.x - origin[0], sprite.y - origin[1]
    part = mask.crop((left, top, left + picture.width, top + picture.height))
    alpha = part if sprite.picture.mode == "RGB" else ImageChops.multiply(picture.getchannel("A"), part)
    picture.putalpha(alpha)
    return Sprite(picture, sprite.x, sprite.y)
