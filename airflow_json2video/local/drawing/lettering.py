"""Draws pieces of a line into a mask: upright or slanted, and small letters at fractions of a pixel."""

from __future__ import annotations

import math
from functools import lru_cache

from PIL import Image, ImageChops, ImageDraw, ImageFont

from airflow_json2video.local.drawing.typefaces import Piece

__all__ = ["draw_piece"]

_SMALL = 40
"""Font size in pixels below which Pillow's rounding to whole pixels is visible: "b lack quar tz"."""
_FINE = 4
_SLANT = 0.2
_LETTER = 2
"""Maximum characters of one letter with its marks."""


def draw_piece(
    mask: Image.Image, piece: Piece, x: float, baseline: float, *, level: int, stroke: int, slanted: bool = False
) -> None:
    """Draw a piece into a grayscale mask.

    :param x: start of the piece, and *baseline*: its vertical position, in pixels of the mask.
    :param level: opacity, 0 to 255.
    :param stroke: pixels around its letters.
    :param slanted: slant it to the right, since there is no italic face.
    """
    fine = _FINE if piece.face.size < _SMALL else 1
    if fine == 1 and not slanted:
        ImageDraw.Draw(mask).text(
            (x, baseline), piece.text, font=piece.face, anchor="ls", fill=level,
            stroke_width=stroke + piece.thick, direction=piece.direction,
        )  # fmt: skip
        return
    left, top = math.floor(x), math.floor(baseline)
    # Single letters are those of an animation, which draws them at each frame; small ones are cached.
    draw = _cached_tile if fine > 1 and len(piece.text) <= _LETTER else _tile
    tile, aside, above = draw(piece, x - left, baseline - top, stroke, fine, slanted)
    if level < 255:
        tile = tile.point([round(v * level / 255) for v in range(256)])
    left, top = left - aside, top - above
    under = mask.crop((left, top, left + tile.width, top + tile.height))
    mask.paste(ImageChops.lighter(under, tile), (left, top))


def _tile(
    piece: Piece, x: float, baseline: float, stroke: int, fine: int, slanted: bool
) -> tuple[Image.Image, int, int]:
    """Draw a piece whose origin is at the fraction *x* and *baseline* of a pixel."""
    ascent, descent = piece.face.getmetrics()
    stroke += piece.thick
    # Marks of some scripts, and accents on capitals, exceed the height of the face.
    room = stroke + math.ceil(piece.face.size * 0.4)
    width = math.ceil(piece.face.getlength(piece.text, direction=piece.direction)) + 2 * room + 1
    aside, above = room, ascent + room
    foot = (above + baseline) * fine
    tile = Image.new("L", (width * fine, (above + descent + room + 1) * fine), 0)
    ImageDraw.Draw(tile).text(
        ((aside + x) * fine, foot), piece.text, font=_enlarged(piece.face, fine), anchor="ls", fill=255,
        stroke_width=stroke * fine, direction=piece.direction,
    )  # fmt: skip
    if slanted:
        matrix = (1, _SLANT, -_SLANT * foot, 0, 1, 0)
        tile = tile.transform(tile.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    return tile.reduce(fine), aside, above


_cached_tile = lru_cache(maxsize=512)(_tile)


@lru_cache(maxsize=32)
def _enlarged(face: ImageFont.FreeTypeFont, times: int) -> ImageFont.FreeTypeFont:
    return face if times == 1 else face.font_variant(size=face.size * times)
