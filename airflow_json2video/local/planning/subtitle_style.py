"""The style of subtitles: the parsed ``settings`` of a ``subtitles`` element."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_json2video.local.planning.colors import RGBA, parse_color

__all__ = ["STYLES", "SubtitleStyle", "read_style"]

STYLES = ("classic", "classic-progressive", "classic-one-word", "boxed-line", "boxed-word")
_ROWS = {"top": 7, "mid-top": 7, "center": 4, "mid-bottom": 1, "bottom": 1}
_COLUMNS = {"left": 0, "center": 1, "right": 2}
_KNOWN = {
    "style", "all-caps", "font-family", "font-url", "font-weight", "font-size", "font-color", "word-color",
    "line-color", "box-color", "outline-color", "outline-width", "shadow-color", "shadow-offset",
    "max-words-per-line", "position", "x", "y", "keywords", "replace",
}  # fmt: skip
_BUNDLED = ("roboto", "dejavu sans")


@dataclass(frozen=True, kw_only=True)
class SubtitleStyle:
    """The style of subtitles. Sizes are pixels of the movie."""

    style: str = "classic"
    family: str = "Roboto"
    bold: bool = False
    size: float = 32.0
    word: RGBA = (255, 255, 0, 255)
    """Color of the spoken word."""
    line: RGBA = (255, 255, 255, 255)
    box: RGBA = (0, 0, 0, 255)
    outline: RGBA = (0, 0, 0, 255)
    outline_width: int = 0
    shadow: RGBA = (0, 0, 0, 255)
    shadow_offset: int = 0
    row: str = "bottom"
    """``top``, ``mid-top``, ``center``, ``mid-bottom`` or ``bottom``."""
    column: str = "center"
    center: tuple[float, float] | None = None
    """Position of the center, if the movie sets it."""
    all_caps: bool = False
    max_words: int = 4
    max_words_given: bool = False
    replacements: Mapping[str, Any]

    @property
    def boxes_line(self) -> bool:
        """Whether each row has a box."""
        return self.style == "boxed-line"

    @property
    def alignment(self) -> int:
        """The position as in ASS, numbered like the keys of a number pad."""
        return _ROWS[self.row] + _COLUMNS[self.column]


def read_style(element: Mapping[str, Any], *, width: int, warn: Callable[[str], None]) -> SubtitleStyle:
    """Parse the settings of a ``subtitles`` element.

    :param width: of the movie; the default font size is 5 % of it.
    :param warn: called for each value that is replaced.
    """
    given = element.get("settings")
    settings: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    if unknown := sorted(set(settings) - _KNOWN):
        warn(f"settings not drawn: {', '.join(unknown)}")
    style = str(settings.get("style") or "classic")
    if style not in STYLES:
        warn(f"the style '{style}' is drawn as 'classic'; available: {', '.join(STYLES)}")
        style = "classic"
    family = str(settings.get("font-family") or "Arial")
    if settings.get("font-url") or (settings.get("font-family") and family.lower() not in _BUNDLED):
        warn(f"the font '{settings.get('font-family') or settings.get('font-url')}' is replaced by a bundled one")
    weight = str(settings.get("font-weight") or "400").split(".")[0]
    bold = weight in ("bold", "bolder") or (weight.isdigit() and int(weight) >= 600) or family.lower().endswith("bold")
    row, column, center = _place(settings, warn)

    def ink(name: str, default: RGBA) -> RGBA:
        value = settings.get(name)
        if value in (None, ""):
            return default
        found = parse_color(value)
        if found is None:
            warn(f"{name} '{value}' is not a color; the default is used")
        return found or default

    black = (0, 0, 0, 255)
    replacements = settings.get("replace")
    return SubtitleStyle(
        style=style,
        family=family,
        bold=bold,
        size=max(6.0, min(1000.0, _number(settings.get("font-size"), width * 0.05))),
        word=ink("word-color", (255, 255, 0, 255)),
        line=ink("line-color", ink("font-color", (255, 255, 255, 255))),
        box=ink("box-color", black),
        outline=ink("outline-color", black),
        outline_width=round(max(0.0, min(100.0, _number(settings.get("outline-width"), 0)))),
        shadow=ink("shadow-color", black),
        shadow_offset=round(max(-200.0, min(200.0, _number(settings.get("shadow-offset"), 0)))),
        row=row,
        column=column,
        center=center,
        all_caps=settings.get("all-caps") is True,
        max_words=max(1, min(50, int(_number(settings.get("max-words-per-line"), 4)))),
        max_words_given=settings.get("max-words-per-line") is not None,
        replacements=replacements if isinstance(replacements, Mapping) else {},
    )


def _place(settings: Mapping[str, Any], warn: Callable[[str], None]) -> tuple[str, str, tuple[float, float] | None]:
    position = str(settings.get("position") or "bottom-center")
    if position == "custom":
        # That x and y mean the center is not documented; samples have half the width as x.
        return "center", "center", (_number(settings.get("x"), 0), _number(settings.get("y"), 0))
    row, _, column = position.rpartition("-")
    if row == "mid" or row not in _ROWS or column not in _COLUMNS:
        warn(f"the position '{position}' is unknown; 'bottom-center' is used")
        return "bottom", "center", None
    return row, column, None


def _number(value: Any, default: float) -> float:
    if isinstance(value, bool) or value is None:
        return default
    try:
        result = float(str(value).strip().removesuffix("px"))
    except ValueError:
        return default
    return result if abs(result) < 1e6 else default
