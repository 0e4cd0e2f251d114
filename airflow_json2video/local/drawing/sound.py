"""The sound of a movie: every audible element, mixed at 48 kHz stereo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from airflow_json2video.local.drawing.clips import SAMPLE_RATE, NotMedia, measure, read_sound
from airflow_json2video.local.planning.plan import number
from airflow_json2video.local.planning.resolve import MovieFault
from airflow_json2video.local.planning.timeline import Sound, Timeline

__all__ = ["SoundTrack"]


BLOCK = 1024
"""What AAC codes at a time."""


class SoundTrack:
    """The mixed sound, given out block by block beside the frames.

    It is held in a file: an hour of it is more than a gigabyte.

    :param find: gives the file of a sound; None: it is silent.
    :param scratch: a file that may be written and belongs to the caller.
    :raises MovieFault: a source that is no sound.
    """

    def __init__(
        self, timeline: Timeline, *, find: Callable[[Sound], Path | None], warn: Callable[[str], None], scratch: Path
    ) -> None:
        self._timeline = timeline
        self._length = max(1, round(timeline.frames / timeline.fps * SAMPLE_RATE))
        self._track: Any = np.memmap(scratch, dtype=np.float32, mode="w+", shape=(2, self._length))
        self._given = 0
        for sound in timeline.sounds:
            path = find(sound) if sound.element.get("src") else None
            if path is None:
                warn(f"{sound.where}: this {sound.element.get('type')} is silent")
                continue
            try:
                _add(self._track, sound, path, timeline.fps)
            except NotMedia:
                kind = sound.element.get("type")
                wrong = f"The URL provided is not a {kind} file and cannot be used as a source for a {kind} element"
                raise MovieFault(f"{sound.where}: {wrong}") from None

    def blocks(self, *, until: int) -> Iterator[Any]:
        """Give what was not given yet, up to frame *until*: float32 (2, n), clipped to what can be coded."""
        last = until >= self._timeline.frames
        end = self._length if last else int(until / self._timeline.fps * SAMPLE_RATE)
        while self._given < end and (last or end - self._given >= BLOCK):
            block = self._track[:, self._given : min(self._given + BLOCK, end)]
            self._given += block.shape[1]
            yield np.ascontiguousarray(np.clip(block, -1.0, 1.0))


def _add(track: Any, sound: Sound, path: Path, fps: Fraction) -> None:
    element = sound.element
    start = round(sound.first / fps * SAMPLE_RATE)
    room = min(round(sound.frames / fps * SAMPLE_RATE), track.shape[1] - start)
    volume = max(0.0, min(10.0, number(element.get("volume"), 1)))
    seek = number(element.get("seek"), 0)
    if seek < 0:
        seek = max(0.0, measure(path, kind="audio") + seek)
    loops = int(number(element.get("loop"), 1))
    heard, turn = 0, 0
    while heard < room and (loops < 0 or turn < max(1, loops)):
        before = heard
        for block in read_sound(path, seek=seek):
            samples: Any = block
            part = samples[:, : room - heard]
            at = start + heard
            track[:, at : at + part.shape[1]] += part * _gain(heard, part.shape[1], room, element, volume)
            heard += part.shape[1]
            if heard >= room:
                break
        if heard == before:
            return  # no sound in it
        turn += 1


def _gain(at: int, count: int, room: int, element: Any, volume: float) -> Any:
    into = max(0.0, number(element.get("fade-in"), 0)) * SAMPLE_RATE
    out = max(0.0, number(element.get("fade-out"), 0)) * SAMPLE_RATE
    position = np.arange(at, at + count, dtype=np.float32)
    gain = np.full(count, volume, dtype=np.float32)
    if into:
        gain *= np.clip(position / into, 0, 1)
    if out:
        gain *= np.clip((room - position) / out, 0, 1)
    return gain
