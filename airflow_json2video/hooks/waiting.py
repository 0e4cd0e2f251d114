"""Waiting for a render: a loop of its own for a worker, the shared poller for a trigger; the same watch in both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from airflow_json2video.exceptions import Json2VideoError, error_from_facts
from airflow_json2video.rendering.planning import MIN_POLL_INTERVAL, PollSchedule, RenderTimes
from airflow_json2video.rendering.polling import Ended, LookAgain, RenderWatch
from airflow_json2video.rendering.result import in_words, warnings_of

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.api.responses import MovieAnswer
    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.rendering.result import RenderResult

__all__ = ["ErrorLog", "TaskLog", "await_render", "look_once", "poll_schedule", "tell_done", "wait_for_render", "wire"]

_LOCAL_FLOOR = 0.2
"""Seconds between looks at a render of a service on this machine, which sets no floor of its own."""


class TaskLog(Protocol):
    """The part of a logger that is used: Airflow 2 gives the standard library's, Airflow 3 structlog's."""

    def info(self, event: str, *args: Any) -> Any:
        """Log what happens."""

    def warning(self, event: str, *args: Any) -> Any:
        """Log what a person should look at."""


class ErrorLog(TaskLog, Protocol):
    """The same where an error need not end the task."""

    def error(self, event: str, *args: Any) -> Any:
        """Log what went wrong."""


def tell_done(result: RenderResult, movie: Mapping[str, Any], *, log: TaskLog) -> None:
    """Tell a task's log of a finished render, and of what a local service did not draw as it was asked to."""
    log.info("%s", in_words(result))
    for warning in warnings_of(movie):
        log.warning("Render %s: %s", result["project"], warning)


def poll_schedule(poll_interval: float, *, is_loopback: bool, times: RenderTimes | None = None) -> PollSchedule:
    """Give the schedule for an interval that an author asked for; never under the service's own floor.

    A service on this machine is looked at as often as an author asks for, and no more often than JSON2Video else.

    :param times: what is known of the account's render times.
    """
    floor = MIN_POLL_INTERVAL
    if is_loopback:
        floor = min(floor, max(_LOCAL_FLOOR, poll_interval / 2))
    return PollSchedule(interval=poll_interval, floor=floor, times=RenderTimes() if times is None else times)


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
    sleep(watch.first_look(now=clock()))
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
    """Wait until the render ends or the watch's deadline passes, without blocking the event loop.

    All who wait for renders of one account in one event loop share a poller. The connection is looked up in
    here, so that trouble with it is an outcome and not an exception.

    :param log: every line is written from this coroutine, so that it lands in the log of this task.
    """
    from airflow_json2video.hooks.accounts import Accounts
    from airflow_json2video.hooks.waiter import Waiter

    accounts = Accounts.here()
    waiter = Waiter(watch, conn_id=hook.json2video_conn_id, interval=poll_interval)
    accounts.enter(hook)
    try:
        while True:
            try:
                await accounts.join(waiter)
            except Json2VideoError as error:
                # Of one's own: others wait for the same look-up, and a watch adds its project to an error.
                step = watch.on_error(error_from_facts(error.facts()), now=clock())
            else:
                return await waiter.outcome(lambda note: log.info("%s", note))
            if isinstance(step, Ended):
                return step
            if step.note:
                log.info("%s", step.note)
            await asyncio.sleep(step.seconds)
    finally:
        await accounts.leave(waiter)


def _judge(watch: RenderWatch, answer: MovieAnswer, *, now: float) -> LookAgain | Ended:
    quota = answer.remaining_quota
    return watch.on_status(wire(answer.movie), now=now, remaining_quota=wire(quota) if quota is not None else None)


def wire(answer: Any) -> dict[str, Any]:
    """Give a typed answer back as the JSON object that it came as."""
    dumped: dict[str, Any] = answer.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return dumped
