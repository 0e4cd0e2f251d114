"""Assets that the service makes by AI, and assets made before the scenes."""

from __future__ import annotations

from typing import Annotated, Literal

from airflow_json2video.movie.base import DocumentModel, prop
from airflow_json2video.movie.catalog import CATALOG
from airflow_json2video.movie.scalars import Choice
from airflow_json2video.movie.types import AspectRatio, Boolean, Members, Source, String

__all__ = ["Generated", "PreloadItem"]


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
    type: (
        Annotated[Literal["image", "video", "audio", "voice", "html", "component"] | str, Choice(words=_KINDS)] | None
    ) = prop("What it is.")
    src: Source | None = prop("Address to fetch it from.")
    text: String | None = prop("Words of a voice.")
    voice: String | None = prop("Name of a voice.")
    save_to_media: Boolean | None = prop("Keep it in the media library.", default=False)
