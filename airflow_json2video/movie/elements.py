"""The nine element types, a class for unknown types, and generated assets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Union

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from airflow_json2video.movie.base import ByType, DocumentModel, OrExpression, prop
from airflow_json2video.movie.pricing import CATALOG
from airflow_json2video.movie.scalars import Choice, Condition, Number
from airflow_json2video.movie.settings import (
    ChromaKey,
    Correction,
    Crop,
    Keyframe,
    Rotate,
    SubtitlesSettings,
    TextSettings,
)
from airflow_json2video.movie.types import (
    AspectRatio,
    Boolean,
    Fit,
    HexColor,
    Members,
    Pixels,
    PositiveNumber,
    Real,
    Seconds,
    Size,
    Source,
    String,
)

__all__ = [
    "ELEMENT_TYPES",
    "AnyElement",
    "AudioElement",
    "AudiogramElement",
    "ComponentElement",
    "Element",
    "Generated",
    "HtmlElement",
    "ImageElement",
    "PreloadItem",
    "SubtitlesElement",
    "TextElement",
    "UnknownElement",
    "VideoElement",
    "VisualElement",
    "VoiceElement",
]

_POSITIONS = ("top-left", "top-right", "bottom-right", "bottom-left", "center-center", "custom")
_PANS = ("left", "top", "right", "bottom", "top-left", "top-right", "bottom-left", "bottom-right")
_LANGUAGES = (
    "auto", "en", "bg", "ca", "cs", "da", "nl", "en-AU", "en-GB", "en-NZ", "en-IN", "en-US", "et", "fr", "fi",
    "nl-BE", "de", "de-CH", "el", "hi", "hi-Latn", "hu", "id", "it", "ja", "ko", "lv", "lt", "ms", "no", "pl", "pt",
    "pt-BR", "ro", "ru", "sk", "es", "es-419", "sv", "th", "tr", "uk", "vi", "zh", "zh-TW",
)  # fmt: skip
_SOURCE_OR_PROMPT: JsonDict = {"oneOf": [{"required": ["src"]}, {"required": ["prompt"]}]}


_Duration = Annotated[float | str, Number(above=0, also=(-1, -2), words_also=("auto",), doubtful=True, never_below=0)]
_Zoom = Annotated[int | str, Number(at_least=-10, at_most=10, whole=True, refuses_fractions=True, doubtful=True)]


class Element(DocumentModel):
    """Properties common to every element."""

    always_written: ClassVar[tuple[str, ...]] = ("type",)

    id: String | None = prop("Name of the element; random by default.")
    comment: String | None = prop("A note; the renderer ignores it.")
    condition: Annotated[str | bool, Condition()] | None = prop(
        "{{ expression }}; the element is skipped if it is false or empty."
    )
    variables: Members | None = prop("Variables of this element, which override those of scene and movie.")
    start: Annotated[float | str, Number(at_least=0, also=(-1,))] | None = prop(
        "Seconds after the start of the scene or movie; -1 for its end.", default=0
    )
    duration: (
        Annotated[float | str, Number(above=0, also=(-1, -2), words_also=("auto",), doubtful=True, never_below=0)]
        | None
    ) = prop("Seconds; -1 or auto for the length of the asset, -2 for the length of the scene or movie.")
    extra_time: Annotated[float | str, Number(at_least=0, doubtful=True)] | None = prop(
        "Seconds added after the natural end.", default=0
    )
    z_index: Annotated[int | str, Number(at_least=-99, at_most=99, whole=True)] | None = prop(
        "Layer; scenes are at 0.", default=0
    )
    cache: Boolean | None = prop("False downloads or generates the asset again.", default=True)
    fade_in: Seconds | None = prop("Seconds of fade in.")
    fade_out: Seconds | None = prop("Seconds of fade out.")
    save_to_media: Boolean | None = prop("Save the asset in the media library.", default=False)


class VisualElement(Element):
    """Properties common to visible elements."""

    legacy: ClassVar[Mapping[str, str]] = {"scale": "'scale' is deprecated; write 'width' and 'height'."}

    position: (
        Annotated[
            Literal["top-left", "top-right", "bottom-right", "bottom-left", "center-center", "custom"] | str,
            Choice(words=_POSITIONS),
        ]
        | None
    ) = prop("Position in the frame; custom uses x and y.", default="custom")
    x: Pixels | None = prop("Pixels from the left.", default=0)
    y: Pixels | None = prop("Pixels from the top.", default=0)
    width: Size | None = prop("Pixels; -1 preserves the aspect ratio, or uses the whole frame.", default=-1)
    height: Size | None = prop("Pixels; -1 preserves the aspect ratio, or uses the whole frame.", default=-1)
    resize: Fit | None = prop("cover and fill cover the frame, contain and fit show the whole image.")
    crop: Annotated[Crop | str, OrExpression()] | None = prop("The visible part of the image.")
    rotate: Annotated[Rotate | str, OrExpression()] | None = prop("A rotation, fixed or animated.")
    pan: (
        Annotated[
            Literal["left", "top", "right", "bottom", "top-left", "top-right", "bottom-left", "bottom-right"] | str,
            Choice(words=_PANS),
        ]
        | None
    ) = prop("Direction in which the image moves.")
    pan_distance: Annotated[float | str, Number(at_least=0.01, at_most=0.5)] | None = prop(
        "Distance of the movement, 0.01 to 0.5.", default=0.1
    )
    pan_crop: Boolean | None = prop("False may leave an empty band.", default=True)
    zoom: (
        Annotated[int | str, Number(at_least=-10, at_most=10, whole=True, refuses_fractions=True, doubtful=True)] | None
    ) = prop("Percent step from -10 to 10, a whole number; negative zooms out.")
    chroma_key: Annotated[ChromaKey | str, OrExpression()] | None = prop("Makes one color transparent.")
    correction: Annotated[Correction | str, OrExpression()] | None = prop("Correction of light and colors.")
    flip_horizontal: Boolean | None = prop("Mirror left and right.", default=False)
    flip_vertical: Boolean | None = prop("Mirror top and bottom.", default=False)
    mask: Source | None = prop("URL of a grayscale PNG or video: black is transparent, white is opaque.")


class Generated(DocumentModel):
    """Properties of an element that the service may generate. Write ``src`` or ``prompt``, not both."""

    prompt: String | None = prop("What to generate; instead of src, and with a model.")
    model: Annotated[str, Choice(words=tuple(CATALOG), closed=False)] | None = prop("The model that generates it.")
    aspect_ratio: AspectRatio | None = prop("Shape of what is generated.", default="horizontal")
    model_settings: Members | None = prop("Passed to the provider.")
    connection: String | None = prop("Id of a dashboard connection: the provider bills you, and no credits are used.")


class _AudioMixin(DocumentModel):
    muted: Boolean | None = prop("Without sound.", default=False)
    volume: Annotated[float | str, Number(at_least=0, at_most=10)] | None = prop(
        "Multiplier from 0 to 10; 1 is unchanged.", default=1
    )


class _PlaybackMixin(DocumentModel):
    seek: Real | None = prop(
        "Position in the file where playback starts, in seconds; negative counts from its end.", default=0
    )
    loop: Annotated[int | str, Number(at_least=-1, whole=True)] | None = prop(
        "Number of times it plays; -1 is endless, with duration -2.", default=1
    )


class _Keyed(DocumentModel):
    keyframes: Annotated[list[Keyframe] | str, OrExpression()] | None = prop("An animation: its states over time.")


class ImageElement(_Keyed, Generated, VisualElement):
    """An image from a URL, or one that the service generates. It has no length of its own."""

    model_config = ConfigDict(json_schema_extra=_SOURCE_OR_PROMPT)
    type: Literal["image"] = "image"
    src: Source | None = prop("Public URL of a png, jpg, gif, bmp, tiff or webp.")

    def _incomplete(self) -> str | None:
        return _one_source(self.src, self.prompt)


class VideoElement(Generated, _PlaybackMixin, _AudioMixin, VisualElement):
    """A video from a URL, or one that the service generates."""

    model_config = ConfigDict(json_schema_extra=_SOURCE_OR_PROMPT)
    type: Literal["video"] = "video"
    src: Source | None = prop("Public URL of a video; MP4 is recommended.")

    def _incomplete(self) -> str | None:
        return _one_source(self.src, self.prompt)


class TextElement(VisualElement):
    """A text in one of the library's styles. By default it is as long as its scene."""

    legacy: ClassVar[Mapping[str, str]] = VisualElement.legacy
    type: Literal["text"] = "text"
    text: String = Field(description="The text; HTML is not interpreted.")
    style: String | None = prop('Style of the library, "001" to "011"; a string.', default="001")
    settings: Annotated[TextSettings | dict[str, Any] | str, OrExpression()] | None = prop(
        "Font, colors, position; mostly CSS."
    )


