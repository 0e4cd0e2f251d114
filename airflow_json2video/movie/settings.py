"""The objects inside elements: crop, rotation, keying, correction, and the settings of text and subtitles."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from airflow_json2video.movie.base import DocumentModel, prop
from airflow_json2video.movie.scalars import AnyValue, Choice, Number
from airflow_json2video.movie.types import Boolean, HexColor, Integer, Items, Members, Pixels, Real, Source, String

__all__ = ["ChromaKey", "Correction", "Crop", "Keyframe", "Rotate", "SubtitlesSettings", "TextSettings"]


class Crop(DocumentModel):
    """The visible part of the image, in pixels of the source."""

    width: Annotated[int | str, Number(at_least=0, whole=True)] = Field(description="Width of the part, in pixels.")
    height: Annotated[int | str, Number(at_least=0, whole=True)] = Field(description="Height of the part, in pixels.")
    x: Pixels | None = prop("Left edge of the part.", default=0)
    y: Pixels | None = prop("Top edge of the part.", default=0)


class Rotate(DocumentModel):
    """A rotation: fixed, or animated if ``speed`` is not 0."""

    angle: Annotated[float | str, Number(at_least=-360, at_most=360)] = Field(description="Degrees, clockwise.")
    speed: Annotated[float | str, Number(at_least=0)] | None = prop(
        "Seconds to rotate by the angle; 0 for a fixed image.", default=0
    )


class ChromaKey(DocumentModel):
    """Makes one color transparent (green screen)."""

    color: HexColor = Field(description="The color that becomes transparent, as #RRGGBB.")
    tolerance: Annotated[float | str, Number(at_least=1, at_most=100)] | None = prop(
        "Tolerated distance from the color, 1 to 100.", default=25
    )


class Correction(DocumentModel):
    """Correction of light and colors."""

    brightness: Annotated[float | str, Number(at_least=-1, at_most=1)] | None = prop("-1 to 1.", default=0)
    contrast: Annotated[float | str, Number(at_least=-1000, at_most=1000)] | None = prop("-1000 to 1000.", default=1)
    gamma: Annotated[float | str, Number(at_least=0.1, at_most=10)] | None = prop("0.1 to 10.", default=1)
    saturation: Annotated[float | str, Number(at_least=0, at_most=3)] | None = prop("0 to 3.", default=1)


_EASINGS = ("linear", "easeOutCubic", "easeOutBack", "easeOutElastic")


class Keyframe(DocumentModel):
    """The state of an animated element at one time, and how it is reached."""

    time: Annotated[float | str, Number(at_least=0)] | None = prop("Seconds after the start of the element.")
    x: Real | None = prop("Pixels from the left.")
    y: Real | None = prop("Pixels from the top.")
    zoom: Real | None = prop("Size at this time.")
    easing: Annotated[str, Choice(words=_EASINGS, closed=False)] | None = prop("How it moves.")


class TextSettings(DocumentModel):
    """Style of a text: mostly CSS, and an open set. The keyword ``letter_spacing`` is the key ``letter-spacing``."""

    model_config = ConfigDict(extra="allow")
    takes_any_key: ClassVar[bool] = True

    font_family: String | None = prop("Name of a Google Font, or URL of a .ttf or .otf file.")
    font_size: Annotated[str | float, AnyValue()] | None = prop("A CSS length: 48px, 9vw.")
    font_weight: Annotated[str | float, AnyValue()] | None = prop("100 to 900, or a CSS word.")
    font_color: String | None = prop("Any CSS color.")
    color: String | None = prop("Any CSS color; an alias of font-color.")
    background_color: String | None = prop("Any CSS color.")
    text_align: Annotated[str, Choice(words=("left", "center", "right", "justify"), closed=False)] | None = prop(
        "Alignment of the lines."
    )
    line_height: Annotated[str | float, AnyValue()] | None = prop("CSS line-height.")
    text_shadow: String | None = prop("CSS text-shadow.")
    shadow: Annotated[str | float, AnyValue()] | None = prop("Shadow of the text, depending on the style.")
    padding: Annotated[str | float, AnyValue()] | None = prop("CSS padding.")
    vertical_position: (
        Annotated[Literal["top", "center", "bottom"] | str, Choice(words=("top", "center", "bottom"), closed=False)]
        | None
    ) = prop("Position of the text in the element.")
    horizontal_position: (
        Annotated[Literal["left", "center", "right"] | str, Choice(words=("left", "center", "right"), closed=False)]
        | None
    ) = prop("Position of the text in the element.")


_SUBTITLE_STYLES = ("classic", "classic-progressive", "classic-one-word", "boxed-line", "boxed-word")
_SUBTITLE_POSITIONS = (
    "top-left", "top-center", "top-right", "center-left", "center-center", "center-right", "bottom-left",
    "bottom-center", "bottom-right", "mid-bottom-center", "mid-top-center", "custom",
)  # fmt: skip
_SUBTITLE_FONTS = (
    "Arial", "Arial Bold", "Oswald Bold", "NotoSans Bold", "Simplified Chinese", "Traditional Chinese",
    "Japanese", "Korean", "Korean Bold",
)  # fmt: skip


class SubtitlesSettings(DocumentModel):
    """Style of the subtitles, and hints for the transcription."""

    style: (
        Annotated[
            Literal["classic", "classic-progressive", "classic-one-word", "boxed-line", "boxed-word"] | str,
            Choice(words=_SUBTITLE_STYLES),
        ]
        | None
    ) = prop("How words appear.", default="classic")
    all_caps: Boolean | None = prop("All in capitals.", default=False)
    font_family: Annotated[str, Choice(words=_SUBTITLE_FONTS, closed=False)] | None = prop(
        "Any Google Font, or a built-in font; the name of the font if font-url is set.", default="Arial"
    )
    font_url: Source | None = prop("URL of a TTF file.")
    font_weight: Annotated[str | float, AnyValue()] | None = prop("100 to 900, Google Fonts only.")
    font_size: Annotated[float | str, Number(above=0)] | None = prop("Pixels; 5 % of the width by default.")
    font_color: String | None = prop("Color of the text; the reference uses line-color and word-color.")
    word_color: String | None = prop("Color of the word being spoken.", default="#FFFF00")
    line_color: String | None = prop("Color of the other words.", default="#FFFFFF")
    box_color: String | None = prop("Color of the box.", default="#000000")
    outline_color: String | None = prop("Color of the outline.", default="#000000")
    outline_width: Integer | None = prop("Width of the outline.", default=0)
    shadow_color: String | None = prop("Color of the shadow.", default="#000000")
    shadow_offset: Integer | None = prop("Offset of the shadow.", default=0)
    max_words_per_line: Annotated[int | str, Number(at_least=1, whole=True)] | None = prop(
        "1 for one word at a time.", default=4
    )
    position: Annotated[str, Choice(words=_SUBTITLE_POSITIONS)] | None = prop(
        "Position in the frame.", default="bottom-center"
    )
    x: Pixels | None = prop("Only with position custom.", default=0)
    y: Pixels | None = prop("Only with position custom.", default=0)
    keywords: Items | None = prop("Words that help the transcription; default model only.")
    replace: Members | None = prop("Corrections of the transcript: wrong to right.")
