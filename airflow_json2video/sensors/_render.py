"""The work of the render sensor: poll on the worker, or defer until the render ends. Loaded when a task runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from airflow.providers.common.compat.sdk import AirflowSensorTimeout

from airflow_json2video.api.validation import check_project
from airflow_json2video.core.poll_schedule import poll_schedule
from airflow_json2video.core.render_status import RenderOutcome, RenderTracker
from airflow_json2video.core.result import RenderResult, render_result
from airflow_json2video.exceptions import Json2VideoError, RenderDeadlineExceeded
from airflow_json2video.links import Json2VideoRenderLink, dashboard_url
from airflow_json2video.polling.wait import poll_once
from airflow_json2video.task_log import log_finished
from airflow_json2video.triggers._protocols import TriggeredTask
from airflow_json2video.triggers.render import defer_until_rendered, outcome_from_event
from airflow_json2video.version_compat import as_outputs

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

__all__ = ["SensorTask", "check_render", "defer_until_done", "make_tracker", "poll_render", "result_from_event"]


class SensorTask(TriggeredTask, Protocol):
    """What the work reads of a render sensor."""

    project: Any


def check_render(task: SensorTask, context: Context) -> None:
    """Check the project id, and store the link to the render.

    :raises Json2VideoError: the id is invalid, or the connection is.
    """
    check_project(task.project)
    Json2VideoRenderLink.persist(context, dashboard_url(task.hook.settings.host, project=task.project))


def make_tracker(task: SensorTask, *, timeout: float, poll_interval: float) -> RenderTracker:
    """Return the tracker of a render that was submitted elsewhere, so that its age is unknown."""
    now = task.hook.clock.now()
    schedule = poll_schedule(poll_interval, is_loopback=task.hook.settings.is_loopback)
    return RenderTracker(
        task.project, submitted_at=now, deadline=now + timeout, schedule=schedule, submission_time_known=False
    )


def poll_render(task: SensorTask, tracker: RenderTracker, context: Context) -> RenderResult | None:
    """Poll once, and return the result; None if the render is in progress.

    :raises Json2VideoError: the render failed.
    """
    step = poll_once(task.hook, tracker)
    if not isinstance(step, RenderOutcome):
        if step.note:
            task.log.info("%s", step.note)
        return None
    if isinstance(step.error, RenderDeadlineExceeded):
        return None  # the sensor's own timeout reports this as Airflow does
    return _result(task, step, context)


def defer_until_done(task: SensorTask, context: Context, *, timeout: float, poll_interval: float) -> None:
    """Free the worker slot until the render ends or the timeout is over."""
    now = task.hook.clock.now()
    defer_until_rendered(
        task,
        context,
        project=task.project,
        submitted_at=now,
        deadline=now + timeout,
        poll_interval=poll_interval,
        submission_time_known=False,
    )


def result_from_event(task: SensorTask, event: Any, context: Context, *, project: str) -> RenderResult:
    """Return the result that the trigger's event describes.

    :raises Json2VideoError: the render failed. :raises AirflowSensorTimeout: the sensor's timeout is over.
    """
    outcome = outcome_from_event(event, project=project)
    if isinstance(outcome.error, RenderDeadlineExceeded):
        raise AirflowSensorTimeout(str(outcome.error)) from outcome.error
    return _result(task, outcome, context)


def _result(task: SensorTask, outcome: RenderOutcome, context: Context) -> RenderResult:
    if outcome.error is not None or outcome.movie is None:
        raise outcome.error or Json2VideoError("The render finished without a status.")
    result = render_result(outcome.movie, remaining_quota=outcome.remaining_quota, submission_key=None)
    Json2VideoRenderLink.persist(context, str(result["url"]))
    log_finished(result, outcome.movie, log=task.log)
    return as_outputs(task, result)
