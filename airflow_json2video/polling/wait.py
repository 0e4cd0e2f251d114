"""Waiting for a render: a loop of its own for a worker, the shared poller for a trigger; the same watch in both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from airflow_json2video.core.refusal import seconds_to_confirmation
from airflow_json2video.core.render_status import PollAgain, RenderOutcome, RenderTracker
from airflow_json2video.core.result import to_json
from airflow_json2video.exceptions import ApiError, Json2VideoError, TransportError
from airflow_json2video.task_log import TaskLog

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.api.clock import ServiceClock
    from airflow_json2video.api.responses import MovieAnswer
    from airflow_json2video.hooks.json2video import Json2VideoHook

__all__ = [
    "await_render",
    "learn_time",
    "look_once",
    "no_connection_for_now",
    "retry_refusals",
    "wait_for_render",
]

T = TypeVar("T")


def look_once(hook: Json2VideoHook, watch: RenderTracker) -> PollAgain | RenderOutcome:
    """Ask for the status once and say what it means."""
    from airflow_json2video.api import calls

    try:
        answer = _client(hook).execute(calls.get_movie(watch.project))
    except Json2VideoError as error:
        return watch.on_error(error, now=hook.clock.now())
    return _judge(watch, answer, now=hook.clock.now())


def wait_for_render(
    hook: Json2VideoHook, watch: RenderTracker, *, log: TaskLog, sleep: Callable[[float], None] = time.sleep
) -> RenderOutcome:
    """Look until the render ends or the watch's deadline passes."""
    sleep(watch.first_look(now=hook.clock.now()))
    while True:
        step = look_once(hook, watch)
        if isinstance(step, RenderOutcome):
            return step
        if step.note:
            log.info("%s", step.note)
        if watch.failing:  # its key may have been replaced
            hook.forget_connection()
        sleep(step.seconds)


def retry_refusals(
    hook: Json2VideoHook,
    ask: Callable[[], T],
    *,
    log: TaskLog,
    sleep: Callable[[float], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Return what the service answers about a render that is paid for; a refusal counts once it has lasted.

    :param ask: the question; it may be asked again.
    :raises Json2VideoError: the service still refuses after five minutes, which a retry may find otherwise; or
        anything else went wrong.
    """
    refused_since: float | None = None
    while True:
        try:
            return ask()
        except ApiError as error:
            if error.retryable:
                raise
            now = clock()
            refused_since = now if refused_since is None else refused_since
            pause = seconds_to_confirmation(now - refused_since)
            if pause is None:
                advice = f"{error.advice} A retry of this task asks again, and pays for nothing.".strip()
                raise error.with_context(retryable=True, advice=advice) from None
            log.warning("%s Asking again in %.0f s.", error.message, pause)
            (sleep or time.sleep)(pause)
            hook.forget_connection()  # its key may have been replaced


def _client(hook: Json2VideoHook) -> Json2VideoClient:
    try:
        return hook.client
    except Json2VideoError:
        raise
    except Exception as error:
        raise no_connection_for_now(error) from None


def no_connection_for_now(error: Exception) -> TransportError:
    """Return what it means that Airflow cannot look a connection up: its database or API may be back in a moment."""
    return TransportError(f"The connection could not be looked up: {type(error).__name__}: {error}.")


async def learn_time(hook: Json2VideoHook, *, log: TaskLog) -> ServiceClock:
    """Return the service's clock; if no response in this process has shown its time, ask for it: one free request."""
    from airflow_json2video.api import calls
    from airflow_json2video.api.clock import ServiceClock, clock_of

    try:
        clock = clock_of((await hook.look_up()).host)
        if not clock.is_known:
            async with await hook.get_async_client(retries=0) as client:
                await client.execute(calls.list_movies(limit=1))
    except Exception as error:
        log.info("The service's time could not be asked for (%s), so this machine's clock is used.", error)
        return ServiceClock("")
    return clock


async def await_render(
    hook: Json2VideoHook,
    watch: RenderTracker,
    *,
    poll_interval: float,
    log: TaskLog,
    clock: Callable[[], float] = time.time,
) -> RenderOutcome:
    """Wait until the render ends or the watch's deadline passes, without blocking the event loop.

    All who wait for renders of one account in one event loop share a poller. The connection is looked up in
    here, so that trouble with it is an outcome and not an exception.

    :param log: every line is written from this coroutine, so that it lands in the log of this task.
    """
    from airflow_json2video.polling.registry import PollerRegistry
    from airflow_json2video.polling.subscription import Subscription

    accounts = PollerRegistry.here()
    waiter = Subscription(watch, conn_id=hook.json2video_conn_id, interval=poll_interval)
    accounts.enter(hook)
    try:
        while True:
            try:
                await accounts.join(waiter)
            except Json2VideoError as error:
                # Of one's own: others wait for the same look-up, and a watch adds its project to an error.
                step = watch.on_error(error.with_context(), now=clock())
            else:
                return await waiter.outcome(lambda note: log.info("%s", note))
            if isinstance(step, RenderOutcome):
                return step
            if step.note:
                log.info("%s", step.note)
            await asyncio.sleep(step.seconds)
    finally:
        await accounts.leave(waiter)


def _judge(watch: RenderTracker, answer: MovieAnswer, *, now: float) -> PollAgain | RenderOutcome:
    quota = answer.remaining_quota
    return watch.on_status(
        to_json(answer.movie), now=now, remaining_quota=to_json(quota) if quota is not None else None
    )
