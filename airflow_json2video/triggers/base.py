"""The base of every trigger that a task defers to: a task never resumes too early for Airflow's scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

from airflow.triggers.base import BaseTaskEndEvent, BaseTrigger, TriggerEvent

from airflow_json2video.triggers._loading import load_in_thread
from airflow_json2video.version_compat import shortest_deferral

__all__ = ["TIMEOUT_MARGIN", "Json2VideoTrigger"]

TIMEOUT_MARGIN = timedelta(minutes=5)
"""From the deadline of a trigger to Airflow's timeout of the deferral, which must never come first."""


class Json2VideoTrigger(BaseTrigger):
    """Waits in :meth:`wait`, and fires its one event no earlier than the scheduler can handle it.

    If a scheduler of Airflow 3 reads that the task's process ended after the task is scheduled again, it treats the
    deferral as a kill, and the attempt fails (see :func:`~airflow_json2video.version_compat.shortest_deferral`). So the
    trigger starts its work immediately, and only its event is held back. The time is measured from the start of
    :meth:`run`, which follows the deferral, because clocks of two machines differ. An event that ends the task itself,
    without a worker, is not held back, nor is any event outside of a triggerer, such as under ``dag.test()``.
    """

    _started_at: float | None = None

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire the one event."""
        self._started_at = asyncio.get_running_loop().time()
        await load_in_thread()
        event = await self.wait()
        if not isinstance(event, BaseTaskEndEvent):
            await self.hold_back()
        yield event

    async def wait(self) -> TriggerEvent:
        """Wait for what the trigger is for, and return the event."""
        raise NotImplementedError

    async def hold_back(self) -> None:
        """Sleep until the task may resume. Call it from :meth:`wait` to collect what happens meanwhile."""
        if self.trigger_id is None or self._started_at is None:  # only a triggerer sets it
            return
        elapsed = asyncio.get_running_loop().time() - self._started_at
        await asyncio.sleep(max(0.0, shortest_deferral() - elapsed))
