"""The movie: the root of a document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict

from airflow_json2video.movie.base import DocumentModel, OrExpression, prop
from airflow_json2video.movie.elements import AnyElement, PreloadItem
from airflow_json2video.movie.exports import Export
from airflow_json2video.movie.frames import MAX_SIDE, MIN_SIDE
from airflow_json2video.movie.scalars import Choice, Number
from airflow_json2video.movie.scene import Scene
from airflow_json2video.movie.types import Boolean, Members, Resolution, String

__all__ = ["Movie"]


class _FrameSide(Number):
    """The range is a warning only, since a preset overrides the size; the JSON Schema includes it."""

    def json_schema(self) -> dict[str, Any]:
        return replace(self, doubtful=False).bounded_schema()


_Frame = Annotated[int | str, _FrameSide(at_least=MIN_SIDE, at_most=MAX_SIDE, whole=True, doubtful=True)]


class Movie(DocumentModel):
    """A movie, or a stored template with its variables. Its length is that of its parts."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["scenes"]}, {"required": ["template"]}]})
    legacy: ClassVar[Mapping[str, str]] = {"draft": "'draft' is deprecated and no longer documented; leave it out."}
    common_mistakes: ClassVar[Mapping[str, str]] = {
        "webhook": (
            "A movie has no property 'webhook'; write "
            '"exports": [{"destinations": [{"type": "webhook", "endpoint": "https://..."}]}].'
        ),
        "client_data": "The service does not read 'client_data'; write 'client-data'.",
        "duration": "A movie has no 'duration'; its length is that of its scenes and elements.",
        "templateId": "The service does not read 'templateId'; write 'template'.",
    }

    id: String | None = prop("Your own id of the movie, echoed in webhooks. Not the project.")
    comment: String | None = prop("A note; the renderer ignores it.")
    template: String | None = prop("Id of a stored template; then scenes and elements are ignored.")
    variables: Members | None = prop("Values that expressions use; of any JSON type.")
    resolution: Resolution | None = prop("Size of the frame; custom uses width and height.", default="custom")
    width: _Frame | None = prop("Pixels, 50 to 3840; with resolution custom only.", default=640)
    height: _Frame | None = prop("Pixels, 50 to 3840; with resolution custom only.", default=360)
    quality: Annotated[Literal["low", "medium", "high"] | str, Choice(words=("low", "medium", "high"))] | None = prop(
        "Quality of the encoding; the price is the same.", default="high"
    )
    fps: Annotated[float | str, Number(at_least=1, at_most=120, doubtful=True, never_below=0)] | None = prop(
        "Frames per second.", default=25
    )
    cache: Boolean | None = prop("False renders everything again.", default=True)
    client_data: Members | None = prop("Any object; returned with the status and in webhooks.")
    preload: Annotated[list[PreloadItem] | str, OrExpression()] | None = prop("Assets generated before the scenes.")
    scenes: Annotated[list[Scene] | str, OrExpression()] | None = prop("Scenes, in order of playback.")
    elements: Annotated[list[AnyElement] | str, OrExpression()] | None = prop("Elements over all scenes.")
    exports: Annotated[list[Export] | str, OrExpression()] | None = prop("Destinations of the movie.")
    settings: Members | None = prop("Advanced settings; undocumented.")

    def _incomplete(self) -> str | None:
        if self.scenes is None and self.template is None:
            return "needs 'scenes' or 'template'"
        return None
