"""Draws the picture of the next frame in another thread, while the current one is composed and encoded."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

from PIL import Image

__all__ = ["Prefetcher"]

# One picture for all layers together, so that many layers need no more memory than one. None on a single CPU, which
# is busy with the current frame.
_slots = threading.Semaphore(1 if (os.cpu_count() or 1) > 1 else 0)


class Prefetcher:
    """Draws the next picture in advance if frames are requested in order.

    :param last: the last frame.
    """

    def __init__(self, *, last: int) -> None:
        self._last = last
        self._previous: int | None = None
        self._next: tuple[int, Future[Image.Image]] | None = None

    def at(self, frame: int, make: Callable[[int], Image.Image]) -> Image.Image:
        """Return the picture of a frame.

        :param make: draws the picture of a frame; called in two threads. It is not stored, since a reference to its
            owner would form a cycle that keeps all pictures until the garbage collector runs.
        """
        # Single frames, for example of a contact sheet, need no next frame.
        is_next = self._previous == frame - 1
        self._previous = frame
        made = self._take(frame)
        if is_next and frame < self._last and _slots.acquire(blocking=False):
            self._next = (frame + 1, _thread().submit(make, frame + 1))
        return make(frame) if made is None else made.result()

    def close(self) -> None:
        """Discard the prefetched picture."""
        self._take(None)

    def _take(self, frame: int | None) -> Future[Image.Image] | None:
        """Return the prefetched picture if it is that of *frame*, and discard it otherwise."""
        if self._next is None:
            return None
        number, future = self._next
        self._next = None
        _slots.release()
        if number == frame:
            return future
        future.cancel()
        return None


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="json2video-prefetch")
