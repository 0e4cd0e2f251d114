"""What the renders cost so far, answered quickly however many there are."""

from __future__ import annotations

import bisect
import itertools
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from airflow_json2video.local.lifecycle import visible_end

if TYPE_CHECKING:
    from airflow_json2video.local.store import Render

__all__ = ["Ledger"]


class Ledger:
    """Credits by the moment from which a render is seen to be done; failed renders are free.

    :param held: whether a fault rule keeps a render from being seen as done.
    """

    def __init__(self, *, held: Callable[[Render], bool]) -> None:
        self._held = held
        self._lock = threading.Lock()
        self._ends: list[tuple[float, float]] = []
        self._totals: list[float] | None = None
        self._touched: dict[str, Render] = {}

    def rebuild(self, renders: Iterable[Render]) -> None:
        """Start again from these renders."""
        with self._lock:
            self._ends.clear()
            self._touched.clear()
            self._totals = None
        for render in renders:
            self.add(render)

    def add(self, render: Render) -> None:
        """Enter a render that has finished."""
        end = visible_end(render)
        if not render.credits or end is None:
            return
        with self._lock:
            if render.forced:
                self._touched[render.project] = render
                return
            bisect.insort(self._ends, (end, render.credits))
            self._totals = None

    def spent(self, now: float) -> float:
        """Give the credits of every render that is seen to be done at *now*."""
        with self._lock:
            if self._totals is None:
                self._totals = [0.0, *itertools.accumulate(price for _, price in self._ends)]
            total = self._totals[bisect.bisect_right(self._ends, (now, float("inf")))]
            touched = list(self._touched.values())
        return total + sum(r.credits for r in touched if (visible_end(r) or now) <= now and not self._held(r))
