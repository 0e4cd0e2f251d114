"""Scenes and the transitions between them."""

from __future__ import annotations

from typing import Annotated

from airflow_json2video.movie.base import DocumentModel, OrExpression, prop
from airflow_json2video.movie.elements import AnyElement
from airflow_json2video.movie.scalars import Choice, Condition, Number
from airflow_json2video.movie.types import Boolean, HexColor, Members, PositiveNumber, String

__all__ = ["TRANSITION_STYLES", "Scene", "Transition"]

TRANSITION_STYLES = (
    "fade", "wipeleft", "wiperight", "wipeup", "wipedown", "slideleft", "slideright", "slideup", "slidedown",
    "circlecrop", "rectcrop", "distance", "fadeblack", "fadewhite", "radial", "smoothleft", "smoothright",
    "smoothup", "smoothdown", "circleopen", "circleclose", "vertopen", "vertclose", "horzopen", "horzclose",
    "dissolve", "pixelize", "diagtl", "diagtr", "diagbl", "diagbr", "hlslice", "hrslice", "vuslice", "vdslice",
    "hblur", "fadegrays", "wipetl", "wipetr", "wipebl", "wipebr", "squeezeh", "squeezev", "zoomin",
)  # fmt: skip
"""The documented styles; the service may support more."""


class Transition(DocumentModel):
    """The transition to a scene, which overlaps the end of the previous scene."""

    style: Annotated[str, Choice(words=TRANSITION_STYLES, closed=False)] | None = prop(
        "Style; fade is the cheapest to render.", default="fade"
    )
    duration: PositiveNumber | None = prop("Seconds, less than the duration of either scene.")
    type: Annotated[str, Choice(words=("xfade",), closed=False)] | None = prop("Kind of transition.", default="xfade")


class Scene(DocumentModel):
    """A part of the movie; scenes play one after another."""

    id: String | None = prop("Name of the scene; random by default.")
    comment: String | None = prop("A note; the renderer ignores it.")
    elements: Annotated[list[AnyElement] | str, OrExpression()] | None = prop(
        "What the scene shows; later elements are drawn on top."
    )
    duration: (
        Annotated[float | str, Number(above=0, also=(-1,), words_also=("auto",), doubtful=True, never_below=0)] | None
    ) = prop("Seconds; -1 or auto for the duration of the elements.", default=-1)
    background_color: HexColor | None = prop(
        "#RRGGBB, or transparent to let movie elements below 0 show.", default="#000000"
    )
    transition: Annotated[Transition | str, OrExpression()] | None = prop("Transition to this scene.")
    condition: Annotated[str | bool, Condition()] | None = prop(
        "{{ expression }}; the scene is skipped if it is false or empty."
    )
    variables: Members | None = prop("Variables of this scene, which override those of the movie.")
    iterate: String | None = prop("Name of a movie variable that is an array: the scene is repeated for each item.")
    iterate_as: String | None = prop("Name of the current item.", default="item")
    import_: String | None = prop("Id of another scene, whose elements are appended.")
    cache: Boolean | None = prop("False renders the scene again.", default=True)
