"""Audiogram: bars that show the loudness of the container's sound around the current frame."""

from __future__ import annotations

import array
import math
from collections.abc import Callable, Hashable, Mapping
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw

from airflow_json2video.local.drawing.layout import placed
from airflow_json2video.local.drawing.open_layers import OpenLayer
from airflow_json2video.local.drawing.placement import Sprite
from airflow_json2video.local.planning.colors import parse_color
from airflow_json2video.local.planning.plan import number

if TYPE_CHECKING:
    from airflow_json2video.local.planning.timeline import Layer, Sound, Timeline

__all__ = ["AudiogramLayer", "Levels"]

_BARS = 59  # odd: the one in the middle is the current frame


class Levels:
    """Measures the loudness of containers, one number per frame, and stores it in files.

    Sound is read in small blocks; four bytes per frame are held in memory.

    :param find: returns the file of a sound; None: it is silent.
    :param folder: for the files; created when needed.
    """

    def __init__(self, timeline: Timeline, *, find: Callable[[Sound], Path | None], folder: Path) -> None:
        self._timeline = timeline
        self._find = find
        self._folder = folder
        self._scenes = {
            id(layer.element): index for index, scene in enumerate(timeline.scenes) for layer in scene.layers
        }
        self._made: dict[int | None, Path] = {}

    def file(self, element: Mapping[str, Any]) -> Path:
        """Return the file with the loudness of the container of an audiogram element.

        :raises MovieFault: a source is not a sound.
        """
        scene = self._scenes.get(id(element))
        if scene not in self._made:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / ("movie" if scene is None else f"scene-{scene}")
            self._measure(scene, path)
            self._made[scene] = path
        return self._made[scene]

    def _measure(self, scene: int | None, path: Path) -> None:
        import numpy as np

        from airflow_json2video.local.drawing.clips import SAMPLE_RATE
        from airflow_json2video.local.drawing.sound import mixed

        timeline = self._timeline
        origin = timeline.scenes[scene].first if scene is not None else 0
        frames = timeline.scenes[scene].frames if scene is not None else timeline.frames
        sounds = [s for s in timeline.sounds if scene is None or s.scene == scene]
        edges = [round(n / timeline.fps * SAMPLE_RATE) for n in range(frames + 1)]
        scratch = path.with_suffix(".track")
        mix = mixed(
            sounds, fps=timeline.fps, length=max(1, edges[-1]), find=self._find, warn=lambda _: None,
            scratch=scratch, origin=origin,
        )  # fmt: skip
        levels = array.array("f")
        for start, end in pairwise(edges):
            block = mix.read(start, end - start)
            levels.append(float(np.sqrt(2 * np.mean(np.square(block, dtype=np.float64)))))
        mix.close()
        scratch.unlink()
        path.write_bytes(levels.tobytes())


class AudiogramLayer(OpenLayer):
    """Bars centered on a line. The middle one is the current frame, the left ones are earlier, the right ones later.

    The height of a bar is proportional to the square root of the loudness, so that speech is visible next to music.
    With ``amplitude`` 5 a tone at full scale fills the height.

    :param levels: the loudness of each frame of the container; None: all bars are silent.
    """

    def __init__(self, layer: Layer, levels: Path | None, *, size: tuple[int, int], fps: Fraction) -> None:
        super().__init__(layer, size=size, fps=fps)
        element = layer.element
        width, height = (number(element.get(side), -1) for side in ("width", "height"))
        self._area = (
            max(8, round(width)) if width > 0 else size[0],
            max(4, round(height)) if height > 0 else size[1],
        )
        self._place = placed(element, self._area, size)
        self._levels = array.array("f")
        if levels is not None:
            self._levels.frombytes(levels.read_bytes())
        opacity = max(0.0, min(1.0, number(element.get("opacity"), 0.5)))
        red, green, blue, alpha = parse_color(element.get("color")) or (255, 255, 255, 255)
        self._color = (red, green, blue)
        self._alpha = round(alpha * opacity)
        self._amplitude = max(0.0, min(10.0, number(element.get("amplitude"), 5)))
        self._bars = min(_BARS, max(1, self._area[0] // 4) // 2 * 2 + 1)
        self._pitch = self._area[0] / self._bars
        self._thickness = max(1, round(self._pitch * 0.6))
        self._made: tuple[Hashable, Sprite] | None = None

    def _state_key(self, frame: int) -> Hashable:
        return tuple(self._height(frame + n - self._bars // 2) for n in range(self._bars))

    def _height(self, frame: int) -> int:
        level: float = self._levels[frame] if 0 <= frame < len(self._levels) else 0.0
        height = min(1.0, self._amplitude / 5 * math.sqrt(max(0.0, level))) * self._area[1]
        # A silent bar is a dot. Heights are even, so that all bars are centered on the same line.
        return max(min(self._thickness, self._area[1]), round(height / 2) * 2)

    def sprite(self, frame: int) -> Sprite:
        """Return the bars at a frame."""
        heights = self._state_key(frame)
        if self._made is None or self._made[0] != heights:
            self._made = (heights, self._drawn(frame))
        return self._made[1]

    def _drawn(self, frame: int) -> Sprite:
        width, height = self._area
        mask = Image.new("L", (width, height), 0)
        pen = ImageDraw.Draw(mask)
        cap = _disc(self._thickness, self._alpha)
        half = self._thickness // 2
        for n in range(self._bars):
            tall = self._height(frame + n - self._bars // 2)
            left = round((n + 0.5) * self._pitch - self._thickness / 2)
            top = (height - tall) // 2
            mask.paste(cap, (left, top))
            mask.paste(cap, (left, top + tall - self._thickness))
            if tall > self._thickness:
                pen.rectangle((left, top + half, left + self._thickness - 1, top + tall - 1 - half), fill=self._alpha)
        picture = Image.new("RGBA", (width, height), (*self._color, 0))
        picture.putalpha(mask)
        return Sprite(picture, self._place.x, self._place.y)


def _disc(size: int, value: int) -> Image.Image:
    large = Image.new("L", (size * 8, size * 8), 0)
    ImageDraw.Draw(large).ellipse((0, 0, size * 8 - 1, size * 8 - 1), fill=value)
    return large.resize((size, size), Image.Resampling.BOX)
