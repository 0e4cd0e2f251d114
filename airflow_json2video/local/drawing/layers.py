"""What one element looks like at a frame: a picture, where it stands, how solid it is."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps

from airflow_json2video.local.drawing.cards import box_card, picture_card
from airflow_json2video.local.drawing.clips import ClipReader, NotMedia
from airflow_json2video.local.drawing.layout import Motion, fitted, motion_of, placed
from airflow_json2video.local.drawing.text import draw_text
from airflow_json2video.local.planning.evaluation import text_of
from airflow_json2video.local.planning.plan import number
from airflow_json2video.local.planning.resolve import MovieFault

if TYPE_CHECKING:
    from airflow_json2video.local.planning.timeline import Layer

__all__ = ["OpenLayer", "Shot", "open_layer"]

Size = tuple[int, int]
Warn = Callable[[str], None]
Find = Callable[["Layer"], "Path | None"]
"""Gives the file of a layer's ``src``; None: draw a card instead."""

Image.MAX_IMAGE_PIXELS = 50_000_000
_IMAGE_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")
_BASE = {
    "type", "id", "comment", "start", "duration", "extra-time", "z-index", "cache", "fade-in", "fade-out",
    "save-to-media", "position", "x", "y", "width", "height", "_element",
}  # fmt: skip
_PICTURE = {"src", "resize", "crop", "flip-horizontal", "flip-vertical", "rotate", "correction", "scale"}
_DRAWN = {
    "text": {"text", "settings", "style"},
    "image": {*_PICTURE, "zoom", "pan", "pan-distance", "pan-crop"},
    "video": {*_PICTURE, "seek", "loop", "muted", "volume"},
}


@dataclass(frozen=True)
class Shot:
    """A picture at its place; RGB if it is opaque all over, which is quicker, else RGBA."""

    picture: Image.Image
    x: int
    y: int


class OpenLayer:
    """A layer while its scene shows. A still picture that does not move has the same key at every frame."""

    def __init__(self, layer: Layer, *, size: Size, fps: Fraction) -> None:
        self.layer = layer
        self._size = size
        self._fps = fps

    def visible(self, frame: int) -> bool:
        """Whether it shows at a frame of its container."""
        return self.layer.first <= frame < self.layer.first + self.layer.frames

    def opacity(self, frame: int) -> float:
        """Give the solidity that its fades leave, 0 to 1."""
        at = frame - self.layer.first + 0.5
        left = self.layer.frames - at
        into = min(1.0, at / self.layer.fade_in) if self.layer.fade_in else 1.0
        out = min(1.0, left / self.layer.fade_out) if self.layer.fade_out else 1.0
        return max(0.0, min(into, out))

    def key(self, frame: int) -> Hashable:
        """Give a value that is equal for frames that look alike."""
        return (self.opacity(frame), self._look(frame))

    def _look(self, frame: int) -> Hashable:  # noqa: ARG002 - for those that move
        return 0

    def shot(self, frame: int) -> Shot:
        """Give its picture at a frame, without its fades."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of files."""


class _Still(OpenLayer):
    def __init__(self, layer: Layer, shot: Shot, *, size: Size, fps: Fraction, motion: Motion | None = None) -> None:
        super().__init__(layer, size=size, fps=fps)
        self._shot = shot
        self._motion = motion

    def _look(self, frame: int) -> Hashable:
        return frame if self._motion else 0

    def shot(self, frame: int) -> Shot:
        if self._motion is None:
            return self._shot
        picture = self._shot.picture
        progress = (frame - self.layer.first) / max(1, self.layer.frames - 1)
        window = self._motion.window(max(0.0, min(1.0, progress)), picture.size)
        # A window of fractions of a pixel is what keeps a slow zoom from shivering.
        moved = picture.resize(picture.size, Image.Resampling.BILINEAR, box=window)
        return Shot(moved, self._shot.x, self._shot.y)


class _Clip(OpenLayer):
    def __init__(self, layer: Layer, path: Path, *, size: Size, fps: Fraction) -> None:
        super().__init__(layer, size=size, fps=fps)
        loops = int(number(layer.element.get("loop"), 1))
        self._reader = ClipReader(path, seek=number(layer.element.get("seek"), 0), loops=loops or 1)
        self._made: tuple[Hashable, Shot] | None = None

    def _time(self, frame: int) -> float:
        return max(0.0, float((frame - self.layer.first) / self._fps))

    def _look(self, frame: int) -> Hashable:
        return self._reader.at(self._time(frame))[0]

    def shot(self, frame: int) -> Shot:
        key, picture = self._reader.at(self._time(frame))
        if self._made is None or self._made[0] != key:
            self._made = (key, _arranged(picture, self.layer.element, self._size, filter_=Image.Resampling.BILINEAR))
        return self._made[1]

    def close(self) -> None:
        self._reader.close()


