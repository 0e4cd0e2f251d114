"""What the message of a failed render means. Pure.

The service has no codes for it, so its words are read, here and nowhere else. Sources: the API's error tables, answers
seen live, and what users of the service wrote down (several of them quoted each family of the validator's messages).
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
    """Turn the message of a render that ended in ``error`` into an error that says where and what next.

    :param message: the service's words, verbatim; may be empty.
    :param project: the render.
    """
    words = (message or "").strip() or "(the service gave no reason)"
    path = _path_in(words)
    unavailable = bool(_SOURCE_UNAVAILABLE.search(words))
    retryable = False
    if unavailable:
        advice = "Check that the source's address is public and answers; a retry submits a new render."
        retryable = True
    elif _QUOTA_OF_RENDER.search(words):
        advice = "Add credits, or shorten the movie; a retry before that fails in the same way."
    elif _DOCUMENT_FAULT.search(words):
        advice = "The document is at fault: correct it; a retry of the same document would fail again."
    else:
        advice = "The reason may pass; a retry submits a new render."
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
