"""The assets that models would generate for a movie, and their price in the service's catalog."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_json2video.movie.pricing import find_asset

if TYPE_CHECKING:
    from airflow_json2video.local.planning.timeline import Layer, Timeline

__all__ = ["generated"]

_NAMES = ("type", "prompt", "model", "aspect-ratio", "model-settings")


def generated(timeline: Timeline) -> list[dict[str, Any]]:
    """Return the generated images and clips that cost credits, as JSON.

    Each has ``key`` (equal if the service would use its cache: same prompt, model and settings), ``credits``,
    ``fresh`` (``cache: false``: not from the cache) and ``saved`` (``save-to-media``). A custom connection is free, and
    so is a model that is not in the catalog. Voices are free in the catalog.
    """
    return [asset for layer in _layers(timeline) if (asset := _asset(layer, timeline)) is not None]


def _layers(timeline: Timeline) -> Iterator[Layer]:
    for scene in timeline.scenes:
        yield from scene.layers
    yield from timeline.overlays


def _asset(layer: Layer, timeline: Timeline) -> dict[str, Any] | None:
    element = layer.element
    if layer.kind not in ("image", "video") or element.get("src") or not element.get("prompt"):
        return None
    entry = find_asset(element.get("model"))
    if entry is None or not entry.credits or element.get("connection"):
        return None
    seconds = math.ceil(float(layer.frames / timeline.fps) - 1e-6) if entry.per_second else 1
    asked = [seconds, *(element.get(name) for name in _NAMES)]
    return {
        "key": hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest(),
        "credits": entry.credits * seconds,
        "fresh": element.get("cache") is False,
        "saved": element.get("save-to-media") is True,
    }
