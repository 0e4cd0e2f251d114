"""Polling the account's list instead of each render, where that costs less."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

from airflow_json2video.api.calls.movies import poll_movies
from airflow_json2video.api.pagination import MovieListing
from airflow_json2video.api.responses import normalize_movie
from airflow_json2video.core.list_cost import ListCostModel, ListScan
from airflow_json2video.core.result import to_json
from airflow_json2video.exceptions import Json2VideoError, RateLimited, ResponseLost, ServiceUnreachable, TransportError
from airflow_json2video.polling.queue import PollQueue
from airflow_json2video.polling.subscription import Subscription

if TYPE_CHECKING:
    from airflow_json2video.api.calls.call import Call
    from airflow_json2video.api.responses import PolledMovie, PolledPage

__all__ = ["ListPoller"]

_CONSIDER_EVERY = 0.5
_CONSIDER_EVERY_PER_RENDER = 2e-4
"""Seconds between two decisions whether to read the list, and the seconds that each subscription adds: a decision goes
through all of them."""
_MAX_PAGE_SECONDS = 20.0
"""Seconds that a page may take. After that, renders are polled one by one."""
_MAX_SCAN_SECONDS = 60.0
_DEADLINE_GUARD = 30.0
"""Seconds before its deadline within which a render is polled by itself, because a scan may be slow."""


class _Poller(Protocol):
    """What the list poller asks of the poller."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run *work* next to the poller's loop."""

    async def fetch_page(self, call: Call[PolledPage]) -> PolledPage:
        """Return a page of the list."""

    def deliver(self, project: str, movie: Mapping[str, Any], quota: Mapping[str, Any] | None) -> None:
        """Pass on the status of a render."""

    def record_failure(self, error: Json2VideoError, subscription: Subscription) -> None:
        """Count a failure that concerns the whole service."""


@dataclass
class _Progress:
    scan: ListScan
    missing: set[str]
    expected: int
    until: float
    entries: int = 0
    spent: float = 0.0
    is_complete: bool = True
    is_over_budget: bool = False


