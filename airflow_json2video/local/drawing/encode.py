"""Writes the file atomically: H.264 and AAC in MP4, with color tags and the index at the start."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

from airflow_json2video.local.drawing.frames import from_image

__all__ = ["Encoder"]

# Preset and quality. The number of threads is fixed, since it changes the bytes. No macroblock tree, as in "ultrafast":
# on CPUs with AVX-512, the same 1080x1920 pictures gave other bytes in one of six runs.
_X264 = {
    "preview": {"preset": "ultrafast", "crf": "23"},
    "full": {"preset": "veryfast", "crf": "22", "x264-params": "mbtree=0"},
}
_BT709 = 1
_LIMITED = 1
# Pictures that wait for the encoder: enough to keep two cores busy, without needing much memory.
_QUEUE_SIZE = 3
SAMPLE_RATE = 48_000


class Encoder:
    """A context manager that encodes pictures and sound, and creates *path* only if there was no error.

    It encodes in its own thread, in the order of the calls, so that the bytes are the same as with one thread. The
    caller's thread converts a picture to the encoder's colors: in RGB it would need nearly three times the memory.
    """

    def __init__(self, path: Path, *, width: int, height: int, fps: Fraction, mode: str, sound: bool = False) -> None:
        self._path = path
        self._partial = path.with_suffix(".part")
        options = {"movflags": "+faststart", "fflags": "+bitexact"}
        self._container = av.open(str(self._partial), "w", format="mp4", options=options)
        x264 = {**_X264.get(mode, _X264["preview"]), "threads": "2"}
        stream: Any = self._container.add_stream("libx264", rate=fps, options=x264)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = 1 / fps
        context.gop_size = max(1, round(fps * 2))
        context.color_range = _LIMITED
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        self._video = stream
        self._audio: Any = None
        if sound:
            self._audio = self._container.add_stream("aac", rate=SAMPLE_RATE, options={"b": "160k"})
            self._audio.layout = "stereo"
        self._samples_written = 0
        self._frame_count = 0
        self._last: av.VideoFrame | None = None
        self._failure: BaseException | None = None
        self._free_slots = threading.BoundedSemaphore(_QUEUE_SIZE)
        self._work: queue.Queue[Callable[[], None] | None] = queue.Queue(maxsize=64)
        self._thread = threading.Thread(target=self._run, name="json2video-encoder", daemon=True)

    def picture(self, image: Image.Image | None) -> None:
        """Add one frame; None repeats the previous one without a conversion."""
        frame = None if image is None else _coded_colors(image)
        if frame is not None:
            self._free_slots.acquire()
        self._put(lambda: self._picture(frame))

    def samples(self, block: Any) -> None:
        """Add sound: a float32 array (2, n) at 48 kHz."""
        self._put(lambda: self._samples(block))

    def _put(self, work: Callable[[], None]) -> None:
        if self._failure is not None:
            raise self._failure
        self._work.put(work)

    def _run(self) -> None:
        # After a failure the queue is still emptied, so that the caller does not wait forever.
        while (work := self._work.get()) is not None:
            try:
                work()
            except BaseException as error:
                self._failure = self._failure or error

    def _picture(self, frame: av.VideoFrame | None) -> None:
        if frame is not None:
            self._free_slots.release()
        if self._failure is not None:
            return
        self._last = frame or self._last
        if self._last is None:
            raise ValueError("the first frame cannot be a repetition")
        self._last.pts = self._frame_count
        self._last.time_base = self._video.codec_context.time_base
        self._frame_count += 1
        self._container.mux(self._video.encode(self._last))

    def _samples(self, block: Any) -> None:
        if self._failure is not None:
            return
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
        frame.sample_rate = SAMPLE_RATE
        frame.pts = self._samples_written
        frame.time_base = Fraction(1, SAMPLE_RATE)
        self._samples_written += block.shape[1]
        self._container.mux(self._audio.encode(frame))

    def __enter__(self) -> Encoder:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._work.put(None)
        self._thread.join()
        whole = False
        try:
            if kind is None and self._failure is not None:
                raise self._failure
            if kind is None:
                for stream in (self._video, self._audio):
                    if stream is not None:
                        self._container.mux(stream.encode(None))
                whole = True
        finally:
            self._container.close()
            if not whole:
                self._partial.unlink(missing_ok=True)
        if whole:
            self._partial.replace(self._path)


def _coded_colors(image: Image.Image) -> av.VideoFrame:
    return from_image(image).reformat(
        format="yuv420p",
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        dst_colorspace=Colorspace.ITU709,
    )
