"""The trigger: waits for one render in the triggerer. It never submits; Airflow may run a trigger twice."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.triggers.base import TriggerEvent

from airflow_json2video.core.render_status import RenderOutcome
from airflow_json2video.triggers.base import TIMEOUT_MARGIN, Json2VideoTrigger

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_json2video.triggers._protocols import TriggeredTask

__all__ = ["Json2VideoRenderTrigger"]


class Json2VideoRenderTrigger(Json2VideoTrigger):
    """Polls a render until it ends, and fires one event with the outcome.

    Its arguments are stored in Airflow's database, so they contain no secret; the API key is read from the connection
    in the triggerer. It always ends with an event or with its cancellation. If the trigger is canceled (killed, or
    moved to another triggerer), the render keeps running, and the next attempt reattaches to it.

    :param project: the render.
    :param json2video_conn_id: the connection.
    :param submitted_at: epoch seconds of the submission by the service's clock, which is the same on every machine;
        default: now.
    :param deadline: epoch seconds at which the wait ends, by the service's clock; absolute, so that it survives every
        restart. Default: an hour after the submission.
    :param poll_interval: seconds; scales the poll schedule, which follows the account's render times. Twice the
        interval means about half the requests.
    :param submission_time_known: False for a render that was submitted elsewhere: *submitted_at* is when the wait
        began, and the first poll is immediate.
    :param task_end: set if a finished render ends the task from the trigger, without a worker: the arguments of
        :class:`~airflow_json2video.triggers._task_end.TriggeredTaskEnd`.
    """

    def __init__(
        self,
        project: str,
        *,
        json2video_conn_id: str = "json2video_default",
        submitted_at: float | None = None,
        deadline: float | None = None,
        poll_interval: float = 10.0,
        submission_time_known: bool = True,
        task_end: dict[str, Any] | None = None,
        **unknown: Any,
    ) -> None:
        # Arguments of a newer operator are ignored: in a rolling upgrade the triggerer may be the older one, and an
        # exception here would lose a render that is paid for.
        super().__init__()  # type: ignore[no-untyped-call]
        self.project = project
        self.json2video_conn_id = json2video_conn_id
        self.submitted_at = time.time() if submitted_at is None else submitted_at
        self.deadline = self.submitted_at + 3600.0 if deadline is None else deadline
        self.poll_interval = poll_interval
        self.submission_time_known = submission_time_known
        self.task_end = task_end
        self.unknown = sorted(unknown)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments from which the triggerer rebuilds this trigger."""
        arguments: dict[str, Any] = {
            "project": self.project,
            "json2video_conn_id": self.json2video_conn_id,
            "submitted_at": self.submitted_at,
            "deadline": self.deadline,
            "poll_interval": self.poll_interval,
        }
        # Only where they differ from the default: an older triggerer would warn of arguments that it does not know.
        if not self.submission_time_known:
            arguments["submission_time_known"] = False
        if self.task_end is not None:
            arguments["task_end"] = self.task_end
        return "airflow_json2video.triggers.render.Json2VideoRenderTrigger", arguments

    async def wait(self) -> TriggerEvent:
        """Wait until the render has ended."""
        outcome = await self._wait()
        event = await self._task_end_event(outcome)
        return event or TriggerEvent(event_from_outcome(outcome, project=self.project))  # type: ignore[no-untyped-call]

    async def _task_end_event(self, outcome: RenderOutcome) -> TriggerEvent | None:
        """Return the event that ends the task without a worker; None if the task must end on a worker."""
        if self.task_end is None or outcome.movie is None or outcome.error is not None:
            return None
        from airflow_json2video.core.price import compute_cost, format_cost
        from airflow_json2video.core.result import render_result
        from airflow_json2video.metrics import render_charged, render_done
        from airflow_json2video.task_log import log_finished
        from airflow_json2video.triggers._task_end import TriggeredTaskEnd

        try:
            end = TriggeredTaskEnd(self.task_end)
            quota = outcome.remaining_quota
            result = render_result(outcome.movie, remaining_quota=quota, submission_key=end.submission_key)
            cost = compute_cost(result, estimated=end.estimated_credits)
            event = await end.event(result, cost=cost if end.is_billed else None)
        except Exception as error:  # whatever it is, the task can end on a worker
            self.log.warning("Could not end the task from the trigger (%r); it ends on a worker.", error)
            return None
        render_done(result["rendering_time"], in_triggerer=True)
        log_finished(result, outcome.movie, log=self.log)
        if end.is_billed:
            self.log.info("%s", format_cost(cost))
            if cost["charged_seconds"] is not None:
                render_charged(cost["charged_seconds"], remaining=cost["remaining_credits"], in_triggerer=True)
        return event

    async def _wait(self) -> RenderOutcome:
        from airflow_json2video.core.poll_schedule import PollSchedule
        from airflow_json2video.core.render_status import RenderTracker, outcome_from_exception
        from airflow_json2video.hooks.json2video import Json2VideoHook
        from airflow_json2video.polling.async_wait import await_render

        if self.unknown:
            self.log.warning("Ignored arguments of a newer version: %s.", ", ".join(self.unknown))
        tracker = RenderTracker(
            self.project,
            submitted_at=self.submitted_at,
            deadline=self.deadline,
            schedule=PollSchedule(interval=self.poll_interval),
            submission_time_known=self.submission_time_known,
        )
        hook = Json2VideoHook(self.json2video_conn_id)
        try:
            return await await_render(hook, tracker, poll_interval=self.poll_interval, log=self.log)
        except asyncio.CancelledError:
            # Airflow does not say which of these it was. on_kill() would be called for a move as well (3.3.0 to
            # 3.3.2), so it is not implemented, and the render is left as it is in any case.
            self.log.info(
                "Stopped polling render %s: the task was cleared, marked or timed out, or its trigger moved to another "
                "triggerer. The render keeps running and will be billed. The next attempt of the task that submitted "
                "it reattaches to it, also after a clear (with durable=True, the default).",
                self.project,
            )
            raise
        except Exception as error:  # an unexpected error must not leave the task deferred
            self.log.exception("Waiting for render %s failed", self.project)
            return outcome_from_exception(self.project, error)