class ListPoller:
    """Runs one scan of the list at a time, when :class:`.ListCostModel` says that it costs less than single polls.

    :param queue: of the poller. :param clock: the service's time, epoch seconds.
    """

    def __init__(self, poller: _Poller, queue: PollQueue, costs: ListCostModel, *, clock: Callable[[], float]) -> None:
        self._poller = poller
        self._queue = queue
        self._costs = costs
        self._clock = clock
        self._is_scanning = False
        self._consider_at = 0.0
        self._hold_until = 0.0

    def maybe_start(self, now: float) -> float:
        """Start a scan for the renders that are due now or within half an interval, if it costs less than single polls.

        :param now: seconds on the event loop's clock.
        :return: the time until which single polls should wait, because a scan will be worth its cost soon.
        """
        if self._is_scanning or now < self._consider_at or len(self._queue) < 2:
            return self._hold_until
        self._consider_at = now + _CONSIDER_EVERY + _CONSIDER_EVERY_PER_RENDER * len(self._queue)
        self._hold_until = 0.0
        due, waiting = self._candidates(now)
        scan = self._costs.best_scan([at for at, _ in due], waiting=waiting, now=self._clock())
        if scan is None:
            return 0.0
        covered = [] if scan.is_probe else [subscription for at, subscription in due if at >= scan.covers]
        # The minimum interval of each render has to pass first.
        start_at = max((each.last_polled + each.min_interval for each in covered), default=now)
        if start_at > now:
            self._consider_at = self._hold_until = start_at
            return start_at
        self._is_scanning = True
        for subscription in covered:
            subscription.in_flight, subscription.heap_token = True, -1
        self._poller.spawn(self._scan(scan, covered, until=now + _MAX_SCAN_SECONDS))
        return 0.0

    def _candidates(self, now: float) -> tuple[list[tuple[float, Subscription]], list[float]]:
        """Return the subscriptions that a scan may serve, with their submission times, and all submission times."""
        due, waiting = [], []
        moment = self._clock()
        for subscription in self._queue.subscriptions():
            tracker = subscription.tracker
            submitted_at = tracker.submitted_at_known
            if submitted_at is None:
                continue
            waiting.append(submitted_at)
            if (
                not (subscription.in_flight or subscription.poll_directly)
                and subscription.due - now <= subscription.min_interval <= self._consider_at - subscription.last_polled
                and tracker.deadline - moment > _DEADLINE_GUARD
            ):
                due.append((submitted_at, subscription))
        return due, waiting

    async def _scan(self, scan: ListScan, covered: list[Subscription], *, until: float) -> None:
        missing = {subscription.project for subscription in covered}
        progress = _Progress(scan, missing, expected=len(missing), until=until)
        note = None
        try:
            await self._read_parts(progress)
            self._learn(progress)
        except Json2VideoError as error:
            note = self._on_failure(error, scan, covered)
        finally:
            self._is_scanning, self._consider_at = False, 0.0
            for subscription in covered:
                if subscription.in_flight and subscription in self._queue:
                    # No order of the list guarantees that it shows new renders, so absence from it proves nothing.
                    subscription.in_flight, subscription.poll_directly = False, True
                    if note:
                        subscription.note(f"{note} Render {subscription.project} is polled by itself meanwhile.")
                    self._queue.schedule(subscription, 0.0)

    async def _read_parts(self, progress: _Progress) -> None:
        edges = progress.scan.edges
        parts = [asyncio.ensure_future(self._read(progress, *part)) for part in pairwise(edges)]
        try:
            await asyncio.gather(*parts)
        finally:
            for part in parts:
                part.cancel()
            await asyncio.wait(parts)

    async def _read(self, progress: _Progress, start: float, end: float) -> None:
        scan = progress.scan
        listing = MovieListing(
            date_start=datetime.fromtimestamp(start, timezone.utc),
            date_end=datetime.fromtimestamp(end, timezone.utc),
            page_size=scan.page_size,
            call=poll_movies,
        )
        loop = asyncio.get_running_loop()
        while call := listing.next_call():
            if not scan.is_probe and (progress.is_over_budget or not progress.missing):
                progress.is_complete = False
                return
            left = min(_MAX_PAGE_SECONDS, progress.until - loop.time())
            try:
                page: PolledPage = await asyncio.wait_for(self._poller.fetch_page(call), max(left, 0.0))
            except asyncio.TimeoutError:
                raise ResponseLost("The response to the request for the list of renders took too long.") from None
            progress.entries += len(page.movies)
            progress.spent += self._costs.on_page(entries=len(page.movies), size=page.bytes_read, now=self._clock())
            quota = to_json(page.remaining_quota) if page.remaining_quota is not None else None
            for movie in listing.accept(page):
                self._deliver(movie, quota, progress.missing)
            if scan.is_probe:
                return
            progress.is_over_budget = progress.spent > scan.budget
            await asyncio.sleep(0)

    def _deliver(self, movie: PolledMovie, quota: Mapping[str, Any] | None, missing: set[str]) -> None:
        project, status = movie.get("project"), movie.get("status")
        if not isinstance(project, str) or not isinstance(status, str) or not status:
            return
        if not self._queue.has_project(project):
            return
        try:
            movie = normalize_movie(movie)
        except ValueError:
            return  # the render is polled by itself, which reports what is wrong with it
        missing.discard(project)
        self._poller.deliver(project, movie, quota)

    def _learn(self, progress: _Progress) -> None:
        scan = progress.scan
        if scan.is_probe:
            return
        if progress.is_over_budget and progress.missing:
            self._costs.on_budget_spent(scan, entries=progress.entries, cost=progress.spent)
            return
        self._costs.on_scan(
            scan,
            entries=progress.entries,
            expected=progress.expected,
            found=progress.expected - len(progress.missing),
            cost=progress.spent,
            is_complete=progress.is_complete,
        )

    def _on_failure(self, error: Json2VideoError, scan: ListScan, covered: list[Subscription]) -> str | None:
        """Count a list that could not be read, and return the line for the tasks' logs, if it is the first one."""
        is_first = not self._costs.setbacks
        is_outage = isinstance(error, (RateLimited, ServiceUnreachable))
        may_be_too_large = isinstance(error, TransportError) and not is_outage
        self._costs.on_failure(now=self._clock(), smaller_pages_than=scan.page_size if may_be_too_large else None)
        if is_outage and covered:
            self._poller.record_failure(error, covered[0])
            return None
        return f"The list of the account's renders could not be read: {error.message}" if is_first else None
