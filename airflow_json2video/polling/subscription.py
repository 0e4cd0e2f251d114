"""What a poller knows of one trigger that waits for one render, and how it reaches that trigger."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

from airflow_json2video.core.render_status import RenderOutcome, RenderTracker

__all__ = ["Subscription"]


class Subscription:
    """One trigger's subscription to one render.

    :param interval: the author's ``poll_interval``, in seconds.
    :ivar due: the event loop's time of its next poll.
    :ivar heap_token: the number of its scheduled poll; -1 if none is scheduled.
    :ivar last_polled: the event loop's time of its last status or failure.
    :ivar in_flight: whether a poll of it is in progress.
    :ivar poll_directly: whether the list did not show its render, so that the next poll asks for that render alone.
    """

    __slots__ = (
        "_notes",
        "_outcome",
        "_wakeup",
        "conn_id",
        "due",
        "heap_token",
        "in_flight",
        "interval",
        "last_polled",
        "poll_directly",
        "tracker",
    )

    def __init__(self, tracker: RenderTracker, *, conn_id: str, interval: float) -> None:
        self.tracker = tracker
        self.conn_id = conn_id
        self.interval = interval
        self.due = math.inf
        self.heap_token = -1
        self.last_polled = -math.inf
        self.in_flight = False
        self.poll_directly = False
        self._notes: list[str] = []
        self._outcome: RenderOutcome | None = None
        self._wakeup: asyncio.Future[None] | None = None

    @property
    def project(self) -> str:
        """The render."""
        return self.tracker.project

    @property
    def min_interval(self) -> float:
        """Seconds that have to pass between two polls of it."""
        return max(self.tracker.schedule.floor, self.interval / 2)

    async def outcome(self, log_note: Callable[[str], Any]) -> RenderOutcome:
        """Wait for the outcome, and call *log_note* with each note, from the caller's own coroutine."""
        while True:
            while self._notes:
                log_note(self._notes.pop(0))
            if self._outcome is not None:
                return self._outcome
            self._wakeup = asyncio.get_running_loop().create_future()
            await self._wakeup

    def note(self, text: str) -> None:
        """Pass on a line for the task's log."""
        self._notes.append(text)
        self._wake()

    def end(self, outcome: RenderOutcome) -> None:
        """Pass on the outcome."""
        self._outcome = outcome
        self._wake()

    def _wake(self) -> None:
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)
