"""Waiting for a render on a worker, in a loop of its own. A trigger waits with :mod:`.async_wait`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from airflow_json2video.api import calls
from airflow_json2video.core.refusal import seconds_to_confirmation
from airflow_json2video.core.render_status import PollAgain, RenderOutcome, RenderTracker
from airflow_json2video.core.result import to_json
from airflow_json2video.exceptions import ApiError, Json2VideoError, TransportError
from airflow_json2video.task_log import TaskLog

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.hooks.json2video import Json2VideoHook

__all__ = ["connection_error", "poll_once", "retry_refusals", "wait_for_render"]

T = TypeVar("T")


def poll_once(hook: Json2VideoHook, tracker: RenderTracker) -> PollAgain | RenderOutcome:
    """Poll the render once and return what the response means."""
    try:
        response = _client(hook).execute(calls.get_movie(tracker.project))
    except Json2VideoError as error:
        return tracker.on_error(error, now=hook.clock.now())
    quota = response.remaining_quota
    return tracker.on_status(
        to_json(response.movie),
        now=hook.clock.now(),
        remaining_quota=to_json(quota) if quota is not None else None,
    )


def wait_for_render(
    hook: Json2VideoHook, tracker: RenderTracker, *, log: TaskLog, sleep: Callable[[float], None] = time.sleep
) -> RenderOutcome:
    """Poll until the render ends or the tracker's deadline passes."""
    sleep(tracker.first_poll(now=hook.clock.now()))
    while True:
        step = poll_once(hook, tracker)
        if isinstance(step, RenderOutcome):
            return step
        if step.note:
            log.info("%s", step.note)
        if tracker.is_failing:  # its key may have been replaced
            hook.forget_connection()
        sleep(step.seconds)


def retry_refusals(
    hook: Json2VideoHook,
    request: Callable[[], T],
    *,
    log: TaskLog,
    sleep: Callable[[float], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Return the result of a request about a render that is paid for; a refusal counts once it has lasted.

    :param request: may be called several times.
    :raises Json2VideoError: the service still refuses after five minutes, and a retry of the task may succeed; or
        anything else went wrong.
    """
    refused_since: float | None = None
    while True:
        try:
            return request()
        except ApiError as error:
            if error.retryable:
                raise
            now = clock()
            refused_since = now if refused_since is None else refused_since
            seconds = seconds_to_confirmation(now - refused_since)
            if seconds is None:
                advice = f"{error.advice} A retry of this task asks again, and pays for nothing.".strip()
                raise error.with_context(retryable=True, advice=advice) from None
            log.warning("%s Retrying in %.0f s.", error.message, seconds)
            (sleep or time.sleep)(seconds)
            hook.forget_connection()  # its key may have been replaced


def _client(hook: Json2VideoHook) -> Json2VideoClient:
    try:
        return hook.client
    except Json2VideoError:
        raise
    except Exception as error:
        raise connection_error(error) from None


def connection_error(error: Exception) -> TransportError:
    """Return the error for a connection that Airflow cannot look up now; its database or API may be back soon."""
    return TransportError(f"The connection could not be looked up: {type(error).__name__}: {error}.")
