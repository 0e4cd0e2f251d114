"""Find keys that the service ignores silently: common mistakes, deprecated names, misspellings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from airflow_json2video.movie.base import DocumentModel, json_keys
from airflow_json2video.movie.elements import ELEMENT_TYPES, PreloadItem, UnknownElement
from airflow_json2video.movie.exports import DESTINATION_TYPES, DestinationReference, Export, UnknownDestination
from airflow_json2video.movie.findings import Finding, Severity, at
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

__all__ = ["key_findings"]

_PARTS: Mapping[str, type[DocumentModel]] = {
    "transition": Transition, "crop": Crop, "rotate": Rotate, "chroma-key": ChromaKey, "correction": Correction,
}  # fmt: skip
_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


def key_findings(document: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the findings about unknown keys of *document*; most unknown keys are new ones, and not a finding."""
    for model, node, path in _objects(document):
        known = json_keys(model)
        for key in node:
            if isinstance(key, str) and key not in known:
                finding = _finding(model, key, node, at(path, key))
                if finding is not None:
                    yield finding


def _finding(model: type[DocumentModel], key: str, node: Mapping[str, Any], path: str) -> Finding | None:
    known = json_keys(model)
    if key in model.legacy:
        return Finding(Severity.WARNING, path, model.legacy[key], "deprecated")
    if key in model.common_mistakes:
        return Finding(Severity.ERROR, path, model.common_mistakes[key], "misspelled-key")
    dashed = _HUMP.sub(r"-\1", key).replace("_", "-").lower()
    if dashed in known:
        is_certain = "_" in key and not model.takes_any_key
        severity = Severity.ERROR if is_certain else Severity.WARNING
        return Finding(severity, path, f"The service does not read {key!r}; write {dashed!r}.", "misspelled-key")
    free = [name for name in known if name not in node]
    near = get_close_matches(dashed, free, 1, 0.8)
    if near and len(key) > 2:
        message = f"{key!r} is unknown and may be ignored; did you mean {near[0]!r}?"
        return Finding(Severity.WARNING, path, message, "unknown-key")
    return None


def _objects(movie: Mapping[str, Any]) -> Iterator[tuple[type[DocumentModel], Mapping[str, Any], str]]:
    yield Movie, movie, ""
    for path, item in _list(movie, "preload", ""):
        yield PreloadItem, item, path
    for path, scene in _list(movie, "scenes", ""):
        yield Scene, scene, path
        yield from _parts(scene, path)
        yield from _elements(scene, path)
    yield from _elements(movie, "")
    for path, export in _list(movie, "exports", ""):
        yield Export, export, path
        for place, destination in _list(export, "destinations", path):
            kind = destination.get("type")
            if destination.get("id") is not None:
                yield DestinationReference, destination, place
            else:
                known = DESTINATION_TYPES.get(kind) if isinstance(kind, str) else None
                yield known or UnknownDestination, destination, place


def _elements(parent: Mapping[str, Any], path: str) -> Iterator[tuple[type[DocumentModel], Mapping[str, Any], str]]:
    for place, element in _list(parent, "elements", path):
        kind = element.get("type")
        model = ELEMENT_TYPES.get(kind, UnknownElement) if isinstance(kind, str) else UnknownElement
        if model is UnknownElement:
            continue  # its keys are unknown
        yield model, element, place
        yield from _parts(element, place)
        for moment, keyframe in _list(element, "keyframes", place):
            yield Keyframe, keyframe, moment
        settings = element.get("settings")
        if isinstance(settings, Mapping) and kind in ("text", "subtitles"):
            yield (TextSettings if kind == "text" else SubtitlesSettings), settings, at(place, "settings")


def _parts(node: Mapping[str, Any], path: str) -> Iterator[tuple[type[DocumentModel], Mapping[str, Any], str]]:
    for key, model in _PARTS.items():
        part = node.get(key)
        if isinstance(part, Mapping):
            yield model, part, at(path, key)


def _list(parent: Mapping[str, Any], key: str, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    children = parent.get(key)
    for index, child in enumerate(children if isinstance(children, (list, tuple)) else ()):
        if isinstance(child, Mapping):
            yield at(at(path, key), index), child