def defer_until_rendered(
    task: TriggeredTask,
    context: Context,
    *,
    project: str,
    submitted_at: float,
    deadline: float,
    poll_interval: float,
    submission_key: str | None = None,
    returned_result_key: str | None = None,
    submission_time_known: bool = True,
    estimated_credits: int | None = None,
    is_billed: bool = False,
) -> NoReturn:
    """Free the worker slot: defer *task* until the render ends or the deadline passes.

    :param task: an operator or sensor with ``execute_complete``.
    :param deadline: epoch seconds by the service's clock; the end of the ``execution_timeout`` if that is earlier.
    :param submission_key: of the render, if this task submitted it; passed to ``execute_complete``.
    :param returned_result_key: of the XCom that records the returned result; None for a task that records nothing.
    :param submission_time_known: see :class:`Json2VideoRenderTrigger`.
    :param estimated_credits: what the render was estimated to cost, if this task submitted it.
    :param is_billed: whether this task submitted it, so that its cost is this task's.
    """
    from airflow_json2video.version_compat import execution_deadline

    now = task.hook.clock.now()
    if task.execution_timeout is not None:
        here = time.time()  # Airflow has no other clock
        left = execution_deadline(context["ti"], task.execution_timeout, now=here) - here
        deadline = min(deadline, now + left)
    task_end = None
    if task.end_from_trigger:
        from airflow_json2video.triggers._task_end import TriggeredTaskEnd, reason_for_worker

        if reason := reason_for_worker(task, context):
            task.log.info("end_from_trigger ignored: %s.", reason)
        else:
            task_end = TriggeredTaskEnd.arguments_of(
                task,
                context["ti"],
                submission_key=submission_key,
                returned_result_key=returned_result_key,
                estimated_credits=estimated_credits,
                is_billed=is_billed,
            )
    task.log.info("Waiting for render %s in the triggerer; the worker slot is free.", project)
    estimate = {} if estimated_credits is None else {"estimated_credits": estimated_credits}
    task.defer(
        trigger=Json2VideoRenderTrigger(
            project=project,
            json2video_conn_id=task.json2video_conn_id,
            submitted_at=submitted_at,
            deadline=deadline,
            poll_interval=poll_interval,
            submission_time_known=submission_time_known,
            task_end=task_end,
        ),
        method_name="execute_complete",
        kwargs={"project": project, "submission_key": submission_key, **estimate},
        timeout=timedelta(seconds=max(deadline - now, 0.0)) + TIMEOUT_MARGIN,
    )
    raise AssertionError("defer() always raises")


def event_from_outcome(outcome: RenderOutcome, *, project: str) -> dict[str, Any]:
    """Return an outcome as the payload of an event: plain JSON without secrets and without the author's own data."""
    return {
        "project": project,
        "movie": outcome.movie,
        "remaining_quota": outcome.remaining_quota,
        "error": outcome.error.to_dict() if outcome.error is not None else None,
    }


def outcome_from_event(event: Any, *, project: str) -> RenderOutcome:
    """Return the outcome that the payload of an event describes. An unknown payload is a failure.

    :param project: the render that was waited for. If it is empty, the event's own is used: ``dag.test()`` of Airflow 3
        loses all arguments of ``execute_complete`` but the event.
    """
    from airflow_json2video.exceptions import Billing, Json2VideoError, error_from_dict

    if not project and isinstance(event, dict):
        project = str(event.get("project") or "")
    movie = event.get("movie") if isinstance(event, dict) else None
    error = event.get("error") if isinstance(event, dict) else None
    if isinstance(error, dict):
        return RenderOutcome(error=error_from_dict(error))
    if isinstance(movie, dict) and movie.get("project") == project and movie.get("url"):
        return RenderOutcome(movie=movie, remaining_quota=dict(event.get("remaining_quota") or {}))
    return RenderOutcome(
        error=Json2VideoError(
            f"The trigger's event does not say how render {project} ended: {event!r:.300}.",
            project=project,
            retryable=True,
            billing=Billing.UNKNOWN,
            advice="The render keeps running; a retry of this task reattaches to it.",
        )
    )
