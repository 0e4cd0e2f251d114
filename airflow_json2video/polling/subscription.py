"""One trigger's place at the poller."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_json2video.core.render_status import RenderOutcome, RenderTracker

if TYPE_CHECKING:
    from airflow_json2video.polling.poller import Poller

__all__ = ["Subscription"]


class Subscription:
    """One trigger that waits for one render: what its poller knows of it, and the poller's way to reach it.

    :param interval: the author's ``poll_interval``, in seconds.
    """

    __slots__ = (
        "_bell",
        "_ended",
        "_notes",
        "alone",
        "asked_at",
        "busy",
        "conn_id",
        "due",
        "interval",
        "poller",
        "ticket",
        "watch",
    )

    def __init__(self, watch: RenderTracker, *, conn_id: str, interval: float) -> None:
        self.watch = watch
        self.conn_id = conn_id
        self.interval = interval
        self.poller: Poller | None = None
        self.due = float("inf")
        self.ticket = -1
        """The number of its planned look; -1 while there is none."""
        self.asked_at = float("-inf")
        self.busy = False
        """A look at it is under way."""
        self.alone = False
        """The list did not show it, so it is asked for by itself."""
        self._notes: list[str] = []
        self._ended: RenderOutcome | None = None
        self._bell: asyncio.Future[None] | None = None

    async def outcome(self, tell: Callable[[str], Any]) -> RenderOutcome:
        """Wait for the end; each note is given to *tell* from the caller's own coroutine."""
        while True:
            while self._notes:
                tell(self._notes.pop(0))
            if self._ended is not None:
                return self._ended
            self._bell = asyncio.get_running_loop().create_future()
            await self._bell

    def note(self, text: str) -> None:
        """Hand over a line for the task's log."""
        self._notes.append(text)
        self._ring()

    def end(self, ended: RenderOutcome) -> None:
        """Hand over the outcome."""
        self._ended = ended
        self._ring()

    def _ring(self) -> None:
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)
