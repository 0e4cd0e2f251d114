"""The trigger for an account without credits: waits until it has some again, with no worker slot held meanwhile."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NoReturn

from airflow.triggers.base import TriggerEvent

from airflow_json2video.triggers.base import Json2VideoTrigger

__all__ = ["Json2VideoCreditsTrigger", "defer_until_credits"]

_FIRST_PAUSE = 30.0
_LONGEST_PAUSE = 900.0
_NET = timedelta(minutes=5)


class Json2VideoCreditsTrigger(Json2VideoTrigger):
    """Fires once the account has enough credits, when the service refuses to say, or at the deadline.

    It reads a page of one render, which is free, and never submits. Its arguments hold no secret. The event
    repeats ``needed``, ``deadline`` and ``earlier`` for a task that has lost them.

    :param json2video_conn_id: the connection.
    :param deadline: epoch seconds by the service's clock at which the waiting ends.
    :param needed: credits that the account has to have.
    :param earlier: how often the task has waited like this before: one that was refused in spite of enough credits is
        tried ever more seldom.
    """

    def __init__(
        self, *, json2video_conn_id: str, deadline: float, needed: float = 1.0, earlier: int = 0, **_: Any
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.json2video_conn_id = json2video_conn_id
        self.deadline = deadline
        self.needed = needed
        self.earlier = earlier
        self._now: Callable[[], float] = time.time  # until the service is known

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give what the triggerer makes this trigger from."""
        return (
            "airflow_json2video.triggers.credits.Json2VideoCreditsTrigger",
            {
                "json2video_conn_id": self.json2video_conn_id,
                "deadline": self.deadline,
                "needed": self.needed,
                "earlier": self.earlier,
            },
        )

    async def wait(self) -> TriggerEvent:
        """Ask until there is enough."""
        asked = 0
        while True:
            pause = min(_FIRST_PAUSE * 1.5 ** min(self.earlier * 2 + asked, 20), _LONGEST_PAUSE)
            pause *= random.uniform(0.8, 1.2)  # noqa: S311
            await asyncio.sleep(max(0.0, min(pause, self.deadline - self._now())))
            asked += 1
            if await self._has_enough() or self._now() >= self.deadline:
                break
        told = {"asked": asked, "needed": self.needed, "deadline": self.deadline, "earlier": self.earlier}
        return TriggerEvent(told)  # type: ignore[no-untyped-call]

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
        except Exception as error:  # the database or the supervisor may be back in a moment
            self.log.warning("The connection could not be looked up: %s: %s.", type(error).__name__, error)
            return False
        quota = to_json(page.remaining_quota) if page.remaining_quota is not None else {}
        enough = is_sufficient(quota, needed=self.needed)
        if enough:
            self.log.info("The account has %s; the task goes on.", quota or "no quota that the service names")
        return enough


def defer_until_credits(
    operator: Any, *, deadline: float, needed: float, earlier: int, kwargs: dict[str, Any]
) -> NoReturn:
    """Free the worker slot until the account has credits; then ``resume_submission`` goes on.

    :param deadline: epoch seconds by the service's clock. :param needed: credits.
    :param earlier: see :class:`Json2VideoCreditsTrigger`.
    :param kwargs: handed to ``resume_submission``.
    """
    operator.defer(
        trigger=Json2VideoCreditsTrigger(
            json2video_conn_id=operator.json2video_conn_id, deadline=deadline, needed=needed, earlier=earlier
        ),
        method_name="resume_submission",
        kwargs=kwargs,
        timeout=timedelta(seconds=max(deadline - operator.hook.clock.now(), 0.0)) + _NET,
    )
    raise AssertionError("defer() always raises")
