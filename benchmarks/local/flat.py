"""A movie as files, boxes and seconds, for the contenders. Our planner and our text, so that all draw the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from airflow_json2video.local.drawing.assets import Assets
from airflow_json2video.local.drawing.clips import measure
from airflow_json2video.local.drawing.layers import open_layer
from airflow_json2video.local.drawing.layout import fitted, motion_of, placed
from airflow_json2video.local.planning.plan import number, plan
from airflow_json2video.local.planning.resolve import resolve
from airflow_json2video.local.planning.timeline import Layer, Timeline

__all__ = ["FlatLayer", "FlatMovie", "FlatScene", "FlatSound", "flatten"]


@dataclass(frozen=True, kw_only=True)
class FlatLayer:
    """A picture or clip in its box, from *start* of its scene; *zoom* is its scale at both ends."""

    path: Path
    moving: bool
    x: int
    y: int
    width: int
    height: int
    start: float
    seconds: float
    fade_in: float
    fade_out: float
    zoom: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class FlatScene:
    """A scene; *transition* is the style and length of its entry, which overlaps the scene before."""

    start: float
    seconds: float
    background: tuple[int, int, int]
    transition: tuple[str, float] | None
    layers: tuple[FlatLayer, ...]


@dataclass(frozen=True, kw_only=True)
class FlatSound:
    """A sound from *start* of the movie."""

    path: Path
    start: float
    seconds: float
    volume: float
    fade_in: float
    fade_out: float


@dataclass(frozen=True, kw_only=True)
class FlatMovie:
    """A whole movie."""

    width: int
    height: int
    fps: float
    seconds: float
    scenes: tuple[FlatScene, ...]
    overlays: tuple[FlatLayer, ...]
    sounds: tuple[FlatSound, ...]


def flatten(movie: Path, *, assets: Path, scratch: Path) -> FlatMovie:
    """Plan a movie file, draw its texts to *scratch*, and return what is left to do."""
    files = Assets(cache=scratch, folder=assets, fetch=False)

    def probe(_where: str, element: Mapping[str, Any]) -> float:
        return measure(files.file(element["src"]), kind=str(element["type"]))

    timeline = plan(resolve(json.loads(movie.read_text())), probe=probe)
    rate = float(timeline.fps)
    return FlatMovie(
        width=timeline.width,
        height=timeline.height,
        fps=rate,
        seconds=timeline.duration,
        scenes=tuple(
            FlatScene(
                start=scene.first / rate,
                seconds=scene.frames / rate,
                background=scene.background or (0, 0, 0),
                transition=(scene.transition.style, scene.transition.frames / rate) if scene.transition else None,
                layers=tuple(_layer(x, timeline, files, scratch) for x in scene.layers),
            )
            for scene in timeline.scenes
        ),
        overlays=tuple(_layer(x, timeline, files, scratch) for x in timeline.overlays),
        sounds=tuple(
            FlatSound(
                path=files.file(sound.element["src"]),
                start=sound.first / rate,
                seconds=sound.frames / rate,
                volume=number(sound.element.get("volume"), 1),
                fade_in=number(sound.element.get("fade-in"), 0),
                fade_out=number(sound.element.get("fade-out"), 0),
            )
            for sound in timeline.sounds
        ),
    )


def _layer(layer: Layer, timeline: Timeline, files: Assets, scratch: Path) -> FlatLayer:
    canvas, rate = (timeline.width, timeline.height), float(timeline.fps)
    zoom = None
    if layer.kind == "text":
        path, x, y, width, height = _drawn(layer, timeline, scratch)
    else:
        path = files.file(layer.element["src"])
        natural = _natural(path) if layer.kind == "image" else _clip_size(path)
        width, height = fitted(layer.element, natural, canvas)
        box = placed(layer.element, (width, height), canvas)
        x, y = box.x, box.y
        motion = motion_of(layer.element) if layer.kind == "image" else None
        zoom = motion.scale if motion else None
    return FlatLayer(
        path=path,
        moving=layer.kind == "video",
        x=x,
        y=y,
        width=width,
        height=height,
        start=layer.first / rate,
        seconds=layer.frames / rate,
        fade_in=layer.fade_in / rate,
        fade_out=layer.fade_out / rate,
        zoom=zoom,
    )


def _drawn(layer: Layer, timeline: Timeline, scratch: Path) -> tuple[Path, int, int, int, int]:
    size = (timeline.width, timeline.height)
    opened = open_layer(layer, size=size, fps=timeline.fps, find=lambda _: None, warn=lambda _: None)
    sprite = opened.sprite(layer.first)
    path = scratch / f"text-{abs(hash((layer.where, str(layer.element))))}.png"
    sprite.picture.save(path, compress_level=1)
    return path, sprite.x, sprite.y, sprite.picture.width, sprite.picture.height


def _natural(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def _clip_size(path: Path) -> tuple[int, int]:
    import av

    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        return int(context.width), int(context.height)
