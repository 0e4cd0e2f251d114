"""The sound of a movie: all audible elements, mixed in 48 kHz stereo, with a soft limiter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from airflow_json2video.local.drawing.clips import SAMPLE_RATE, NotMedia, measure, read_sound
from airflow_json2video.local.planning.plan import number
from airflow_json2video.local.planning.resolve import MovieFault
from airflow_json2video.local.planning.timeline import Sound, Timeline

__all__ = ["CEILING", "Mix", "SoundTrack", "mixed"]


BLOCK = 1024
"""Samples per frame of AAC."""
CEILING = 0.95
"""Maximum level of the track; a track below it is not changed."""
_FRAME = 8  # bytes of one sample of two channels
_RAMP = 240  # 5 ms: ramp at each cut, to avoid clicks
_MAX_CACHED = 20 * SAMPLE_RATE
_REACH = 480  # 10 ms: the limiter reduces the gain this long before and after a peak

Find = Callable[[Sound], "Path | None"]
Warn = Callable[[str], None]


class Mix:
    """A sum of sounds, stored in a file, since an hour needs more than a gigabyte.

    :param path: a scratch file, deleted by the caller.
    :param length: samples.
    """

    def __init__(self, path: Path, *, length: int) -> None:
        self.length = length
        self._file = path.open("w+b", buffering=0)
        self._file.truncate(length * _FRAME)

    def add(self, at: int, samples: Any) -> None:
        """Add float32 (2, n) from sample *at* on; what exceeds the end is cut off."""
        count = min(samples.shape[1], self.length - at)
        if count > 0:
            there = self.read(at, count)
            self._file.seek(at * _FRAME)
            self._file.write(np.ascontiguousarray((there + samples[:, :count]).T, dtype=np.float32).tobytes())

    def read(self, at: int, count: int) -> Any:
        """Return float32 (2, count) from sample *at* on; silence before the start and after the end."""
        block = np.zeros((2, count), dtype=np.float32)
        start, end = max(0, at), min(self.length, at + count)
        if end > start:
            self._file.seek(start * _FRAME)
            found = np.frombuffer(self._file.read((end - start) * _FRAME), dtype=np.float32).reshape(-1, 2).T
            block[:, start - at : start - at + found.shape[1]] = found
        return block

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class SoundTrack:
    """The mixed sound, returned in blocks that accompany the frames.

    Where the mix exceeds full scale, a look-ahead limiter reduces the gain around the peaks, over 10 ms on either side,
    instead of clipping them.

    :param find: returns the file of a sound; None: it is silent.
    :param scratch: a scratch file, deleted by the caller.
    :raises MovieFault: a source is not a sound.
    """

    def __init__(self, timeline: Timeline, *, find: Find, warn: Warn, scratch: Path) -> None:
        self._timeline = timeline
        self._length = max(1, round(timeline.frames / timeline.fps * SAMPLE_RATE))
        self._mix = mixed(timeline.sounds, fps=timeline.fps, length=self._length, find=find, warn=warn, scratch=scratch)
        self._given = 0

    def blocks(self, *, until: int) -> Iterator[Any]:
        """Yield the sound that was not returned yet, up to frame *until*: float32 (2, n), not above the ceiling."""
        last = until >= self._timeline.frames
        end = self._length if last else int(until / self._timeline.fps * SAMPLE_RATE)
        while self._given < end and (last or end - self._given >= BLOCK):
            count = min(BLOCK, end - self._given)
            block = _limited(self._mix, self._given, count)
            self._given += count
            yield np.ascontiguousarray(block)
        if last:
            self._mix.close()


def mixed(
    sounds: Iterable[Sound], *, fps: Fraction, length: int, find: Find, warn: Warn, scratch: Path, origin: int = 0
) -> Mix:
    """Mix sounds into a file.

    :param length: samples.
    :param origin: the frame of the movie at which the mix starts.
    :raises MovieFault: a source is not a sound.
    """
    mix = Mix(scratch, length=length)
    for sound in sounds:
        kind = sound.element.get("type")
        path = find(sound)
        if path is None:
            warn(f"{sound.where}: this {kind} is silent")
            continue
        try:
            is_heard = _add_sound(mix, sound, path, fps=fps, origin=origin)
        except NotMedia:
            mix.close()
            wrong = f"The URL provided is not a {kind} file and cannot be used as a source for a {kind} element"
            raise MovieFault(f"{sound.where}: {wrong}") from None
        if not is_heard and kind == "audio":  # a clip can be without sound
            warn(f"{sound.where}: this {kind} is silent: its 'seek' is after its end")
    return mix


def _add_sound(mix: Mix, sound: Sound, path: Path, *, fps: Fraction, origin: int) -> bool:
    """Add a sound to a mix; return False if nothing of it is audible."""
    start = round((sound.first - origin) / fps * SAMPLE_RATE)
    room = min(round((sound.first - origin + sound.frames) / fps * SAMPLE_RATE), mix.length) - start
    volume = max(0.0, min(10.0, number(sound.element.get("volume"), 1)))
    if not volume or room <= 0:
        return True
    heard = 0
    for block, last in _with_is_last(_cut(_loops(path, sound.element), room)):
        gain = volume * _gain(sound.element, heard, block.shape[1], room=room, last=last)
        gain *= _crossing(sound, start + heard + round(origin / fps * SAMPLE_RATE), block.shape[1], fps=fps)
        mix.add(start + heard, block * gain.astype(np.float32))
        heard += block.shape[1]
    return bool(heard)


def _loops(path: Path, element: Any) -> Iterator[Any]:
    """Yield the sound of a file, from its seek on, as often as it loops, without gaps or clicks.

    Each loop of a clip is as long as its pictures, so that they stay synchronous.
    """
    kind = "video" if element.get("type") == "video" else "audio"
    seek = number(element.get("seek"), 0)
    length = measure(path, kind=kind) if seek < 0 or kind == "video" else 0.0
    if seek < 0:
        seek = max(0.0, length + seek)
    loops = int(number(element.get("loop"), 1))
    turns = loops if loops > 0 else 1 if loops == 0 else None
    period = round(max(0.001, length - seek) * SAMPLE_RATE) if kind == "video" else None
    kept: list[Any] | None = []
    heard = 0
    for block in _next_loop(path, seek, period):
        heard += block.shape[1]
        # A short sound is cached for its next loops; a long one is read again.
        kept = [*kept, block] if kept is not None and turns != 1 and heard <= _MAX_CACHED else None
        end = block[:, -1:]
        yield block
    if not heard:
        return
    done = 1
    while turns is None or done < turns:
        if kept is None:
            for block in _joined(_next_loop(path, seek, period), end):
                yield block
                end = block[:, -1:]
            done += 1
            continue
        times = max(1, SAMPLE_RATE // heard)
        if turns is not None:
            times = min(times, turns - done)
        whole = np.concatenate([*_joined(kept, end)], axis=1)
        yield np.tile(whole, (1, times))
        done += times


def _joined(blocks: Iterable[Any], end: Any) -> Iterator[Any]:
    """Yield the next loop of a sound, faded over from the last sample *end* of the previous loop.

    A file that ends in the middle of a wave would click at each loop; one that is made for looping is hardly changed.
    """
    step: Any = None
    at = 0
    for block in blocks:
        if step is None:
            step = end - block[:, :1]
        if at < _RAMP:
            left = np.clip(1 - np.arange(at, at + block.shape[1], dtype=np.float32) / _RAMP, 0, 1)
            block = block + step * left
        at += block.shape[1]
        yield block


def _next_loop(path: Path, seek: float, period: int | None) -> Iterator[Any]:
    total = 0
    for block in _cut(read_sound(path, seek=seek), period):
        total += block.shape[1]
        yield block
    while total and period is not None and total < period:
        silence = np.zeros((2, min(BLOCK, period - total)), dtype=np.float32)
        total += silence.shape[1]
        yield silence


def _cut(blocks: Iterable[Any], room: int | None) -> Iterator[Any]:
    """Yield at most *room* samples."""
    left = room
    if left is not None and left <= 0:
        return
    for block in blocks:
        part = block if left is None else block[:, :left]
        yield part
        if left is not None:
            left -= part.shape[1]
            if left <= 0:
                return


def _with_is_last(blocks: Iterable[Any]) -> Iterator[tuple[Any, bool]]:
    """Yield each block with whether it is the last; the last one is long enough for a ramp, if possible."""
    held: Any = None
    for block in blocks:
        if held is None:
            held = block
        elif block.shape[1] < _RAMP or held.shape[1] < _RAMP:
            held = np.concatenate((held, block), axis=1)
        else:
            yield held, False
            held = block
    if held is not None:
        yield held, True


def _gain(element: Any, at: int, count: int, *, room: int, last: bool) -> Any:
    """Return the gain of the samples from *at* on of an element: its fades, and ramps against clicks."""
    into = max(0.0, number(element.get("fade-in"), 0)) * SAMPLE_RATE
    out = max(0.0, number(element.get("fade-out"), 0)) * SAMPLE_RATE
    position = np.arange(at, at + count, dtype=np.float64) + 0.5
    gain = np.clip(position / max(into, _RAMP), 0, 1)
    if out:
        gain *= np.clip((room - position) / out, 0, 1)
    if last:
        gain *= np.clip((at + count - position) / _RAMP, 0, 1)
    return gain


def _crossing(sound: Sound, at: int, count: int, *, fps: Fraction) -> Any:
    """Return the gain that results from transitions, for the samples from *at* on of the movie.

    Two scenes are crossfaded at equal power, so that two different sounds together are as loud as one. What the service
    does is not documented; pictures are crossfaded as by FFmpeg's xfade, so sound is too.
    """
    gain = np.ones(count)
    position = np.arange(at, at + count, dtype=np.float64) + 0.5
    for crossing, falls in ((sound.rises, False), (sound.falls, True)):
        if crossing is not None:
            first, frames = (float(frame / fps) * SAMPLE_RATE for frame in crossing)
            done = np.clip((position - first) / frames, 0, 1) * (np.pi / 2)
            gain *= np.cos(done) if falls else np.sin(done)
    return gain


def _limited(mix: Mix, at: int, count: int) -> Any:
    """Return samples of a mix, with a reduced gain where they or the samples next to them are too loud.

    The gain that each sample needs is reduced to the lowest within reach and then averaged over the same reach: it
    changes slowly and is never too high. It depends only on the mix, not on the blocks.
    """
    margin = 2 * _REACH
    wide = mix.read(at - margin, count + 2 * margin)
    peaks = np.abs(wide).max(axis=0)
    middle = wide[:, margin : margin + count]
    if peaks.max() <= CEILING:
        return middle
    needed = np.minimum(1.0, CEILING / np.maximum(peaks, 1e-9)).astype(np.float64)
    window = 2 * _REACH + 1
    sums = np.concatenate(([0.0], np.cumsum(_lowest(needed, window))))
    gain = (sums[window:] - sums[:-window]) / window
    return np.clip(middle * gain.astype(np.float32), -CEILING, CEILING)


def _lowest(values: Any, window: int) -> Any:
    """Return the minimum of each *window* consecutive values, doubling the reach at each step."""
    lowest, size = values, 1
    while size * 2 <= window:
        lowest = np.minimum(lowest[:-size], lowest[size:])
        size *= 2
    rest = window - size
    return np.minimum(lowest[:-rest], lowest[rest:]) if rest else lowest
