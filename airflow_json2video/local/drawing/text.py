"""Text as a picture: wrapped, aligned, boxed. Always at full size, so that a preview wraps as the film does."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from airflow_json2video.local.drawing.layout import GAP, css_length
from airflow_json2video.local.planning.colours import RGBA, colour

__all__ = ["draw_text", "wrap"]

_FONTS = Path(__file__).parent / "fonts"
MAX_TEXT = 10_000
_KNOWN = {
    "font-family", "font-size", "font-weight", "font-color", "color", "background-color", "text-align", "line-height",
    "padding", "vertical-position", "horizontal-position", "vertical-align", "border-radius", "text-shadow",
    "text-transform",
}  # fmt: skip


@lru_cache(maxsize=64)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(_FONTS / name), size)


@lru_cache(maxsize=4096)
def _has(name: str, character: str) -> bool:
    """Whether a font has a glyph: what it has not is drawn as the glyph of a character that is none."""
    if character.isspace() or not character.isprintable():
        return True
    font = _font(name, 24)
    return bytes(font.getmask(character)) != bytes(font.getmask("\U0010ffff"))


def _font_for(text: str, *, bold: bool, warn: Callable[[str], None]) -> str:
    """Choose a bundled font that has every character: Roboto, else DejaVu Sans."""
    wanted = "Roboto-Bold.ttf" if bold else "Roboto-Regular.ttf"
    if all(_has(wanted, c) for c in set(text)):
        return wanted
    if lacking := "".join(sorted({c for c in text if not _has("DejaVuSans.ttf", c)})):
        warn(f"no bundled font has {lacking[:20]!r}; a box is drawn instead")
    return "DejaVuSans.ttf"


def wrap(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """Break a text into lines no wider than *width*; a word that is wider is broken."""
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
            while len(word) > 1 and measure(word) > width:
                cut = next((n for n in range(len(word) - 1, 0, -1) if measure(word[:n]) <= width), 1)
                lines.append(word[:cut])
                word = word[cut:]
            line = word
        lines.append(line)
    return lines


def draw_text(
    text: str,
    settings: Mapping[str, Any],
    *,
    area: tuple[int, int],
    canvas: tuple[int, int],
    warn: Callable[[str], None],
) -> tuple[Image.Image, int, int]:
    """Draw a text and give its picture and where it stands in *area* (x, y).

    :param settings: the element's ``settings``: CSS-like.
    :param area: the element's own canvas, pixels.
    :param canvas: the movie's frame, which ``vw`` and ``vh`` refer to.
    """
    text = re.sub(r"<br\s*/?>", "\n", text, flags=re.IGNORECASE)[:MAX_TEXT]
    if settings.get("text-transform") == "uppercase":
        text = text.upper()
    if unknown := sorted(set(settings) - _KNOWN):
        warn(f"settings not drawn: {', '.join(unknown)}")
    family = str(settings.get("font-family") or "Roboto")
    if family.lower() != "roboto":
        warn(f"the font '{family}' is replaced by a bundled one")
    size = css_length(settings.get("font-size"), canvas=canvas, whole=area[0], em=16, default=canvas[0] * 0.05)
    size = max(4.0, min(1000.0, size))
    weight = str(settings.get("font-weight") or "400")
    bold = weight in ("bold", "bolder") or (weight.isdigit() and int(weight) >= 600)
    font = _font(_font_for(text, bold=bold, warn=warn), round(size))

    background = colour(settings.get("background-color")) or (0, 0, 0, 0)
    padding_default = size * 0.25 if background[3] else 0.0
    first_padding = str(settings.get("padding") or "").split(" ")[0]
    padding = round(css_length(first_padding or None, canvas=canvas, whole=area[0], em=size, default=padding_default))
    # A text that has the whole frame keeps the gap of the position presets on both sides.
    usable = area[0] * (1 - 2 * GAP) if area[0] >= canvas[0] else area[0]
    lines = wrap(text, max(1.0, usable - 2 * padding), font.getlength)
    step = _line_height(settings.get("line-height"), size, canvas)
    ascent, descent = font.getmetrics()
    margin = round(size * 0.25)  # room for shadows, and for glyphs that reach out of their advance
    text_width = max((round(font.getlength(line)) for line in lines), default=0)
    box_width = min(area[0], text_width + 2 * padding)
    box_height = round(step * len(lines)) + 2 * padding

    picture = Image.new("RGBA", (max(1, box_width) + 2 * margin, max(1, box_height) + 2 * margin), (0, 0, 0, 0))
    pen = ImageDraw.Draw(picture)
    if background[3]:
        radius = css_length(settings.get("border-radius"), canvas=canvas, whole=box_height, em=size, default=0)
        corners = (margin, margin, margin + box_width - 1, margin + box_height - 1)
        pen.rounded_rectangle(corners, radius=min(radius, box_width / 2, box_height / 2), fill=background)
    ink = colour(settings.get("font-color")) or colour(settings.get("color")) or (255, 255, 255, 255)
    align = str(settings.get("text-align") or "center")
    shadow = _shadow(settings.get("text-shadow"), size, canvas)
    for row, line in enumerate(lines):
        spare = box_width - 2 * padding - font.getlength(line)
        x = margin + padding + {"left": 0.0, "start": 0.0, "right": spare, "end": spare}.get(align, spare / 2)
        y = margin + padding + row * step + (step - (ascent + descent)) / 2
        if shadow:
            pen.text((x + shadow[0], y + shadow[1]), line, font=font, fill=shadow[2])
        pen.text((x, y), line, font=font, fill=ink)

    horizontal = str(settings.get("horizontal-position") or "center")
    vertical = str(settings.get("vertical-position") or settings.get("vertical-align") or "center")
    # A box at the edge keeps the same gap as the position presets.
    gap_x = min(round(area[0] * GAP), max(0, (area[0] - box_width) // 2))
    gap_y = min(round(area[1] * GAP), max(0, (area[1] - box_height) // 2))
    x0 = {"left": gap_x, "right": area[0] - box_width - gap_x}.get(horizontal, (area[0] - box_width) // 2)
    y0 = {"top": gap_y, "bottom": area[1] - box_height - gap_y}.get(vertical, (area[1] - box_height) // 2)
    return picture, x0 - margin, y0 - margin


def _line_height(value: Any, size: float, canvas: tuple[int, int]) -> float:
    try:
        return max(0.5, float(value)) * size
    except (TypeError, ValueError):
        return css_length(value, canvas=canvas, whole=size, em=size, default=size * 1.25)


def _shadow(value: Any, size: float, canvas: tuple[int, int]) -> tuple[float, float, RGBA] | None:
    """Read the offset and colour of a ``text-shadow``; its blur is not drawn."""
    if not isinstance(value, str) or value.strip() in ("", "none"):
        return None
    parts = re.findall(r"rgba?\([^)]*\)|\S+", value.split("),")[0])
    shade = next((c for c in map(colour, parts) if c), (0, 0, 0, 160))
    lengths = [p for p in parts if colour(p) is None]
    offsets = [css_length(p, canvas=canvas, whole=size, em=size, default=0.0) for p in lengths[:2]]
    return (offsets[0], offsets[1], shade) if len(offsets) == 2 else None
