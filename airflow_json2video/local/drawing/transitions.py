"""Draws transitions: a crossfade with Pillow, the other styles with FFmpeg's xfade through PyAV."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import av
import av.error
import av.filter
from PIL import Image

from airflow_json2video.local.drawing.frames import from_image, to_image

__all__ = ["STYLES", "TransitionBlend"]

# fmt: off
STYLES = frozenset({
    "fade", "wipeleft", "wiperight", "wipeup", "wipedown", "slideleft", "slideright", "slideup", "slidedown",
    "circlecrop", "rectcrop", "distance", "fadeblack", "fadewhite", "radial", "smoothleft", "smoothright", "smoothup",
    "smoothdown", "circleopen", "circleclose", "vertopen", "vertclose", "horzopen", "horzclose", "dissolve", "pixelize",
    "diagtl", "diagtr", "diagbl", "diagbr", "hlslice", "hrslice", "vuslice", "vdslice", "hblur", "fadegrays",
    "wipetl", "wipetr", "wipebl", "wipebr", "squeezeh", "squeezev", "zoomin", "fadefast", "fadeslow", "hlwind",
    "hrwind", "vuwind",
    "vdwind", "coverleft", "coverright", "coverup", "coverdown", "revealleft", "revealright", "revealup", "revealdown",
})
# fmt: on

Pictures = Callable[[int], "tuple[Image.Image, Image.Image]"]


class TransitionBlend:
    """One transition of *frames* frames; each picture is requested once, in order.

    :param pictures: returns both scenes at a frame of the transition, from 0 up to and including *frames*.
    """

    def __init__(self, style: str, *, frames: int, size: tuple[int, int], fps: Fraction, pictures: Pictures) -> None:
        self._frames = frames
        self._pictures = pictures
        self._fed = 0
        self._graph: av.filter.Graph | None = None
        self._style = style
        if style in STYLES - {"fade", "distance"}:
            self._build(style, size, fps)

    def _build(self, style: str, size: tuple[int, int], fps: Fraction) -> None:
        graph = av.filter.Graph()
        source = (
            f"video_size={size[0]}x{size[1]}:pix_fmt=rgb24:pixel_aspect=1/1"
            f":time_base={fps.denominator}/{fps.numerator}:frame_rate={fps.numerator}/{fps.denominator}"
        )
        self._inputs = [graph.add("buffer", source) for _ in range(2)]
        seconds = float(self._frames / fps)
        mixer = graph.add("xfade", f"transition={style}:duration={seconds:.6f}:offset=0")
        last = graph.add("format", "pix_fmts=rgb24")
        self._sink = graph.add("buffersink")
        for pad, node in enumerate(self._inputs):
            node.link_to(mixer, 0, pad)
        mixer.link_to(last)
        last.link_to(self._sink)
        graph.configure()
        self._graph = graph

    def at(self, frame: int) -> Image.Image:
        """Return the picture at *frame*, from 0 to the length minus one."""
        if self._graph is None:
            before, after = self._pictures(frame)
            done = (frame + 1) / (self._frames + 1)
            if self._style == "distance":
                before = _by_distance(before, after, done)
            return Image.blend(before, after, done)
        # The filter delays by one frame, so it gets one more than it returns.
        while (picture := self._pulled()) is None:
            if self._fed > self._frames:
                return self._pictures(self._frames)[1]
            self._feed()
        return picture

    def _pulled(self) -> Image.Image | None:
        try:
            return to_image(self._sink.pull())
        except (av.error.BlockingIOError, av.error.EOFError):
            return None

    def _feed(self) -> None:
        for node, picture in zip(self._inputs, self._pictures(self._fed), strict=True):
            sprite = from_image(picture)
            sprite.pts = self._fed
            node.push(sprite)
        self._fed += 1


def _by_distance(before: Image.Image, after: Image.Image, done: float) -> Image.Image:
    """Change the colors that differ most first.

    FFmpeg's own distance exceeds 1, so that very different colors would change immediately, with a flash at the cut.
    """
    import numpy as np

    old, new = np.asarray(before, dtype=np.float32), np.asarray(after, dtype=np.float32)
    far = np.sqrt(((old - new) ** 2).mean(axis=2, keepdims=True)) / 255
    return Image.fromarray(np.where(far <= 1 - done, old, new).astype(np.uint8))
