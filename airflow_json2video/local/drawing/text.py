"""Draws text: wrapped, aligned, with a box. Always at full size, so that a preview wraps like the final video."""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageFilter

from airflow_json2video.local.drawing.compositing import blend, rounded_box
from airflow_json2video.local.drawing.layout import GAP, css_length
from airflow_json2video.local.drawing.lettering import draw_piece
from airflow_json2video.local.drawing.text_settings import read_settings
from airflow_json2video.local.drawing.typefaces import Piece, Typeface, clusters, is_right_to_left

__all__ = ["TextBlock", "draw_text", "wrap"]

Size = tuple[int, int]
State = Callable[[int], tuple[float, float]]
"""Returns opacity and downward offset, in line heights, of a unit: a word or letter that appears separately."""

MAX_TEXT = 10_000


@dataclass(frozen=True)
class _Line:
    text: str
    rtl: bool
    ends: bool
    """Whether it is the last of its paragraph, which is not justified."""


def wrap(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """Wrap a text into lines of at most *width*; a wider word is split."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            candidate = f"{line} {word}" if line else word
            if measure(candidate) <= width:
                line = candidate
                continue
            if line:
                lines.append(line)
            letters = clusters(word)
            while len(letters) > 1 and measure("".join(letters)) > width:
                fits = bisect_right(range(1, len(letters)), width, key=lambda n: measure("".join(letters[:n])))
                cut = max(1, fits)
                lines.append("".join(letters[:cut]))
                letters = letters[cut:]
            line = "".join(letters)
        lines.append(line)
    return lines


def draw_text(
    text: str,
    settings: Mapping[str, Any],
    *,
    area: Size,
    canvas: Size,
    warn: Callable[[str], None],
) -> tuple[Image.Image, int, int]:
    """Draw a text and return its picture and its position in *area* (x, y).

    :param settings: the element's ``settings``: CSS-like.
    :param area: the element's own canvas, pixels.
    :param canvas: the movie's frame, which ``vw`` and ``vh`` refer to.
    """
    block = TextBlock(text, settings, area=area, canvas=canvas, warn=warn)
    return block.picture(), block.x, block.y


class TextBlock:
    """A text laid out in its area, to be drawn completely or as far as it has appeared.

    :param by: ``whole``, ``word`` or ``letter``: the unit that appears separately.
    :param low: maximum offset of a unit downwards, in line heights.
    """

    x: int
    """Position of the picture in the area, pixels."""
    y: int

    def __init__(
        self,
        text: str,
        settings: Mapping[str, Any],
        *,
        area: Size,
        canvas: Size,
        warn: Callable[[str], None],
        by: str = "whole",
        low: float = 0.0,
    ) -> None:
        self._state_key = styling = read_settings(settings, area=area, canvas=canvas, warn=warn)
        self._face = Typeface(size=styling.size, bold=styling.bold, spacing=styling.spacing)
        text = _transformed(_plain(text), styling.transform)
        if lacking := self._face.lacking(text):
            warn(f"no bundled font contains {lacking[:20]!r}; a box is drawn instead")
        top, right, bottom, left = styling.padding
        # A text on the whole frame has the margin of the position presets on both sides.
        usable = area[0] * (1 - 2 * GAP) if area[0] >= canvas[0] else float(area[0])
        room = max(1.0, usable - left - right)
        lines = self._lines(text, room)
        fit = max(1, math.ceil((area[1] - top - bottom) / styling.step))
        if len(lines) > fit:
            warn(f"the text is taller than its area: {len(lines)} lines, of which {fit} fit")
            lines = lines[: fit + 1]
        widths = [self._face.length(line.text, rtl=line.rtl) for line in lines]
        stretched = styling.align == "justify" and any(not line.ends for line in lines)
        inner = room if stretched else max(widths, default=0.0)
        height = round(styling.step * len(lines)) + top + bottom
        self._box = (max(1, min(area[0], round(inner) + left + right)), max(1, height))
        self._radius = css_length(styling.radius, canvas=canvas, whole=self._box[1], em=styling.size, default=0)
        self._margin = self._reach() + math.ceil(low * styling.step)
        # By words even without an animation, so that its letters have the same positions as after one.
        self._pieces = self._placed(lines, widths, "word" if by == "whole" else by)
        self._place(area)

    def _lines(self, text: str, room: float) -> list[_Line]:
        lines = []
        for paragraph in text.split("\n"):
            rtl = is_right_to_left(paragraph)
            broken = wrap(paragraph, room, lambda line, rtl=rtl: self._face.length(line, rtl=rtl))  # type: ignore[misc]
            lines += [_Line(line, rtl, ends=n == len(broken)) for n, line in enumerate(broken, start=1)]
        return lines

    def _reach(self) -> int:
        """Return the margin around the box for shadows, outlines, and glyphs that exceed their advance."""
        far = [max(abs(s.x), abs(s.y)) + 1.5 * s.blur for s in self._state_key.shadows]
        stroke = self._state_key.outline[0] if self._state_key.outline else 0
        return math.ceil(max([self._state_key.size * 0.3, *far]) + stroke)

    def _placed(self, lines: list[_Line], widths: list[float], by: str) -> list[tuple[Piece, float, float]]:
        styling, face = self._state_key, self._face
        top, right, _, left = styling.padding
        inner = self._box[0] - left - right
        placed = []
        unit = 0
        for row, (line, width) in enumerate(zip(lines, widths, strict=True)):
            spare = inner - width
            gaps = line.text.count(" ")
            gap = spare / gaps if styling.align == "justify" and gaps and not line.ends and not line.rtl else 0.0
            x = self._margin + left + _share(styling.align, rtl=line.rtl) * (0.0 if gap else spare)
            between = (styling.step - (face.ascent + face.descent)) / 2
            baseline = self._margin + top + row * styling.step + between + face.ascent
            pieces = face.pieces(line.text, rtl=line.rtl, by=by, first=unit, gap=gap)
            placed += [(piece, x + piece.x, baseline) for piece in pieces]
            unit = max((p.unit for p in pieces), default=unit - 1) + 1
        return placed

    def _place(self, area: Size) -> None:
        width, height = self._box
        # A box at the edge has the same margin as the position presets.
        gap_x = min(round(area[0] * GAP), max(0, (area[0] - width) // 2))
        gap_y = min(round(area[1] * GAP), max(0, (area[1] - height) // 2))
        middle = ((area[0] - width) // 2, (area[1] - height) // 2)
        x = {"left": gap_x, "right": area[0] - width - gap_x}.get(self._state_key.horizontal, middle[0])
        y = {"top": gap_y, "bottom": area[1] - height - gap_y}.get(self._state_key.vertical, middle[1])
        self.x, self.y = x - self._margin, y - self._margin

    def picture(self, state: State | None = None) -> Image.Image:
        """Draw the text; *state* returns what of it has appeared, None: all of it."""
        styling, margin = self._state_key, self._margin
        size = (self._box[0] + 2 * margin, self._box[1] + 2 * margin)
        picture = Image.new("RGBA", size, (0, 0, 0, 0))
        if styling.background[3]:
            shape = Image.new("L", size, 0)
            shape.paste(rounded_box(self._box, self._radius), (margin, margin))
            blend(picture, shape, styling.background)
        letters = self._mask(size, 0, state)
        outer = self._mask(size, styling.outline[0], state) if styling.outline else letters
        for shadow in reversed(styling.shadows):
            fallen = Image.new("L", size, 0)
            fallen.paste(outer, (round(shadow.x), round(shadow.y)))
            soft = fallen.filter(ImageFilter.GaussianBlur(shadow.blur / 2)) if shadow.blur else fallen
            blend(picture, soft, shadow.shade)
        if styling.outline:
            blend(picture, outer, styling.outline[1])
        blend(picture, letters, styling.ink)
        return picture

    def _mask(self, size: Size, stroke: int, state: State | None) -> Image.Image:
        mask = Image.new("L", size, 0)
        for piece, x, baseline in self._pieces:
            solid, low = state(piece.unit) if state else (1.0, 0.0)
            if level := round(255 * solid):
                stands = baseline + low * self._state_key.step
                draw_piece(mask, piece, x, stands, level=level, stroke=stroke, slanted=self._state_key.italic)
        return mask


def _plain(text: str) -> str:
    """Return the text with marks joined to their letters, and with the line breaks of old templates."""
    text = re.sub(r"<br\s*/?>", "\n", text[:MAX_TEXT], flags=re.IGNORECASE).replace("\r\n", "\n")
    return unicodedata.normalize("NFC", text)


def _transformed(text: str, how: str) -> str:
    if how == "uppercase":
        return text.upper()
    if how == "lowercase":
        return text.lower()
    if how == "capitalize":
        return re.sub(r"(?<![^\W_])(?<!['\u2019])[^\W\d_]", lambda m: m.group().upper(), text)
    return text


def _share(align: str, *, rtl: bool) -> float:
    """Return the fraction of a line's free space that is before it."""
    begins, ends = (1.0, 0.0) if rtl else (0.0, 1.0)
    return {"left": 0.0, "right": 1.0, "start": begins, "justify": begins, "end": ends}.get(align, 0.5)
