"""The trigger for an outage: waits until the service answers, so that no worker slot is held meanwhile."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NoReturn

from airflow.triggers.base import TriggerEvent

from airflow_json2video.triggers.base import Json2VideoTrigger

__all__ = ["Json2VideoAvailabilityTrigger", "defer_until_answering"]

_FIRST_PAUSE = 5.0
"""Seconds before the first question."""
_LONGEST_PAUSE = 60.0
_NET = timedelta(minutes=5)


class Json2VideoAvailabilityTrigger(Json2VideoTrigger):
    """Fires once the service answers, with whatever answer but trouble that passes, or at the deadline.

    It reads a page of one render, which is free. Its arguments hold no secret. The event repeats what a task needs
    that has lost the arguments of the method to resume.

    :param json2video_conn_id: the connection.
    :param deadline: epoch seconds by the service's clock at which the waiting ends.
    :param earlier: how often the task has waited like this before: a service that answers this question and
        not the task's own is left alone for longer each time.
    :param after: seconds until the service is asked first; default: a few, and more with *earlier*. A trigger that is
        started again counts them again: no clock of another machine is trusted.
    :param repeat: put into the event.
    """

    def __init__(
        self,
        *,
        json2video_conn_id: str,
        deadline: float,
        earlier: int = 0,
        after: float | None = None,
        repeat: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.json2video_conn_id = json2video_conn_id
        self.deadline = deadline
        self.earlier = earlier
        self._now: Callable[[], float] = time.time  # until the service is known
        self.after = after
        self.repeat = repeat

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give what the triggerer makes this trigger from."""
        arguments: dict[str, Any] = {
            "json2video_conn_id": self.json2video_conn_id,
            "deadline": self.deadline,
            "earlier": self.earlier,
        }
        if self.after is not None:
            arguments["after"] = self.after
        if self.repeat is not None:
            arguments["repeat"] = self.repeat
        return "airflow_json2video.triggers.availability.Json2VideoAvailabilityTrigger", arguments

    async def wait(self) -> TriggerEvent:
        """Ask until there is an answer."""
        asked = 0
        if self.after is not None:
            await asyncio.sleep(self.after)
        while True:
            if asked or self.after is None:
                pause = min(_FIRST_PAUSE * 1.5 ** min(self.earlier + asked, 20), _LONGEST_PAUSE)
                pause *= random.uniform(0.8, 1.2)  # noqa: S311
                await asyncio.sleep(max(0.0, min(pause, self.deadline - self._now())))
            asked += 1
            if await self._answers() or self._now() >= self.deadline:
                break
        told: dict[str, Any] = {"asked": asked, "deadline": self.deadline, "earlier": self.earlier}
        if self.repeat is not None:
            told["repeat"] = self.repeat
        return TriggerEvent(told)  # type: ignore[no-untyped-call]

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
        except Exception as error:  # the database or the supervisor may be back in a moment
            self.log.warning("The connection could not be looked up: %s: %s.", type(error).__name__, error)
            return False
        return True


def defer_until_answering(
    operator: Any,
    *,
    deadline: float,
    kwargs: dict[str, Any],
    earlier: int = 0,
    after: float | None = None,
    repeat: dict[str, Any] | None = None,
) -> NoReturn:
    """Free the worker slot until the service answers; then ``resume_submission`` goes on.

    :param deadline: epoch seconds by the service's clock.
    :param earlier: see :class:`Json2VideoAvailabilityTrigger`; so are the others.
    :param kwargs: handed to ``resume_submission``.
    """
    operator.defer(
        trigger=Json2VideoAvailabilityTrigger(
            json2video_conn_id=operator.json2video_conn_id,
            deadline=deadline,
            earlier=earlier,
            after=after,
            repeat=repeat,
        ),
        method_name="resume_submission",
        kwargs=kwargs,
        timeout=timedelta(seconds=max(deadline - operator.hook.clock.now(), after or 0.0, 0.0)) + _NET,
    )
    raise AssertionError("defer() always raises")
