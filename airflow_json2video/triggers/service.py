"""The trigger for an outage: waits until the service answers, so that no worker slot is held meanwhile."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import timedelta
from typing import Any, NoReturn

from airflow.triggers.base import TriggerEvent

from airflow_json2video.triggers.base import Json2VideoTrigger

__all__ = ["Json2VideoServiceTrigger", "defer_until_answering"]

_FIRST_PAUSE = 5.0
"""Seconds before the first question."""
_LONGEST_PAUSE = 60.0
_NET = timedelta(minutes=5)


class Json2VideoServiceTrigger(Json2VideoTrigger):
    """Fires once the service answers again, with whatever answer but trouble that passes, or at the deadline.

    It reads a page of one render, which is free. Its arguments hold no secret. The event repeats ``deadline`` and
    ``earlier`` for a task that has lost them.

    :param json2video_conn_id: the connection.
    :param deadline: epoch seconds at which the waiting ends.
    :param earlier: how often the task has waited like this before: a service that answers this question and
        not the task's own is left alone for longer each time.
    """

    def __init__(self, *, json2video_conn_id: str, deadline: float, earlier: int = 0, **_: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.json2video_conn_id = json2video_conn_id
        self.deadline = deadline
        self.earlier = earlier

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give what the triggerer makes this trigger from."""
        return (
            "airflow_json2video.triggers.service.Json2VideoServiceTrigger",
            {"json2video_conn_id": self.json2video_conn_id, "deadline": self.deadline, "earlier": self.earlier},
        )

    async def wait(self) -> TriggerEvent:
        """Ask until there is an answer."""
        asked = 0
        while True:
            pause = min(_FIRST_PAUSE * 1.5 ** (self.earlier + asked), _LONGEST_PAUSE)
            pause *= random.uniform(0.8, 1.2)  # noqa: S311
            await asyncio.sleep(max(0.0, min(pause, self.deadline - time.time())))
            asked += 1
            if await self._answers() or time.time() >= self.deadline:
                break
        return TriggerEvent({"asked": asked, "deadline": self.deadline, "earlier": self.earlier})  # type: ignore[no-untyped-call]

    async def _answers(self) -> bool:
        from airflow_json2video.api import calls
        from airflow_json2video.exceptions import Json2VideoError
        from airflow_json2video.hooks.json2video import Json2VideoHook

        try:
            async with await Json2VideoHook(self.json2video_conn_id).get_async_client(retries=0) as client:
                await client.execute(calls.list_movies(limit=1))
        except Json2VideoError as error:
            return not error.retryable  # a refusal is an answer: the worker fails with it
        except Exception as error:  # the database or the supervisor may be back in a moment
            self.log.warning("The connection could not be looked up: %s: %s.", type(error).__name__, error)
            return False
        return True


def defer_until_answering(operator: Any, *, deadline: float, earlier: int, kwargs: dict[str, Any]) -> NoReturn:
    """Free the worker slot until the service answers; then ``execute_again`` goes on.

    :param deadline: epoch seconds. :param earlier: see :class:`Json2VideoServiceTrigger`.
    :param kwargs: handed to ``execute_again``.
    """
    operator.defer(
        trigger=Json2VideoServiceTrigger(
            json2video_conn_id=operator.json2video_conn_id, deadline=deadline, earlier=earlier
        ),
        method_name="execute_again",
        kwargs=kwargs,
        timeout=timedelta(seconds=max(deadline - time.time(), 0.0)) + _NET,
    )
    raise AssertionError("defer() always raises")
