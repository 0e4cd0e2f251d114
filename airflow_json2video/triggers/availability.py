"""The trigger for an outage: waits until the service responds, while the task holds no worker slot."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.triggers.base import TriggerEvent

from airflow_json2video.triggers.base import TIMEOUT_MARGIN, Json2VideoTrigger

if TYPE_CHECKING:
    from airflow_json2video.triggers._protocols import DeferrableTask

__all__ = ["Json2VideoAvailabilityTrigger"]

_FIRST_DELAY = 5.0
"""Seconds before the first request."""
_MAX_DELAY = 60.0


class Json2VideoAvailabilityTrigger(Json2VideoTrigger):
    """Fires when the service responds, also if it refuses, or at the deadline.

    It reads a page of one render, which is free. Its arguments contain no secret. The event repeats what a task needs
    that has lost the arguments of the method to resume.

    :param json2video_conn_id: the connection.
    :param deadline: epoch seconds by the service's clock at which the wait ends.
    :param attempt: how often the task has waited like this before. If the service responds to this request, but not the
        request of the task, the delay grows with each attempt.
    :param after: seconds until the first request; default: a few, and more with *attempt*. A trigger that is restarted
        counts them again, because no clock of another machine is trusted.
    :param repeat: copied into the event.
    """

    def __init__(
        self,
        *,
        json2video_conn_id: str,
        deadline: float,
        attempt: int = 0,
        after: float | None = None,
        repeat: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.json2video_conn_id = json2video_conn_id
        self.deadline = deadline
        self.attempt = attempt
        self._now: Callable[[], float] = time.time  # until the service is known
        self.after = after
        self.repeat = repeat

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments from which the triggerer rebuilds this trigger."""
        arguments: dict[str, Any] = {
            "json2video_conn_id": self.json2video_conn_id,
            "deadline": self.deadline,
            "attempt": self.attempt,
        }
        if self.after is not None:
            arguments["after"] = self.after
        if self.repeat is not None:
            arguments["repeat"] = self.repeat
        return "airflow_json2video.triggers.availability.Json2VideoAvailabilityTrigger", arguments

    async def wait(self) -> TriggerEvent:
        """Send requests until one is answered."""
        requests = 0
        if self.after is not None:
            await asyncio.sleep(self.after)
        while True:
            if requests or self.after is None:
                delay = min(_FIRST_DELAY * 1.5 ** min(self.attempt + requests, 20), _MAX_DELAY)
                delay *= random.uniform(0.8, 1.2)  # noqa: S311
                await asyncio.sleep(max(0.0, min(delay, self.deadline - self._now())))
            requests += 1
            if await self._answers() or self._now() >= self.deadline:
                break
        payload: dict[str, Any] = {"requests": requests, "deadline": self.deadline, "attempt": self.attempt}
        if self.repeat is not None:
            payload["repeat"] = self.repeat
        return TriggerEvent(payload)  # type: ignore[no-untyped-call]

    async def _answers(self) -> bool:
        from airflow_json2video.api import calls
        from airflow_json2video.exceptions import Json2VideoError
        from airflow_json2video.hooks.json2video import Json2VideoHook

        try:
            hook = Json2VideoHook(self.json2video_conn_id)
            async with await hook.get_async_client(retries=0) as client:
                self._now = hook.clock.now
                await client.execute(calls.list_movies(limit=1))
        except Json2VideoError as error:
            if error.retryable:
                self.log.warning("%s", error.message)
            return not error.retryable  # a refusal is an answer: the worker fails with it
        except Exception as error:  # the database or the supervisor may be back soon
            self.log.warning("The connection could not be looked up: %s: %s.", type(error).__name__, error)
            return False
        return True


def defer_until_answering(
    task: DeferrableTask,
    *,
    deadline: float,
    kwargs: dict[str, Any],
    attempt: int = 0,
    after: float | None = None,
    repeat: dict[str, Any] | None = None,
) -> NoReturn:
    """Free the worker slot until the service responds; then ``resume_submission`` runs.

    :param deadline: epoch seconds by the service's clock.
    :param attempt: see :class:`Json2VideoAvailabilityTrigger`, also for *after* and *repeat*.
    :param kwargs: passed to ``resume_submission``.
    """
    task.defer(
        trigger=Json2VideoAvailabilityTrigger(
            json2video_conn_id=task.json2video_conn_id,
            deadline=deadline,
            attempt=attempt,
            after=after,
            repeat=repeat,
        ),
        method_name="resume_submission",
        kwargs=kwargs,
        timeout=timedelta(seconds=max(deadline - task.hook.clock.now(), after or 0.0, 0.0)) + TIMEOUT_MARGIN,
    )
    raise AssertionError("defer() always raises")
