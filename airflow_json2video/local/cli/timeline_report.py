"""A timeline as JSON and as text. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow_json2video.local.cli.error_paths import in_document, warning_findings
from airflow_json2video.movie.pricing import render_credits

if TYPE_CHECKING:
    from airflow_json2video.local.planning.timeline import Layer, ScenePlan, Sound, Timeline

__all__ = ["format_timeline_report", "timeline_report"]

_BAR = 24
_FILL = 48
_TAGS = re.compile(r"<(style|script).*?</\1>|<[^>]+>", re.DOTALL | re.IGNORECASE)


def timeline_report(timeline: Timeline, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a timeline as JSON: times are seconds of the movie, and each ``path`` is one in *document*."""
    fps = timeline.fps
    return {
        "width": timeline.width,
        "height": timeline.height,
        "fps": round(float(fps), 3),
        "frames": timeline.frames,
        "duration": round(timeline.duration, 3),
        "credits": render_credits(timeline.duration, width=timeline.width, height=timeline.height),
        "scenes": [_scene(scene, fps=fps, document=document) for scene in timeline.scenes],
        "elements": [_layer(layer, offset=0, fps=fps, document=document) for layer in timeline.overlays],
        "sounds": [_sound(sound, fps=fps, document=document) for sound in timeline.sounds],
        "warnings": [
            {"path": found.path, "message": found.message} for found in warning_findings(timeline.warnings, document)
        ],
    }


def _scene(scene: ScenePlan, *, fps: Fraction, document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "path": f"scenes[{scene.number - 1}]",
        **_span(scene.first, scene.frames, fps),
        "background": None if scene.background is None else "#{:02x}{:02x}{:02x}".format(*scene.background),
        "transition": scene.transition
        and {"style": scene.transition.style, "duration": _seconds(scene.transition.frames, fps)},
        "elements": [_layer(layer, offset=scene.first, fps=fps, document=document) for layer in scene.layers],
    }


def _layer(layer: Layer, *, offset: int, fps: Fraction, document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "path": in_document(f"{layer.where}: ", document)[0],
        "type": layer.kind,
        **_span(offset + layer.first, layer.frames, fps),
        "shows": _content(layer.kind, layer.element),
        "fade-in": _seconds(layer.fade_in, fps),
        "fade-out": _seconds(layer.fade_out, fps),
        "z-index": layer.z_index,
    }


def _sound(sound: Sound, *, fps: Fraction, document: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(sound.element.get("type"))
    return {
        "path": in_document(f"{sound.where}: ", document)[0],
        "type": kind,
        **_span(sound.first, sound.frames, fps),
        "plays": _content(kind, sound.element),
        "volume": sound.element.get("volume", 1),
    }


def _span(first: int, frames: int, fps: Fraction) -> dict[str, float]:
    return {"start": _seconds(first, fps), "end": _seconds(first + frames, fps), "duration": _seconds(frames, fps)}


def _seconds(frames: int, fps: Fraction) -> float:
    return round(float(frames / fps), 3)


def _content(kind: str, element: Mapping[str, Any]) -> str:
    """Return what an element shows: its text in quotes, the last part of its address, or a name."""
    if kind in ("text", "voice"):
        return f'"{_short(element.get("text"))}"'
    if kind == "component":
        return _short(element.get("component"))
    if kind == "html" and element.get("html"):
        return f'"{_short(html.unescape(_TAGS.sub(" ", str(element["html"]))))}"'
    if element.get("src"):
        return _short(_file(str(element["src"])))
    if element.get("prompt"):
        return f'generated from "{_short(element["prompt"])}"'
    return _short(element.get("color") or element.get("id") or "")


def _file(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    name = unquote(parts.path).rstrip("/").rpartition("/")[2]
    return f"{name or parts.path} ({parts.hostname})" if parts.hostname else address


def _short(value: Any) -> str:
    text = " ".join(str("" if value is None else value).split())
    return text if len(text) <= _FILL else f"{text[: _FILL - 3]}..."


def format_timeline_report(facts: Mapping[str, Any], *, name: str) -> Iterator[str]:
    """Yield a report as lines: the scenes with their elements, elements over all scenes, sounds, warnings."""
    price = f"{facts['credits']} credit{'' if facts['credits'] == 1 else 's'}"
    yield (
        f"{name}: {facts['width']}x{facts['height']}, {_clock(facts['duration'])} ({facts['frames']} frames at "
        f"{facts['fps']:g} fps), {price}"
    )
    length = facts["duration"]
    for number, scene in enumerate(facts["scenes"], start=1):
        yield ""
        entering = scene["transition"]
        how = f", enters by {entering['style']} over {entering['duration']:g} s" if entering else ""
        ground = scene["background"] or "transparent"
        place = "" if scene["path"] == f"scenes[{number - 1}]" else f" from {scene['path']}"
        yield f"{_times(scene, length)}  scene {number}{place}: {scene['duration']:g} s on {ground}{how}"
        yield from _elements(scene["elements"], length)
    if facts["elements"]:
        yield ""
        yield "over all scenes"
        yield from _elements(facts["elements"], length)
    if facts["sounds"]:
        yield ""
        yield "sound"
        for sound in facts["sounds"]:
            volume = "" if sound["volume"] == 1 else f", volume {sound['volume']}"
            yield f"{_times(sound, length)}    {sound['type']:<10} {sound['plays']}{volume}"
    if facts["warnings"]:
        yield ""
        yield f"warnings ({len(facts['warnings'])})"
        for warning in facts["warnings"]:
            yield f"  {warning['path'] or 'movie'}: {warning['message']}"


def _elements(elements: list[dict[str, Any]], length: float) -> Iterator[str]:
    for element in elements:
        fades = [f"{name} {element[name]:g} s" for name in ("fade-in", "fade-out") if element[name]]
        level = [f"z-index {element['z-index']}"] if element["z-index"] else []
        notes = ", ".join(fades + level)
        line = f"{_times(element, length)}    {element['type']:<10} {element['shows']}"
        yield f"{line}{'  ' if notes else ''}{notes}".rstrip()


def _times(one: Mapping[str, Any], length: float) -> str:
    """Return start, end, and a bar that shows both relative to the length of the movie."""
    left = round(_BAR * one["start"] / length)
    right = max(left + 1, round(_BAR * one["end"] / length))
    bar = ("." * left + "=" * (right - left) + "." * _BAR)[:_BAR] if left < _BAR else "." * (_BAR - 1) + "="
    return f"{_clock(one['start']):>8} {_clock(one['end']):>8}  [{bar}]"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 100), 6000)
    return f"{minutes}:{rest / 100:05.2f}"
