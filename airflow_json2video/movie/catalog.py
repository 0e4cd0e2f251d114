"""What the service charges, in credits: for the seconds of a render, and for AI-generated assets.

The list of models is a snapshot of the service's, and an open set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["CATALOG", "Asset", "price_of", "render_credits"]

_LARGE_FRAME = 1920 * 1080


def render_credits(seconds: float, *, width: int, height: int) -> int:
    """Give the price of a render of *seconds*: one credit a second, begun seconds counting whole.

    Above 1920x1080 pixels it is four a second, the dearer of two published prices.
    """
    # The small subtraction keeps 2.0000001 s, a rounding of frames, from costing 3.
    return math.ceil(seconds - 1e-6) * (4 if width * height > _LARGE_FRAME else 1)


@dataclass(frozen=True)
class Asset:
    """A model of the catalogue.

    :param kind: ``image``, ``voice``, ``video`` or ``avatar``.
    :param credits: price of one unit.
    :param per_second: the unit is a second of the asset; otherwise a file.
    """

    kind: str
    credits: int
    per_second: bool = False


def _catalog() -> Mapping[str, Asset]:
    images = {
        "flux-schnell": 0,
        "text-to-image-basic": 0,
        "freepik-classic": 0,
        "gemini-2.5-flash": 20,
        "nano-banana": 20,
        "nano-banana-pro": 80,
        "nano-banana-2": 40,
        "seedream-v4": 15,
        "text-to-image-pro": 15,
        "flux-pro": 20,
    }
    voices = ("azure", "elevenlabs", "elevenlabs-flash-v2-5", "elevenlabs-v2", "elevenlabs-v3")
    catalog = {name: Asset("image", price) for name, price in images.items()}
    catalog |= {name: Asset("voice", 0, per_second=True) for name in voices}
    catalog |= {
        "seedance-v1.5-pro": Asset("video", 20, per_second=True),
        "wan-v2.5": Asset("video", 30, per_second=True),
        "infinite-talk": Asset("avatar", 20, per_second=True),
        "talking-head": Asset("avatar", 20, per_second=True),
    }
    return MappingProxyType(catalog)


CATALOG = _catalog()
"""Models by name, aliases included."""


def price_of(model: object) -> Asset | None:
    """Give the catalogue's entry of *model*; None if it is not a name that the catalogue knows."""
    return CATALOG.get(model) if isinstance(model, str) else None
