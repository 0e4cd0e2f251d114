"""The trigger of a batch: waits for all renders in flight, and fires when a worker has enough to do.

It never submits, since Airflow may run a trigger twice.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_json2video.core.render_status import RenderOutcome
from airflow_json2video.triggers.base import Json2VideoTrigger

__all__ = ["Json2VideoBatchTrigger"]

log = logging.getLogger(__name__)

_MAX_RESUME_DELAY_S = 60.0
"""Seconds that a render which has ended waits for others before its slot is filled again."""


class Json2VideoBatchTrigger(Json2VideoTrigger):
    """Waits for renders through the account's shared poller, and fires one event with the outcomes of those that ended.

    It fires when all have ended or at *resume_at*; with *more_to_submit* also when half of them have ended, or a minute
    after the first one. Its arguments contain no secret.

    All moments are by the service's clock, which is the same on every machine.

    :param renders: pairs of a project and the epoch seconds of its submission.
    :param json2video_conn_id: the connection.
    :param render_timeout: seconds from the submission of a render until it counts as failed.
    :param deadline: epoch seconds at which all waiting ends, if earlier.
    :param poll_interval: seconds; see :class:`~airflow_json2video.triggers.render.Json2VideoRenderTrigger`.
    :param more_to_submit: whether items wait for free slots.
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
        """Return the class path and arguments the triggerer rebuilds this trigger from."""
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
        from airflow_json2video.core.batch import encode

        ended = await self._wait()
        return TriggerEvent({"ended": encode(ended), "count": len(ended)})  # type: ignore[no-untyped-call]

    async def _wait(self) -> list[dict[str, Any]]:
        from airflow_json2video.core.rate_limit import should_resume
        from airflow_json2video.triggers.render import event_from_outcome

        loop = asyncio.get_running_loop()
        first = 0.0
        ended: list[dict[str, Any]] = []
        waiting = {asyncio.ensure_future(self._await(project, at)): project for project, at in self.renders}
        try:
            resume_at = await self._resume_at()
            while True:
                now = loop.time()
                if should_resume(
                    ended=len(ended),
                    waiting=len(waiting),
                    more_to_submit=self.more_to_submit,
                    since_first=now - first if ended else 0.0,
                    max_delay=_MAX_RESUME_DELAY_S,
                ):
                    break
                due = min(resume_at, first + _MAX_RESUME_DELAY_S) if ended and self.more_to_submit else resume_at
                timeout = None if due == math.inf else max(0.0, due - now)
                done, _ = await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
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
                "Stopped polling %d renders (task cleared, marked or timed out, or trigger moved). They keep "
                "running and will be billed; the next attempt reattaches.",
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
        """Return when to fire in any case, by the event loop's clock, which nothing corrects or sets."""
        from airflow_json2video.hooks.json2video import Json2VideoHook
        from airflow_json2video.polling.async_wait import get_synchronized_clock

        if self.resume_at is None:
            return math.inf
        clock = await get_synchronized_clock(Json2VideoHook(self.json2video_conn_id), log=self.log)
        return asyncio.get_running_loop().time() + self.resume_at - clock.now()

    async def _await(self, project: str, at: float) -> RenderOutcome:
        from airflow_json2video.core.poll_schedule import PollSchedule
        from airflow_json2video.core.render_status import RenderTracker, outcome_from_exception
        from airflow_json2video.hooks.json2video import Json2VideoHook
        from airflow_json2video.polling.async_wait import await_render

        deadline = at + self.render_timeout
        tracker = RenderTracker(
            project,
            submitted_at=at,
            deadline=deadline if self.deadline is None else min(deadline, self.deadline),
            schedule=PollSchedule(interval=self.poll_interval),
        )
        hook = Json2VideoHook(self.json2video_conn_id)
        try:
            # With hundreds of renders, the progress of each does not belong in the task's log.
            return await await_render(hook, tracker, poll_interval=self.poll_interval, log=_DebugLog())
        except Exception as error:  # a bug of this package must not make the task wait without an end
            self.log.exception("Waiting for render %s failed", project)
            return outcome_from_exception(project, error)


class _DebugLog:
    """Logs everything at debug level."""

    def info(self, event: str, *args: Any) -> None:
        """Log at debug level."""
        log.debug(event, *args)

    def warning(self, event: str, *args: Any) -> None:
        """Log at debug level."""
        log.debug(event, *args)


def outcomes_from_event(event: Any) -> list[tuple[str, RenderOutcome]]:
    """Read the payload of an event. An event that cannot be read has no outcomes: the renders are polled again."""
    from airflow_json2video.core.batch import decode
    from airflow_json2video.triggers.render import outcome_from_event

    try:
        found = decode(event["ended"])
        return [(str(each["project"]), outcome_from_event(each, project=str(each["project"]))) for each in found]
    except (ValueError, KeyError, TypeError):
        return []
