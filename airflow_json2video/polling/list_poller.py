"""Reading the account's list in place of asking for each render, where that costs less."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from airflow_json2video.api.calls.movies import poll_movies
from airflow_json2video.api.pagination import MovieListing
from airflow_json2video.api.responses import tidied
from airflow_json2video.core.result import to_json
from airflow_json2video.exceptions import Json2VideoError, RateLimited, ResponseLost, ServiceUnreachable, TransportError

if TYPE_CHECKING:
    from airflow_json2video.api.responses import PolledMovie, PolledPage
    from airflow_json2video.core.list_cost import ListCostModel, ListScan
    from airflow_json2video.polling.poller import Poller
    from airflow_json2video.polling.subscription import Subscription

__all__ = ["ListPoller"]

_CONSIDER_EVERY = 0.5
_CONSIDER_LATER = 2e-4
"""Seconds between two thoughts about it, and as many more for each render that waits: a thought goes through all."""
_PAGE_TIME = 20.0
"""Seconds that a page may take; renders are asked for one by one then."""
_SWEEP_TIME = 60.0
_NEAR = 30.0
"""Seconds before its deadline within which a render is asked for by itself: a sweep may be slow."""


@dataclass
class _Progress:
    sweep: ListScan
    missing: set[str]
    expected: int
    until: float
    entries: int = 0
    spent: float = 0.0
    is_whole: bool = True
    is_too_dear: bool = False


class ListPoller:
    """Does one sweep at a time for a poller, when :class:`.ListCostModel` says that it is worth its cost."""

    def __init__(self, poller: Poller, costs: ListCostModel) -> None:
        self._poller = poller
        self._costs = costs
        self._is_sweeping = False
        self._consider_at = 0.0
        self._hold_until = 0.0

    def consider(self, now: float) -> float:
        """Begin a sweep, if one is worth it, that answers for what is due now or within half an interval.

        :param now: seconds on the loop's clock.
        :return: until when single looks should wait, since a sweep will be worth it in a moment.
        """
        poller = self._poller
        if self._is_sweeping or now < self._consider_at or len(poller) < 2:
            return self._hold_until
        self._consider_at, self._hold_until = now + _CONSIDER_EVERY + _CONSIDER_LATER * len(poller), 0.0
        moment = poller.clock()
        due, born, waiting = [], [], []
        for waiter in poller.waiters():
            watch = waiter.watch
            if watch.born is None:
                continue
            waiting.append(watch.born)
            early = max(watch.schedule.floor, waiter.interval / 2)
            if (
                not (waiter.busy or waiter.alone)
                and waiter.due - now <= early <= self._consider_at - waiter.asked_at
                and watch.deadline - moment > _NEAR
            ):
                due.append(waiter)
                born.append(watch.born)
        sweep = self._costs.best_sweep(born, waiting=waiting, now=moment)
        if sweep is None:
            return 0.0
        covered = (
            [] if sweep.is_probe else [w for w in due if w.watch.born is not None and w.watch.born >= sweep.covers]
        )
        # Nobody is looked at before the floor has passed since the last time.
        begin = max((w.asked_at + max(w.watch.schedule.floor, w.interval / 2) for w in covered), default=now)
        if begin > now:
            self._consider_at = self._hold_until = begin
            return begin
        self._is_sweeping = True
        for waiter in covered:
            waiter.busy, waiter.ticket = True, -1
        poller.spawn(self._sweep(sweep, covered, until=now + _SWEEP_TIME))
        return 0.0

    async def _sweep(self, sweep: ListScan, covered: list[Subscription], *, until: float) -> None:
        missing = {waiter.watch.project for waiter in covered}
        progress = _Progress(sweep, missing, expected=len(missing), until=until)
        note = None
        try:
            await self._read_parts(progress)
            self._learn(progress)
        except Json2VideoError as error:
            note = self._on_trouble(error, sweep, covered)
        finally:
            self._is_sweeping, self._consider_at = False, 0.0
            for waiter in covered:
                if waiter.busy and self._poller.is_here(waiter):
                    # In no order can a list be trusted to show what is new, so absence from it means nothing.
                    waiter.busy, waiter.alone = False, True
                    if note:
                        waiter.note(f"{note} Render {waiter.watch.project} is asked for by itself meanwhile.")
                    self._poller.plan(waiter, 0.0)

    async def _read_parts(self, progress: _Progress) -> None:
        edges = progress.sweep.edges
        parts = [asyncio.ensure_future(self._read(progress, *part)) for part in pairwise(edges)]
        try:
            await asyncio.gather(*parts)
        finally:
            for part in parts:
                part.cancel()
            await asyncio.wait(parts)

    async def _read(self, progress: _Progress, start: float, end: float) -> None:
        sweep = progress.sweep
        listing = MovieListing(
            date_start=datetime.fromtimestamp(start, timezone.utc),
            date_end=datetime.fromtimestamp(end, timezone.utc),
            page_size=sweep.page_size,
            call=poll_movies,
        )
        loop = asyncio.get_running_loop()
        while call := listing.next_call():
            if not sweep.is_probe and (progress.is_too_dear or not progress.missing):
                progress.is_whole = False
                return
            left = min(_PAGE_TIME, progress.until - loop.time())
            try:
                page: PolledPage = await asyncio.wait_for(self._poller.client.execute(call), max(left, 0.0))
            except asyncio.TimeoutError:
                raise ResponseLost("The response to the request for the list of renders took too long.") from None
            self._poller.numbers.lists += 1
            self._poller.trouble.on_answer()
            progress.entries += len(page.movies)
            progress.spent += self._costs.on_page(
                entries=len(page.movies), size=page.bytes_read, now=self._poller.clock()
            )
            quota = to_json(page.remaining_quota) if page.remaining_quota is not None else None
            for movie in listing.take(page):
                self._deliver(movie, quota, progress.missing)
            if sweep.is_probe:
                return
            progress.is_too_dear = progress.spent > sweep.budget
            await asyncio.sleep(0)

    def _deliver(self, movie: PolledMovie, quota: Mapping[str, Any] | None, missing: set[str]) -> None:
        project, status = movie.get("project"), movie.get("status")
        if not isinstance(project, str) or not isinstance(status, str) or not status:
            return
        if not self._poller.is_waited_for(project):
            return
        try:
            movie = tidied(movie)
        except ValueError:
            return  # it is asked for by itself, and what is wrong with it is said then
        missing.discard(project)
        self._poller.deliver(project, movie, quota)

    def _learn(self, progress: _Progress) -> None:
        sweep = progress.sweep
        if sweep.is_probe:
            return
        if progress.is_too_dear and progress.missing:
            self._costs.on_budget_spent(sweep, entries=progress.entries, cost=progress.spent)
            return
        self._costs.on_sweep(
            sweep,
            entries=progress.entries,
            expected=progress.expected,
            found=progress.expected - len(progress.missing),
            cost=progress.spent,
            is_whole=progress.is_whole,
        )

    def _on_trouble(self, error: Json2VideoError, sweep: ListScan, covered: list[Subscription]) -> str | None:
        is_first = not self._costs.setbacks
        is_outage = isinstance(error, (RateLimited, ServiceUnreachable))
        is_page = isinstance(error, TransportError) and not is_outage
        self._costs.on_trouble(now=self._poller.clock(), smaller_pages_than=sweep.page_size if is_page else None)
        if is_outage and covered:
            self._poller.trouble.on_trouble(error, waiter=covered[0])
            return None
        return f"The list of the account's renders could not be read: {error.message}" if is_first else None
