"""Mode ``slate``: every frame shows only the number and title of its scene."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw

from airflow_json2video.local.drawing.cards import visible_text
from airflow_json2video.local.drawing.text import draw_text
from airflow_json2video.local.planning.evaluation import text_of
from airflow_json2video.local.planning.timeline import ScenePlan, Timeline

__all__ = ["Slates"]

_DARK = (24, 26, 32)


class Slates:
    """Draws one still for each scene of a timeline, instead of :class:`.Painter`.

    :param scenes: the resolved scenes, whose ``comment`` or ``id`` is their title, or else the first text of the scene.
    """

    def __init__(self, timeline: Timeline, scenes: Sequence[Mapping[str, Any]]) -> None:
        self._timeline = timeline
        self._named = {scene.get("_scene"): scene for scene in reversed(scenes)}

    def frames(self) -> Iterator[Image.Image | None]:
        """Yield each frame; None for one that equals the previous one."""
        timeline = self._timeline
        starts = {scene.first: scene for scene in timeline.scenes}
        end = timeline.scenes[-1].first + timeline.scenes[-1].frames if timeline.scenes else 0
        for frame in range(timeline.frames):
            if frame in starts:
                yield self._still(starts[frame])
            elif frame == end:
                yield self._still(None)
            else:
                yield None

    def _still(self, scene: ScenePlan | None) -> Image.Image:
        size = (self._timeline.width, self._timeline.height)
        background = (scene.background or _DARK) if scene else _DARK
        color = "#000000" if sum(background) > 450 else "#ffffff"
        picture = Image.new("RGB", size, background)
        if scene is None:
            _line(picture, "no scene", top=0.38, height=0.24, color=color)
            return picture
        seconds = float(scene.frames / self._timeline.fps)
        _line(picture, f"Scene {scene.number}", top=0.18, height=0.24, color=color)
        _line(picture, self._title(scene), top=0.46, height=0.2, color=color)
        kinds = ", ".join(layer.kind for layer in scene.layers[:8])
        begin = float(scene.first / self._timeline.fps)
        facts = f"{begin:.2f} s to {begin + seconds:.2f} s" + (f", {kinds}" if kinds else "")
        _line(picture, facts, top=0.72, height=0.09, color=color)
        edge = max(1, min(size) // 120)
        ImageDraw.Draw(picture).rectangle((0, 0, size[0] - 1, size[1] - 1), outline=color, width=edge)
        return picture

    def _title(self, scene: ScenePlan) -> str:
        resolved = self._named.get(scene.number, {})
        shown = (text_of(x.element.get("text")) for x in scene.layers if x.element.get("text"))
        title = text_of(resolved.get("comment") or resolved.get("id") or next(shown, ""))
        return " ".join(visible_text(title).split())[:80]


def _line(picture: Image.Image, words: str, *, top: float, height: float, color: str) -> None:
    """Draw a line in the middle of a band; *top* and *height* are fractions of the frame's height."""
    width, whole = picture.size
    room = (max(1, round(width * 0.9)), max(1, round(whole * height)))
    settings = {"font-size": f"{max(8, room[1] * 0.6):.0f}px", "font-color": color}
    drawn, _, _ = draw_text(words or " ", settings, area=picture.size, canvas=picture.size, warn=lambda _: None)
    seen = drawn.getbbox()
    if seen is None:
        return
    drawn = drawn.crop(seen)
    drawn.thumbnail(room, Image.Resampling.LANCZOS)
    picture.paste(drawn, ((width - drawn.width) // 2, round(whole * top) + (room[1] - drawn.height) // 2), drawn)
