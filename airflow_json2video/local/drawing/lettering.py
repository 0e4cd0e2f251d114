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
_LETTER = 2
"""Characters: a letter with a mark on it."""


def draw_piece(
    mask: Image.Image, piece: Piece, x: float, baseline: float, *, level: int, stroke: int, leaning: bool = False
) -> None:
    """Draw a piece into a grey mask.

    :param x: where it begins, and *baseline*: where it stands, pixels of the mask.
    :param level: how solid it is, 0 to 255.
    :param stroke: pixels around its letters.
    :param leaning: lean it to the right, since there is no italic face.
    """
    fine = _FINE if piece.face.size < _SMALL else 1
    if fine == 1 and not leaning:
        ImageDraw.Draw(mask).text(
            (x, baseline), piece.text, font=piece.face, anchor="ls", fill=level,
            stroke_width=stroke + piece.thick, direction=piece.direction,
        )  # fmt: skip
        return
    left, top = math.floor(x), math.floor(baseline)
    # Single letters are those of an animation, which draws them again at each frame; small ones are kept.
    draw = _kept_tile if fine > 1 and len(piece.text) <= _LETTER else _tile
    tile, aside, above = draw(piece, x - left, baseline - top, stroke, fine, leaning)
    if level < 255:
        tile = tile.point([round(v * level / 255) for v in range(256)])
    left, top = left - aside, top - above
    under = mask.crop((left, top, left + tile.width, top + tile.height))
    mask.paste(ImageChops.lighter(under, tile), (left, top))


def _tile(
    piece: Piece, x: float, baseline: float, stroke: int, fine: int, leaning: bool
) -> tuple[Image.Image, int, int]:
    """Draw a piece whose origin is *x* and *baseline* pixels into the pixel that stands so far in (x, y)."""
    ascent, descent = piece.face.getmetrics()
    stroke += piece.thick
    # Marks of some scripts, and accents on capitals, reach out of the face's own height.
    room = stroke + math.ceil(piece.face.size * 0.4)
    width = math.ceil(piece.face.getlength(piece.text, direction=piece.direction)) + 2 * room + 1
    aside, above = room, ascent + room
    foot = (above + baseline) * fine
    tile = Image.new("L", (width * fine, (above + descent + room + 1) * fine), 0)
    ImageDraw.Draw(tile).text(
        ((aside + x) * fine, foot), piece.text, font=_enlarged(piece.face, fine), anchor="ls", fill=255,
        stroke_width=stroke * fine, direction=piece.direction,
    )  # fmt: skip
    if leaning:
        matrix = (1, _SLANT, -_SLANT * foot, 0, 1, 0)
        tile = tile.transform(tile.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    return tile.reduce(fine), aside, above


_kept_tile = lru_cache(maxsize=512)(_tile)


@lru_cache(maxsize=32)
def _enlarged(face: ImageFont.FreeTypeFont, times: int) -> ImageFont.FreeTypeFont:
    return face if times == 1 else face.font_variant(size=face.size * times)
