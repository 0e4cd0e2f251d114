"""Placeholder cards for elements that are not drawn here. They have the right place, size, time and text, and a label.

The parts of components, their colors and sizes are from the pages of the component library
(json2video.com/docs/resources/basic/000 to 052). Animations are not drawn.
"""

from __future__ import annotations

import colorsys
import hashlib
import html
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw

from airflow_json2video.local.drawing.layout import css_length, fitted, placed
from airflow_json2video.local.drawing.shapes import draw_rectangles
from airflow_json2video.local.drawing.text import draw_text
from airflow_json2video.local.planning.colors import RGBA, parse_color
from airflow_json2video.local.planning.evaluation import text_of
from airflow_json2video.local.planning.plan import number

if TYPE_CHECKING:
    from airflow_json2video.local.planning.timeline import Layer

__all__ = ["box_card", "picture_card", "visible_text"]

Size = tuple[int, int]
Warn = Callable[[str], None]

_TAGS = re.compile(r"<(style|script|head)\b.*?</\1\s*>|<!--.*?-->|<[^>]+>", re.DOTALL | re.IGNORECASE)
_BREAKS = re.compile(r"<br\s*/?>|</(p|div|li|h[1-6]|tr)\s*>", re.IGNORECASE)
_NATURAL = {"horizontal": (1280, 720), "vertical": (720, 1280), "squared": (1024, 1024)}
_MAX_TEXT = 400


def visible_text(markup: str) -> str:
    """Return the visible text of HTML: without tags, scripts and styles."""
    bare = html.unescape(_TAGS.sub("", _BREAKS.sub("\n", markup)))
    lines = (re.sub(r"[^\S\n]+", " ", line).strip() for line in bare.split("\n"))
    return "\n".join(line for line in lines if line)


# --- pictures -------------------------------------------------------------------------------------


