"""The base of every trigger that a task defers to: a task never resumes too early for Airflow's scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from airflow.triggers.base import BaseTaskEndEvent, BaseTrigger, TriggerEvent

from airflow_json2video.triggers._loading import load_in_thread
from airflow_json2video.version_compat import shortest_deferral

__all__ = ["Json2VideoTrigger"]


class Json2VideoTrigger(BaseTrigger):
    """Waits in :meth:`wait`, and fires its one event no earlier than the scheduler can bear.

    A scheduler of Airflow 3 that reads "the process has ended well" after the task is scheduled again takes the
    deferral for a kill: the attempt fails (see :func:`~airflow_json2video.version_compat.shortest_deferral`). So a
    trigger works from its first moment, and only its event is held back. The time is measured from the start of
    :meth:`run`, which follows the deferral, since clocks of two machines differ. An event that ends the task itself,
    without a worker, is not held back. Nor is any outside of a triggerer, as under ``dag.test()``.
    """

    _began: float | None = None

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire the one event."""
        self._began = asyncio.get_running_loop().time()
        await load_in_thread()
        event = await self.wait()
        if not isinstance(event, BaseTaskEndEvent):
            await self.hold_back()
        yield event

    async def wait(self) -> TriggerEvent:
        """Wait for what the trigger is for, and return the event."""
        raise NotImplementedError

    async def hold_back(self) -> None:
        """Sleep until the task may resume. For a trigger that has something to collect at that moment."""
        if self.trigger_id is None or self._began is None:  # only a triggerer sets it
            return
        elapsed = asyncio.get_running_loop().time() - self._began
        await asyncio.sleep(max(0.0, shortest_deferral() - elapsed))
