"""Pieces of a line drawn into a mask: upright or leaning, and between the pixels where letters are small."""

from __future__ import annotations

import math
from functools import lru_cache

from PIL import Image, ImageChops, ImageDraw, ImageFont

from airflow_json2video.local.drawing.typefaces import Piece

__all__ = ["draw_piece"]

_SMALL = 40
"""Pixels of font size below which it shows that Pillow sets letters on whole pixels: "b lack quar tz"."""
_FINE = 4
_SLANT = 0.2


def draw_piece(
    mask: Image.Image, piece: Piece, x: float, baseline: float, *, level: int, stroke: int, leaning: bool = False
) -> None:
    """Draw a piece into a grey mask.

    :param x: where it begins, and *baseline*: where it stands, pixels of the mask.
    :param level: how solid it is, 0 to 255.
    :param stroke: pixels around its letters.
    :param leaning: lean it to the right, since there is no italic face.
    """
    size = piece.face.size
    fine = _FINE if size < _SMALL else 1
    stroke += piece.thick
    if fine == 1 and not leaning:
        ImageDraw.Draw(mask).text(
            (x, baseline), piece.text, font=piece.face, anchor="ls", fill=level,
            stroke_width=stroke, direction=piece.direction,
        )  # fmt: skip
        return
    ascent, descent = piece.face.getmetrics()
    # Marks of some scripts, and accents on capitals, reach out of the face's own height.
    room = stroke + math.ceil(size * 0.4)
    width = math.ceil(piece.face.getlength(piece.text, direction=piece.direction)) + 2 * room + 1
    left, top = math.floor(x) - room, math.floor(baseline) - ascent - room
    foot = (baseline - top) * fine
    tile = Image.new("L", (width * fine, (ascent + descent + 2 * room + 1) * fine), 0)
    ImageDraw.Draw(tile).text(
        ((x - left) * fine, foot), piece.text, font=_enlarged(piece.face, fine), anchor="ls", fill=level,
        stroke_width=stroke * fine, direction=piece.direction,
    )  # fmt: skip
    if leaning:
        matrix = (1, _SLANT, -_SLANT * foot, 0, 1, 0)
        tile = tile.transform(tile.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    tile = tile.reduce(fine)
    under = mask.crop((left, top, left + tile.width, top + tile.height))
    mask.paste(ImageChops.lighter(under, tile), (left, top))


@lru_cache(maxsize=32)
def _enlarged(face: ImageFont.FreeTypeFont, times: int) -> ImageFont.FreeTypeFont:
    return face if times == 1 else face.font_variant(size=face.size * times)