class HtmlElement(_Keyed, VisualElement):
    """HTML, or a page, rendered on a transparent background."""

    legacy: ClassVar[Mapping[str, str]] = {
        **VisualElement.legacy,
        "capture": "'capture' is deprecated; write 'width', 'height' and 'duration'.",
        "tailwind": "'tailwind' appears in one tutorial only; write 'tailwindcss'.",
    }
    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["html"]}, {"required": ["src"]}]})
    type: Literal["html"] = "html"
    html: String | None = prop("HTML, CSS and JavaScript; or write src.")
    src: Source | None = prop("URL of a page to capture; or write html.")
    tailwindcss: Boolean | None = prop("Load Tailwind CSS.", default=False)
    dpi: PositiveNumber | None = prop("Render at a multiple of the size and scale down.", default=1)
    wait: Annotated[float | str, Number(at_least=0, doubtful=True)] | None = prop(
        "Seconds before the capture; the name of this key is uncertain."
    )

    def _incomplete(self) -> str | None:
        return None if self.html or self.src else "needs 'html' or 'src'"


class ComponentElement(VisualElement):
    """An animated component of the library."""

    type: Literal["component"] = "component"
    component: String = Field(description="Id in the library: basic/050, basic/120, advanced/070, shape/rectangle.")
    settings: Members | None = prop("One object for each part: headline, body, card, animation.")


