"""Classify the message of a failed render. Pure.

The service has no error codes for renders, so its messages are read, here and nowhere else. Sources: the API's error
tables, responses of the live service, and messages that users of the service have quoted (each kind by several).
"""

from __future__ import annotations

import re

from airflow_json2video.exceptions import RenderFailed

__all__ = ["error_from_render"]

_NUMBERED_SCENE = re.compile(r"scene\s*#\s*(\d+)", re.IGNORECASE)
_NUMBERED_ELEMENT = re.compile(r"element\s*#\s*(\d+)", re.IGNORECASE)
_PLACE = re.compile(r"\bmovie((?:/[A-Za-z][\w-]*(?:\[\d+\])*)+)")
_PROPERTY = re.compile(r"\bProperty '([^']+)' is\b")
_SOURCE_UNAVAILABLE = re.compile(r"failed to (download|fetch|load)|could not be (downloaded|fetched)", re.IGNORECASE)
_QUOTA_OF_RENDER = re.compile(r"exceeded the quota|(?:insufficient|not enough) credits", re.IGNORECASE)
_DOCUMENT_FAULT = re.compile(
    r"requires an? '?\w+'? property|is required for|duration cannot be zero|cannot be used as a source"
    r"|width and height required|unknown element type|invalid (value|type|colou?r|property|json)"
    r"|property '[^']+' is\b|does not match any of (the )?possible schemas|not all elements have metadata",
    re.IGNORECASE,
)


def error_from_render(message: str | None, *, project: str) -> RenderFailed:
    """Return the error of a render that ended in ``error``, with its place in the document and what to do.

    :param message: the service's message, verbatim; may be empty.
    :param project: the render.
    """
    words = (message or "").strip() or "(the service gave no reason)"
    path = _path_in(words)
    unavailable = bool(_SOURCE_UNAVAILABLE.search(words))
    retryable = False
    if unavailable:
        advice = "Check that the source's URL is public and responds; a retry submits a new render."
        retryable = True
    elif _QUOTA_OF_RENDER.search(words):
        advice = "Add credits, or shorten the movie; until then a retry fails in the same way."
    elif _DOCUMENT_FAULT.search(words):
        advice = "Correct the document; a retry with the same document fails again."
    else:
        advice = "The reason may be temporary; a retry submits a new render."
        retryable = True
    return RenderFailed(
        f"Render {project} failed{f' at {path}' if path else ''}. JSON2Video says: {words}"
        f"{'' if words[-1] in '.!?' else '.'}",
        advice=f"A failed render is not charged. {advice}",
        service_message=words,
        project=project,
        path=path,
        retryable=retryable,
        source_unavailable=unavailable,
    )


def _path_in(words: str) -> str | None:
    """Read the place in the document: counted from 0 in ``movie/scenes[0]``, and from 1 in ``Scene #1``."""
    if place := _PLACE.search(words):
        path = place.group(1)[1:].replace("/", ".")
        named = _PROPERTY.search(words)
        return f"{path}.{named.group(1)}" if named else path
    scene, element = _NUMBERED_SCENE.search(words), _NUMBERED_ELEMENT.search(words)
    if scene is None:
        return None
    path = f"scenes[{int(scene.group(1)) - 1}]"
    return f"{path}.elements[{int(element.group(1)) - 1}]" if element else path
