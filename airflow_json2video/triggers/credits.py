"""The trigger for an account without enough credits: waits until it has enough, while the task holds no worker slot."""

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

__all__ = ["Json2VideoCreditsTrigger"]

_FIRST_DELAY = 30.0
"""Seconds before the first request."""
_MAX_DELAY = 900.0


class Json2VideoCreditsTrigger(Json2VideoTrigger):
    """Fires when the account has enough credits, when the service refuses the request, or at the deadline.

    It reads a page of one render, which is free, and never submits. Its arguments contain no secret. The event
    repeats ``min_credits``, ``deadline`` and ``attempt`` for a task that has lost them.

    :param json2video_conn_id: the connection.
    :param deadline: epoch seconds by the service's clock at which the wait ends.
    :param min_credits: that the account must have.
    :param attempt: how often the task has waited like this before. If the task was refused in spite of enough credits,
        the delay grows with each attempt.
    """

    def __init__(
        self, *, json2video_conn_id: str, deadline: float, min_credits: float = 1.0, attempt: int = 0, **_: Any
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.json2video_conn_id = json2video_conn_id
        self.deadline = deadline
        self.min_credits = min_credits
        self.attempt = attempt
        self._now: Callable[[], float] = time.time  # until the service is known

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments from which the triggerer rebuilds this trigger."""
        return (
            "airflow_json2video.triggers.credits.Json2VideoCreditsTrigger",
            {
                "json2video_conn_id": self.json2video_conn_id,
                "deadline": self.deadline,
                "min_credits": self.min_credits,
                "attempt": self.attempt,
            },
        )

    async def wait(self) -> TriggerEvent:
        """Read the balance until it is enough."""
        requests = 0
        while True:
            delay = min(_FIRST_DELAY * 1.5 ** min(self.attempt * 2 + requests, 20), _MAX_DELAY)
            delay *= random.uniform(0.8, 1.2)  # noqa: S311
            await asyncio.sleep(max(0.0, min(delay, self.deadline - self._now())))
            requests += 1
            if await self._has_enough() or self._now() >= self.deadline:
                break
        payload = {
            "requests": requests,
            "min_credits": self.min_credits,
            "deadline": self.deadline,
            "attempt": self.attempt,
        }
        return TriggerEvent(payload)  # type: ignore[no-untyped-call]

    async def _has_enough(self) -> bool:
        from airflow_json2video.api import calls
        from airflow_json2video.core.price import is_sufficient
        from airflow_json2video.core.result import to_json
        from airflow_json2video.exceptions import Json2VideoError
        from airflow_json2video.hooks.json2video import Json2VideoHook

        try:
            hook = Json2VideoHook(self.json2video_conn_id)
            async with await hook.get_async_client(retries=0) as client:
                self._now = hook.clock.now
                page = await client.execute(calls.list_movies(limit=1))
        except Json2VideoError as error:
            return not error.retryable  # a refusal is an answer: the worker fails with it
        except Exception as error:  # the database or the supervisor may be back soon
            self.log.warning("The connection could not be looked up: %s: %s.", type(error).__name__, error)
            return False
        quota = to_json(page.remaining_quota) if page.remaining_quota is not None else {}
        enough = is_sufficient(quota, needed=self.min_credits)
        if enough:
            self.log.info("The account has %s; the task resumes.", quota or "no quota that the service reports")
        return enough


def defer_until_credits(
    task: DeferrableTask, *, deadline: float, min_credits: float, attempt: int, kwargs: dict[str, Any]
) -> NoReturn:
    """Free the worker slot until the account has enough credits; then ``resume_submission`` runs.

    :param deadline: epoch seconds by the service's clock.
    :param min_credits: see :class:`Json2VideoCreditsTrigger`, also for *attempt*.
    :param kwargs: passed to ``resume_submission``.
    """
    task.defer(
        trigger=Json2VideoCreditsTrigger(
            json2video_conn_id=task.json2video_conn_id, deadline=deadline, min_credits=min_credits, attempt=attempt
        ),
        method_name="resume_submission",
        kwargs=kwargs,
        timeout=timedelta(seconds=max(deadline - task.hook.clock.now(), 0.0)) + TIMEOUT_MARGIN,
    )
    raise AssertionError("defer() always raises")
