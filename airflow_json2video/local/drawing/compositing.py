"""Blends colors over a picture through grayscale masks, and draws the mask of a box with round corners."""

from __future__ import annotations

from PIL import Image, ImageDraw

from airflow_json2video.local.planning.colors import RGBA

__all__ = ["blend", "rounded_box"]


def blend(picture: Image.Image, shape: Image.Image, shade: RGBA, at: tuple[int, int] = (0, 0)) -> None:
    """Blend a color over an RGBA picture through a mask whose corner is at *at*."""
    layer = Image.new("RGBA", shape.size, (*shade[:3], 0))
    layer.putalpha(shape if shade[3] == 255 else shape.point([round(v * shade[3] / 255) for v in range(256)]))
    picture.alpha_composite(layer, at)


def rounded_box(size: tuple[int, int], radius: float) -> Image.Image:
    """Draw the mask of a box whose corners are round and smooth.

    :param size: pixels, and *radius* too.
    """
    shape = Image.new("L", size, 255)
    r = int(min(radius, size[0] / 2, size[1] / 2))
    if r < 1:
        return shape
    # A very large corner would need too much memory for a smoother edge, which would not be visible.
    fine = 4 if r <= 500 else 2
    large = Image.new("L", (r * fine, r * fine), 0)
    ImageDraw.Draw(large).ellipse((0, 0, r * 2 * fine - 1, r * 2 * fine - 1), fill=255)
    corner = large.reduce(fine)
    turns = Image.Transpose
    right, below = size[0] - r, size[1] - r
    shape.paste(corner, (0, 0))
    shape.paste(corner.transpose(turns.FLIP_LEFT_RIGHT), (right, 0))
    shape.paste(corner.transpose(turns.FLIP_TOP_BOTTOM), (0, below))
    shape.paste(corner.transpose(turns.ROTATE_180), (right, below))
    return shape
