"""The poller that all renders of one account share: one client, one task, one heap of planned looks.

It lives in the event loop of a triggerer. What it decides, it asks of :mod:`airflow_json2video.core`: when a
render is worth a look (``planning``), how to look (``looking``), whether all should wait (``outage``), and
what came of it (``polling``). It writes no line into the log of a task: it hands the waiter its notes, since
Airflow binds a log to the coroutine that writes.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import Context
from typing import TYPE_CHECKING, Any

from airflow_json2video.api.calls.movies import poll_movie
from airflow_json2video.core.list_cost import ListCostModel
from airflow_json2video.core.poll_schedule import PollSchedule, RenderTimes, poll_schedule
from airflow_json2video.core.render_status import PollAgain, RenderOutcome, outcome_from_exception
from airflow_json2video.core.result import seconds_taken, to_json
from airflow_json2video.exceptions import Json2VideoError
from airflow_json2video.metrics import PollerNumbers
from airflow_json2video.polling.failures import FailureHandler
from airflow_json2video.polling.list_poller import ListPoller

if TYPE_CHECKING:
    from airflow_json2video.api.async_client import AsyncJson2VideoClient
    from airflow_json2video.polling.subscription import Subscription

__all__ = ["Poller"]

log = logging.getLogger(__name__)

_tickets = itertools.count()
"""One row for all pollers, since a waiter can move from one to another."""

_MOST_AT_ONCE = 20
_ONE_MORE_FOR = 250
"""Single looks under way together, at most: twenty, and one more for each so many renders that wait, since twenty
connections at 50 ms an answer cannot keep up with ten thousand."""
_PATIENCE = 0.1
"""Seconds that a look may be late, for each one under way, before it begins beside them: one connection or two are
enough for what can wait a moment."""
_BEAT, _LOCAL_BEAT = 0.5, 0.05
"""Seconds; single looks begin on a beat, so that several share what it costs to wake up: a look by itself costs more
than twice as much. At a service on this machine, which may be looked at ten times as often, the beat is quicker."""
_REPORT_EVERY = 10.0
_RECHECK_EVERY = 300.0
"""Seconds after which the connections are looked up anew."""


class Poller:
    """Looks at every render of one account that is waited for in this event loop.

    :param client: of this poller alone; closed with it. It must not repeat by itself.
    :param times: what is known of the account's render times. :param costs: and of its list.
    :param recheck: looks a connection up anew; True when it leads to another account, to which its waiters were moved.
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
        self._is_loopback = is_loopback
        self._beat = _LOCAL_BEAT if is_loopback else _BEAT
        self.clock = clock
        self.numbers = PollerNumbers()
        self.reported = PollerNumbers()
        self.is_over = False
        self._times = times
        self._report = report
        self._report_at = -math.inf
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, list[Subscription]] = {}
        self._size = 0
        self._heap: list[tuple[float, int, Subscription]] = []
        self._schedules: dict[float, PollSchedule] = {}
        self._looks = 0
        self._costs = costs
        self._sweeper = ListPoller(self, costs)
        self.trouble = FailureHandler(self, recheck)
        self._recheck_at = self._loop.time() + _RECHECK_EVERY
        self._children: set[asyncio.Task[None]] = set()
        self._bell: asyncio.Future[None] | None = None
        self._wake_at = math.inf
        # In an empty context: the first trigger's own would bind all that is done here to that trigger's task.
        self._task = Context().run(self._loop.create_task, self._run())

    # --- who waits ------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._size

    def waiters(self) -> list[Subscription]:
        """Give everyone who waits."""
        return [waiter for waiters in self._waiting.values() for waiter in waiters]

    def waiting_for(self, project: str) -> list[Subscription]:
        """Give those who wait for one render."""
        return list(self._waiting.get(project, ()))

    def is_waited_for(self, project: str) -> bool:
        """Whether anyone waits for a render."""
        return project in self._waiting

    def is_here(self, waiter: Subscription) -> bool:
        """Whether it still waits, and here."""
        return waiter in self._waiting.get(waiter.watch.project, ())

    def add(self, waiter: Subscription) -> None:
        """Watch a render, from the look at which it is first worth a request."""
        schedule = self._schedules.get(waiter.interval)
        if schedule is None:
            schedule = poll_schedule(waiter.interval, is_loopback=self._is_loopback, times=self._times)
            self._schedules[waiter.interval] = schedule
        waiter.watch.schedule = schedule
        waiter.poller, waiter.busy, waiter.alone = self, False, False
        self._size += 1
        self._waiting.setdefault(waiter.watch.project, []).append(waiter)
        self.plan(waiter, waiter.watch.first_look(now=self.clock()))

    def remove(self, waiter: Subscription) -> None:
        """Forget a waiter; what is under way for it goes on and is not delivered."""
        waiter.ticket = -1
        waiters = self._waiting.get(waiter.watch.project, [])
        if waiter in waiters:
            waiters.remove(waiter)
            self._size -= 1
            if not waiters:
                del self._waiting[waiter.watch.project]

    async def aclose(self) -> None:
        """End the task and close the client."""
        self.is_over = True
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
                await self._rest(min(self._work(), self._report_at))
        except asyncio.CancelledError as error:
            self.give_up(error)
            raise
        except Exception as error:
            self.give_up(error)

    def give_up(self, error: BaseException) -> None:
        """End every waiter with *error*, so that nobody waits for ever."""
        if self.is_over:
            return
        self.is_over = True
        if not isinstance(error, asyncio.CancelledError):
            log.error("The poller of a JSON2Video account failed", exc_info=error)
        for waiter in self.waiters():
            waiter.end(outcome_from_exception(waiter.watch.project, error))
        self._waiting.clear()
        self._size = 0
        self._task.cancel()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the loop; if it fails, everybody hears of it."""
        task = self._loop.create_task(work)
        self._children.add(task)
        task.add_done_callback(self._on_child_end)

    def _on_child_end(self, task: asyncio.Task[None]) -> None:
        self._children.discard(task)
        if task.cancelled():
            self.give_up(asyncio.CancelledError())  # nobody but aclose() does that, after which it means nothing
        elif error := task.exception():
            self.give_up(error)
        self._ring()

    def _work(self) -> float:
        """Start what is due, and give the time at which there is something to do again."""
        now = self._loop.time()
        if now >= self._report_at:
            self._report_at = now + _REPORT_EVERY
            self._report(self)
        if now >= self._recheck_at:
            self._recheck_at = now + _RECHECK_EVERY
            self.spawn(self.trouble.recheck_all())
        if self.trouble.is_outage:
            return min(self._recheck_at, self.trouble.hold(now))
        if self.next_due() <= now:
            hold_until = self._sweeper.consider(now)
            if hold_until > now:
                return min(self._recheck_at, hold_until)
        while self._looks < _MOST_AT_ONCE + self._size // _ONE_MORE_FOR:
            due = self.next_due()
            if due == math.inf:
                return self._recheck_at
            begin = max(math.ceil(due / self._beat) * self._beat, due + self._looks * _PATIENCE)
            if begin > now:
                return min(self._recheck_at, begin)  # or when a look ends, which rings
            waiter = self.pop_due(now)
            if waiter is not None:
                self.look_at(waiter)
        return self._recheck_at

    async def _rest(self, until: float) -> None:
        self._wake_at = until
        self._bell = self._loop.create_future()
        timer = self._loop.call_at(until, self._on_time, until)
        try:
            await self._bell
        finally:
            timer.cancel()
            self._bell = None

    def _on_time(self, due: float) -> None:
        late = self._loop.time() - due
        self.numbers.lag, self.numbers.worst_lag = max(self.numbers.lag, late), max(self.numbers.worst_lag, late)
        self._ring()

    def _ring(self) -> None:
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)

    # --- the plan -------------------------------------------------------------------------------

    def plan(self, waiter: Subscription, seconds: float) -> None:
        """Look at a render in so many seconds."""
        waiter.ticket = next(_tickets)
        if seconds - self._beat / 2 >= waiter.watch.schedule.floor:
            seconds -= self._beat / 2  # it will wait for a beat, and be neither early nor late on average
        due = waiter.due = self._loop.time() + seconds
        heapq.heappush(self._heap, (due, waiter.ticket, waiter))
        if len(self._heap) > 1000 and len(self._heap) > 3 * self._size:
            self._heap = [entry for entry in self._heap if entry[1] == entry[2].ticket]
            heapq.heapify(self._heap)
        if due < self._wake_at:
            self._ring()

    def next_due(self) -> float:
        """Give the loop's time at which the next look may be due."""
        return self._heap[0][0] if self._heap else math.inf

    def pop_due(self, now: float) -> Subscription | None:
        """Take the waiter whose look is due longest from the plan; None if none is due."""
        while self._heap:
            due, ticket, waiter = self._heap[0]
            if waiter.ticket == ticket and due > now:
                return None
            heapq.heappop(self._heap)
            if waiter.ticket == ticket:
                waiter.ticket = -1
                return waiter
        return None

    # --- looking at one -------------------------------------------------------------------------

    def look_at(self, waiter: Subscription, *, is_probe: bool = False) -> None:
        """Ask for one render.

        :param is_probe: it is the one look that tries whether an outage is over.
        """
        self._looks += 1
        waiter.busy = True
        self.numbers.singles += 1
        self._costs.on_single()
        self.spawn(self._look(waiter, is_probe=is_probe))

    async def _look(self, waiter: Subscription, *, is_probe: bool) -> None:
        project = waiter.watch.project
        try:
            answer = await self.client.execute(poll_movie(project))
        except Json2VideoError as error:
            await self.trouble.on_failure(waiter, error, is_probe=is_probe)
        else:
            quota = answer.remaining_quota
            self.trouble.on_answer()
            self.deliver(project, answer.movie, to_json(quota) if quota is not None else None)
        finally:
            self._looks -= 1
            waiter.busy = False

    def deliver(self, project: str, movie: Mapping[str, Any], quota: Mapping[str, Any] | None) -> None:
        """Give what the service says of a render to everyone who waits for it."""
        if movie.get("status") == "done" and (seconds := seconds_taken(movie)) is not None:
            self._times.add(seconds)
        for waiter in self.waiting_for(project):
            waiter.alone = False
            self.numbers.delivered += 1
            self._settle(waiter, lambda w, now: w.watch.on_status(movie, now=now, remaining_quota=quota))

    def tell_failure(self, waiter: Subscription, error: Json2VideoError, *, of: str) -> None:
        """Tell a waiter that its look failed, or that it was not made because that at project *of* failed."""
        project = waiter.watch.project
        own = error.with_context(message=error.message.replace(of, project), project=project if error.project else None)
        self._settle(waiter, lambda w, now: w.watch.on_error(own, now=now))

    def _settle(self, waiter: Subscription, judge: Callable[[Subscription, float], PollAgain | RenderOutcome]) -> None:
        waiter.busy, waiter.asked_at = False, self._loop.time()
        try:
            step = judge(waiter, self.clock())
        except Exception as error:  # what is odd about one render is no reason to leave the others
            log.exception("Render %s cannot be judged", waiter.watch.project)
            step = outcome_from_exception(waiter.watch.project, error)
        if isinstance(step, RenderOutcome):
            self.remove(waiter)
            waiter.end(step)
            return
        if step.note:
            waiter.note(step.note)
        self.plan(waiter, step.seconds)
