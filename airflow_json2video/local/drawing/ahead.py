"""Pictures of coming frames, made by other threads while the current one is drawn and coded."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

from PIL import Image

__all__ = ["Ahead"]

# Frames ahead, and as many threads; a single processor is busy enough with the current one.
_MOST = 2 if (os.cpu_count() or 1) > 1 else 0
# Of all layers together, so that a scene of many of them needs no more memory than a scene of one.
_room = threading.Semaphore(_MOST)


class Ahead:
    """Gives what *make* gives for a frame, sooner if frames are asked for one after another.

    :param make: gives the picture of a frame, always the same; called from several threads at once.
    :param last: the last frame that there is.
    """

    def __init__(self, make: Callable[[int], Image.Image], *, last: int) -> None:
        self._make = make
        self._last = last
        self._asked: int | None = None
        self._coming: dict[int, Future[Image.Image]] = {}

    def at(self, frame: int) -> Image.Image:
        """Give the picture of a frame."""
        # Single frames, as of a contact sheet, have no neighbours that anybody will want.
        in_a_row = self._asked in (frame - 1, frame)
        self._asked = frame
        for other in [n for n in self._coming if n < frame or n > frame + _MOST]:
            self._drop(other)
        if in_a_row:
            for coming in range(frame + 1, min(self._last, frame + _MOST) + 1):
                if coming not in self._coming and _room.acquire(blocking=False):
                    self._coming[coming] = _threads().submit(self._make, coming)
        if frame not in self._coming:
            return self._make(frame)
        try:
            return self._coming.pop(frame).result()
        finally:
            _room.release()

    def close(self) -> None:
        """Let go of what nobody will ask for."""
        for frame in list(self._coming):
            self._drop(frame)

    def _drop(self, frame: int) -> None:
        self._coming.pop(frame).cancel()
        _room.release()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_MOST, thread_name_prefix="json2video-ahead")
