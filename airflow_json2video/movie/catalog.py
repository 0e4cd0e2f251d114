"""What AI-generated assets cost: a snapshot of the service's list of models, in credits. An open set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["CATALOG", "Asset", "price_of"]


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
