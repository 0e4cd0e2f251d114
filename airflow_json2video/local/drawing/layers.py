"""Opens the layer of an element: its picture, position and opacity at each frame."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from airflow_json2video.local.drawing.audiogram import AudiogramLayer
from airflow_json2video.local.drawing.cards import box_card, picture_card
from airflow_json2video.local.drawing.clips import NotMedia
from airflow_json2video.local.drawing.image_loader import NotAPicture, open_still
from airflow_json2video.local.drawing.layout import motion_of, turn_of
from airflow_json2video.local.drawing.masks import Mask, mask_of
from airflow_json2video.local.drawing.open_layers import Find, OpenLayer, TransformedLayer, Warn
from airflow_json2video.local.drawing.picture_layers import ClipLayer, ImageLayer
from airflow_json2video.local.drawing.placement import Sprite
from airflow_json2video.local.drawing.subtitles import SubtitlesLayer
from airflow_json2video.local.drawing.text_layers import TextLayer
from airflow_json2video.local.planning.resolve import MovieFault

if TYPE_CHECKING:
    from airflow_json2video.local.planning.timeline import Layer

__all__ = ["open_layer"]

Size = tuple[int, int]

_BASE = {
    "type", "id", "comment", "start", "duration", "extra-time", "z-index", "cache", "fade-in", "fade-out",
    "save-to-media", "position", "x", "y", "width", "height", "_element",
}  # fmt: skip
_TRANSFORM_KEYS = {"mask", "rotate", "pan", "pan-distance", "pan-crop", "zoom"}
_PICTURE = {
    *_TRANSFORM_KEYS, "src", "resize", "crop", "flip-horizontal", "flip-vertical", "correction", "chroma-key", "scale",
}  # fmt: skip
_GENERATED = {"prompt", "model", "aspect-ratio", "model-settings", "connection"}
_DRAWN = {
    "text": {*_TRANSFORM_KEYS, "text", "settings", "style"},
    "image": _PICTURE,
    "video": {*_PICTURE, "seek", "loop", "muted", "volume"},
    "audiogram": {*_TRANSFORM_KEYS, "color", "opacity", "amplitude"},
}


class _Still(OpenLayer):
    def __init__(self, layer: Layer, sprite: Sprite, *, size: Size, fps: Fraction) -> None:
        super().__init__(layer, size=size, fps=fps)
        self._sprite = sprite

    def sprite(self, frame: int) -> Sprite:  # noqa: ARG002 - the same at all frames
        return self._sprite


def open_layer(layer: Layer, *, size: Size, fps: Fraction, find: Find, warn: Warn) -> OpenLayer:
    """Open the media of a layer.

    :raises MovieFault: the media file is of the wrong kind.
    """

    def note(text: str) -> None:
        warn(f"{layer.where}: {text}")

    if layer.kind == "subtitles":
        return SubtitlesLayer(layer, find(layer), size=size, fps=fps)
    element = layer.element
    reported = _GENERATED if element.get("prompt") and not element.get("src") else set()  # by its placeholder
    if ignored := sorted(set(element) - _BASE - reported - _DRAWN.get(layer.kind, set(element))):
        note(f"not drawn: {', '.join(ignored)}")
    opened = _opened(layer, size=size, fps=fps, find=find, note=note)
    return _transformed(opened, size=size, fps=fps, find=find)


def _opened(layer: Layer, *, size: Size, fps: Fraction, find: Find, note: Warn) -> OpenLayer:
    if layer.kind == "audiogram":
        return AudiogramLayer(layer, find(layer), size=size, fps=fps)
    if layer.kind == "text":
        return TextLayer(layer, size=size, fps=fps, note=note)
    path = find(layer) if layer.kind in ("image", "video", "html") else None
    if path is None and layer.kind in ("image", "video"):
        return ImageLayer(layer, picture_card(layer, size, note), size=size, fps=fps, note=note)
    if path is None:
        return _Still(layer, Sprite(*box_card(layer, size, note)), size=size, fps=fps)
    wrong = f"The URL provided is not a {layer.kind} file and cannot be used as a source for a {layer.kind} element"
    try:
        if layer.kind == "video":
            return ClipLayer(layer, path, size=size, fps=fps, note=note)
        still = open_still(path)
    except (NotMedia, NotAPicture):
        raise MovieFault(f"{layer.where}: {wrong}") from None
    if still.animated:
        note("an animated image shows only its first frame; use a video element to play it")
    return ImageLayer(layer, still.picture, size=size, fps=fps, note=note)


def _transformed(opened: OpenLayer, *, size: Size, fps: Fraction, find: Find) -> OpenLayer:
    """Add what every kind of element can have: a mask, a rotation, and a motion of the whole."""
    layer = opened.layer
    motion, turn, mask = motion_of(layer.element), turn_of(layer.element), _mask(opened, find)
    if isinstance(opened, (ImageLayer, ClipLayer)) and motion is not None:
        # The view moves inside the picture's box; the remaining motion is that of the box.
        motion = None if motion.crop or not motion.distance else replace(motion, scale=(1.0, 1.0))
    if motion is None and turn is None and mask is None:
        return opened
    return TransformedLayer(opened, size=size, fps=fps, mask=mask, motion=motion, turn=turn)


def _mask(opened: OpenLayer, find: Find) -> Mask | None:
    layer = opened.layer
    wanted = mask_of(layer)
    path = find(wanted) if wanted is not None else None
    if wanted is None or path is None:
        return None
    try:
        return Mask(path, (opened.box.width, opened.box.height))
    except NotMedia:
        raise MovieFault(f"{layer.where}: The mask '{wanted.element['src']}' is not an image or a video") from None
