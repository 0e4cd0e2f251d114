"""The subtitles of a movie: its captions, or the texts of its voices. No pixels, no sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from airflow_json2video.local.planning.captions import (
    CaptionFault,
    Line,
    Speech,
    arranged,
    lines_of_speech,
    read_captions,
    write_ass,
)
from airflow_json2video.local.planning.plan import number
from airflow_json2video.local.planning.resolve import MovieFault
from airflow_json2video.local.planning.speech import estimated_seconds, spoken_text
from airflow_json2video.local.planning.subtitle_style import read_style

if TYPE_CHECKING:
    from airflow_json2video.local.planning.timeline import Layer, Timeline

__all__ = ["MAX_CAPTIONS", "Span", "estimated", "subtitles_ass"]

MAX_CAPTIONS = 4 * 1024 * 1024
"""Maximum bytes of a captions file."""


class Span(Protocol):
    """When the words of a voice are spoken, in seconds of the voice."""

    @property
    def begins(self) -> float:
        """Start of the first word."""

    @property
    def ends(self) -> float:
        """End of the last word."""


Synthesize = Callable[[str, Mapping[str, Any]], Span]
Fetched = Callable[[str, str], "Path | None"]


class _Estimate:
    def __init__(self, seconds: float) -> None:
        self.begins, self.ends = 0.0, seconds


def estimated(where: str, element: Mapping[str, Any]) -> Span:  # noqa: ARG001 - the signature of a synthesizer
    """Estimate when the words of a voice are spoken, without synthesizing it."""
    return _Estimate(estimated_seconds(element))


def subtitles_ass(
    timeline: Timeline,
    layer: Layer,
    *,
    fetched: Fetched,
    synthesize: Synthesize,
    warn: Callable[[str], None],
) -> str | None:
    """Return the subtitles of a movie as ASS; None if it has no speech.

    :param fetched: returns the file of an address; called with the path of the element and the address.
    :param synthesize: returns the sound of a voice.
    :raises MovieFault: the captions cannot be read.
    """

    def note(text: str) -> None:
        warn(f"{layer.where}: {text}")

    styling = read_style(layer.element, width=timeline.width, warn=note)
    captions = layer.element.get("captions")
    if captions not in (None, ""):
        lines = _caption_lines(layer, str(captions), fetched)
        if lines and not any(line.timed for line in lines) and styling.style not in ("classic", "boxed-line"):
            note(f"these captions have no times of words; '{styling.style}' shows them line by line")
        max_words = styling.max_words if styling.max_words_given else None
    else:
        if any(s.element.get("type") != "voice" for s in timeline.sounds):
            note("subtitles are built only from 'voice' elements here; other sound is not transcribed")
        lines = lines_of_speech(_speeches(timeline, synthesize), max_words=styling.max_words)
        if not lines:
            note("the movie has no voices, so it has no subtitles")
        max_words = styling.max_words
    lines = arranged(lines, replacements=styling.replacements, all_caps=styling.all_caps, max_words=max_words)
    lines = [line for line in lines if line.start < timeline.duration]
    return write_ass(lines, styling, width=timeline.width, height=timeline.height) if lines else None


def _caption_lines(layer: Layer, captions: str, fetched: Fetched) -> list[Line]:
    if captions.strip().lower().startswith(("http://", "https://")):
        path = fetched(layer.where, captions.strip())
        if path is None:
            return []
        with path.open("rb") as file:
            raw = file.read(MAX_CAPTIONS)
        captions = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", errors="replace")
    try:
        return read_captions(captions)
    except CaptionFault as fault:
        raise MovieFault(f"{layer.where}: {fault}") from None


def _speeches(timeline: Timeline, synthesize: Synthesize) -> Iterator[Speech]:
    """Yield the speech of the movie's voices, with times."""
    for sound in timeline.sounds:
        if sound.element.get("type") != "voice" or number(sound.element.get("volume"), 1) <= 0:
            continue
        voice = synthesize(sound.where, sound.element)
        start = float(sound.first / timeline.fps)
        yield Speech(
            text=spoken_text(sound.element),
            start=start + voice.begins,
            end=start + voice.ends,
            until=start + float(sound.frames / timeline.fps),
        )
