"""Open texts, which can appear gradually."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from airflow_json2video.local.drawing.open_layers import OpenLayer, Warn, area_of
from airflow_json2video.local.drawing.placement import Sprite, set_at
from airflow_json2video.local.drawing.text import TextBlock
from airflow_json2video.local.planning.animation import PLAIN, animation_of
from airflow_json2video.local.planning.evaluation import text_of

if TYPE_CHECKING:
    from airflow_json2video.local.planning.timeline import Layer

__all__ = ["TextLayer"]

_LOW = 0.6
"""Line heights by which a letter jumps up."""
_PART = 0.6
"""Fraction of its time after which a text has appeared, if it shows for less than its animation takes."""


class TextLayer(OpenLayer):
    """A text with its animation."""

    def __init__(self, layer: Layer, *, size: tuple[int, int], fps: Fraction, note: Warn) -> None:
        super().__init__(layer, size=size, fps=fps)
        element = layer.element
        words = text_of(element.get("text"))
        self._animation = animation_of(element)
        style = str(element.get("style") or PLAIN)
        if self._animation:
            note(f"text style '{style}' is drawn as a simple animation: the text {self._animation.description}")
        elif style != PLAIN:
            note(f"text style '{style}' is drawn plain")
        self._low = _LOW if self._animation and self._animation.effect == "jump" else 0.0
        settings = element.get("settings")
        self._block = TextBlock(
            words,
            settings if isinstance(settings, Mapping) else {},
            area=area_of(layer, size),
            canvas=size,
            warn=note,
            by=self._animation.by if self._animation else "whole",
            low=self._low,
        )
        takes = self._animation.seconds(words) if self._animation else 0.0
        shown = float(layer.frames / fps) * _PART
        self._hurry = takes / shown if takes > shown > 0 else 1.0
        self._moving = math.ceil(takes / self._hurry * fps)
        self._made: tuple[Hashable, Sprite] | None = None

    def _state_key(self, frame: int) -> Hashable:
        return max(0, min(self._moving, frame - self.layer.first))

    def sprite(self, frame: int) -> Sprite:
        """Return its picture at a frame, without its fades."""
        key = self._state_key(frame)
        if self._made is None or self._made[0] != key:
            self._made = (key, self._drawn(frame))
        return self._made[1]

    def _drawn(self, frame: int) -> Sprite:
        block, animation = self._block, self._animation
        x, y = self.box.x + block.x, self.box.y + block.y
        # In the middle of the frame, so that the first frame of a fade is not empty.
        now = (self.seconds(frame) + 0.5 / float(self._fps)) * self._hurry
        if animation is None or frame - self.layer.first >= self._moving:
            return Sprite(block.picture(), x, y)
        if animation.by != "whole":

            def state(unit: int) -> tuple[float, float]:
                done = animation.progress(unit, now)
                return min(1.0, done * 2), self._low * (1 - _springing(done))

            return Sprite(block.picture(state), x, y)
        done = animation.progress(0, now)
        picture = block.picture()
        solid = min(1.0, done * 2) if animation.effect == "pop" else done
        picture.putalpha(picture.getchannel("A").point([round(v * solid) for v in range(256)]))
        if animation.effect == "rise":
            below = (1 - done) ** 3 * self._size[1] * 0.08
            return set_at(picture, (x, y + below, x + picture.width, y + below + picture.height))
        if animation.effect == "pop":
            scale = 0.6 + 0.4 * _springing(done)
            aside, over = picture.width * (1 - scale) / 2, picture.height * (1 - scale) / 2
            return set_at(picture, (x + aside, y + over, x + picture.width - aside, y + picture.height - over))
        return Sprite(picture, x, y)


def _springing(done: float) -> float:
    """Return an ease from 0 to 1 that overshoots slightly."""
    return 1 + 2.7 * (done - 1) ** 3 + 1.7 * (done - 1) ** 2
