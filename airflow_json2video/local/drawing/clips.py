"""Reads clips and sound with PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import av.error
from PIL import Image

from airflow_json2video.local.drawing.frames import to_image
from airflow_json2video.local.limits import LIMITS

__all__ = ["ClipReader", "NotMedia", "measure", "picture_sizes", "read_sound"]

# A playlist or a script that pretends to be a video could make FFmpeg open other files.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mp3,wav,ogg,flac,aac,mpeg,mpegts,gif,asf"
_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
SAMPLE_RATE = 48_000
_GAP = SAMPLE_RATE // 50


class NotMedia(Exception):
    """The file cannot be read as a clip or a sound."""


def _open(path: Path) -> av.container.InputContainer:
    try:
        return av.open(str(path), options=dict(_OPTIONS))
    except (av.error.FFmpegError, ValueError) as error:
        raise NotMedia(str(error)) from None


def measure(path: Path, *, kind: str) -> float:
    """Return the length in seconds of a file with a ``video`` or ``audio`` stream."""
    with _open(path) as container:
        streams = container.streams.video if kind == "video" else container.streams.audio
        if not streams:
            raise NotMedia(f"there is no {kind} in it")
        if container.duration is not None:
            return float(container.duration / av.time_base)
        stream = streams[0]
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
    raise NotMedia("its length is unknown")


def _from(origin: float, container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[Any]:
    """Yield sound at its position in time: a later start and gaps are filled with silence."""
    given = 0
    for piece in _resampled(container, stream):
        samples = piece.to_ndarray()
        if samples.shape[0] == 1:
            samples = samples.repeat(2, axis=0)
        at = given if piece.time is None else round((piece.time - origin) * SAMPLE_RATE)
        if not given and at + samples.shape[1] <= 0:
            continue
        if not given and at < 0:
            samples, at = samples[:, -at:], 0
        # The timestamps of some formats are milliseconds: only a real gap is filled.
        lack = at - given if at - given > (_GAP if given else 0) else 0
        while lack > 0:
            silence = samples[:, :1].repeat(min(lack, SAMPLE_RATE), axis=1) * 0
            yield silence
            given += silence.shape[1]
            lack -= silence.shape[1]
        yield samples
        given += samples.shape[1]


def _resampled(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.AudioFrame]:
    # FFmpeg would reduce a mono sound by 3 dB; it is copied to both channels unchanged.
    layout = "mono" if stream.channels == 1 else "stereo"
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=SAMPLE_RATE)
    for frame in container.decode(stream):
        yield from resampler.resample(frame)
    # Flush the resampler: it still has the end of the sound.
    yield from resampler.resample(None)


class ClipReader:
    """The pictures of a clip, requested in order of time.

    :param loops: how often it plays; -1: without end. After its end the last picture stays.
    """

    def __init__(self, path: Path, *, seek: float = 0.0, loops: int = 1) -> None:
        self._path = path
        length = measure(path, kind="video")
        self._seek = max(0.0, length + seek if seek < 0 else seek)
        self._length = max(0.001, length - self._seek)
        self._loops = loops
        self._round = 0
        self._frames: Iterator[tuple[float, av.VideoFrame]] = iter(())
        self._upcoming: tuple[float, av.VideoFrame] | None = None
        self._current: tuple[float, av.VideoFrame] | None = None
        self._picture: Image.Image | None = None
        self.container: av.container.InputContainer | None = None
        self._rewind()
        self.size = (self._current[1].width, self._current[1].height) if self._current else (1, 1)

    def _rewind(self) -> None:
        if self.container is not None:
            self.container.close()
        self.container = _open(self._path)
        self._frames = self._decode(self.container)
        self._current = next(self._frames, self._current)
        self._upcoming = next(self._frames, None)
        self._picture = None

    def _decode(self, container: av.container.InputContainer) -> Iterator[tuple[float, av.VideoFrame]]:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        # A clip can declare a wrong size, and change its size while it plays.
        stream.codec_context.options = {"max_pixels": str(LIMITS.clip_pixels)}
        if self._seek and stream.time_base:
            container.seek(int(self._seek / stream.time_base), stream=stream, backward=True)
        try:
            for frame in _decoded(container, stream):
                moment = float((frame.pts or 0) * (stream.time_base or 0)) - self._seek
                if moment > -1 / 240:
                    yield moment, frame
        except av.error.FFmpegError:
            return  # the end is damaged: show what came before

    def at(self, seconds: float) -> tuple[tuple[int, float], Image.Image]:
        """Return the picture at a time of the element, and a key that changes with it."""
        turn = int(seconds / self._length)
        if self._loops > 0:
            turn = min(turn, self._loops - 1)
        while self._round < turn:
            self._round += 1
            self._rewind()
        moment = seconds - turn * self._length
        while self._upcoming is not None and self._upcoming[0] <= moment + 1e-6:
            self._current, self._picture = self._upcoming, None
            self._upcoming = next(self._frames, None)
        if self._current is None:
            raise NotMedia("it has no pictures")
        if self._picture is None:
            self._picture = to_image(self._current[1])
        return (self._round, self._current[0]), self._picture

    def close(self) -> None:
        """Close the file."""
        if self.container is not None:
            self.container.close()


def _decoded(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Decode a stream with its transparency, which FFmpeg's own VP8 and VP9 decoders ignore."""
    decoder = {"vp9": "libvpx-vp9", "vp8": "libvpx"}.get(stream.codec_context.name)
    # The key is in lower or upper case, depending on the FFmpeg that wrote the file.
    says = {name.lower(): value for name, value in stream.metadata.items()}
    if decoder is None or says.get("alpha_mode") != "1" or decoder not in av.codecs_available:
        yield from container.decode(stream)
        return
    context: Any = av.CodecContext.create(decoder, "r")
    context.options = {"max_pixels": str(LIMITS.clip_pixels)}
    for packet in container.demux(stream):
        yield from context.decode(packet if packet.size else None)


def read_sound(path: Path, *, seek: float = 0.0) -> Iterator[object]:
    """Yield the sound from *seek* on as float32 arrays (2, n) at 48 kHz; nothing if the file is silent."""
    with _open(path) as container:
        if not container.streams.audio:
            return
        stream = container.streams.audio[0]
        # What is before 0 is the encoder's priming; FFmpeg before 8.1 does not remove it from AAC in Matroska.
        origin = max(0.0, (container.start_time or 0) / av.time_base) + seek
        # MP3 and raw AAC have no exact index, and are read from the start. Others are read from a little earlier.
        if seek > 1 and stream.time_base and container.format.name not in ("mp3", "aac"):
            container.seek(int((origin - 0.2) / stream.time_base), stream=stream, backward=True)
        try:
            yield from _from(origin, container, stream)
        except av.error.FFmpegError:
            return


def picture_sizes(path: Path) -> list[tuple[int, int]]:
    """Return the declared width and height of each video stream, without decoding.

    :raises NotMedia: the file cannot be read.
    """
    with _open(path) as container:
        return [(s.codec_context.width, s.codec_context.height) for s in container.streams.video]
