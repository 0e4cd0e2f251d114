"""Movie JSON: the document that JSON2Video renders, as models, with checks and an estimate of its cost.

A name is loaded when it is first used, so importing this package loads no models.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_json2video.movie.checks import check, require_valid
    from airflow_json2video.movie.documents import load_document
    from airflow_json2video.movie.elements import (
        AnyElement,
        AudioElement,
        AudiogramElement,
        ComponentElement,
        Element,
        HtmlElement,
        ImageElement,
        PreloadItem,
        SubtitlesElement,
        TextElement,
        UnknownElement,
        VideoElement,
        VisualElement,
        VoiceElement,
    )
    from airflow_json2video.movie.estimation import Estimate, Overlap, SceneSpan, estimate
    from airflow_json2video.movie.exports import (
        AnyDestination,
        Destination,
        DestinationReference,
        EmailDestination,
        Export,
        FtpDestination,
        SftpDestination,
        UnknownDestination,
        WebhookDestination,
    )
    from airflow_json2video.movie.expressions import names_in, render_airflow_expressions
    from airflow_json2video.movie.findings import Finding, Severity
    from airflow_json2video.movie.movie import Movie
    from airflow_json2video.movie.scene import Scene, Transition
    from airflow_json2video.movie.settings import (
        ChromaKey,
        Correction,
        Crop,
        Keyframe,
        Rotate,
        SubtitlesSettings,
        TextSettings,
    )

__all__ = [
    "AnyDestination",
    "AnyElement",
    "AudioElement",
    "AudiogramElement",
    "ChromaKey",
    "ComponentElement",
    "Correction",
    "Crop",
    "Destination",
    "DestinationReference",
    "Element",
    "EmailDestination",
    "Estimate",
    "Export",
    "Finding",
    "FtpDestination",
    "HtmlElement",
    "ImageElement",
    "Keyframe",
    "Movie",
    "Overlap",
    "PreloadItem",
    "Rotate",
    "Scene",
    "SceneSpan",
    "Severity",
    "SftpDestination",
    "SubtitlesElement",
    "SubtitlesSettings",
    "TextElement",
    "TextSettings",
    "Transition",
    "UnknownDestination",
    "UnknownElement",
    "VideoElement",
    "VisualElement",
    "VoiceElement",
    "WebhookDestination",
    "check",
    "estimate",
    "load_document",
    "names_in",
    "render_airflow_expressions",
    "require_valid",
]

_NAMES_BY_MODULE = {
    "checks": "check require_valid",
    "elements": "AnyElement AudioElement AudiogramElement ComponentElement Element HtmlElement ImageElement "
    "PreloadItem SubtitlesElement TextElement UnknownElement VideoElement VisualElement VoiceElement",
    "exports": "AnyDestination Destination DestinationReference EmailDestination Export FtpDestination "
    "SftpDestination UnknownDestination WebhookDestination",
    "expressions": "names_in render_airflow_expressions",
    "findings": "Finding Severity",
    "documents": "load_document",
    "movie": "Movie",
    "scene": "Scene Transition",
    "settings": "ChromaKey Correction Crop Keyframe Rotate SubtitlesSettings TextSettings",
    "estimation": "Estimate Overlap SceneSpan estimate",
}
_MODULE_OF = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
