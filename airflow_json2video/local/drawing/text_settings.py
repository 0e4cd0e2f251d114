"""Parses the ``settings`` of a text: CSS-like names and lengths to pixels and colors. Draws nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_json2video.local.drawing.layout import css_length
from airflow_json2video.local.planning.colors import RGBA, parse_color

__all__ = ["Shadow", "TextStyle", "read_settings"]

Size = tuple[int, int]
_KNOWN = {
    "font-family", "font-size", "font-weight", "font-style", "font-color", "color", "background-color", "background",
    "text-align", "line-height", "letter-spacing", "padding", "vertical-position", "horizontal-position",
    "vertical-align", "border-radius", "text-shadow", "shadow", "text-transform", "text-stroke",
    "-webkit-text-stroke", "outline-color", "outline-width",
}  # fmt: skip
_BUNDLED = ("roboto", "dejavu sans", "sans-serif")
_COLOR = re.compile(r"rgba?\([^)]*\)|\S+")
MAX_BLUR = 100.0


@dataclass(frozen=True)
class Shadow:
    """A shadow of the letters: offset and blur in pixels, and color."""

    x: float
    y: float
    blur: float
    shade: RGBA


@dataclass(frozen=True, kw_only=True)
class TextStyle:
    """The style of a text; lengths in pixels."""

    size: int
    bold: bool
    italic: bool
    ink: RGBA
    background: RGBA
    padding: tuple[int, int, int, int]
    """Top, right, bottom, left."""
    radius: Any
    """Unparsed: its percentages refer to the box, whose size is unknown before the layout."""
    align: str
    step: float
    """Distance of two lines."""
    spacing: float
    horizontal: str
    vertical: str
    shadows: tuple[Shadow, ...]
    outline: tuple[int, RGBA] | None
    transform: str


def read_settings(settings: Mapping[str, Any], *, area: Size, canvas: Size, warn: Callable[[str], None]) -> TextStyle:
    """Parse the settings of a text.

    ``em`` and ``%`` of a font size refer to the 16 pixels that are the default of CSS, elsewhere to the font size.

    :param area: the element's own canvas, pixels.
    :param canvas: the movie's frame, which ``vw`` and ``vh`` refer to.
    """
    if unknown := sorted(set(settings) - _KNOWN):
        warn(f"settings not drawn: {', '.join(unknown)}")
    family = str(settings.get("font-family") or "Roboto").split(",")[0].strip(" '\"")
    if family.lower() not in _BUNDLED:
        warn(f"the font '{family}' is replaced by a bundled one")
    wanted = css_length(settings.get("font-size"), canvas=canvas, whole=16, em=16, default=canvas[0] * 0.05)
    size = round(max(4.0, min(1000.0, wanted)))

    def length(value: Any, default: float = 0.0, whole: float = size) -> float:
        return css_length(value, canvas=canvas, whole=whole, em=size, default=default)

    weight = str(settings.get("font-weight") or "400")
    background = (
        parse_color(settings.get("background-color")) or parse_color(settings.get("background")) or (0, 0, 0, 0)
    )
    around = round(size * 0.25) if background[3] else 0
    sides = [round(length(part, around, area[0])) for part in str(settings.get("padding") or "").split()[:4]] or [
        around
    ]
    # As in CSS: one for all, or vertical and horizontal, or top, sides, bottom, or clockwise from the top.
    order = {1: (0, 0, 0, 0), 2: (0, 1, 0, 1), 3: (0, 1, 2, 1), 4: (0, 1, 2, 3)}[len(sides)]
    top, right, bottom, left = (max(0, min(canvas[0] // 2, sides[i])) for i in order)
    return TextStyle(
        size=size,
        bold=weight in ("bold", "bolder") or (weight.isdigit() and int(weight) >= 600),
        italic=str(settings.get("font-style") or "").startswith(("italic", "oblique")),
        ink=parse_color(settings.get("font-color")) or parse_color(settings.get("color")) or (255, 255, 255, 255),
        background=background,
        padding=(top, right, bottom, left),
        radius=settings.get("border-radius"),
        align=str(settings.get("text-align") or "center"),
        step=_step(settings.get("line-height"), size, length),
        spacing=max(-size / 2, min(size * 4.0, length(settings.get("letter-spacing")))),
        horizontal=str(settings.get("horizontal-position") or "center"),
        vertical=str(settings.get("vertical-position") or settings.get("vertical-align") or "center"),
        shadows=_shadows(settings, size, length),
        outline=_outline(settings, length),
        transform=str(settings.get("text-transform") or "none"),
    )


def _step(value: Any, size: float, length: Callable[[Any, float], float]) -> float:
    try:
        step = float(value) * size
    except (TypeError, ValueError):
        step = length(value, size * 1.25)
    return max(size * 0.5, min(size * 10.0, step))


def _shadows(settings: Mapping[str, Any], size: int, length: Callable[..., float]) -> tuple[Shadow, ...]:
    """Parse ``text-shadow``, or else ``shadow``: not documented, treated as the same or as a distance."""
    value = settings.get("text-shadow") or settings.get("shadow")
    if isinstance(value, bool):
        value = f"0 {size * 0.05}px {size * 0.1}px" if value else None
    elif isinstance(value, (int, float)):
        value = f"{value}px {value}px {value}px"
    if not isinstance(value, str):
        return ()
    found = []
    for one in re.split(r",(?![^(]*\))", value)[:8]:
        parts = _COLOR.findall(one)
        shade = next((c for c in map(parse_color, parts) if c), (0, 0, 0, 160))
        far = [length(part, 0.0) for part in parts if parse_color(part) is None]
        if len(far) >= 2:
            reach = size * 4.0
            x, y = (max(-reach, min(reach, v)) for v in far[:2])
            blur = max(0.0, min(MAX_BLUR, far[2])) if len(far) > 2 else 0.0
            found.append(Shadow(x, y, blur, shade))
    return tuple(found)


def _outline(settings: Mapping[str, Any], length: Callable[..., float]) -> tuple[int, RGBA] | None:
    """Parse the outline: half of a CSS stroke is outside the letter, all of an ``outline-width``."""
    stroke = settings.get("-webkit-text-stroke") or settings.get("text-stroke")
    if isinstance(stroke, str):
        parts = _COLOR.findall(stroke)
        shade = next((c for c in map(parse_color, parts) if c), (0, 0, 0, 255))
        width = next((length(part, 0.0) for part in parts if parse_color(part) is None), 0.0) / 2
    else:
        shade = parse_color(settings.get("outline-color")) or (0, 0, 0, 255)
        width = length(settings.get("outline-width"), 0.0)
        if not width and "outline-color" in settings and "outline-width" not in settings:
            width = 1.0
    return (max(1, min(100, round(width))), shade) if width > 0 else None
