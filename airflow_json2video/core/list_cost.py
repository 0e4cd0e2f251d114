"""Whether to poll renders one by one or to read the account's list, by what each would cost. Pure.

A poll of one render is the unit. It costs the client 0.28 ms of processor time, and a page of the list the same plus
6 ms for each megabyte (measured over loopback without TLS, the documents skipped): so 48 KB of a page cost as much as a
request. The service is assumed to pay in the same proportion.

What a page contains is learned from pages. Nothing guarantees that the list is cheap: it shows the renders of other
users, and each with its whole document. So a scan has a budget, the single polls that it replaces. A scan that exceeds
it is stopped, and the list is not read again until single polls have cost ten times what was wasted, the next time
twenty times, and so on: trying the list adds a tenth to the cost at most. A list that cannot be read is not tried
again for a minute, the next time for two, up to half an hour.
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
"""Entries on the first page of an account, which is read to learn how large the documents are."""
_PAGE_BYTES = 4_000_000
"""Bytes that a page should have at most: parsing this many blocks the event loop for 8 ms."""
_ASSUMED_ENTRY = 4096.0
_MAX_PARTS = 2
"""Parts of the list that are read at the same time, each over a connection of its own."""
_PART_PAGES = 3
_MIN_RENDERS = 5
"""Renders below which the list is not worth its risks: it may lag, and it may be long."""
_FORGET_AFTER = 600.0
"""Seconds without a page after which what was learned is forgotten."""
_AMORTIZED_OVER = 10
_FIRST_BACKOFF = 60.0
_MAX_BACKOFF = 1800.0


@dataclass(frozen=True, kw_only=True)
class ListScan:
    """A range of the list to read to its end.

    :ivar covers: epoch seconds; the scan replaces the polls of renders that were submitted from then on.
    :ivar edges: epoch seconds at which its parts begin and end; the parts can be read at the same time.
    :ivar page_size: entries on a page.
    :ivar budget: what it may cost, in polls of one render.
    :ivar is_probe: read one page only, to learn what pages contain.
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
    """What is known of an account's list, and the decision whether to read it."""

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

    def best_scan(self, due: Sequence[float], *, waiting: Sequence[float], now: float) -> ListScan | None:
        """Return the range whose list costs least compared with the polls that it replaces; None if none costs less.

        :param due: when each render that has to be polled now or soon was submitted; epoch seconds.
        :param waiting: the same for every render that is waited for; the list shows them all.
        :param now: epoch seconds.
        """
        if now < self._closed_until or self._singles < self._closed_until_singles or len(due) < _MIN_RENDERS:
            return None
        if now >= self._forget_at:
            self._forget()
        page_size = self._page_size()
        best, most, covers = 0, 0.0, 0.0
        every = sorted(waiting)
        for count, moment in enumerate(sorted(due, reverse=True), 1):
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
        parts = 1 if self._entry_bytes is None else min(_MAX_PARTS, 1 + len(listed) // (_PART_PAGES * page_size))
        between = [listed[len(listed) * part // parts] for part in range(1, parts)]
        return ListScan(
            covers=covers,
            edges=(covers - _MARGIN, *between, now + _MARGIN),
            page_size=page_size,
            # The first time the length of the list is unknown.
            budget=best * self._share * (0.5 if self._density is None else 1.0),
            is_probe=self._entry_bytes is None,
        )

    def on_single(self) -> None:
        """Count a poll of one render."""
        self._singles += 1

    def on_page(self, *, entries: int, size: int, now: float) -> float:
        """Learn from a page, and return what it cost, in polls of one render.

        :param size: bytes.
        """
        each = size / entries if entries else _ASSUMED_ENTRY
        if self._entry_bytes is None:
            self._entry_bytes = each
        elif entries:
            self._entry_bytes = (self._entry_bytes + each) / 2
        self._forget_at = now + _FORGET_AFTER
        return 1.0 + size / _BYTES_PER_REQUEST

    def on_scan(
        self, scan: ListScan, *, entries: int, expected: int, found: int, cost: float, is_complete: bool
    ) -> None:
        """Learn from a scan that reached the end of its range, or found all renders before.

        :param expected: renders that it should have shown. :param found: how many of them it did show.
        :param is_complete: whether it reached the end of its range.
        """
        if is_complete:
            self._density = entries / scan.seconds
        self._share = 0.5 * self._share + 0.5 * (found / expected if expected else 0.0)
        if cost > max(found, 1):
            self._on_waste(cost - found)
        else:
            self._setbacks = 0

    def on_budget_spent(self, scan: ListScan, *, entries: int, cost: float) -> None:
        """Learn from a scan that was stopped because it exceeded its budget: the list is longer than estimated."""
        self._density = 2 * max(entries / scan.seconds, self._density or 0.0)
        self._on_waste(cost)

    def _on_waste(self, cost: float) -> None:
        self._closed_until_singles = self._singles + cost * _AMORTIZED_OVER * 2.0 ** min(self._setbacks, 6)
        self._setbacks += 1

    def on_failure(self, *, now: float, smaller_pages_than: int | None = None) -> None:
        """Do not read the list for a while, because it could not be read.

        :param smaller_pages_than: the page size that may have been too large.
        """
        backoff = min(_FIRST_BACKOFF * 2.0 ** min(self._setbacks, 10), _MAX_BACKOFF)
        self._setbacks += 1
        self._closed_until = now + backoff
        self._forget_at = self._closed_until + _FORGET_AFTER
        if smaller_pages_than is not None:
            self._page_limit = max(1, smaller_pages_than // 4)

    @property
    def setbacks(self) -> int:
        """How often in a row the list saved nothing."""
        return self._setbacks

    def _page_size(self) -> int:
        wanted = _FIRST_PAGE if self._entry_bytes is None else int(_PAGE_BYTES / max(self._entry_bytes, 1.0))
        return max(1, min(wanted, self._page_limit, _LARGEST_PAGE))

    def _cost(self, *, pages: int, entries: float) -> float:
        size = self._entry_bytes if self._entry_bytes is not None else _ASSUMED_ENTRY
        return pages + entries * size / _BYTES_PER_REQUEST

    def _forget(self) -> None:
        # These change: who else uses the account, how large the documents are, whether the list shows everything.
        self._density = self._entry_bytes = None
        self._share, self._forget_at = 1.0, math.inf
        self._page_limit = min(_LARGEST_PAGE, self._page_limit * 4)
