"""Draws subtitles over everything else."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageFont, features

from airflow_json2video.local.drawing.compositing import blend, rounded_box
from airflow_json2video.local.drawing.layout import GAP
from airflow_json2video.local.drawing.lettering import draw_piece
from airflow_json2video.local.drawing.open_layers import OpenLayer
from airflow_json2video.local.drawing.placement import Sprite
from airflow_json2video.local.drawing.typefaces import Piece
from airflow_json2video.local.planning.captions import Line, read_captions
from airflow_json2video.local.planning.subtitle_style import SubtitleStyle, read_style

if TYPE_CHECKING:
    from airflow_json2video.local.planning.timeline import Layer

__all__ = ["SubtitlesLayer"]

_FONTS = Path(__file__).parent / "fonts"
_NO_CHARACTER = "\U0010ffff"
# The layout engine that joins Arabic letters; Pillow's wheels include it.
_SHAPES = bool(features.check("raqm"))


@dataclass(frozen=True)
class _Placed:
    """A word in the picture of its line."""

    text: str
    x: float
    width: float
    row: int


class SubtitlesLayer(OpenLayer):
    """Draws the lines of an ASS file that :func:`.planning.subtitling.subtitles_ass` built.

    :param captions: the file; None: nothing is drawn.
    """

    def __init__(self, layer: Layer, captions: Path | None, *, size: tuple[int, int], fps: Fraction) -> None:
        super().__init__(layer, size=size, fps=fps)
        self._style = read_style(layer.element, width=size[0], warn=lambda _: None)
        self._lines = read_captions(captions.read_text(encoding="utf-8")) if captions is not None else []
        self._next = 0
        self._made: tuple[Hashable, Sprite] | None = None

    def _now(self, frame: int) -> tuple[int, int] | None:
        """Return the line at a frame, and the spoken word; -1: none yet, or unknown."""
        # The middle of the frame, so that a time rounded to hundredths does not shift a word by a frame.
        moment = float((frame + Fraction(1, 2)) / self._fps)
        if self._next and self._lines[self._next].start > moment:
            self._next = 0
        while self._next + 1 < len(self._lines) and self._lines[self._next + 1].start <= moment:
            self._next += 1
        # A later line replaces one that has not ended.
        for index in range(self._next, -1, -1):
            line = self._lines[index] if self._lines else None
            if line is not None and line.start <= moment < line.end:
                if not line.timed:
                    return index, -1
                said = [i for i, word in enumerate(line.words) if word.start <= moment + 0.005]
                return index, (said[-1] if said else -1)
            if self._next - index > 20:
                break
        return None

    def visible(self, frame: int) -> bool:
        """Return whether a line shows at a frame."""
        return super().visible(frame) and self._now(frame) is not None

    def key(self, frame: int) -> Hashable:
        """Return the line and the word at a frame."""
        return self._now(frame)

    def sprite(self, frame: int) -> Sprite:
        """Return the line at a frame, with its word highlighted."""
        now = self._now(frame)
        if now is None:
            return Sprite(Image.new("RGBA", (1, 1), (0, 0, 0, 0)), 0, 0)
        if self._made is None or self._made[0] != now:
            self._made = (now, _drawn(self._lines[now[0]], now[1], self._style, self._size))
        return self._made[1]


def _drawn(line: Line, said: int, styling: SubtitleStyle, canvas: tuple[int, int]) -> Sprite:
    """Draw a line; *said* is the index of the spoken word, or -1."""
    style = styling.style if line.timed else {"boxed-line": "boxed-line"}.get(styling.style, "classic")
    texts = [word.text for word in line.words]
    breaks = [word.breaks for word in line.words]
    if style == "classic-one-word":
        texts, breaks, said = ([texts[said]], [False], 0) if said >= 0 else ([], [], -1)
    pad_x = round(styling.size * 0.3) if style.startswith("boxed") else 0
    pad_y = round(styling.size * 0.12) if style.startswith("boxed") else 0
    edge = styling.outline_width + abs(styling.shadow_offset)
    usable = canvas[0] * (1 - 2 * GAP) - 2 * (pad_x + edge)
    spacing = 1.6 if style == "boxed-word" else 1.1
    size = styling.size
    while True:
        font, thick = _fitting(texts, size, max(8.0, usable), bold=styling.bold)
        words, widths, rtl = _rows(texts, breaks, font, usable, column=styling.column, spacing=spacing)
        ascent, descent = font.getmetrics()
        step = ascent + descent + 2 * pad_y
        if step * len(widths) + 2 * edge <= canvas[1] * (1 - 2 * GAP) or size <= 8:
            break
        size *= 0.9  # too many rows for the frame
    margin_x, margin_y = pad_x + edge + thick + 2, pad_y + edge + thick + 2
    block = max(widths, default=1)
    width, height = round(block) + 2 * margin_x, step * max(1, len(widths)) + 2 * margin_y
    picture = Image.new("RGBA", (width, height), (0, 0, 0, 0))

    def top(row: int) -> int:
        return margin_y + row * step + pad_y

    def box(left: float, right: float, row: int) -> None:
        at = (round(left), top(row) - pad_y)
        blend(picture, rounded_box((round(right) - at[0], step), styling.size * 0.15), styling.box, at)

    if style == "boxed-line":
        for row, long in enumerate(widths):
            left = margin_x + _spare(block - long, styling.column)
            box(left - pad_x, left + long + pad_x, row)
    if style == "boxed-word" and 0 <= said < len(words):
        word = words[said]
        box(margin_x + word.x - pad_x * 0.6, margin_x + word.x + word.width + pad_x * 0.6, word.row)
    shown = {i: w for i, w in enumerate(words) if style != "classic-progressive" or i <= said}
    direction = "rtl" if rtl and _SHAPES else None

    def letters(some: Iterable[_Placed], stroke: int = 0, offset: int = 0) -> Image.Image:
        mask = Image.new("L", picture.size, 0)
        for word in some:
            piece = Piece(word.text, 0.0, font, thick, direction, 0)
            baseline = top(word.row) + ascent + offset
            draw_piece(mask, piece, margin_x + word.x + offset, baseline, level=255, stroke=stroke)
        return mask

    if styling.shadow_offset:
        blend(picture, letters(shown.values(), styling.outline_width, styling.shadow_offset), styling.shadow)
    if styling.outline_width:
        blend(picture, letters(shown.values(), styling.outline_width), styling.outline)
    blend(picture, letters(w for i, w in shown.items() if i != said), styling.line)
    blend(picture, letters(w for i, w in shown.items() if i == said), styling.word)
    return Sprite(picture, *_position(styling, (width, height), (margin_x, margin_y), canvas))


def _spare(room: float, column: str) -> float:
    return {"left": 0.0, "right": room}.get(column, room / 2)


def _rows(
    texts: list[str], breaks: list[bool], font: ImageFont.FreeTypeFont, usable: float, *, column: str, spacing: float
) -> tuple[list[_Placed], list[float], bool]:
    """Lay words out in rows; return their positions, the width of each row, and whether they run right to left."""
    rtl = sum(_is_rtl(t) for t in texts) * 2 > len(texts)
    direction = "rtl" if rtl and _SHAPES else None
    widths = [font.getlength(text, direction=direction) for text in texts]
    gap = font.getlength(" ") * spacing
    rows: list[list[int]] = []
    for index, width in enumerate(widths):
        taken = sum(widths[i] + gap for i in rows[-1]) if rows else 0.0
        if not rows or breaks[index] or taken + width > usable:
            rows.append([])
        rows[-1].append(index)
    lengths = [sum(widths[i] for i in row) + gap * (len(row) - 1) for row in rows]
    block = max(lengths, default=0.0)
    placed: dict[int, _Placed] = {}
    for number_, row in enumerate(rows):
        x = _spare(block - lengths[number_], column)
        for index in reversed(row) if rtl else row:
            placed[index] = _Placed(texts[index], x, widths[index], number_)
            x += widths[index] + gap
    return [placed[i] for i in range(len(texts))], lengths, rtl


def _position(
    styling: SubtitleStyle, size: tuple[int, int], margin: tuple[int, int], canvas: tuple[int, int]
) -> tuple[int, int]:
    """Return the position of a block, inside the frame and with a margin of 5 % around its letters."""
    width, height = size[0] - 2 * margin[0], size[1] - 2 * margin[1]
    if styling.center is not None:
        x, y = styling.center[0] - width / 2, styling.center[1] - height / 2
    else:
        gap_x, gap_y = canvas[0] * GAP, canvas[1] * GAP
        x = gap_x + _spare(canvas[0] - 2 * gap_x - width, styling.column)
        y = {
            "top": gap_y,
            "mid-top": canvas[1] * 0.25 - height / 2,
            "center": (canvas[1] - height) / 2,
            "mid-bottom": canvas[1] * 0.75 - height / 2,
        }.get(styling.row, canvas[1] - gap_y - height)
    x = max(0.0, min(canvas[0] - width, x)) if width < canvas[0] else (canvas[0] - width) / 2
    y = max(0.0, min(canvas[1] - height, y)) if height < canvas[1] else 0.0
    return round(x) - margin[0], round(y) - margin[1]


# Letters


@lru_cache(maxsize=32)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(_FONTS / name), size)


@lru_cache(maxsize=4096)
def _has(name: str, character: str) -> bool:
    font = _font(name, 24)
    return not character.isprintable() or bytes(font.getmask(character)) != bytes(font.getmask(_NO_CHARACTER))


def _fitting(texts: list[str], size: float, usable: float, *, bold: bool) -> tuple[ImageFont.FreeTypeFont, int]:
    """Return a bundled face with all letters, small enough for the longest word, and its extra thickness."""
    letters = {c for text in texts for c in text if not c.isspace()}
    name = "Roboto-Bold.ttf" if bold else "Roboto-Regular.ttf"
    thick = 0
    if not all(_has(name, c) for c in letters) and any(_has("DejaVuSans.ttf", c) for c in letters):
        name, thick = "DejaVuSans.ttf", (max(1, round(size / 40)) if bold else 0)
    font = _font(name, round(size))
    longest = max((font.getlength(text) for text in texts), default=0.0)
    if longest > usable:
        font = _font(name, max(6, int(size * usable / longest)))
    return font, thick


def _is_rtl(text: str) -> bool:
    return any("\u0590" <= c <= "\u08ff" or "\ufb1d" <= c <= "\ufefc" for c in text)
