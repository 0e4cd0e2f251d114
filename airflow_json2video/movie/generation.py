"""Assets that the service makes by AI: what an element says about them, what they cost, and preloading.

The catalogue is a snapshot of the service's list of models, in credits; it is an open set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal

from airflow_json2video.movie.base import DocumentModel, prop
from airflow_json2video.movie.scalars import Choice
from airflow_json2video.movie.types import AspectRatio, Boolean, Members, Source, String

__all__ = ["CATALOG", "Asset", "Generated", "PreloadItem", "price_of"]


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


class Generated(DocumentModel):
    """What an element that the service may generate says about it. Give ``src`` or ``prompt``, not both."""

    prompt: String | None = prop("What to generate; instead of src, and with a model.")
    model: Annotated[str, Choice(words=tuple(CATALOG), closed=False)] | None = prop("The model that generates it.")
    aspect_ratio: AspectRatio | None = prop("Shape of what is generated.", default="horizontal")
    model_settings: Members | None = prop("Passed through to the provider.")
    connection: String | None = prop("Id of a dashboard connection: the provider bills you, no credits are taken.")


_KINDS = ("image", "video", "audio", "voice", "html", "component")


class PreloadItem(Generated):
    """An asset made or fetched before the scenes. It lives three days unless it is saved to the media library."""

    id: String | None = prop("How the rest of the movie refers to it.")
    type: Annotated[
        Literal["image", "video", "audio", "voice", "html", "component"] | str, Choice(words=_KINDS)
    ] | None = prop("What it is.")
    src: Source | None = prop("Address to fetch it from.")
    text: String | None = prop("Words of a voice.")
    voice: String | None = prop("Name of a voice.")
    save_to_media: Boolean | None = prop("Keep it in the media library.", default=False)
