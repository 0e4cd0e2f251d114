"""The size of the frame."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from airflow_json2video.movie.evaluator import UnknownValue, resolve, scope

__all__ = ["MAX_SIDE", "MIN_SIDE", "RESOLUTIONS", "frame_size", "preset_size"]

MIN_SIDE, MAX_SIDE = 50, 3840
"""Bounds of a custom width and height in pixels."""

RESOLUTIONS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "sd": (640, 360),
        "hd": (1280, 720),
        "full-hd": (1920, 1080),
        "squared": (1080, 1080),
        "instagram-story": (1080, 1920),
        "instagram-feed": (1080, 1080),
        "twitter-landscape": (1600, 900),
        "twitter-portrait": (1080, 1350),
    }
)
"""Width and height of the presets, in pixels. One ``sd`` render of the live service had 640x480."""

_DEFAULT_SIZE = (640, 360)


def preset_size(name: object) -> tuple[int, int] | None:
    """Return width and height of the preset *name* in pixels; None if there is no such preset."""
    return RESOLUTIONS.get(name) if isinstance(name, str) else None


def frame_size(document: Mapping[str, Any]) -> tuple[int, int]:
    """Return width and height of *document* in pixels.

    :raises UnknownValue: they depend on an expression that cannot be evaluated, or are not numbers.
    """
    known = scope(document.get("variables"), {})
    preset = resolve(document.get("resolution"), known)
    if size := preset_size(preset):
        return size
    if preset not in (None, "custom"):
        raise UnknownValue(f"the resolution {preset!r} is unknown")
    width, height = (
        default if document.get(key) is None else _pixels(resolve(document[key], known), key)
        for key, default in zip(("width", "height"), _DEFAULT_SIZE, strict=True)
    )
    return width, height


def _pixels(value: Any, key: str) -> int:
    try:
        return round(float(value))
    except (TypeError, ValueError, OverflowError) as error:
        raise UnknownValue(f"{key} is {value!r}, which is not a number") from error
