"""What a movie needs of its sound before it is drawn: voices, loudness for audiograms, subtitles."""

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
    """Makes what is heard, and files of what is drawn of it.

    :param assets: what captions are fetched with; what is made is kept in its cache.
    :param warn: told of what is only stood in for.
    """

    def __init__(self, *, assets: Assets, warn: Callable[[str], None]) -> None:
        self._assets = assets
        self._folder = assets.cache
        self._warn = warn
        self._voices = SpeechSynthesizer(folder=assets.cache / "voices", warn=warn)
        self._levels: Levels | None = None
        self._ass: Path | None = None

    def seconds(self, where: str, element: Mapping[str, Any]) -> float:
        """Give the length of a voice; it is made for that."""
        return self._voices.synthesize(where, element).seconds

    def prepare(self, timeline: Timeline, *, find: Callable[[Sound], Path | None]) -> None:
        """Make the subtitles of a planned movie, and get ready to measure its sound.

        :param find: gives the file of a sound; None: it is silent.
        :raises MovieFault: captions that cannot be had or read.
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
        """Give the file for a voice, an audiogram or the subtitles; the latter two only once prepared."""
        kind = one.element.get("type")
        if kind == "voice":
            return self._voices.synthesize(one.where, one.element).path
        if kind == "subtitles":
            return self._ass
        return self._levels.file(one.element) if self._levels else None

    def save_subtitles(self, video: Path) -> bool:
        """Put the subtitles beside the video, and away what an earlier render left there; False: there are none."""
        beside = video.with_suffix(".ass")
        beside.unlink(missing_ok=True)
        if self._ass is not None:
            shutil.copyfile(self._ass, beside)
        return self._ass is not None
