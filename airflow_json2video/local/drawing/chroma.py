"""``chroma-key``: a color of the picture becomes transparent, with a soft edge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageChops

from airflow_json2video.local.planning.colors import parse_color
from airflow_json2video.local.planning.plan import number

__all__ = ["ChromaKey"]

_SOFT = 0.06
_NEUTRAL = 0.05
_EDGE = 2
_MAX_DISTANCE = 255 * 2**0.5


def reach(tolerance: float) -> float:
    """Return how far from the key a transparent color can be, relative to the greatest distance of two colors.

    The unit of ``tolerance`` is not documented. Here 25, the default, removes an unevenly lit green screen and leaves
    skin, and 100 removes nearly everything.
    """
    return tolerance * 0.004


class ChromaKey:
    """A key color with its tolerance, prepared once for all pictures of an element.

    Colors are compared by hue and saturation and not by brightness, so that a shadow on the screen also becomes
    transparent; a key without a hue (black, gray, white) is also compared by brightness.
    """

    def __init__(self, key: tuple[int, int, int], tolerance: float) -> None:
        self._key = np.array(key, dtype=np.float32)
        y, blue, red = Image.new("RGB", (1, 1), key).convert("YCbCr").getpixel((0, 0))  # type: ignore[misc]
        self._chroma = np.array((blue - 128.0, red - 128.0), dtype=np.float32)
        levels = np.arange(256, dtype=np.float32)
        far = np.hypot(levels[:, None] - blue, levels[None, :] - red) / _MAX_DISTANCE
        self._near = reach(tolerance)
        self._kept = self._solid(far)
        is_neutral = np.hypot(blue - 128, red - 128) / _MAX_DISTANCE < _NEUTRAL
        self._by_light = self._solid(np.abs(levels - y) / 255) if is_neutral else None

    def _solid(self, far: Any) -> Any:
        return (np.clip((far - self._near) / _SOFT, 0, 1) * 255).astype(np.uint8)

    @classmethod
    def read(cls, element: Mapping[str, Any], note: Callable[[str], None]) -> ChromaKey | None:
        """Parse ``chroma-key``; None if there is none. An invalid value is reported."""
        given = element.get("chroma-key")
        if not isinstance(given, Mapping):
            return None
        key = parse_color(given.get("color"))
        if key is None:
            note(f"the color of the chroma-key is not a color: {given.get('color')!r}")
            return None
        wanted = number(given.get("tolerance"), 25)
        tolerance = max(1.0, min(100.0, wanted))
        if tolerance != wanted:
            note(f"the tolerance of a chroma-key must be from 1 to 100, got {wanted:g}; {tolerance:g} is used")
        return cls(key[:3], tolerance)

    def keyed(self, picture: Image.Image) -> Image.Image:
        """Return the picture with the key color transparent, and without its spill on half transparent pixels."""
        rgb = picture.convert("RGB")
        y, blue, red = (np.asarray(channel) for channel in rgb.convert("YCbCr").split())
        alpha = self._kept[blue, red]
        if self._by_light is not None:
            alpha = np.maximum(alpha, self._by_light[y])
        alpha = self._without_spill(alpha, blue, red)
        pixels = np.array(rgb)
        partly = (alpha > 0) & (alpha < 255)
        if partly.any():
            share = (alpha[partly].astype(np.float32) / 255)[:, None]
            clean = (pixels[partly] - (1 - share) * self._key) / share
            pixels[partly] = np.clip(clean, 0, 255).astype(np.uint8)
        result = Image.fromarray(pixels)
        solid = Image.fromarray(alpha)
        if picture.mode == "RGBA":
            solid = ImageChops.multiply(solid, picture.getchannel("A"))
        result.putalpha(solid)
        return result

    def _without_spill(self, alpha: Any, blue: Any, red: Any) -> Any:
        """Suppress the spill of the key at the edges of the remaining picture.

        A lens, and the low color resolution of a video, mix the screen into the adjacent pixels, farther than the soft
        edge. The part of a pixel's color on the key's side of gray is treated as that mixture.
        """
        if self._by_light is not None:
            return alpha
        rim = (alpha > 0) & _adjacent(alpha < 255)
        tint = (blue[rim] - 128.0) * self._chroma[0] + (red[rim] - 128.0) * self._chroma[1]
        mixed = np.clip(tint / (self._chroma @ self._chroma), 0, 1)
        result = alpha.copy()
        result[rim] = np.minimum(alpha[rim], np.round((1 - mixed) * 255).astype(np.uint8))
        return result


def _adjacent(gone: Any) -> Any:
    """Mark the pixels that are at most :data:`_EDGE` pixels away from a mark."""
    marked = gone.copy()
    for axis in (0, 1):
        before = np.moveaxis(marked.copy(), axis, 0)
        after = np.moveaxis(marked, axis, 0)
        for far in range(1, _EDGE + 1):
            after[far:] |= before[:-far]
            after[:-far] |= before[far:]
    return marked
