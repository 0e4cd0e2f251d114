"""An open layer: what all kinds of elements have in common."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_json2video.local.drawing.layout import Box, Motion, placed
from airflow_json2video.local.drawing.masks import Mask
from airflow_json2video.local.drawing.placement import Sprite, masked, set_at, turned
from airflow_json2video.local.planning.plan import number
from airflow_json2video.movie.frames import MAX_SIDE

if TYPE_CHECKING:
    from airflow_json2video.local.drawing.layout import Turn
    from airflow_json2video.local.planning.timeline import Layer

__all__ = ["Find", "OpenLayer", "TransformedLayer", "Warn", "area_of"]

Size = tuple[int, int]
Warn = Callable[[str], None]
Find = Callable[["Layer"], "Path | None"]
"""Returns the file of a layer's ``src``; None: draw a placeholder."""


class OpenLayer:
    """A layer that is open while its scene shows. A picture that does not move has the same key at every frame."""

    def __init__(self, layer: Layer, *, size: Size, fps: Fraction) -> None:
        self.layer = layer
        self._size = size
        self._fps = fps

    @property
    def box(self) -> Box:
        """Its own canvas, to which its mask and its rotation refer."""
        area = area_of(self.layer, self._size)
        return placed(self.layer.element, area, self._size)

    def visible(self, frame: int) -> bool:
        """Return whether it shows at a frame of its container."""
        return self.layer.first <= frame < self.layer.first + self.layer.frames

    def opacity(self, frame: int) -> float:
        """Return the opacity that results from its fades, 0 to 1."""
        at = frame - self.layer.first + 0.5
        left = self.layer.frames - at
        into = min(1.0, at / self.layer.fade_in) if self.layer.fade_in else 1.0
        out = min(1.0, left / self.layer.fade_out) if self.layer.fade_out else 1.0
        return max(0.0, min(into, out))

    def key(self, frame: int) -> Hashable:
        """Return a value that is equal for identical frames."""
        return (self.opacity(frame), self._state_key(frame))

    def _state_key(self, frame: int) -> Hashable:  # noqa: ARG002 - for subclasses that move
        return 0

    def seconds(self, frame: int) -> float:
        """Return the time of a frame within the layer."""
        return max(0.0, float((frame - self.layer.first) / self._fps))

    def progress(self, frame: int) -> float:
        """Return the elapsed fraction of its time, 0 at its first frame and 1 at its last."""
        return max(0.0, min(1.0, (frame - self.layer.first) / max(1, self.layer.frames - 1)))

    def sprite(self, frame: int) -> Sprite:
        """Return its picture at a frame, without its fades."""
        raise NotImplementedError

    def close(self) -> None:
        """Close its files."""


class TransformedLayer(OpenLayer):
    """Another layer, masked, moved and rotated as a whole.

    :param motion: moves the layer as a whole, not a picture inside its own box.
    """

    def __init__(
        self,
        inner: OpenLayer,
        *,
        size: Size,
        fps: Fraction,
        mask: Mask | None = None,
        motion: Motion | None = None,
        turn: Turn | None = None,
    ) -> None:
        super().__init__(inner.layer, size=size, fps=fps)
        self._inner = inner
        self._mask = mask
        self._motion = motion
        self._rotation = turn
        self._made: tuple[Hashable, Sprite] | None = None

    @property
    def box(self) -> Box:
        """Its box on the canvas."""
        return self._inner.box

    def _state_key(self, frame: int) -> Hashable:
        moves = self._motion is not None or (self._rotation is not None and self._rotation.speed > 0)
        mask = self._mask.at(self.seconds(frame))[0] if self._mask else None
        return (self._inner.key(frame), frame if moves else 0, mask)

    def sprite(self, frame: int) -> Sprite:
        """Return its picture at a frame, without its fades."""
        key = self._state_key(frame)
        if self._made is None or self._made[0] != key:
            self._made = (key, self._transformed(frame))
        return self._made[1]

    def _transformed(self, frame: int) -> Sprite:
        sprite, box = self._inner.sprite(frame), self.box
        if self._mask is not None:
            sprite = masked(sprite, self._mask.at(self.seconds(frame))[1], (box.x, box.y))
        if self._motion is not None:
            sprite = _moved(sprite, self._motion, self.progress(frame), box)
        if self._rotation is not None and (angle := self._rotation.at(self.seconds(frame)) % 360):
            sprite = turned(sprite, angle, (box.x + box.width / 2, box.y + box.height / 2))
        return sprite

    def close(self) -> None:
        """Close its files."""
        self._inner.close()
        if self._mask is not None:
            self._mask.close()


def area_of(layer: Layer, size: Size) -> Size:
    """Return the size of an element's own canvas: its size, or else that of the frame."""
    sides = (number(layer.element.get(side), -1) for side in ("width", "height"))
    width, height = (
        min(int(given), MAX_SIDE) if given > 0 else usual for given, usual in zip(sides, size, strict=True)
    )
    return width, height


def _moved(sprite: Sprite, motion: Motion, progress: float, box: Box) -> Sprite:
    """Move a sprite in a box by the motion's view of that box."""
    left, top, right, bottom = motion.window(progress, (box.width, box.height))
    across, down = box.width / (right - left), box.height / (bottom - top)
    aside, below = motion.offset(progress, (box.width, box.height))
    x = box.x + aside + (sprite.x - box.x - left) * across
    y = box.y + below + (sprite.y - box.y - top) * down
    return set_at(sprite.picture, (x, y, x + sprite.picture.width * across, y + sprite.picture.height * down))
