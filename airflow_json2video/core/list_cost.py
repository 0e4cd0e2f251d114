"""Whether to ask for renders one by one or to read the account's list: by what each would cost. Pure.

A look at one render is the unit. It costs the client 0.28 ms of processor time, and a page of the list the
same and 6 ms for each megabyte (measured over loopback without TLS, the documents skipped): so 48 KB
of a page cost as much as a request. The service is taken to reckon in the same way.

What a page holds is learnt from pages. Nobody promises that the list is cheap: it shows other people's renders,
and each with its whole document. So a sweep has a budget, the single looks that it replaces. One that exceeds it is
broken off, and the list is left alone until single looks have cost ten times what was wasted, the next time twenty
times, and so on: trying it adds a tenth to the cost at most. A list that cannot be read is left alone for a minute, the
next time for two, up to half an hour.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["ListCostModel", "ListScan"]

_BYTES_PER_REQUEST = 48 * 1024
_MARGIN = 300.0
"""Seconds on either side of a range, for clocks that differ."""
_LONGEST_RANGE = 92 * 86400.0
_LARGEST_PAGE = 100
_FIRST_PAGE = 10
"""Entries to the first page of an account: enough to see how large the documents are, and not more."""
_PAGE_BYTES = 4_000_000
"""What a page should weigh at most: reading it holds the event loop for 8 ms."""
_ASSUMED_ENTRY = 4096.0
_MOST_PARTS = 2
"""Parts that are read at the same time, and so connections."""
_PART_PAGES = 3
_FEWEST = 5
"""Renders below which the list is not worth its risks: it may lag, and it may be long."""
_REMEMBERED = 600.0
_AMORTISED = 10
_FIRST_PAUSE = 60.0
_LONGEST_PAUSE = 1800.0


@dataclass(frozen=True, kw_only=True)
class ListScan:
    """A range of the list to read to its end.

    :ivar covers: epoch seconds; waiting renders submitted from then on are answered for.
    :ivar edges: epoch seconds at which its parts begin and end; the parts can be read at the same time.
    :ivar page_size: entries to a page.
    :ivar budget: what it may cost, in looks at one render.
    :ivar is_probe: one page only, to see what pages hold.
    """

    covers: float
    edges: tuple[float, ...]
    page_size: int
    budget: float
    is_probe: bool = False

    @property
    def seconds(self) -> float:
        """Length of the range up to now."""
        return max(self.edges[-1] - self.edges[0] - _MARGIN, 1.0)


class ListCostModel:
    """What is known of an account's list. It is fed with what was seen, and asked for the best way to look."""

    def __init__(self) -> None:
        self._entry_bytes: float | None = None
        self._density: float | None = None
        self._share = 1.0
        self._page_limit = _LARGEST_PAGE
        self._setbacks = 0
        self._singles = 0
        self._closed_until_singles = 0.0
        self._closed_until = -math.inf
        self._forget_at = math.inf

    def best_sweep(self, born: Sequence[float], *, waiting: Sequence[float], now: float) -> ListScan | None:
        """Give the range whose list costs less than the looks that it spares, or None if no range does.

        :param born: when each render was submitted that has to be looked at now or soon; epoch seconds.
        :param waiting: the same of every render that is waited for; the list shows them all.
        :param now: epoch seconds.
        """
        if now < self._closed_until or self._singles < self._closed_until_singles or len(born) < _FEWEST:
            return None
        if now >= self._forget_at:
            self._forget()
        page_size = self._page_size()
        best, most, covers = 0, 0.0, 0.0
        every = sorted(waiting)
        for count, moment in enumerate(sorted(born, reverse=True), 1):
            if now - moment > _LONGEST_RANGE:
                break
            ours = len(every) - bisect_left(every, moment)
            entries = max(float(ours), (self._density or 0.0) * (now - moment + _MARGIN))
            saved = count * self._share - self._cost(pages=math.ceil(entries / page_size), entries=entries)
            if saved > most:
                best, most, covers = count, saved, moment
        if not best:
            return None
        listed = every[bisect_left(every, covers) :]
        parts = 1 if self._entry_bytes is None else min(_MOST_PARTS, 1 + len(listed) // (_PART_PAGES * page_size))
        between = [listed[len(listed) * part // parts] for part in range(1, parts)]
        return ListScan(
            covers=covers,
            edges=(covers - _MARGIN, *between, now + _MARGIN),
            page_size=page_size,
            # The first time nobody knows how long the list is.
            budget=best * self._share * (0.5 if self._density is None else 1.0),
            is_probe=self._entry_bytes is None,
        )

    def on_single(self) -> None:
        """Hear of a look at one render."""
        self._singles += 1

    def on_page(self, *, entries: int, size: int, now: float) -> float:
        """Learn from a page and give what it cost, in looks at one render.

        :param size: bytes.
        """
        each = size / entries if entries else _ASSUMED_ENTRY
        if self._entry_bytes is None:
            self._entry_bytes = each
        elif entries:
            self._entry_bytes = (self._entry_bytes + each) / 2
        self._forget_at = now + _REMEMBERED
        return 1.0 + size / _BYTES_PER_REQUEST

    def on_sweep(
        self, sweep: ListScan, *, entries: int, expected: int, found: int, cost: float, is_whole: bool
    ) -> None:
        """Learn from a list that was read to its end, or until all was found that was looked for.

        :param expected: renders that it should have shown. :param found: how many of them it did.
        """
        if is_whole:
            self._density = entries / sweep.seconds
        self._share = 0.5 * self._share + 0.5 * (found / expected if expected else 0.0)
        if cost > max(found, 1):
            self._on_waste(cost - found)
        else:
            self._setbacks = 0

    def on_budget_spent(self, sweep: ListScan, *, entries: int, cost: float) -> None:
        """Learn from a list that was given up because it costs more than it spares: it is longer than thought."""
        self._density = 2 * max(entries / sweep.seconds, self._density or 0.0)
        self._on_waste(cost)

    def _on_waste(self, cost: float) -> None:
        self._closed_until_singles = self._singles + cost * _AMORTISED * 2.0 ** min(self._setbacks, 6)
        self._setbacks += 1

    def on_trouble(self, *, now: float, smaller_pages_than: int | None = None) -> None:
        """Leave the list alone for a while: it could not be read.

        :param smaller_pages_than: the page size that may have been too much.
        """
        pause = min(_FIRST_PAUSE * 2.0 ** min(self._setbacks, 10), _LONGEST_PAUSE)
        self._setbacks += 1
        self._closed_until = now + pause
        self._forget_at = self._closed_until + _REMEMBERED
        if smaller_pages_than is not None:
            self._page_limit = max(1, smaller_pages_than // 4)

    @property
    def setbacks(self) -> int:
        """How often in a row the list was no help."""
        return self._setbacks

    def _page_size(self) -> int:
        wanted = _FIRST_PAGE if self._entry_bytes is None else int(_PAGE_BYTES / max(self._entry_bytes, 1.0))
        return max(1, min(wanted, self._page_limit, _LARGEST_PAGE))

    def _cost(self, *, pages: int, entries: float) -> float:
        size = self._entry_bytes if self._entry_bytes is not None else _ASSUMED_ENTRY
        return pages + entries * size / _BYTES_PER_REQUEST

    def _forget(self) -> None:
        # Habits change: who else uses the account, how large the documents are, whether the list shows everything.
        self._density = self._entry_bytes = None
        self._share, self._forget_at = 1.0, math.inf
        self._page_limit = min(_LARGEST_PAGE, self._page_limit * 4)
