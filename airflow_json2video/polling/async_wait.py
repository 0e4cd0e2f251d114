"""Waiting for a render in the event loop of a triggerer, with the poller that all renders of an account share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_json2video.api import calls
from airflow_json2video.api.clock import ServiceClock, get_clock
from airflow_json2video.core.render_status import RenderOutcome, RenderTracker
from airflow_json2video.exceptions import Json2VideoError
from airflow_json2video.polling.registry import PollerRegistry
from airflow_json2video.polling.subscription import Subscription
from airflow_json2video.task_log import TaskLog

if TYPE_CHECKING:
    from airflow_json2video.hooks.json2video import Json2VideoHook

__all__ = ["await_render", "get_synchronized_clock"]


async def await_render(
    hook: Json2VideoHook,
    tracker: RenderTracker,
    *,
    poll_interval: float,
    log: TaskLog,
    clock: Callable[[], float] = time.time,
) -> RenderOutcome:
    """Wait until the render ends or the tracker's deadline passes, without blocking the event loop.

    A connection that cannot be looked up counts as a failed poll, and raises nothing.

    :param log: every line is written from this coroutine, so that it appears in the log of this task.
    """
    registry = PollerRegistry.current()
    subscription = Subscription(tracker, conn_id=hook.json2video_conn_id, interval=poll_interval)
    registry.acquire(hook)
    try:
        while True:
            try:
                await registry.subscribe(subscription)
            except Json2VideoError as error:
                step = tracker.on_error(error, now=clock())
            else:
                return await subscription.outcome(lambda note: log.info("%s", note))
            if isinstance(step, RenderOutcome):
                return step
            if step.note:
                log.info("%s", step.note)
            await asyncio.sleep(step.seconds)
    finally:
        await registry.release(subscription)


async def get_synchronized_clock(hook: Json2VideoHook, *, log: TaskLog) -> ServiceClock:
    """Return the service's clock; if no response in this process has shown its time, ask for it: one free request."""
    try:
        clock = get_clock((await hook.aget_settings()).host)
        if not clock.is_known:
            async with await hook.get_async_client(retries=0) as client:
                await client.execute(calls.list_movies(limit=1))
    except Exception as error:
        log.info("Could not read the service's time (%s); using this machine's clock.", error)
        return ServiceClock("")
    return clock