def picture_card(layer: Layer, canvas: Size, note: Warn) -> Image.Image:
    """Draw the placeholder of an image or a clip that is generated or missing.

    It has the proportions of its ``aspect-ratio`` or, if its source is missing, those of the canvas, and is processed
    like any picture: resized, moved, rotated.
    """
    element = layer.element
    prompt, source = text_of(element.get("prompt")), text_of(element.get("src"))
    made = bool(prompt) and not source
    title = f"{layer.kind} by {element.get('model') or 'a model'}" if made else layer.kind
    note(f"a placeholder is drawn for this {layer.kind}" + (", which a model would generate" if made else ""))
    width, height = _NATURAL.get(str(element.get("aspect-ratio")), _NATURAL["horizontal"] if made else canvas)
    top, bottom = _hues(prompt or source)
    picture = Image.new("RGB", (1, 2))
    picture.putpixel((0, 0), top)
    picture.putpixel((0, 1), bottom)
    picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    x, y, width, height = _in_view(element, picture.size, canvas)
    edge = max(1, min(width, height) // 24)
    rim = (x + edge, y + edge, x + width - edge - 1, y + height - edge - 1)
    ImageDraw.Draw(picture).rectangle(rim, outline=(255, 255, 255), width=max(1, edge // 12))
    _write(picture, title, box=(x + edge * 2, y + edge * 2, width - edge * 4, edge * 2), size=edge * 1.2, align="left")
    words = (prompt or source.rsplit("/", 1)[-1])[:_MAX_TEXT]
    # In the upper part, since a movie's own text is more often in the center or at the bottom.
    _write(picture, words, box=(x + edge * 3, y + edge * 9 // 2, width - edge * 6, edge * 8), size=edge * 2.2)
    return picture


def _in_view(element: Mapping[str, Any], size: Size, canvas: Size) -> tuple[int, int, int, int]:
    """Return the part of a picture of *size* that is on the canvas (x, y, width, height)."""
    drawn = fitted(element, size, canvas)
    box = placed(element, drawn, canvas)
    left, top = max(0, -box.x), max(0, -box.y)
    right, bottom = min(box.width, canvas[0] - box.x), min(box.height, canvas[1] - box.y)
    if right <= left or bottom <= top:
        return 0, 0, *size
    across, down = size[0] / drawn[0], size[1] / drawn[1]
    return round(left * across), round(top * down), round((right - left) * across), round((bottom - top) * down)


def _hues(seed: str) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Choose two muted colors that depend only on the text."""
    hue = int(hashlib.sha256(seed.encode()).hexdigest()[:4], 16) / 65536

    def shade(h: float, lightness: float) -> tuple[int, int, int]:
        r, g, b = colorsys.hls_to_rgb(h % 1, lightness, 0.35)
        return round(r * 255), round(g * 255), round(b * 255)

    return shade(hue, 0.38), shade(hue + 0.08, 0.18)


# --- boxes ----------------------------------------------------------------------------------------


def box_card(layer: Layer, canvas: Size, note: Warn) -> tuple[Image.Image, int, int]:
    """Draw the placeholder of HTML, a component or another element with a box, and return its position (x, y)."""
    element = layer.element
    width, height = (number(element.get(side), -1) for side in ("width", "height"))
    area = (int(width) if width > 0 else canvas[0], int(height) if height > 0 else canvas[1])
    area = (max(1, min(8192, area[0])), max(1, min(8192, area[1])))
    box = placed(element, area, canvas)
    name = str(element.get("component") or "")
    settings = element.get("settings")
    parts: Mapping[str, Any] = settings if isinstance(settings, Mapping) else {}
    if name == "shape/rectangle" and (drawn := draw_rectangles(parts, area, note)):
        return drawn, box.x, box.y
    label = f"component {name}" if layer.kind == "component" else layer.kind
    note(f"a placeholder is drawn for this {layer.kind}" + (f" ('{name}')" if name else ""))
    picture = _frame(area, label, canvas)
    if layer.kind == "component":
        _compose(picture, name, parts)
    else:
        words = visible_text(text_of(element.get("html"))) or text_of(element.get("src") or element.get("text"))
        if words:
            edge = _edge(area)
            panel = {"background-color": "rgba(40,44,52,0.85)", "border-radius": "0.4em", "padding": "0.6em"}
            inner = (edge, edge, area[0] - 2 * edge, area[1] - 2 * edge)
            _write(picture, words[:_MAX_TEXT], box=inner, size=_letters(area), settings=panel)
    return picture, box.x, box.y


def _edge(area: Size) -> int:
    return max(1, min(area) // 40)


def _letters(area: Size) -> float:
    return max(10.0, min(area[0] * 0.03, area[1] * 0.16))


def _frame(area: Size, label: str, canvas: Size) -> Image.Image:
    """Draw the outline of a box, with a small label in its corner."""
    picture = Image.new("RGBA", area, (0, 0, 0, 0))
    line = max(1, min(canvas) // 360)
    ImageDraw.Draw(picture).rectangle((0, 0, area[0] - 1, area[1] - 1), outline=(255, 255, 255, 130), width=line)
    size = max(8.0, min(canvas[0] * 0.014, area[1] * 0.2))
    room = (line, line, max(1, area[0] - 2 * line), max(1, round(size * 2)))
    chip = {"background-color": "rgba(0,0,0,0.6)", "padding": "0.2em", "font-size": f"{size:.0f}px"}
    _write(picture, label, box=room, size=size, align="left", settings=chip)
    return picture


def _write(
    picture: Image.Image,
    words: str,
    *,
    box: tuple[int, int, int, int],
    size: float,
    align: str = "center",
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Draw a text into a box (x, y, width, height) of a picture; smaller, if it does not fit."""
    x, y, width, height = box
    if width < 1 or height < 1 or not words:
        return
    block = _words(words, size, (width, height), {"text-align": align, **(settings or {})})
    if block.width > width or block.height > height:
        block.thumbnail((width, height), Image.Resampling.LANCZOS)
    at = (x if align == "left" else x + (width - block.width) // 2, y + (height - block.height) // 2)
    if picture.mode == "RGB":
        picture.paste(block, at, block)
    else:
        picture.alpha_composite(block, at)


def _words(words: str, size: float, area: Size, settings: Mapping[str, Any]) -> Image.Image:
    """Draw a text and crop it to its visible part."""
    styling = {"font-size": f"{size:.1f}px", "line-height": "1.25", **settings}
    drawn, _, _ = draw_text(words, styling, area=area, canvas=area, warn=lambda _: None)
    seen = drawn.getbbox()
    return drawn.crop(seen) if seen else drawn


# --- components -----------------------------------------------------------------------------------

_SIZES = {"headline": "5vw", "title": "5vw", "section": "2.5vw", "button": "2.5vw", "counter": "10vw"}
_LOWER_THIRD = {
    "headline": {"color": "black", "background": "white", "font-size": "3.2vw"},
    "lead": {"color": "white", "background": "black", "font-size": "2.2vw"},
    "section": {"color": "white", "background": "red"},
}
"""The colors of ``basic/050`` to ``052`` are from their pages; the sizes of ``auto`` are guesses."""


def _compose(picture: Image.Image, name: str, parts: Mapping[str, Any]) -> None:
    """Draw the texts of a component below each other, in the place of its card."""
    area = picture.size
    lower_third = name.startswith("basic/05")
    card = parts.get("card")
    card = card if isinstance(card, Mapping) else {}
    align = str(card.get("text-align") or card.get("horizontal-align") or ("left" if lower_third else "center"))
    blocks = [
        _block(part, words, styling, area, align)
        for part, words, styling in _texts(parts, _LOWER_THIRD if lower_third else {})
    ]
    if not blocks:
        return
    # Blocks are cropped to their visible part: those of a lower third are adjacent boxes, others need a gap.
    apart = 0 if lower_third else round(_letters(area) * 0.5)
    height = sum(b.height for b in blocks) + apart * (len(blocks) - 1)
    stack = Image.new("RGBA", (max(b.width for b in blocks), height), (0, 0, 0, 0))
    y = 0
    for block in blocks:
        spare = stack.width - block.width
        stack.alpha_composite(block, ({"left": 0, "right": spare}.get(align, spare // 2), y))
        y += block.height + apart
    bar = parts.get("bar")
    if lower_third or isinstance(bar, Mapping):
        stack = _with_bar(stack, bar if isinstance(bar, Mapping) else {}, area)
    gap = (round(area[0] * 0.04), round(area[1] * 0.07))
    stack.thumbnail((max(1, area[0] - 2 * gap[0]), max(1, area[1] - 2 * gap[1])), Image.Resampling.LANCZOS)
    default = "bottom" if lower_third else "top" if name in ("basic/000", "basic/001") else "center"
    vertical = str(card.get("vertical-align") or default)
    free = (area[0] - stack.width, area[1] - stack.height)
    left = {"left": gap[0], "right": free[0] - gap[0]}.get(align, free[0] // 2)
    top = {"top": gap[1], "bottom": free[1] - gap[1]}.get(vertical, free[1] // 2)
    back = parse_color(card.get("background-color") or card.get("background"))
    if back:
        pen = Image.new("RGBA", (stack.width + gap[0], stack.height + gap[1]), back)
        picture.alpha_composite(pen, (max(0, left - gap[0] // 2), max(0, top - gap[1] // 2)))
    picture.alpha_composite(stack, (max(0, left), max(0, top)))


def _texts(
    parts: Mapping[str, Any], defaults: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield name, text and style of each part that has a text; a part can be a text itself."""
    for name, part in parts.items():
        styling: Mapping[str, Any] = part if isinstance(part, Mapping) else {"text": part}
        value = styling.get("text")
        if value is None or isinstance(value, (bool, Mapping)):
            continue
        words = "\n".join(visible_text(text_of(line)) for line in (value if isinstance(value, list) else [value]))
        # A counter shows its final value.
        words = words.replace("__num__", text_of(styling.get("to", "")))
        if words.strip():
            yield name, words[:_MAX_TEXT], {**defaults.get(name, {}), **_without_auto(styling)}


def _without_auto(styling: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in styling.items() if value != "auto"}


def _block(name: str, words: str, styling: Mapping[str, Any], area: Size, align: str) -> Image.Image:
    default = css_length(_SIZES.get(name, "3.5vw"), canvas=area, whole=area[0], em=16, default=16)
    size = css_length(styling.get("font-size"), canvas=area, whole=area[0], em=16, default=default)
    back = parse_color(styling.get("background-color") or styling.get("background"))
    settings = {
        "font-color": styling.get("color") or styling.get("font-color") or "white",
        "background-color": _css(back) if back else "transparent",
        "font-weight": styling.get("font-weight", "700" if name in ("headline", "title") else "400"),
        "text-align": align,
        "padding": "0.35em" if back else "0.1em",
    }
    return _words(words, max(6.0, min(size, area[1] * 0.9)), area, settings)


def _css(rgba: RGBA) -> str:
    return f"rgba({rgba[0]},{rgba[1]},{rgba[2]},{rgba[3] / 255:.3f})"


def _with_bar(stack: Image.Image, bar: Mapping[str, Any], area: Size) -> Image.Image:
    width = round(css_length(bar.get("width"), canvas=area, whole=area[0], em=16, default=area[0] * 0.008))
    shade = parse_color(bar.get("color") or bar.get("background") or bar.get("background-color")) or (255, 0, 0, 255)
    wider = Image.new("RGBA", (stack.width + max(1, width), stack.height), (0, 0, 0, 0))
    wider.paste(shade, (0, 0, max(1, width), stack.height))
    wider.alpha_composite(stack, (max(1, width), 0))
    return wider
