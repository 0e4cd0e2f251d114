"""Translate a message of a render (``Scene #1, element #2: ...``) to a path in the document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_json2video.movie.findings import Finding, Severity, at, format_path

__all__ = ["fault_finding", "in_document", "warning_findings"]

_PLACE = re.compile(r"(?:Scene #(?P<scene>\d+)|Movie)(?:, element #(?P<element>\d+))?(?:: | (?=has ))")
# The property that a message is about, by its text; the first match counts.
_PROPERTIES = (
    (re.compile(r"requires a '(?P<name>[\w-]+)' property"), None),
    (re.compile(r"The mask "), "mask"),
    (re.compile(r"Failed to download|The URL provided|its length is unknown"), "src"),
    (re.compile(r"Unknown element type|has no 'type'"), "type"),
    (re.compile(r"the transition\b"), "transition"),
    (re.compile(r"to iterate over"), "iterate"),
    (re.compile(r"Invalid resolution"), "resolution"),
    (re.compile(r"The 'fps' of a movie"), "fps"),
    (re.compile(r"is not a color; black is used"), "background-color"),
)


def in_document(text: str, document: Mapping[str, Any]) -> tuple[str, str]:
    """Return the path in *document* that a message is about, and the rest of the message.

    :returns: an empty path if the message is about the whole movie.
    """
    place = _PLACE.match(text)
    steps: list[str | int] = []
    if place and place["scene"]:
        steps = ["scenes", int(place["scene"]) - 1]
        if place["element"]:
            steps = _element(document, int(place["scene"]) - 1, int(place["element"]) - 1)
    elif place and place["element"]:
        steps = ["elements", int(place["element"]) - 1]
    path, rest = format_path(steps), text[place.end() :] if place else text
    for pattern, name in _PROPERTIES:
        if found := pattern.search(rest):
            return at(path, name or found["name"]), rest
    return path, rest


def _element(document: Mapping[str, Any], scene: int, element: int) -> list[str | int]:
    """Return the path of an element. The elements of an imported scene follow a scene's own."""
    scenes = document.get("scenes")
    if isinstance(scenes, list) and scene < len(scenes) and isinstance(scenes[scene], Mapping):
        own = len(scenes[scene].get("elements") or ())
        imported = scenes[scene].get("import")
        if element >= own and imported:
            for index, other in enumerate(scenes):
                if isinstance(other, Mapping) and other.get("id") == imported:
                    return ["scenes", index, "elements", element - own]
    return ["scenes", scene, "elements", element]


def fault_finding(text: str, document: Mapping[str, Any]) -> Finding:
    """Return the failure of a render as a finding."""
    return Finding(Severity.ERROR, *in_document(text, document), "render-fails")


def warning_findings(texts: Iterable[str], document: Mapping[str, Any]) -> list[Finding]:
    """Return the warnings of a render as findings."""
    return [Finding(Severity.WARNING, *in_document(text, document), "drawn-differently") for text in texts]
