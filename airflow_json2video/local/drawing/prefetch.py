"""The picture of the next frame, made by another thread while the current one is put together and coded."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

from PIL import Image

__all__ = ["Prefetcher"]

# One picture of all layers together, so that many layers need no more memory than one. A single processor is busy
# enough with the current frame.
_room = threading.Semaphore(1 if (os.cpu_count() or 1) > 1 else 0)


class Prefetcher:
    """Has the next picture made if frames are asked for one after another.

    :param last: the last frame that there is.
    """

    def __init__(self, *, last: int) -> None:
        self._last = last
        self._asked: int | None = None
        self._coming: tuple[int, Future[Image.Image]] | None = None

    def at(self, frame: int, make: Callable[[int], Image.Image]) -> Image.Image:
        """Give what *make* gives for a frame.

        :param make: gives a frame's picture, always the same; called in two threads at once. It is not kept: it
            would tie its owner, with all its pictures, into a circle that only the garbage collector opens.
        """
        # Single frames, as of a contact sheet, have no neighbors that anybody will want.
        in_a_row = self._asked == frame - 1
        self._asked = frame
        made = self._taken(frame)
        if in_a_row and frame < self._last and _room.acquire(blocking=False):
            self._coming = (frame + 1, _thread().submit(make, frame + 1))
        return make(frame) if made is None else made.result()

    def close(self) -> None:
        """Let go of what nobody will ask for."""
        self._taken(None)

    def _taken(self, frame: int | None) -> Future[Image.Image] | None:
        """Give what is coming, if it is of this frame; nothing is coming then."""
        if self._coming is None:
            return None
        number, future = self._coming
        self._coming = None
        _room.release()
        if number == frame:
            return future
        future.cancel()
        return None


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="json2video-ahead")
