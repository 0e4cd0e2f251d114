"""The credits of all renders so far, computed quickly for any number of renders."""

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
    """The credits of renders by the time at which they show as done. Failed renders are free.

    :param held: returns whether a fault rule prevents a render from showing as done.
    """

    def __init__(self, *, held: Callable[[Render], bool]) -> None:
        self._held = held
        self._lock = threading.Lock()
        self._ends: list[tuple[float, float]] = []
        self._totals: list[float] | None = None
        self._touched: dict[str, Render] = {}

    def rebuild(self, renders: Iterable[Render]) -> None:
        """Rebuild the ledger from these renders."""
        with self._lock:
            self._ends.clear()
            self._touched.clear()
            self._totals = None
        for render in renders:
            self.add(render)

    def add(self, render: Render) -> None:
        """Add a finished render."""
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
        """Return the credits of all renders that show as done at *now*."""
        with self._lock:
            if self._totals is None:
                self._totals = [0.0, *itertools.accumulate(price for _, price in self._ends)]
            total = self._totals[bisect.bisect_right(self._ends, (now, float("inf")))]
            touched = list(self._touched.values())
        return total + sum(r.credits for r in touched if (visible_end(r) or now) <= now and not self._held(r))
