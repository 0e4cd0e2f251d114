"""The poller that all renders of one account share: one client, one task, one queue of scheduled polls.

It lives in the event loop of a triggerer. The decisions are pure and made in :mod:`airflow_json2video.core`: when a
poll is worth its request (``poll_schedule``), whether to read the list instead (``list_cost``), whether all polls
should be held back (``circuit_breaker``), and what a response means (``render_status``). It writes no line into the log
of a task, because Airflow binds a log to the coroutine that writes: it passes the subscription its notes.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import Context
from typing import TYPE_CHECKING, Any

from airflow_json2video.api.calls.movies import poll_movie
from airflow_json2video.core.list_cost import ListCostModel
from airflow_json2video.core.poll_schedule import PollSchedule, RenderTimes, poll_schedule
from airflow_json2video.core.render_status import PollAgain, RenderOutcome, RenderTracker, outcome_from_exception
from airflow_json2video.core.result import seconds_taken, to_json
from airflow_json2video.exceptions import Json2VideoError
from airflow_json2video.metrics import PollerNumbers
from airflow_json2video.polling.failures import FailureHandler
from airflow_json2video.polling.list_poller import ListPoller
from airflow_json2video.polling.queue import PollQueue
from airflow_json2video.polling.subscription import Subscription

if TYPE_CHECKING:
    from airflow_json2video.api.async_client import AsyncJson2VideoClient
    from airflow_json2video.api.calls.call import Call
    from airflow_json2video.api.responses import PolledPage

__all__ = ["Poller"]

log = logging.getLogger(__name__)

_MAX_CONCURRENT = 20
_RENDERS_PER_EXTRA_POLL = 250
"""The limits of single polls in progress at the same time: the first number, and one more for each multiple of the
second in the number of subscriptions. Twenty connections at 50 ms a response cannot keep up with ten thousand."""
_MAX_LAG = 0.1
"""Seconds that a poll may be late, for each poll in progress, before it starts next to them: one or two connections are
enough for polls that can wait a moment."""
_TICK, _LOCAL_TICK = 0.5, 0.05
"""Seconds; single polls start on ticks, so that several share the cost of waking up: a poll by itself costs more than
twice as much. A service on this machine may be polled ten times as often, so its ticks are shorter."""
_REPORT_EVERY = 10.0
_RECHECK_EVERY = 300.0
"""Seconds after which the connections are read again."""


class Poller:
    """Polls all renders of one account that are waited for in this event loop.

    :param client: of this poller alone; closed with it. It must not retry by itself.
    :param times: what is known of the account's render times. :param costs: and of its list.
    :param recheck: reads a connection again; True if its subscriptions were moved because it leads to another account.
    :param report: called every ten seconds, to send the poller's numbers as metrics.
    :param clock: the service's time, epoch seconds.
    """

    def __init__(
        self,
        client: AsyncJson2VideoClient,
        *,
        is_loopback: bool,
        times: RenderTimes,
        costs: ListCostModel,
        recheck: Callable[[str], Awaitable[bool]],
        report: Callable[[Poller], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.client = client
        self.numbers = PollerNumbers()
        self.reported = PollerNumbers()
        self.is_closed = False
        self._is_loopback = is_loopback
        self._clock = clock
        self._times = times
        self._costs = costs
        self._report = report
        self._report_at = -math.inf
        self._loop = asyncio.get_running_loop()
        self._recheck_at = self._loop.time() + _RECHECK_EVERY
        self._schedules: dict[float, PollSchedule] = {}
        self._tick = _LOCAL_TICK if is_loopback else _TICK
        self._queue = PollQueue(tick=self._tick, on_scheduled=self._wake_before)
        self._list_poller = ListPoller(self, self._queue, costs, clock=clock)
        self._failures = FailureHandler(self, self._queue, recheck=recheck, clock=clock)
        self._in_flight = 0
        self._children: set[asyncio.Task[None]] = set()
        self._wakeup: asyncio.Future[None] | None = None
        self._wake_at = math.inf
        # In an empty context: the first trigger's own would bind all that is done here to that trigger's task.
        self._task = Context().run(self._loop.create_task, self._run())

    # --- subscriptions --------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._queue)

    def subscriptions(self) -> list[Subscription]:
        """Return all subscriptions."""
        return self._queue.subscriptions()

    def subscribe(self, subscription: Subscription) -> None:
        """Add a subscription, and schedule its first poll for when it is worth a request."""
        schedule = self._schedules.get(subscription.interval)
        if schedule is None:
            schedule = poll_schedule(subscription.interval, is_loopback=self._is_loopback, times=self._times)
            self._schedules[subscription.interval] = schedule
        subscription.tracker.schedule = schedule
        subscription.in_flight = subscription.poll_directly = False
        self._queue.add(subscription)
        self._queue.schedule(subscription, subscription.tracker.first_poll(now=self._clock()))

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove a subscription, if it is here. The result of a poll in progress is not delivered to it."""
        self._queue.remove(subscription)

    async def aclose(self) -> None:
        """End the task and close the client."""
        self.is_closed = True
        tasks = [self._task, *self._children]
        for task in tasks:
            task.cancel()
        try:
            await asyncio.wait(tasks)
        finally:
            await self.client.aclose()

    # --- the loop -------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while True:
                await self._sleep(min(self._work(), self._report_at))
        except asyncio.CancelledError as error:
            self._fail(error)
            raise
        except Exception as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """End every subscription with *error*, so that no trigger waits forever."""
        if self.is_closed:
            return
        self.is_closed = True
        if not isinstance(error, asyncio.CancelledError):
            log.error("The poller of a JSON2Video account failed", exc_info=error)
        for subscription in self._queue.subscriptions():
            subscription.end(outcome_from_exception(subscription.project, error))
        self._queue.clear()
        self._task.cancel()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run *work* next to the loop. If it fails, the poller fails."""
        task = self._loop.create_task(work)
        self._children.add(task)
        task.add_done_callback(self._on_child_end)

    def _on_child_end(self, task: asyncio.Task[None]) -> None:
        self._children.discard(task)
        if task.cancelled():
            self._fail(asyncio.CancelledError())  # only aclose() cancels a child, and then this does nothing
        elif error := task.exception():
            self._fail(error)
        self._wake()

    def _work(self) -> float:
        """Start what is due, and return the event loop's time at which there is work again."""
        now = self._loop.time()
        if now >= self._report_at:
            self._report_at = now + _REPORT_EVERY
            self._report(self)
        if now >= self._recheck_at:
            self._recheck_at = now + _RECHECK_EVERY
            self.spawn(self._failures.recheck_all())
        if self._failures.is_outage:
            return min(self._recheck_at, self._failures.hold_back(now))
        if self._queue.next_due() <= now:
            hold_until = self._list_poller.maybe_start(now)
            if hold_until > now:
                return min(self._recheck_at, hold_until)
        while self._in_flight < _MAX_CONCURRENT + len(self._queue) // _RENDERS_PER_EXTRA_POLL:
            due = self._queue.next_due()
            if due == math.inf:
                return self._recheck_at
            start_at = max(math.ceil(due / self._tick) * self._tick, due + self._in_flight * _MAX_LAG)
            if start_at > now:
                return min(self._recheck_at, start_at)  # or when a poll ends, which wakes the loop
            if subscription := self._queue.pop_due(now):
                self.start_poll(subscription)
        return self._recheck_at

    async def _sleep(self, until: float) -> None:
        self._wake_at = until
        self._wakeup = self._loop.create_future()
        timer = self._loop.call_at(until, self._on_time, until)
        try:
            await self._wakeup
        finally:
            timer.cancel()
            self._wakeup = None

    def _on_time(self, due: float) -> None:
        late = self._loop.time() - due
        self.numbers.lag, self.numbers.worst_lag = max(self.numbers.lag, late), max(self.numbers.worst_lag, late)
        self._wake()

    def _wake_before(self, due: float) -> None:
        if due < self._wake_at:
            self._wake()

    def _wake(self) -> None:
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    # --- requests -------------------------------------------------------------------------------

    def start_poll(self, subscription: Subscription, *, is_probe: bool = False) -> None:
        """Start a poll of one render.

        :param is_probe: it is the one poll that tries whether an outage is over.
        """
        self._in_flight += 1
        subscription.in_flight = True
        self.numbers.singles += 1
        self._costs.on_single()
        self.spawn(self._poll(subscription, is_probe=is_probe))

    async def _poll(self, subscription: Subscription, *, is_probe: bool) -> None:
        project = subscription.project
        try:
            response = await self.client.execute(poll_movie(project))
        except Json2VideoError as error:
            await self._failures.on_failure(subscription, error, is_probe=is_probe)
        else:
            quota = response.remaining_quota
            self._failures.on_success()
            self.deliver(project, response.movie, to_json(quota) if quota is not None else None)
        finally:
            self._in_flight -= 1
            subscription.in_flight = False

    async def fetch_page(self, call: Call[PolledPage]) -> PolledPage:
        """Return a page of the list."""
        page = await self.client.execute(call)
        self.numbers.lists += 1
        self._failures.on_success()
        return page

    def record_failure(self, error: Json2VideoError, subscription: Subscription) -> None:
        """Count a failure that concerns the whole service."""
        self._failures.record(error, subscription)

    # --- results --------------------------------------------------------------------------------

    def deliver(self, project: str, movie: Mapping[str, Any], quota: Mapping[str, Any] | None) -> None:
        """Pass the status of a render on to all subscriptions to it."""
        if movie.get("status") == "done" and (seconds := seconds_taken(movie)) is not None:
            self._times.add(seconds)
        for subscription in self._queue.of(project):
            subscription.poll_directly = False
            self.numbers.delivered += 1
            self._apply(subscription, lambda tracker, now: tracker.on_status(movie, now=now, remaining_quota=quota))

    def deliver_failure(self, subscription: Subscription, error: Json2VideoError, *, project: str) -> None:
        """Pass on that the poll of *project* failed; in an outage, also to subscriptions to other renders."""
        own = error.with_context(
            message=error.message.replace(project, subscription.project),
            project=subscription.project if error.project else None,
        )
        self._apply(subscription, lambda tracker, now: tracker.on_error(own, now=now))

    def _apply(
        self, subscription: Subscription, judge: Callable[[RenderTracker, float], PollAgain | RenderOutcome]
    ) -> None:
        subscription.in_flight, subscription.last_polled = False, self._loop.time()
        try:
            step = judge(subscription.tracker, self._clock())
        except Exception as error:  # a fault with one render must not end the others
            log.exception("Could not evaluate the status of render %s", subscription.project)
            step = outcome_from_exception(subscription.project, error)
        if isinstance(step, RenderOutcome):
            self._queue.remove(subscription)
            subscription.end(step)
            return
        if step.note:
            subscription.note(step.note)
        self._queue.schedule(subscription, step.seconds)
