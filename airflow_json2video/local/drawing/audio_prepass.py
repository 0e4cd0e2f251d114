"""The sound of a movie that is needed before it is drawn: voices, loudness for audiograms, subtitles."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_json2video.local.drawing.assets import AssetFault, Assets
from airflow_json2video.local.drawing.voice import SpeechSynthesizer
from airflow_json2video.local.planning.resolve import MovieFault

if TYPE_CHECKING:
    from airflow_json2video.local.drawing.audiogram import Levels
    from airflow_json2video.local.planning.timeline import Layer, Sound, Timeline

__all__ = ["KINDS", "AudioPrepass"]

KINDS = ("voice", "audiogram", "subtitles")


class AudioPrepass:
    """Synthesizes voices, and prepares audiograms and subtitles.

    :param assets: finds captions; its cache stores the results.
    :param warn: called for everything that is replaced by an approximation.
    """

    def __init__(self, *, assets: Assets, warn: Callable[[str], None]) -> None:
        self._assets = assets
        self._folder = assets.cache
        self._warn = warn
        self._voices = SpeechSynthesizer(folder=assets.cache / "voices", warn=warn)
        self._levels: Levels | None = None
        self._ass: Path | None = None

    def seconds(self, where: str, element: Mapping[str, Any]) -> float:
        """Return the length of a voice, which is synthesized for it."""
        return self._voices.synthesize(where, element).seconds

    def prepare(self, timeline: Timeline, *, find: Callable[[Sound], Path | None]) -> None:
        """Build the subtitles of a planned movie, and prepare to measure its sound.

        :param find: returns the file of a sound; None: it is silent.
        :raises MovieFault: captions are missing or cannot be read.
        """
        kinds = {layer.kind for layers in (timeline.overlays, *(s.layers for s in timeline.scenes)) for layer in layers}
        if "audiogram" in kinds:
            from airflow_json2video.local.drawing.audiogram import Levels

            self._levels = Levels(timeline, find=find, folder=self._folder / "levels")
        if "subtitles" in kinds:
            from airflow_json2video.local.planning.subtitling import subtitles_ass

            layer = timeline.overlays[-1]
            text = subtitles_ass(
                timeline, layer, fetched=self._captions, synthesize=self._voices.synthesize, warn=self._warn
            )
            if text is not None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._ass = self._folder / "subtitles.ass"
                self._ass.write_text(text, encoding="utf-8")

    def _captions(self, where: str, address: str) -> Path | None:
        try:
            return self._assets.file(address)
        except AssetFault as fault:
            if self._assets.fetch:
                raise MovieFault(f"{where}: {fault}") from None
            self._warn(f"{where}: {fault}")
            return None

    def file(self, one: Layer | Sound) -> Path | None:
        """Return the file for a voice, an audiogram or the subtitles; the latter two after :meth:`prepare`."""
        kind = one.element.get("type")
        if kind == "voice":
            return self._voices.synthesize(one.where, one.element).path
        if kind == "subtitles":
            return self._ass
        return self._levels.file(one.element) if self._levels else None

    def save_subtitles(self, video: Path) -> bool:
        """Store the subtitles next to the video, replacing earlier ones; return False if there are none."""
        target = video.with_suffix(".ass")
        target.unlink(missing_ok=True)
        if self._ass is not None:
            shutil.copyfile(self._ass, target)
        return self._ass is not None
