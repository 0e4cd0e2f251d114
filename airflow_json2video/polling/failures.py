"""What a poller does when polls fail: it holds polls back in an outage, and reads the connections after a refusal."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from airflow_json2video.core.circuit_breaker import ACCOUNT_REFUSALS, CircuitBreaker
from airflow_json2video.core.poll_schedule import jitter
from airflow_json2video.exceptions import Json2VideoError
from airflow_json2video.polling.queue import PollQueue
from airflow_json2video.polling.subscription import Subscription

__all__ = ["FailureHandler"]

log = logging.getLogger(__name__)

_YIELD_EVERY = 200
"""Subscriptions that are handled before the event loop gets its turn."""


class _Poller(Protocol):
    """What the failure handler asks of the poller."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run *work* next to the poller's loop."""

    def start_poll(self, subscription: Subscription, *, is_probe: bool = False) -> None:
        """Start a poll of one render."""

    def deliver_failure(self, subscription: Subscription, error: Json2VideoError, *, project: str) -> None:
        """Pass on that the poll of *project* failed."""


class FailureHandler:
    """Handles the failed polls of one poller.

    :param queue: of the poller.
    :param recheck: reads a connection again; True if its subscriptions were moved because it leads to another account.
    :param clock: the service's time, epoch seconds.
    """

    def __init__(
        self,
        poller: _Poller,
        queue: PollQueue,
        *,
        recheck: Callable[[str], Awaitable[bool]],
        clock: Callable[[], float],
    ) -> None:
        self._poller = poller
        self._queue = queue
        self._recheck = recheck
        self._clock = clock
        self._breaker = CircuitBreaker()
        self._held: list[Subscription] = []
        self._held_until = math.inf
        self._is_probing = False
        self._probed_at = -math.inf

    @property
    def is_outage(self) -> bool:
        """Whether polls are held back."""
        return self._breaker.is_open

    def on_success(self) -> None:
        """Note that the service responds."""
        self._is_probing = False
        if self._breaker.record_success():
            self._poller.spawn(self._resume())

    async def on_failure(self, subscription: Subscription, error: Json2VideoError, *, is_probe: bool) -> None:
        """Pass a failed poll on to those it concerns."""
        project = subscription.project
        if isinstance(error, ACCOUNT_REFUSALS):
            # The key may have been replaced. Subscriptions whose connection leads to another account leave this poller.
            await self.recheck_all()
        if is_probe:
            self._is_probing = False
        self.record(error, subscription, is_probe=is_probe)
        for each in self._queue.of(project):
            self._poller.deliver_failure(each, error, project=project)
        if is_probe and self._breaker.error is not None:
            await self._deliver_to_held(self._breaker.error)

    def record(self, error: Json2VideoError, subscription: Subscription, *, is_probe: bool = False) -> None:
        """Count a failure that may concern the whole service."""
        self._breaker.record_failure(
            error,
            project=subscription.project,
            schedule=subscription.tracker.schedule,
            now=asyncio.get_running_loop().time(),
            is_probe=is_probe,
        )

    def hold_back(self, now: float) -> float:
        """Hold back all polls that are due, and try the service with one poll at a time.

        :return: the event loop's time at which to call this again.
        """
        queue = self._queue
        while subscription := queue.pop_due(now):
            self._held.append(subscription)
            self._held_until = min(self._held_until, now + subscription.tracker.deadline - self._clock())
        if self._is_probing:
            return math.inf  # the end of the probe wakes the poller
        if not self._held:
            return queue.next_due()
        # A deadline is not missed, but each of ten thousand deadlines is not worth a poll.
        floor = self._held[0].tracker.schedule.floor
        at = min(self._breaker.half_open_at, max(self._held_until, self._probed_at + floor))
        if now < at:
            return min(at, queue.next_due())
        self._held = [subscription for subscription in self._held if subscription in queue]
        if self._held:
            # Another render than the one that failed last, if there is one: that one may fail for its own reasons.
            others = (each for each in self._held if each.project != self._breaker.failed_project)
            probe = next(others, self._held[0])
            self._held.remove(probe)
            self._is_probing, self._probed_at = True, now
            self._poller.start_poll(probe, is_probe=True)
        return math.inf if self._is_probing else queue.next_due()

    async def _deliver_to_held(self, error: Json2VideoError) -> None:
        held, self._held, self._held_until = self._held, [], math.inf
        for count, subscription in enumerate(held, 1):
            if subscription in self._queue:
                self._poller.deliver_failure(subscription, error, project=self._breaker.failed_project)
            if count % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
        if not self.is_outage:
            await self._resume()

    async def _resume(self) -> None:
        """Schedule polls again after an outage, spread over the shortest interval to protect the service."""
        self._held, self._held_until = [], math.inf
        for count, subscription in enumerate(self._queue.subscriptions(), 1):
            is_waiting = subscription.heap_token == -1 or subscription.tracker.is_failing
            if is_waiting and not subscription.in_flight and subscription in self._queue:
                self._queue.schedule(subscription, subscription.tracker.schedule.floor * jitter(subscription.project))
            if count % _YIELD_EVERY == 0:
                await asyncio.sleep(0)

    async def recheck_all(self) -> None:
        """Read every connection again; those that lead to another account now take their subscriptions with them."""
        for conn_id in sorted({subscription.conn_id for subscription in self._queue.subscriptions()}):
            try:
                await self._recheck(conn_id)
            except Json2VideoError as error:
                log.debug("Could not read connection %s again: %s", conn_id, error.message)
