"""A contact sheet: small frames in a grid, each with its time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

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
    """Draw frames spread evenly over the length and write the sheet to *path*; gives its size in pixels.

    :raises ValueError: *path* names no format of pictures.
    """
    # Each stands for a part of the length and is taken from its middle: the first and last frame are often black.
    moments = [(number + 0.5) * stills.duration / frames for number in range(frames)]
    sheet = contact_sheet(list(stills.at(moments)), title=f"{title}   {_clock(stills.duration)}", columns=columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    return sheet.size


def contact_sheet(stills: Sequence[Still], *, title: str, columns: int | None = None) -> Image.Image:
    """Lay frames of one size out in a grid under a title."""
    full = stills[0].picture.size
    scale = min(1.0, _TILE / max(full))
    width, height = max(1, round(full[0] * scale)), max(1, round(full[1] * scale))
    columns = min(len(stills), columns or (4 if width >= height else 6))
    rows = -(-len(stills) // columns)
    # A tile is never narrower than its caption, nor the sheet than its title.
    cell = max(width, 64)
    font = ImageFont.truetype(str(_FONTS / "Roboto-Regular.ttf"), 15)
    across = max(_GAP + columns * (cell + _GAP), round(font.getlength(title)) + 2 * _GAP)
    sheet = Image.new("RGB", (across, 2 * _GAP + _LINE + rows * (height + _LINE + _GAP)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, _GAP + _LINE / 2), title, fill=_INK, font=font, anchor="lm")
    for index, still in enumerate(stills):
        row, column = divmod(index, columns)
        x = _GAP + column * (cell + _GAP)
        y = 2 * _GAP + _LINE + row * (height + _LINE + _GAP)
        sheet.paste(still.picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS), (x, y))
        draw.text((x, y + height + _LINE / 2), _clock(still.seconds), fill=_FAINT, font=font, anchor="lm")
    return sheet


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 100), 6000)
    return f"{minutes}:{rest / 100:05.2f}"
