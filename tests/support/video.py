"""The facts of a video file, read by decoding all of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["VideoFacts", "read_back"]


@dataclass(frozen=True)
class VideoFacts:
    """Facts that were read from the file itself.

    :param duration: seconds from the start of the first frame to the end of the last.
    :param size: bytes.
    :param audio: codec of the sound; None without sound.
    """

    path: Path
    duration: float
    size: int
    width: int
    height: int
    frames: int
    fps: float
    codec: str
    audio: str | None

    def __str__(self) -> str:
        sound = f" with {self.audio} sound" if self.audio else ", no sound"
        return (
            f"{self.duration:.2f} s, {self.size / 1e6:.2f} MB ({self.size} bytes), {self.width} x {self.height}, "
            f"{self.frames} frames at {self.fps:g} per second, {self.codec}{sound}"
        )


def read_back(path: Path) -> VideoFacts:
    """Decode every frame of *path*.

    :raises av.error.FFmpegError: the file is not a playable video.
    """
    import av

    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        frames, end = 0, 0.0
        fps = float(stream.average_rate or 0)
        for frame in file.decode(stream):
            frames += 1
            end = max(end, float(frame.time or 0.0) + (1 / fps if fps else 0.0))
        return VideoFacts(
            path=path,
            duration=end,
            size=path.stat().st_size,
            width=stream.codec_context.width,
            height=stream.codec_context.height,
            frames=frames,
            fps=fps,
            codec=stream.codec_context.name,
            audio=file.streams.audio[0].codec_context.name if file.streams.audio else None,
        )