class AudioElement(_PlaybackMixin, _AudioMixin, Element):
    """Sound from a URL."""

    type: Literal["audio"] = "audio"
    src: Source = Field(description="Public URL of a sound file, or of a video for its sound.")


_VOICE_MODELS = ("azure", "elevenlabs", "elevenlabs-v2", "elevenlabs-v3", "elevenlabs-flash-v2-5")


class VoiceElement(_AudioMixin, Element):
    """A spoken text. Its length is that of the speech, which is unknown until it has been generated."""

    type: Literal["voice"] = "voice"
    text: String = Field(
        description="The spoken text; tags from <super-slow> to <super-fast> set the pace, azure also reads SSML."
    )
    voice: String | None = prop("azure: such as en-US-EmmaMultilingualNeural; ElevenLabs: a name or an id.")
    model: Annotated[str, Choice(words=_VOICE_MODELS, closed=False)] | None = prop("Provider.", default="azure")
    connection: String | None = prop("Id of a dashboard connection, to use your own account of the provider.")
    model_settings: Members | None = prop("Passed to the provider.")


class AudiogramElement(VisualElement):
    """A visualization of the sound of its scene or movie."""

    type: Literal["audiogram"] = "audiogram"
    muted: Boolean | None = prop("Without sound.", default=False)
    volume: Annotated[float | str, Number(at_least=0, at_most=10)] | None = prop("Multiplier.", default=1)
    color: HexColor | None = prop("Color of the wave, as #RRGGBB.")
    opacity: Annotated[float | str, Number(at_least=0, at_most=1)] | None = prop("0 to 1.", default=0.5)
    amplitude: Annotated[float | str, Number(at_least=0, at_most=10)] | None = prop("0 to 10.", default=5)


class SubtitlesElement(Element):
    """Subtitles, transcribed or written. At most one, and only in the movie's own elements."""

    type: Literal["subtitles"] = "subtitles"
    captions: String | None = prop("SRT, VTT or ASS, or its URL; then nothing is transcribed.")
    language: Annotated[str, Choice(words=_LANGUAGES, closed=False)] | None = prop("Spoken language.", default="auto")
    model: Annotated[Literal["default", "whisper"] | str, Choice(words=("default", "whisper"), closed=False)] | None = (
        prop("Model that transcribes.", default="default")
    )
    settings: Annotated[SubtitlesSettings | dict[str, Any] | str, OrExpression()] | None = prop(
        "Style of the subtitles."
    )


_PRELOAD_TYPES = ("image", "video", "audio", "voice", "html", "component")


class PreloadItem(Generated):
    """An asset generated or downloaded before the scenes. It is deleted after three days unless it is saved."""

    id: String | None = prop("Name by which the movie refers to it.")
    type: (
        Annotated[Literal["image", "video", "audio", "voice", "html", "component"] | str, Choice(words=_PRELOAD_TYPES)]
        | None
    ) = prop("Type of the asset.")
    src: Source | None = prop("URL to download it from.")
    text: String | None = prop("Text of a voice.")
    voice: String | None = prop("Name of a voice.")
    save_to_media: Boolean | None = prop("Save it in the media library.", default=False)


_KNOWN_TYPES = ("image", "video", "text", "html", "component", "audio", "voice", "audiogram", "subtitles")


class UnknownElement(Element):
    """An element of an unknown type, or without a type; it is preserved unchanged."""

    always_written: ClassVar[tuple[str, ...]] = ()
    model_config = ConfigDict(
        json_schema_extra={
            "required": ["type"],
            "properties": {"type": {"type": "string", "not": {"enum": [*_KNOWN_TYPES, "template"]}}},
        }
    )
    type: Any = prop("An unknown type.")


ELEMENT_TYPES: Mapping[str, type[Element]] = {
    "image": ImageElement,
    "video": VideoElement,
    "text": TextElement,
    "html": HtmlElement,
    "component": ComponentElement,
    "audio": AudioElement,
    "voice": VoiceElement,
    "audiogram": AudiogramElement,
    "subtitles": SubtitlesElement,
}
"""Classes by the value of ``type``."""


def _element_class(document: Mapping[str, Any]) -> type[Element]:
    name = document.get("type")
    return ELEMENT_TYPES.get(name, UnknownElement) if isinstance(name, str) else UnknownElement


def _one_source(src: object, prompt: object) -> str | None:
    if src and prompt:
        return "has both 'src' and 'prompt'; write one of them"
    return None if src or prompt else "needs 'src', or 'prompt' and 'model'"


AnyElement = Annotated[
    Union[  # noqa: UP007 - one member to a line
        ImageElement,
        VideoElement,
        TextElement,
        HtmlElement,
        ComponentElement,
        AudioElement,
        VoiceElement,
        AudiogramElement,
        SubtitlesElement,
        UnknownElement,
    ],
    ByType(_element_class),
]
