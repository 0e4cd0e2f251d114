"""The types of the properties. Each is a literal, a string form of it, or a ``{{ expression }}``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from airflow_json2video.movie import scalars
from airflow_json2video.movie.scalars import Choice, Color, JsonArray, JsonObject, Number, Text, Url

__all__ = [
    "AspectRatio",
    "Boolean",
    "Credential",
    "Fit",
    "HexColor",
    "Integer",
    "Items",
    "Members",
    "Pixels",
    "PositiveNumber",
    "Real",
    "Resolution",
    "Seconds",
    "Size",
    "Source",
    "String",
]

Boolean = Annotated[bool | str, scalars.Boolean()]
String = Annotated[str, Text()]
Credential = String
HexColor = Annotated[str, Color()]
Source = Annotated[str, Url()]
Members = Annotated[dict[str, Any] | str, JsonObject()]
Items = Annotated[list[Any] | str, JsonArray()]

Real = Annotated[float | str, Number()]
Integer = Annotated[int | str, Number(whole=True)]
PositiveNumber = Annotated[float | str, Number(above=0, doubtful=True, never_below=0)]
Seconds = Annotated[float | str, Number(at_least=0)]
Pixels = Annotated[int | str, Number(whole=True)]
Size = Annotated[int | str, Number(at_least=-1, whole=True)]

Resolution = Annotated[
    Literal[
        "sd", "hd", "full-hd", "squared", "instagram-story", "instagram-feed",
        "twitter-landscape", "twitter-portrait", "custom",
    ] | str,
    Choice(
        words=(
            "sd", "hd", "full-hd", "squared", "instagram-story", "instagram-feed",
            "twitter-landscape", "twitter-portrait", "custom",
        ),
        certain=True,
    ),
]  # fmt: skip
Fit = Annotated[Literal["cover", "fill", "fit", "contain"] | str, Choice(words=("cover", "fill", "fit", "contain"))]
AspectRatio = Annotated[
    Literal["horizontal", "vertical", "squared"] | str, Choice(words=("horizontal", "vertical", "squared"))
]
