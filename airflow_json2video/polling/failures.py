"""What a poller does when polls fail: in an outage it holds all back, after a refusal it looks the connections up."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from airflow_json2video.core.circuit_breaker import REFUSALS_OF_ACCOUNT, CircuitBreaker
from airflow_json2video.core.poll_schedule import chance_of
from airflow_json2video.exceptions import Json2VideoError

if TYPE_CHECKING:
    from airflow_json2video.polling.poller import Poller
    from airflow_json2video.polling.subscription import Subscription

__all__ = ["FailureHandler"]

log = logging.getLogger(__name__)

_SLICE = 200
"""Renders that are dealt with before the event loop gets its turn."""


class FailureHandler:
    """The failures of one poller.

    :param recheck: looks a connection up anew; True when it leads to another account, to which its waiters were moved.
    """

    def __init__(self, poller: Poller, recheck: Callable[[str], Awaitable[bool]]) -> None:
        self._poller = poller
        self._recheck = recheck
        self._outage = CircuitBreaker()
        self._held: list[Subscription] = []
        self._held_until = math.inf
        self._is_probing = False
        self._probed_at = -math.inf

    @property
    def is_outage(self) -> bool:
        """Whether looks are held back."""
        return self._outage.error is not None

    def on_answer(self) -> None:
        """Take note that the service answers as it should."""
        self._is_probing = False
        if self._outage.on_success():
            self._poller.spawn(self._release())

    async def on_failure(self, waiter: Subscription, error: Json2VideoError, *, is_probe: bool) -> None:
        """Say what a look that failed means, to whom it concerns."""
        project = waiter.watch.project
        if isinstance(error, REFUSALS_OF_ACCOUNT):
            # Its key may have been replaced; those whose connection leads elsewhere now leave this poller.
            await self.recheck_all()
        if is_probe:
            self._is_probing = False
        self.on_trouble(error, waiter=waiter, is_probe=is_probe)
        for each in self._poller.waiting_for(project):
            self._poller.tell_failure(each, error, of=project)
        if is_probe and self._outage.error is not None:
            await self._tell_held(self._outage.error)

    def on_trouble(self, error: Json2VideoError, *, waiter: Subscription, is_probe: bool = False) -> None:
        """Take note of trouble that may be the service's as a whole."""
        watch, now = waiter.watch, asyncio.get_running_loop().time()
        self._outage.on_failure(error, project=watch.project, schedule=watch.schedule, now=now, is_probe=is_probe)

    def hold(self, now: float) -> float:
        """Hold back what is due, try the service with one look at a time, and give the time to think of it again."""
        poller = self._poller
        while waiter := poller.pop_due(now):
            self._held.append(waiter)
            self._held_until = min(self._held_until, now + waiter.watch.deadline - poller.clock())
        if self._is_probing:
            return math.inf  # its end rings
        if not self._held:
            return poller.next_due()
        # A deadline is not slept through; and not each of ten thousand is worth a look.
        floor = self._held[0].watch.schedule.floor
        at = min(self._outage.until, max(self._held_until, self._probed_at + floor))
        if now < at:
            return min(at, poller.next_due())
        self._held = [waiter for waiter in self._held if poller.is_here(waiter)]
        if self._held:
            # Not the same one again, if there is another: it may be odd by itself.
            others = (waiter for waiter in self._held if waiter.watch.project != self._outage.project)
            probe = next(others, self._held[0])
            self._held.remove(probe)
            self._is_probing, self._probed_at = True, now
            poller.look_at(probe, is_probe=True)
        return math.inf if self._is_probing else poller.next_due()

    async def _tell_held(self, error: Json2VideoError) -> None:
        held, self._held, self._held_until = self._held, [], math.inf
        for count, waiter in enumerate(held, 1):
            if self._poller.is_here(waiter):
                self._poller.tell_failure(waiter, error, of=self._outage.project)
            if count % _SLICE == 0:
                await asyncio.sleep(0)
        if not self.is_outage:
            await self._release()

    async def _release(self) -> None:
        """Look again, now that the service answers: spread over the shortest interval, so that it goes on doing so."""
        poller = self._poller
        self._held, self._held_until = [], math.inf
        for count, waiter in enumerate(poller.waiters(), 1):
            if not waiter.busy and (waiter.ticket == -1 or waiter.watch.failing) and poller.is_here(waiter):
                poller.plan(waiter, waiter.watch.schedule.floor * chance_of(waiter.watch.project))
            if count % _SLICE == 0:
                await asyncio.sleep(0)

    async def recheck_all(self) -> None:
        """Look every connection up anew; those that lead elsewhere now take their waiters with them."""
        for conn_id in sorted({waiter.conn_id for waiter in self._poller.waiters()}):
            try:
                await self._recheck(conn_id)
            except Json2VideoError as error:
                log.debug("Connection %s could not be looked up anew: %s", conn_id, error.message)
