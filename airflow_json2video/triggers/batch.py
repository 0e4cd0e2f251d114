"""The trigger of a batch: waits for all renders that are under way, and fires when it is worth a worker's while.

It never submits; Airflow may run a trigger twice.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NoReturn

from airflow.triggers.base import TriggerEvent

from airflow_json2video.core.render_status import RenderOutcome
from airflow_json2video.triggers.base import Json2VideoTrigger

__all__ = ["Json2VideoBatchTrigger"]

log = logging.getLogger(__name__)

_LINGER = 60.0
"""Seconds that a render which has ended waits for others before its place is filled again."""

_NET = timedelta(minutes=5)


class Json2VideoBatchTrigger(Json2VideoTrigger):
    """Waits for renders through the account's shared poller, and fires one event that says which have ended and how.

    It fires when half of them have ended while items wait for their places, a minute after the first of them, when
    all have, or at *resume_at*. It holds no secret.

    All moments are by the service's clock, which is the same on every machine.

    :param renders: project and epoch seconds of its submission, each.
    :param json2video_conn_id: the connection.
    :param render_timeout: seconds from each submission until its waiting ends.
    :param deadline: epoch seconds at which all waiting ends, if earlier.
    :param poll_interval: seconds; see :class:`~airflow_json2video.triggers.render.Json2VideoRenderTrigger`.
    :param more_to_submit: items wait for the places of those that end.
    :param resume_at: epoch seconds at which the worker has something to do in any case.
    """

    def __init__(
        self,
        renders: Sequence[Sequence[Any]],
        *,
        json2video_conn_id: str,
        render_timeout: float,
        deadline: float | None = None,
        poll_interval: float = 10.0,
        more_to_submit: bool = False,
        resume_at: float | None = None,
        **_: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.renders = [(str(project), float(at)) for project, at in renders]
        self.json2video_conn_id = json2video_conn_id
        self.render_timeout = render_timeout
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.more_to_submit = more_to_submit
        self.resume_at = resume_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give what the triggerer makes this trigger from."""
        return (
            "airflow_json2video.triggers.batch.Json2VideoBatchTrigger",
            {
                "renders": [[project, at] for project, at in self.renders],
                "json2video_conn_id": self.json2video_conn_id,
                "render_timeout": self.render_timeout,
                "deadline": self.deadline,
                "poll_interval": self.poll_interval,
                "more_to_submit": self.more_to_submit,
                "resume_at": self.resume_at,
            },
        )

    async def wait(self) -> TriggerEvent:
        """Wait until a worker has enough to do."""
        from airflow_json2video.core.packing import pack

        ended = await self._wait()
        return TriggerEvent({"ended": pack(ended), "count": len(ended)})  # type: ignore[no-untyped-call]

    async def _wait(self) -> list[dict[str, Any]]:
        from airflow_json2video.core.rate_limit import is_worth_resuming
        from airflow_json2video.triggers.render import event_from_outcome

        loop = asyncio.get_running_loop()
        first = 0.0
        ended: list[dict[str, Any]] = []
        waiting = {asyncio.ensure_future(self._watch(project, at)): project for project, at in self.renders}
        try:
            resume_at = await self._resume_at()
            while True:
                now = loop.time()
                if is_worth_resuming(
                    ended=len(ended),
                    waiting=len(waiting),
                    more_to_submit=self.more_to_submit,
                    since_first=now - first if ended else 0.0,
                    linger=_LINGER,
                ):
                    break
                due = min(resume_at, first + _LINGER) if ended and self.more_to_submit else resume_at
                pause = None if due == math.inf else max(0.0, due - now)
                done, _ = await asyncio.wait(waiting, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    first = first or loop.time()
                    ended.append(event_from_outcome(task.result(), project=waiting.pop(task)))
                if not done and loop.time() >= resume_at:
                    break
            if not self.renders and resume_at != math.inf:
                await asyncio.sleep(max(0.0, resume_at - loop.time()))
            await self.hold_back()
            late = [task for task in waiting if task.done()]
            ended += [event_from_outcome(task.result(), project=waiting.pop(task)) for task in late]
        except asyncio.CancelledError:
            self.log.info(
                "Stopped watching %d renders here: the task was cleared, marked or timed out, or its trigger moves to "
                "another triggerer. They go on and are billed. The next attempt of the task adopts them.",
                len(waiting),
            )
            raise
        finally:
            for task in waiting:
                task.cancel()
            if waiting:
                await asyncio.wait(waiting)
        return ended

    async def _resume_at(self) -> float:
        """Return when to fire in any case, on the event loop's own clock: what is measured on it cannot be off."""
        from airflow_json2video.hooks.json2video import Json2VideoHook
        from airflow_json2video.polling.async_wait import learn_time

        if self.resume_at is None:
            return math.inf
        clock = await learn_time(Json2VideoHook(self.json2video_conn_id), log=self.log)
        return asyncio.get_running_loop().time() + self.resume_at - clock.now()

    async def _watch(self, project: str, at: float) -> RenderOutcome:
        from airflow_json2video.core.poll_schedule import PollSchedule
        from airflow_json2video.core.render_status import RenderTracker, outcome_from_exception
        from airflow_json2video.hooks.json2video import Json2VideoHook
        from airflow_json2video.polling.async_wait import await_render

        deadline = at + self.render_timeout
        watch = RenderTracker(
            project,
            submitted_at=at,
            deadline=deadline if self.deadline is None else min(deadline, self.deadline),
            schedule=PollSchedule(interval=self.poll_interval),
        )
        hook = Json2VideoHook(self.json2video_conn_id)
        try:
            # What each of a hundred is doing is no line for the log of the task.
            return await await_render(hook, watch, poll_interval=self.poll_interval, log=_Quiet())
        except Exception as error:  # a fault of ours must not leave the task waiting for ever
            self.log.exception("Waiting for render %s failed", project)
            return outcome_from_exception(project, error)


class _Quiet:
    """A log for renders of which there are many."""

    def info(self, event: str, *args: Any) -> None:
        """Leave it to those who debug."""
        log.debug(event, *args)

    def warning(self, event: str, *args: Any) -> None:
        """Leave it to those who debug."""
        log.debug(event, *args)


def defer_batch(operator: Any, trigger: Json2VideoBatchTrigger, *, until: float) -> NoReturn:
    """Free the worker slot until the trigger fires; then ``resume_batch`` goes on.

    :param until: epoch seconds by the service's clock at which the trigger has fired for certain.
    """
    operator.defer(
        trigger=trigger,
        method_name="resume_batch",
        timeout=timedelta(seconds=max(until - operator.hook.clock.now(), 0.0)) + _NET,
    )
    raise AssertionError("defer() always raises")


def ended_of_batch(event: Any) -> list[tuple[str, RenderOutcome]]:
    """Read the payload of an event. Nothing unknown is taken for an end: it is looked up again."""
    from airflow_json2video.core.packing import unpack
    from airflow_json2video.triggers.render import outcome_from_event

    try:
        found = unpack(event["ended"])
        return [(str(each["project"]), outcome_from_event(each, project=str(each["project"]))) for each in found]
    except (ValueError, KeyError, TypeError):
        return []
