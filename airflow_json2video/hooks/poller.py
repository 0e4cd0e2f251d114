"""The poller that all renders of one account share: one client, one task, one heap of planned looks.

It lives in the event loop of a triggerer. What it decides, it asks of :mod:`airflow_json2video.rendering`: when a
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

from airflow_json2video.api.calls import get_movie
from airflow_json2video.exceptions import AuthenticationFailed, Json2VideoError, error_from_facts
from airflow_json2video.hooks.metrics import PollerNumbers
from airflow_json2video.hooks.sweeping import Sweeper
from airflow_json2video.hooks.waiting import poll_schedule, wire
from airflow_json2video.rendering.looking import ListCosts
from airflow_json2video.rendering.outage import Outage
from airflow_json2video.rendering.planning import PollSchedule, RenderTimes, chance_of
from airflow_json2video.rendering.polling import Ended, LookAgain, broken_off
from airflow_json2video.rendering.result import seconds_taken

if TYPE_CHECKING:
    from airflow_json2video.api.async_client import AsyncJson2VideoClient
    from airflow_json2video.hooks.waiter import Waiter

__all__ = ["Poller"]

log = logging.getLogger(__name__)

_AT_ONCE = 10
"""Single looks under way together, at most."""
_SLICE = 200
"""Renders that are dealt with before the event loop gets its turn."""
_REPORT_EVERY = 10.0
_RECHECK_EVERY = 300.0
"""Seconds after which the connections are looked up anew."""


class Poller:
    """Looks at every render of one account that is waited for in this event loop.

    :param client: of this poller alone; closed with it. It must not repeat by itself.
    :param times: what is known of the account's render times. :param costs: and of its list.
    :param recheck: looks a connection up anew; True when it leads to another account, to which its waiters were moved.
    :param report: called every ten seconds, to send the poller's numbers as metrics.
    :param clock: epoch seconds.
    """

    def __init__(
        self,
        client: AsyncJson2VideoClient,
        *,
        is_loopback: bool,
        times: RenderTimes,
        costs: ListCosts,
        recheck: Callable[[str], Awaitable[bool]],
        report: Callable[[Poller], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.client = client
        self._is_loopback = is_loopback
        self.clock = clock
        self.numbers = PollerNumbers()
        self.reported = PollerNumbers()
        self.is_over = False
        self._times = times
        self._recheck = recheck
        self._report = report
        self._report_at = -math.inf
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, list[Waiter]] = {}
        self._size = 0
        self._heap: list[tuple[float, int, Waiter]] = []
        self._tickets = itertools.count()
        self._schedules: dict[float, PollSchedule] = {}
        self._outage = Outage()
        self._held: list[Waiter] = []
        self._held_until = math.inf
        self._probing = False
        self._probed_at = -math.inf
        self._looks = 0
        self._costs = costs
        self._sweeper = Sweeper(self, costs)
        self._refusals = 0
        self._recheck_at = self._loop.time() + _RECHECK_EVERY
        self._children: set[asyncio.Task[None]] = set()
        self._bell: asyncio.Future[None] | None = None
        self._wake_at = math.inf
        # In an empty context: the first trigger's own would bind all that is done here to that trigger's task.
        self._task = Context().run(self._loop.create_task, self._run())

    # --- who waits ------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._size

    def waiters(self) -> list[Waiter]:
        """Give everyone who waits."""
        return [waiter for waiters in self._waiting.values() for waiter in waiters]

    def waiting_for(self, project: str) -> list[Waiter]:
        """Give those who wait for one render."""
        return list(self._waiting.get(project, ()))

    def is_here(self, waiter: Waiter) -> bool:
        """Whether it still waits, and here."""
        return waiter in self._waiting.get(waiter.watch.project, ())

    def add(self, waiter: Waiter) -> None:
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

    def remove(self, waiter: Waiter) -> None:
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
            waiter.end(broken_off(waiter.watch.project, error))
        self._waiting.clear()
        self._size = 0
        self._task.cancel()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the loop; if it fails, everybody hears of it."""

        async def guarded() -> None:
            try:
                await work
            except asyncio.CancelledError:
                raise
            except Exception as error:
                self.give_up(error)
            finally:
                self._ring()

        task = self._loop.create_task(guarded())
        self._children.add(task)
        task.add_done_callback(self._children.discard)

    def _work(self) -> float:
        """Start what is due, and give the time at which there is something to do again."""
        now = self._loop.time()
        if now >= self._report_at:
            self._report_at = now + _REPORT_EVERY
            self._report(self)
        if now >= self._recheck_at:
            self._recheck_at = now + _RECHECK_EVERY
            self.spawn(self._recheck_all())
        if self._outage.error is not None:
            return min(self._recheck_at, self._hold(now))
        if self._heap and self._heap[0][0] <= now:
            self._sweeper.consider(now)
        while self._looks < _AT_ONCE:
            waiter = self._pop_due(now)
            if waiter is None:
                return min(self._recheck_at, self._heap[0][0] if self._heap else math.inf)
            self.look_at(waiter)
        return self._recheck_at  # the end of a look rings

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

    def plan(self, waiter: Waiter, seconds: float) -> None:
        """Look at a render in so many seconds."""
        waiter.ticket = next(self._tickets)
        due = waiter.due = self._loop.time() + seconds
        heapq.heappush(self._heap, (due, waiter.ticket, waiter))
        if len(self._heap) > 1000 and len(self._heap) > 3 * self._size:
            self._heap = [entry for entry in self._heap if entry[1] == entry[2].ticket]
            heapq.heapify(self._heap)
        if due < self._wake_at:
            self._ring()

    def _pop_due(self, now: float) -> Waiter | None:
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

    def look_at(self, waiter: Waiter, *, is_probe: bool = False) -> None:
        """Ask for one render."""
        self._looks += 1
        waiter.busy = True
        self.numbers.singles += 1
        self._costs.on_single()
        self.spawn(self._look(waiter, is_probe=is_probe))

    async def _look(self, waiter: Waiter, *, is_probe: bool) -> None:
        project = waiter.watch.project
        try:
            answer = await self.client.execute(get_movie(project))
        except Json2VideoError as error:
            await self._on_failure(waiter, error, is_probe=is_probe)
        else:
            quota = answer.remaining_quota
            self.on_answer()
            self.deliver(project, wire(answer.movie), wire(quota) if quota is not None else None)
        finally:
            self._looks -= 1
            waiter.busy = False
            if is_probe:
                self._probing = False

    def deliver(self, project: str, movie: Mapping[str, Any], quota: Mapping[str, Any] | None) -> None:
        """Give what the service says of a render to everyone who waits for it."""
        if movie.get("status") == "done" and (seconds := seconds_taken(movie)) is not None:
            self._times.add(seconds)
        for waiter in self.waiting_for(project):
            waiter.alone = False
            self.numbers.delivered += 1
            self._settle(waiter, lambda w, now: w.watch.on_status(movie, now=now, remaining_quota=quota))

    def tell_failure(self, waiter: Waiter, error: Json2VideoError, *, of: str) -> None:
        """Tell a waiter that its look failed, or that it was not made because that at project *of* failed."""
        facts = error.facts()
        project = waiter.watch.project
        facts["message"] = facts["message"].replace(repr(of), repr(project))
        facts["project"] = project if error.project else None
        own = error_from_facts(facts)
        self._settle(waiter, lambda w, now: w.watch.on_error(own, now=now))

    def _settle(self, waiter: Waiter, judge: Callable[[Waiter, float], LookAgain | Ended]) -> None:
        waiter.busy, waiter.asked_at = False, self._loop.time()
        try:
            step = judge(waiter, self.clock())
        except Exception as error:  # what is odd about one render is no reason to leave the others
            log.exception("Render %s cannot be judged", waiter.watch.project)
            step = broken_off(waiter.watch.project, error)
        if isinstance(step, Ended):
            self.remove(waiter)
            waiter.end(step)
            return
        if step.note:
            waiter.note(step.note)
        self.plan(waiter, step.seconds)

    # --- when looks fail ------------------------------------------------------------------------

    def on_answer(self) -> None:
        """Take note that the service answers."""
        self._refusals = 0
        if self._outage.on_success():
            self.spawn(self._release())

    async def _on_failure(self, waiter: Waiter, error: Json2VideoError, *, is_probe: bool) -> None:
        project = waiter.watch.project
        if isinstance(error, AuthenticationFailed):
            await self._on_refusal(waiter, error)
            return
        if error.retryable:
            self.on_trouble(error, waiter=waiter, is_probe=is_probe)
        else:
            self.on_answer()
        for each in self.waiting_for(project):
            self.tell_failure(each, error, of=project)
        if is_probe and self._outage.error is not None:
            await self._tell_held(self._outage.error)

    def on_trouble(self, error: Json2VideoError, *, waiter: Waiter, is_probe: bool = False) -> None:
        """Take note of trouble that may be the service's as a whole."""
        watch = waiter.watch
        self._outage.on_failure(
            error, project=watch.project, schedule=watch.schedule, now=self._loop.time(), is_probe=is_probe
        )

    def _hold(self, now: float) -> float:
        """Hold back what is due while the service is in trouble, and try it with one look at a time."""
        while waiter := self._pop_due(now):
            self._held.append(waiter)
            self._held_until = min(self._held_until, now + waiter.watch.deadline - self.clock())
        if self._probing or not self._held:
            return self._heap[0][0] if self._heap and not self._probing else math.inf
        # A deadline is not slept through; and not probed at each of ten thousand.
        floor = self._held[0].watch.schedule.floor
        at = min(self._outage.until, max(self._held_until, self._probed_at + floor))
        if now < at:
            return min(at, self._heap[0][0]) if self._heap else at
        self._held = [waiter for waiter in self._held if self.is_here(waiter)]
        others = (waiter for waiter in self._held if waiter.watch.project != self._outage.project)
        if self._held:
            probe = next(others, self._held[0])
            self._held.remove(probe)
            self._probing, self._probed_at = True, now
            self.look_at(probe, is_probe=True)
        return math.inf

    async def _tell_held(self, error: Json2VideoError) -> None:
        held, self._held, self._held_until = self._held, [], math.inf
        for count, waiter in enumerate(held, 1):
            if self.is_here(waiter):
                self.tell_failure(waiter, error, of=self._outage.project)
            if count % _SLICE == 0:
                await asyncio.sleep(0)
        if self._outage.error is None:
            await self._release()

    async def _release(self) -> None:
        """Look again, now that the service answers: spread over the shortest interval, so that it goes on doing so."""
        self._held, self._held_until = [], math.inf
        for count, waiter in enumerate(self.waiters(), 1):
            if not waiter.busy and (waiter.ticket == -1 or waiter.watch.failing) and self.is_here(waiter):
                self.plan(waiter, waiter.watch.schedule.floor * chance_of(waiter.watch.project))
            if count % _SLICE == 0:
                await asyncio.sleep(0)

    # --- when the key is refused ----------------------------------------------------------------

    async def _on_refusal(self, waiter: Waiter, error: AuthenticationFailed) -> None:
        if await self._has_moved(waiter):
            return
        self._refusals += 1
        # Two in a row, and the rest need not ask to know.
        everyone = self.waiters() if self._refusals > 1 else self.waiting_for(waiter.watch.project)
        checked = {waiter.conn_id}
        for count, each in enumerate(everyone, 1):
            if each.conn_id not in checked:
                checked.add(each.conn_id)
                await self._has_moved(each)
            if self.is_here(each):
                self.tell_failure(each, error, of=waiter.watch.project)
            if count % _SLICE == 0:
                await asyncio.sleep(0)

    async def _has_moved(self, waiter: Waiter) -> bool:
        """Look its connection up anew; True when it leads elsewhere now, and the waiter with it."""
        try:
            return await self._recheck(waiter.conn_id)
        except Json2VideoError as error:
            log.debug("Connection %s could not be looked up anew: %s", waiter.conn_id, error.message)
            return False

    async def _recheck_all(self) -> None:
        for waiter in {waiter.conn_id: waiter for waiter in self.waiters()}.values():
            await self._has_moved(waiter)
