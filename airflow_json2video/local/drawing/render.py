"""Draws a movie, from document to file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_json2video.local.drawing.assets import AssetFault, Assets
from airflow_json2video.local.drawing.audio_prepass import KINDS, AudioPrepass
from airflow_json2video.local.drawing.clips import NotMedia, measure
from airflow_json2video.local.drawing.encode import Encoder
from airflow_json2video.local.drawing.html import HtmlStills
from airflow_json2video.local.drawing.instant import result_of
from airflow_json2video.local.drawing.masks import mask_of
from airflow_json2video.local.drawing.painter import Painter
from airflow_json2video.local.drawing.slate import Slates
from airflow_json2video.local.planning.plan import drawable, plan
from airflow_json2video.local.planning.resolve import MovieFault, resolve
from airflow_json2video.local.planning.timeline import Layer, Sound, Timeline

if TYPE_CHECKING:
    from PIL import Image

    from airflow_json2video.local.drawing.sound import SoundTrack

__all__ = ["open_movie", "render"]

Progress = Callable[[int, int], None]


def render(
    document: Mapping[str, Any],
    path: Path,
    *,
    mode: str,
    assets: Assets,
    progress: Progress | None = None,
    html: bool = False,
) -> dict[str, Any]:
    """Draw a movie to *path* and return the result as JSON.

    :param mode: ``slate``, ``preview`` or ``full``.
    :param html: draw ``html`` elements with a Chromium of this machine; they can run scripts.
    :param progress: called with the number of drawn frames and of all frames.
    :returns: ``outcome`` ``done`` with the properties of the file, or ``error`` with the service's ``message``.
    """
    try:
        return _Render(document, path, mode=mode, assets=assets, progress=progress, html=html).run()
    except MovieFault as fault:
        return {"outcome": "error", "message": str(fault)}


def open_movie(
    document: Mapping[str, Any], *, assets: Assets, warn: Callable[[str], None], html: bool = False
) -> tuple[Timeline, Painter]:
    """Plan a movie, find its files, and return the painter of its frames, without encoding.

    :raises MovieFault: the movie cannot be rendered.
    """
    movie = _Render(document, Path(), mode="preview", assets=assets, progress=None, html=html)
    timeline = movie.prepared()
    for text in movie._warnings:
        warn(text)
    return timeline, Painter(timeline, find=movie._find, warn=warn)


class _Render:
    def __init__(
        self,
        document: Mapping[str, Any],
        path: Path,
        *,
        mode: str,
        assets: Assets,
        progress: Progress | None,
        html: bool,
    ) -> None:
        self._document = document
        self._path = path
        self._mode = mode
        self._assets = assets
        self._progress = progress
        self._html = HtmlStills(assets=assets, enabled=html, warn=self._warn)
        self._warnings: dict[str, None] = {}
        self._audio = AudioPrepass(assets=assets, warn=self._warn)

    def run(self) -> dict[str, Any]:
        if self._mode == "slate":
            timeline = self._planned()
            self._warn("mode slate: only the number and title of each scene are drawn, without sound")
            self._encode(timeline, Slates(timeline, self._resolved["scenes"]).frames(), None)
        else:
            timeline = self.prepared()
            with tempfile.TemporaryDirectory(prefix="json2video-sound-") as scratch:
                self._draw(timeline, Path(scratch) / "track")
        ass = self._audio.save_subtitles(self._path)
        return {**result_of(timeline, self._path), "warnings": list(self._warnings), "ass": ass}

    def prepared(self) -> Timeline:
        """Plan the movie and find its files."""
        timeline = self._planned()
        self._html.canvas = (timeline.width, timeline.height)
        # A missing source fails the render before anything is drawn.
        for layers in (*(scene.layers for scene in timeline.scenes), timeline.overlays):
            for layer in layers:
                self._find(layer)
                if mask := mask_of(layer):
                    self._find(mask)
        for sound in timeline.sounds:
            self._find(sound)
        self._audio.prepare(timeline, find=self._find)
        return timeline

    def _planned(self) -> Timeline:
        self._resolved = resolve(self._document)
        timeline = plan(self._resolved, probe=self._measure)
        drawable(timeline, limits=self._assets.limits)
        self._warnings |= dict.fromkeys(timeline.warnings)
        return timeline

    def _warn(self, text: str) -> None:
        self._warnings[text] = None

    def _find(self, one: Layer | Sound) -> Path | None:
        if isinstance(one, Layer) and one.element.get("type") == "html":
            return self._html.find(one)
        if one.element.get("type") in KINDS:
            return self._audio.file(one)
        if one.element.get("type") not in ("image", "video", "audio", "mask") or not one.element.get("src"):
            return None
        return self._file(one.where, one.element)

    def _file(self, where: str, element: Mapping[str, Any]) -> Path | None:
        try:
            return self._assets.file(element.get("src"), kind=str(element.get("type")))
        except AssetFault as fault:
            if self._assets.fetch or not fault.is_missing:
                raise MovieFault(f"{where}: {fault}") from None
            self._warn(f"{where}: {fault}")
            return None

    def _measure(self, where: str, element: Mapping[str, Any]) -> float | None:
        if element.get("type") == "voice":
            return self._audio.seconds(where, element)
        path = self._file(where, element)
        kind = str(element.get("type"))
        if path is None:
            return None
        try:
            return measure(path, kind=kind)
        except NotMedia:
            wrong = f"The URL provided is not a {kind} file and cannot be used as a source for a {kind} element"
            raise MovieFault(f"{where}: {wrong}") from None

    def _draw(self, timeline: Timeline, scratch: Path) -> None:
        sound = None
        if timeline.sounds:
            # NumPy is imported only for a movie with sound, since it takes a third of a worker's start.
            from airflow_json2video.local.drawing.sound import SoundTrack

            sound = SoundTrack(timeline, find=self._find, warn=self._warn, scratch=scratch)
        self._encode(timeline, Painter(timeline, find=self._find, warn=self._warn).frames(), sound)

    def _encode(self, timeline: Timeline, pictures: Iterable[Image.Image | None], sound: SoundTrack | None) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with Encoder(
            self._path,
            width=timeline.width,
            height=timeline.height,
            fps=timeline.fps,
            mode=self._mode,
            sound=sound is not None,
        ) as encoder:
            for done, picture in enumerate(pictures, start=1):
                encoder.picture(picture)
                # Sound is interleaved with its pictures, so that a player need not read ahead.
                for block in sound.blocks(until=done) if sound else ():
                    encoder.samples(block)
                if self._progress and (done % 10 == 0 or done == timeline.frames):
                    self._progress(done, timeline.frames)
