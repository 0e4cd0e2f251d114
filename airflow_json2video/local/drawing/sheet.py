"""A contact sheet: small frames in a grid, each with its time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageFont

from airflow_json2video.local.drawing.lettering import draw_piece
from airflow_json2video.local.drawing.typefaces import Piece

if TYPE_CHECKING:
    from airflow_json2video.local.drawing.snapshots import Still, Stills

__all__ = ["contact_sheet", "save_sheet"]

_FONTS = Path(__file__).parent / "fonts"
_TILE = 320
_GAP = 12
_LINE = 24
_PAPER, _INK, _FAINT = "#15171c", "#f1f2f4", "#a7adb8"


def save_sheet(
    stills: Stills, path: Path, *, title: str, frames: int = 12, columns: int | None = None
) -> tuple[int, int]:
    """Draw frames at even intervals, write the sheet to *path*, and return its size in pixels.

    :raises ValueError: the suffix of *path* is not an image format.
    """
    # Each is from the middle of its interval, since the first and last frame are often black.
    moments = [(number + 0.5) * stills.duration / frames for number in range(frames)]
    sheet = contact_sheet(list(stills.at(moments)), title=f"{title}   {_clock(stills.duration)}", columns=columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    return sheet.size


def contact_sheet(stills: Sequence[Still], *, title: str, columns: int | None = None, tile: int = _TILE) -> Image.Image:
    """Draw frames of the same size in a grid under a title.

    :param tile: the longer side of a frame on the sheet, pixels.
    """
    full = stills[0].picture.size
    scale = min(1.0, tile / max(full))
    width, height = max(1, round(full[0] * scale)), max(1, round(full[1] * scale))
    columns = min(len(stills), columns or (4 if width >= height else 6))
    rows = -(-len(stills) // columns)
    # A tile is at least as wide as its caption, and the sheet as its title.
    cell = max(width, 64)
    font = ImageFont.truetype(str(_FONTS / "Roboto-Regular.ttf"), 15)
    across = max(_GAP + columns * (cell + _GAP), round(font.getlength(title)) + 2 * _GAP)
    sheet = Image.new("RGB", (across, 2 * _GAP + _LINE + rows * (height + _LINE + _GAP)), _PAPER)
    _write(sheet, title, (_GAP, _GAP), font, _INK)
    for index, still in enumerate(stills):
        row, column = divmod(index, columns)
        x = _GAP + column * (cell + _GAP)
        y = 2 * _GAP + _LINE + row * (height + _LINE + _GAP)
        sheet.paste(still.picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS), (x, y))
        _write(sheet, _clock(still.seconds), (x, y + height), font, _FAINT)
    return sheet


def _write(sheet: Image.Image, words: str, at: tuple[int, int], font: ImageFont.FreeTypeFont, color: str) -> None:
    """Draw a line at its left end *at*, centered in its height."""
    ascent, descent = font.getmetrics()
    mask = Image.new("L", (round(font.getlength(words)) + _GAP, _LINE), 0)
    piece = Piece(words, 0.0, font, 0, None, 0)
    draw_piece(mask, piece, 0, (_LINE + ascent - descent) / 2, level=255, stroke=0)
    sheet.paste(color, at, mask)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 100), 6000)
    return f"{minutes}:{rest / 100:05.2f}"
