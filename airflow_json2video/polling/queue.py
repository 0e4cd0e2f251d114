"""The subscriptions of one poller, and when each is polled next."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Callable

from airflow_json2video.polling.subscription import Subscription

__all__ = ["PollQueue"]

_tokens = itertools.count()
"""Shared by all pollers, because a subscription can move from one to another."""


class PollQueue:
    """Subscriptions by render, and a heap of their scheduled polls.

    :param tick: seconds; polls start on ticks, see :class:`~airflow_json2video.polling.poller.Poller`.
    :param on_scheduled: called with the event loop's time of each poll that is scheduled.
    """

    def __init__(self, *, tick: float, on_scheduled: Callable[[float], None]) -> None:
        self._tick = tick
        self._on_scheduled = on_scheduled
        self._loop = asyncio.get_running_loop()
        self._by_project: dict[str, list[Subscription]] = {}
        self._size = 0
        self._heap: list[tuple[float, int, Subscription]] = []

    def __len__(self) -> int:
        return self._size

    def subscriptions(self) -> list[Subscription]:
        """Return all subscriptions."""
        return [subscription for group in self._by_project.values() for subscription in group]

    def of(self, project: str) -> list[Subscription]:
        """Return the subscriptions to one render."""
        return list(self._by_project.get(project, ()))

    def has_project(self, project: str) -> bool:
        """Whether any subscription is to this render."""
        return project in self._by_project

    def __contains__(self, subscription: Subscription) -> bool:
        return subscription in self._by_project.get(subscription.project, ())

    def add(self, subscription: Subscription) -> None:
        """Add a subscription. Its first poll is not scheduled yet."""
        self._size += 1
        self._by_project.setdefault(subscription.project, []).append(subscription)

    def remove(self, subscription: Subscription) -> None:
        """Remove a subscription if it is in here. The result of a poll in progress is not delivered to it."""
        group = self._by_project.get(subscription.project, [])
        if subscription in group:
            subscription.heap_token = -1
            group.remove(subscription)
            self._size -= 1
            if not group:
                del self._by_project[subscription.project]

    def clear(self) -> None:
        """Remove all subscriptions."""
        self._by_project.clear()
        self._size = 0

    def schedule(self, subscription: Subscription, seconds: float) -> None:
        """Schedule the next poll of a render, in *seconds*."""
        subscription.heap_token = next(_tokens)
        if seconds - self._tick / 2 >= subscription.tracker.schedule.floor:
            seconds -= self._tick / 2  # it waits for a tick, so that it is neither early nor late on average
        due = subscription.due = self._loop.time() + seconds
        heapq.heappush(self._heap, (due, subscription.heap_token, subscription))
        if len(self._heap) > 1000 and len(self._heap) > 3 * self._size:
            self._heap = [entry for entry in self._heap if entry[1] == entry[2].heap_token]
            heapq.heapify(self._heap)
        self._on_scheduled(due)

    def next_due(self) -> float:
        """Return the event loop's time at which the next poll may be due."""
        return self._heap[0][0] if self._heap else math.inf

    def pop_due(self, now: float) -> Subscription | None:
        """Remove the poll that has been due longest, and return its subscription; None if no poll is due."""
        while self._heap:
            due, token, subscription = self._heap[0]
            if subscription.heap_token == token and due > now:
                return None
            heapq.heappop(self._heap)
            if subscription.heap_token == token:
                subscription.heap_token = -1
                return subscription
        return None
