"""The text of a ``voice`` element and its estimated length."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["WORDS_PER_SECOND", "estimated_seconds", "speed_of", "spoken_text"]

WORDS_PER_SECOND = 2.5
MAX_TEXT = 10_000
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")


def spoken_text(element: Mapping[str, Any]) -> str:
    """Return the text without SSML, with single spaces."""
    text = str(element.get("text") or "")[:MAX_TEXT]
    if _TAG.search(text):
        text = html.unescape(_TAG.sub(" ", text))
    return " ".join(text.split())


def speed_of(element: Mapping[str, Any]) -> float:
    """Return the speed in ``model-settings``, 0.5 to 2; 1 is normal."""
    settings = element.get("model-settings")
    inner = settings.get("voice_settings") if isinstance(settings, Mapping) else None
    try:
        speed = float(inner.get("speed", 1)) if isinstance(inner, Mapping) else 1.0
    except (TypeError, ValueError):
        return 1.0
    return max(0.5, min(2.0, speed))


def estimated_seconds(element: Mapping[str, Any]) -> float:
    """Estimate the length in seconds: 2.5 words per second, at least one second."""
    return max(1.0, len(spoken_text(element).split()) / (WORDS_PER_SECOND * speed_of(element)))
