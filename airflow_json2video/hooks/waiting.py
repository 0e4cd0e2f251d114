"""Looking at one render until it ends: the synchronous loop and the asynchronous one over the same watch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from airflow_json2video.exceptions import Json2VideoError, TransportError
from airflow_json2video.rendering.polling import (
    MIN_POLL_INTERVAL,
    Ended,
    LookAgain,
    PollSchedule,
    RenderWatch,
)

if TYPE_CHECKING:
    from airflow_json2video.api.async_client import AsyncJson2VideoClient
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.api.responses import MovieAnswer
    from airflow_json2video.hooks.json2video import Json2VideoHook

__all__ = ["TaskLog", "await_render", "look_once", "poll_schedule", "wait_for_render"]

_LOCAL_FLOOR = 0.2
"""Seconds between looks at a render of a service on this machine, which sets no floor of its own."""


class TaskLog(Protocol):
    """The part of a logger that is used: Airflow 2 gives the standard library's, Airflow 3 structlog's."""

    def info(self, event: str, *args: Any) -> Any:
        """Log what happens."""

    def warning(self, event: str, *args: Any) -> Any:
        """Log what a person should look at."""


def poll_schedule(poll_interval: float, *, is_loopback: bool) -> PollSchedule:
    """Give the schedule for an interval that an author asked for; never under the service's own floor."""
    return PollSchedule(interval=poll_interval, floor=_LOCAL_FLOOR if is_loopback else MIN_POLL_INTERVAL)


def look_once(client: Json2VideoClient, watch: RenderWatch, *, now: float) -> LookAgain | Ended:
    """Ask for the status once and say what it means."""
    from airflow_json2video.api import calls

    try:
        answer = client.execute(calls.get_movie(watch.project))
    except Json2VideoError as error:
        return watch.on_error(error, now=now)
    return _judge(watch, answer, now=now)


def wait_for_render(
    client: Json2VideoClient,
    watch: RenderWatch,
    *,
    log: TaskLog,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> Ended:
    """Look until the render ends or the watch's deadline passes."""
    while True:
        step = look_once(client, watch, now=clock())
        if isinstance(step, Ended):
            return step
        if step.note:
            log.info("%s", step.note)
        sleep(step.seconds)


async def await_render(
    hook: Json2VideoHook,
    watch: RenderWatch,
    *,
    poll_interval: float,
    log: TaskLog,
    clock: Callable[[], float] = time.time,
) -> Ended:
    """Look until the render ends or the watch's deadline passes, without blocking the event loop.

    The connection is looked up in here, so that trouble with it is an outcome and not an exception.
    """
    from airflow_json2video.api import calls

    client: AsyncJson2VideoClient | None = None
    try:
        while True:
            step: LookAgain | Ended
            try:
                if client is None:
                    client = await _client(hook)
                    watch.schedule = poll_schedule(poll_interval, is_loopback=hook.settings.is_loopback)
                answer = await client.execute(calls.get_movie(watch.project))
            except Json2VideoError as error:
                step = watch.on_error(error, now=clock())
            else:
                step = _judge(watch, answer, now=clock())
            if isinstance(step, Ended):
                return step
            if step.note:
                log.info("%s", step.note)
            await asyncio.sleep(step.seconds)
    finally:
        if client is not None:
            await client.aclose()


async def _client(hook: Json2VideoHook) -> AsyncJson2VideoClient:
    try:
        # The watch itself decides when to look again, and does so within its deadline.
        return await hook.get_async_client(retries=0)
    except Json2VideoError:
        raise
    except Exception as error:
        # The database or the supervisor may be back in a moment; the render goes on meanwhile.
        raise TransportError(f"The connection could not be looked up: {type(error).__name__}: {error}.") from None


def _judge(watch: RenderWatch, answer: MovieAnswer, *, now: float) -> LookAgain | Ended:
    quota = answer.remaining_quota
    return watch.on_status(wire(answer.movie), now=now, remaining_quota=wire(quota) if quota is not None else None)


def wire(answer: Any) -> dict[str, Any]:
    """Give a typed answer back as the JSON object that it came as."""
    dumped: dict[str, Any] = answer.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return dumped
