"""Draws the frames of a timeline in order. A frame that equals the previous one is not drawn again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path

from PIL import Image

from airflow_json2video.local.drawing.layers import open_layer
from airflow_json2video.local.drawing.open_layers import OpenLayer
from airflow_json2video.local.drawing.transitions import STYLES, TransitionBlend
from airflow_json2video.local.planning.timeline import Layer, ScenePlan, Timeline

__all__ = ["Painter"]


class _OpenScene:
    """A scene that shows; its layers are closed afterwards, so that memory does not grow."""

    def __init__(self, plan: ScenePlan, layers: list[OpenLayer]) -> None:
        self.plan = plan
        self.layers = layers
        self._drawn: tuple[Hashable, Image.Image] | None = None

    def key(self, frame: int) -> Hashable:
        local = self._local(frame)
        return (self.plan.first, tuple((i, x.key(local)) for i, x in enumerate(self.layers) if x.visible(local)))

    def _local(self, frame: int) -> int:
        return max(0, min(self.plan.frames - 1, frame - self.plan.first))

    def picture(self, frame: int, under: Callable[[], Image.Image], under_key: Hashable) -> Image.Image:
        """Return the scene over the layers below it. The caller must not change the picture."""
        key = (self.key(frame), under_key if self.plan.background is None else None)
        if self._drawn is None or self._drawn[0] != key:
            if self.plan.background is None:
                canvas = under().copy()
            else:
                canvas = Image.new("RGB", under().size, self.plan.background)
            local = self._local(frame)
            for layer in self.layers:
                if layer.visible(local):
                    _paste(canvas, layer, local)
            self._drawn = (key, canvas)
        return self._drawn[1]

    def close(self) -> None:
        for layer in self.layers:
            layer.close()


class Painter:
    """Draws a timeline.

    :param find: returns the file of a layer's source; None: a placeholder is drawn.
    :param warn: called for everything that is drawn differently.
    """

    def __init__(
        self, timeline: Timeline, *, find: Callable[[Layer], Path | None], warn: Callable[[str], None]
    ) -> None:
        self._timeline = timeline
        self._size = (timeline.width, timeline.height)
        self._find = find
        self._warn = warn
        self._black = Image.new("RGB", self._size, (0, 0, 0))

    def _open(self, layers: Iterable[Layer]) -> list[OpenLayer]:
        return [
            open_layer(layer, size=self._size, fps=self._timeline.fps, find=self._find, warn=self._warn)
            for layer in layers
        ]

    def stills(self, wanted: Iterable[int]) -> Iterator[tuple[int, Image.Image]]:
        """Yield single frames with their numbers, in order, without drawing those between them."""
        asked = set(wanted)
        order = set(asked)
        for scene in self._timeline.scenes:
            # A transition is drawn from its start, since FFmpeg's filter cannot start in the middle.
            length = scene.transition.frames if scene.transition else 0
            inside = [frame for frame in asked if scene.first <= frame < scene.first + length]
            order |= set(range(scene.first, max(inside, default=scene.first)))
        latest: Image.Image | None = None
        for frame, picture in zip(sorted(order), self.frames(sorted(order)), strict=True):
            latest = latest if picture is None else picture
            if frame in asked and latest is not None:
                yield frame, latest

    def frames(self, order: Iterable[int] | None = None) -> Iterator[Image.Image | None]:
        """Yield each frame, or those of the ascending *order*; None for one that equals the previous one."""
        timeline = self._timeline
        under = self._open(x for x in timeline.overlays if x.z_index < 0)
        over = self._open(x for x in timeline.overlays if x.z_index >= 0)
        scenes: dict[int, _OpenScene] = {}
        crossing: tuple[int, TransitionBlend] | None = None
        last: Hashable = None
        try:
            for frame in range(timeline.frames) if order is None else order:
                showing = [i for i, s in enumerate(timeline.scenes) if s.first <= frame < s.first + s.frames]
                for index in [i for i in scenes if i not in showing and i + 1 not in showing]:
                    scenes.pop(index).close()
                for index in showing:
                    if index not in scenes:
                        scenes[index] = _OpenScene(timeline.scenes[index], self._open(timeline.scenes[index].layers))
                over_key = _keys(over, frame)
                current = showing[-1] if showing else None
                entering = current is not None and self._entering(current, frame)
                if entering and current is not None:
                    if crossing is None or crossing[0] != current:
                        crossing = (current, self._crossing(current, scenes, under))
                    key: Hashable = ("crossing", frame)
                    base = crossing[1].at(frame - timeline.scenes[current].first)
                else:
                    crossing = None
                    key = (self._scene_key(current, scenes, under, frame), over_key)
                    if key == last:
                        yield None
                        continue
                    base = self._scene_picture(current, scenes, under, frame)
                last = key
                canvas = base
                if any(layer.visible(frame) for layer in over):
                    canvas = base.copy()
                    for layer in over:
                        if layer.visible(frame):
                            _paste(canvas, layer, frame)
                yield canvas
        finally:
            for scene in scenes.values():
                scene.close()
            for layer in [*under, *over]:
                layer.close()

    def _entering(self, index: int, frame: int) -> bool:
        scene = self._timeline.scenes[index]
        return scene.transition is not None and frame < scene.first + scene.transition.frames

    def _scene_key(
        self, index: int | None, scenes: dict[int, _OpenScene], under: list[OpenLayer], frame: int
    ) -> Hashable:
        if index is None or self._timeline.scenes[index].background is None:
            return (scenes[index].key(frame) if index is not None else None, _keys(under, frame))
        return scenes[index].key(frame)

    def _scene_picture(
        self, index: int | None, scenes: dict[int, _OpenScene], under: list[OpenLayer], frame: int
    ) -> Image.Image:
        if index is None:
            return self._under(under, frame)

        def below() -> Image.Image:
            return self._under(under, frame) if scenes[index].plan.background is None else self._black

        return scenes[index].picture(frame, below, _keys(under, frame))

    def _under(self, under: list[OpenLayer], frame: int) -> Image.Image:
        canvas = self._black
        for layer in under:
            if layer.visible(frame):
                canvas = canvas.copy() if canvas is self._black else canvas
                _paste(canvas, layer, frame)
        return canvas

    def _crossing(self, index: int, scenes: dict[int, _OpenScene], under: list[OpenLayer]) -> TransitionBlend:
        scene = self._timeline.scenes[index]
        if scene.transition is None:
            raise ValueError("the scene has no transition")
        style = scene.transition.style
        if style not in STYLES:
            self._warn(f"Scene #{scene.number}: the transition '{style}' is drawn as a fade")

        def pictures(at: int) -> tuple[Image.Image, Image.Image]:
            frame = scene.first + at
            return (
                self._scene_picture(index - 1, scenes, under, frame),
                self._scene_picture(index, scenes, under, frame),
            )

        return TransitionBlend(
            style, frames=scene.transition.frames, size=self._size, fps=self._timeline.fps, pictures=pictures
        )


def _keys(layers: list[OpenLayer], frame: int) -> Hashable:
    return tuple((i, layer.key(frame)) for i, layer in enumerate(layers) if layer.visible(frame))


def _paste(canvas: Image.Image, layer: OpenLayer, frame: int) -> None:
    opacity = layer.opacity(frame)
    if opacity <= 0:
        return
    sprite = layer.sprite(frame)
    picture = sprite.picture
    mask = picture.getchannel("A") if picture.mode == "RGBA" else None
    if opacity < 1:
        level = [round(v * opacity) for v in range(256)]
        mask = Image.new("L", picture.size, level[255]) if mask is None else mask.point(level)
    canvas.paste(picture.convert("RGB") if picture.mode == "RGBA" else picture, (sprite.x, sprite.y), mask)
