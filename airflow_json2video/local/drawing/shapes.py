"""The component ``shape/rectangle``: up to ten rectangles with a color, a border and round corners.

Its properties are those of json2video.com/docs/v2/reference/components/shape/rectangle. It is drawn in its state before
its animation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from PIL import Image, ImageDraw

from airflow_json2video.local.drawing.compositing import rounded_box
from airflow_json2video.local.drawing.layout import css_length
from airflow_json2video.local.planning.colors import RGBA, parse_color
from airflow_json2video.local.planning.plan import number

__all__ = ["draw_rectangles"]

Size = tuple[int, int]
Warn = Callable[[str], None]

_COLORS = re.compile(r"rgba?\([^)]*\)|#[0-9a-f]+|[a-z]+", re.IGNORECASE)

_LARGE = 2000
"""Pixels per side above which a smoother edge would need too much memory."""
_RECTANGLE = re.compile(r"rectangle(\d*)")
_KNOWN = {
    "left", "top", "width", "height", "background", "background-color", "border", "border-radius", "opacity", "color",
}  # fmt: skip


def draw_rectangles(parts: Mapping[str, Any], area: Size, note: Warn) -> Image.Image | None:
    """Draw the rectangles of the settings *parts* into a box of *area*; None if nothing is visible."""
    shapes = list(_shapes(parts, area, note))
    if not shapes:
        return None
    picture = Image.new("RGBA", area, (0, 0, 0, 0))
    for fill, mask, at in shapes:
        picture.alpha_composite(_filled(fill, mask), at)
    return picture


def _shapes(parts: Mapping[str, Any], area: Size, note: Warn) -> Iterator[tuple[RGBA, Image.Image, Size]]:
    """Yield color, mask and position of each rectangle; its border is a separate one below it.

    A rectangle without a size fills the box; of a gradient, only the first color is drawn.
    """
    numbered = [(int(m[1] or 0), part) for key, part in parts.items() if (m := _RECTANGLE.fullmatch(str(key)))]
    for _, part in sorted((x for x in numbered if isinstance(x[1], Mapping)), key=lambda x: x[0]):
        if ignored := sorted(set(part) - _KNOWN):
            note(f"shape/rectangle is drawn without {', '.join(ignored)}")

        def length(key: str, axis: int, default: float, part: Mapping[str, Any] = part) -> int:
            return round(css_length(part.get(key), canvas=area, whole=area[axis], em=16, default=default))

        width = max(1, min(8192, length("width", 0, area[0])))
        height = max(1, min(8192, length("height", 1, area[1])))
        place = (length("left", 0, 0), length("top", 1, 0))
        background = str(part.get("background") or part.get("background-color") or part.get("color") or "")
        fill = parse_color(background) or next((c for c in map(parse_color, _COLORS.findall(background)) if c), None)
        if fill and parse_color(background) is None:
            note("only the first color of a shape's background is drawn")
        solid = max(0.0, min(1.0, number(part.get("opacity"), 1)))
        line, edge = _border(part.get("border"), area)
        rounded = str(part.get("border-radius") or "0")
        ellipse = rounded.strip() == "50%"
        radius = css_length(rounded, canvas=area, whole=min(width, height), em=16, default=0)
        if edge and line:
            mask = _mask((width, height), radius, ellipse=ellipse)
            if width > 2 * line and height > 2 * line:
                hole = _mask((width - 2 * line, height - 2 * line), max(0, radius - line), ellipse=ellipse)
                mask.paste(0, (line, line), hole)
            yield from _cut((*edge[:3], round(edge[3] * solid)), mask, place, area)
        if fill and width > 2 * line and height > 2 * line:
            mask = _mask((width - 2 * line, height - 2 * line), max(0, radius - line), ellipse=ellipse)
            at = (place[0] + line, place[1] + line)
            yield from _cut((*fill[:3], round(fill[3] * solid)), mask, at, area)


def _border(value: Any, area: Size) -> tuple[int, RGBA | None]:
    if not isinstance(value, str):
        return 0, None
    words = re.findall(r"rgba?\([^)]*\)|\S+", value)
    shade = next((c for c in map(parse_color, words) if c), None)
    line = next((n for w in words if (n := css_length(w, canvas=area, whole=area[0], em=16, default=-1)) >= 0), 0)
    return (round(line), shade) if shade else (0, None)


def _mask(size: Size, radius: float, *, ellipse: bool) -> Image.Image:
    """Draw the mask of a shape with a smooth edge."""
    if not ellipse:
        return rounded_box(size, radius)
    fine = 4 if max(size) <= _LARGE else 2
    large = (size[0] * fine, size[1] * fine)
    mask = Image.new("L", large, 0)
    ImageDraw.Draw(mask).ellipse((0, 0, large[0] - 1, large[1] - 1), fill=255)
    return mask.reduce(fine)


def _cut(fill: RGBA, mask: Image.Image, at: Size, area: Size) -> Iterator[tuple[RGBA, Image.Image, Size]]:
    """Crop a shape to the box."""
    window = (max(0, -at[0]), max(0, -at[1]), min(mask.width, area[0] - at[0]), min(mask.height, area[1] - at[1]))
    if window[2] > window[0] and window[3] > window[1]:
        yield fill, mask.crop(window), (max(0, at[0]), max(0, at[1]))


def _filled(fill: RGBA, mask: Image.Image) -> Image.Image:
    picture = Image.new("RGBA", mask.size, fill[:3])
    picture.putalpha(mask.point([round(v * fill[3] / 255) for v in range(256)]))
    return picture