def open_layer(layer: Layer, *, size: Size, fps: Fraction, find: Find, warn: Warn) -> OpenLayer:
    """Open what a layer shows.

    :raises MovieFault: the asset is of the wrong kind.
    """

    def note(text: str) -> None:
        warn(f"{layer.where}: {text}")

    element = layer.element
    if ignored := sorted(set(element) - _BASE - _DRAWN.get(layer.kind, set(element))):
        note(f"not drawn: {', '.join(ignored)}")
    if layer.kind == "text":
        if str(element.get("style") or "001") != "001":
            note(f"text style '{element['style']}' is drawn plain")
        return _Still(layer, _text_shot(element, size, note), size=size, fps=fps)
    path = find(layer) if layer.kind in ("image", "video", "html") else None
    if path is None and layer.kind in ("image", "video"):
        shot = _arranged(picture_card(layer, size, note), element, size)
        return _Still(layer, shot, size=size, fps=fps, motion=motion_of(element))
    if path is None:
        return _Still(layer, Shot(*box_card(layer, size, note)), size=size, fps=fps)
    wrong = f"The URL provided is not a {layer.kind} file and cannot be used as a source for a {layer.kind} element"
    if layer.kind == "video":
        try:
            return _Clip(layer, path, size=size, fps=fps)
        except NotMedia:
            raise MovieFault(f"{layer.where}: {wrong}") from None
    try:
        with Image.open(path, formats=_IMAGE_FORMATS) as source:
            picture = _opaque(ImageOps.exif_transpose(source).convert("RGBA"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise MovieFault(f"{layer.where}: {wrong}") from None
    return _Still(layer, _arranged(picture, element, size), size=size, fps=fps, motion=motion_of(element))


def _text_shot(element: Mapping[str, Any], size: Size, note: Warn) -> Shot:
    width, height = (number(element.get(side), -1) for side in ("width", "height"))
    area = (int(width) if width > 0 else size[0], int(height) if height > 0 else size[1])
    settings = element.get("settings")
    drawn, x, y = draw_text(
        text_of(element.get("text")),
        settings if isinstance(settings, Mapping) else {},
        area=area,
        canvas=size,
        warn=note,
    )
    box = placed(element, area, size)
    return Shot(drawn, box.x + x, box.y + y)


def _opaque(picture: Image.Image) -> Image.Image:
    """Drop an alpha channel that hides nothing."""
    return picture.convert("RGB") if picture.getchannel("A").getextrema() == (255, 255) else picture


def _arranged(
    picture: Image.Image,
    element: Mapping[str, Any],
    size: Size,
    *,
    filter_: Image.Resampling = Image.Resampling.LANCZOS,
) -> Shot:
    """Crop, flip, correct, size, turn and place a picture."""
    crop = element.get("crop")
    if isinstance(crop, Mapping):
        x, y = number(crop.get("x"), 0), number(crop.get("y"), 0)
        edges = (x, y, x + number(crop.get("width"), 0), y + number(crop.get("height"), 0))
        left, top, right, bottom = (round(max(0.0, min(e, picture.size[i % 2]))) for i, e in enumerate(edges))
        if right > left and bottom > top:
            picture = picture.crop((left, top, right, bottom))
    if element.get("flip-horizontal") is True:
        picture = ImageOps.mirror(picture)
    if element.get("flip-vertical") is True:
        picture = ImageOps.flip(picture)
    width, height = fitted(element, picture.size, size)
    if (width, height) != picture.size:
        picture = picture.resize((width, height), filter_)
    box = placed(element, (width, height), size)
    x0, y0 = box.x, box.y
    # What a cover leaves outside the canvas is never seen; cutting it now keeps pan and zoom inside the frame.
    if element.get("resize") in ("cover", "fill"):
        cut = (max(0, -x0), max(0, -y0), min(width, size[0] - x0), min(height, size[1] - y0))
        if cut[2] > cut[0] and cut[3] > cut[1]:
            picture, x0, y0 = picture.crop(cut), max(0, x0), max(0, y0)
    correction = element.get("correction")
    if isinstance(correction, Mapping):
        picture = _corrected(picture, correction)
    rotate = element.get("rotate")
    if isinstance(rotate, Mapping) and (angle := number(rotate.get("angle"), 0)):
        turned = picture.convert("RGBA").rotate(-angle, Image.Resampling.BICUBIC, expand=True)
        x0 -= (turned.width - picture.width) // 2
        y0 -= (turned.height - picture.height) // 2
        picture = turned
    return Shot(picture, x0, y0)


def _corrected(picture: Image.Image, correction: Mapping[str, Any]) -> Image.Image:
    from PIL import ImageEnhance

    brightness = max(-1.0, min(1.0, number(correction.get("brightness"), 0)))
    contrast = max(-1000.0, min(1000.0, number(correction.get("contrast"), 1)))
    gamma = max(0.1, min(10.0, number(correction.get("gamma"), 1)))
    saturation = max(0.0, min(3.0, number(correction.get("saturation"), 1)))

    def level(value: int) -> int:
        linear = (value / 255 - 0.5) * contrast + 0.5 + brightness
        return int(255 * max(0.0, min(1.0, linear)) ** (1 / gamma) + 0.5)

    alpha = picture.getchannel("A") if picture.mode == "RGBA" else None
    rgb = picture.convert("RGB").point([level(v) for v in range(256)] * 3)
    if saturation != 1:
        rgb = ImageEnhance.Color(rgb).enhance(saturation)
    if alpha is not None:
        rgb.putalpha(alpha)
    return rgb
