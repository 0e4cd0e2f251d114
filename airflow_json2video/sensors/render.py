"""The sensor: waits for a render that someone else submitted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from airflow.providers.common.compat.sdk import BaseSensorOperator

from airflow_json2video.exceptions import Json2VideoError, RenderDeadlineExceeded
from airflow_json2video.links import Json2VideoRenderLink, dashboard_url
from airflow_json2video.operators.base import TemplatedFields

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, PokeReturnValue, XComArg

    from airflow_json2video.core.render_status import RenderOutcome, RenderTracker
    from airflow_json2video.core.result import RenderResult
    from airflow_json2video.hooks.json2video import Json2VideoHook

__all__ = ["Json2VideoRenderSensor"]


class Json2VideoRenderSensor(TemplatedFields, BaseSensorOperator):
    """Waits until a render is done, wherever it was submitted, and gives its facts as the task's result.

    It never submits and costs nothing. ``timeout``, ``soft_fail`` and ``poke_interval`` are those of
    every sensor; a render that fails, fails the sensor at once.

    :param project: 16-character project id of the render (templated).
    :param json2video_conn_id: the connection of the account that submitted it (templated).
    :param deferrable: wait in the triggerer (default), or poke on a worker.
    :param end_from_trigger: as of :class:`~airflow_json2video.operators.render.Json2VideoRenderOperator`.
    """

    template_fields: Sequence[str] = ("project", "json2video_conn_id")
    operator_extra_links = (Json2VideoRenderLink(),)
    ui_color = "#eef0ff"

    def __init__(
        self,
        *,
        project: str | XComArg,
        json2video_conn_id: str = "json2video_default",
        deferrable: bool = True,
        end_from_trigger: bool = False,
        poke_interval: float | timedelta = 10.0,
        timeout: float | timedelta = 3600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, timeout=timeout, **kwargs)
        self.project: Any = project
        self.json2video_conn_id = json2video_conn_id
        self.deferrable = deferrable
        self.end_from_trigger = end_from_trigger

    @cached_property
    def hook(self) -> Json2VideoHook:
        """The hook of this task's connection."""
        from airflow_json2video.hooks.json2video import Json2VideoHook

        return Json2VideoHook(self.json2video_conn_id)

    def execute(self, context: Context) -> Any:
        """Wait for the render."""
        from airflow_json2video.api.validation import check_project

        try:
            check_project(self.project)
            Json2VideoRenderLink.persist(context, dashboard_url(self.hook.settings.host, project=self.project))
        except Json2VideoError as error:
            self._fail(error)
        if not self.deferrable:
            return super().execute(context)
        from airflow_json2video.triggers.render import defer_until_rendered

        # A render that has ended needs no triggerer, and the answer tells the service's time.
        done = self.poke(context)
        if done is not False:
            return done.xcom_value
        now = self.hook.clock.now()
        return defer_until_rendered(
            self,
            context,
            project=self.project,
            submitted_at=now,
            deadline=now + _seconds(self.timeout),
            poll_interval=_seconds(self.poke_interval),
            submission_time_known=False,
        )

    def poke(self, context: Context) -> PokeReturnValue | Literal[False]:
        """Look once; sensors that are not deferrable do so on a worker."""
        from airflow.providers.common.compat.sdk import PokeReturnValue

        from airflow_json2video.core.render_status import RenderOutcome
        from airflow_json2video.polling.wait import poll_once

        step = poll_once(self.hook, self._watch)
        if not isinstance(step, RenderOutcome):
            if step.note:
                self.log.info("%s", step.note)
            return False
        if isinstance(step.error, RenderDeadlineExceeded):
            return False  # the sensor's own timeout says so in Airflow's way
        return PokeReturnValue(is_done=True, xcom_value=self._finish(step, context))

    def execute_complete(self, context: Context, event: Any = None, project: str = "", **_: Any) -> RenderResult:
        """Go on after the trigger has fired: give the result, or fail with the reason."""
        from airflow_json2video.triggers.render import outcome_from_event

        ended = outcome_from_event(event, project=project)
        if isinstance(ended.error, RenderDeadlineExceeded):
            from airflow.providers.common.compat.sdk import AirflowSensorTimeout

            raise AirflowSensorTimeout(str(ended.error)) from ended.error
        return self._finish(ended, context)

    @cached_property
    def _watch(self) -> RenderTracker:
        from airflow_json2video.core.poll_schedule import poll_schedule
        from airflow_json2video.core.render_status import RenderTracker

        now = self.hook.clock.now()
        schedule = poll_schedule(_seconds(self.poke_interval), is_loopback=self.hook.settings.is_loopback)
        return RenderTracker(
            self.project,
            submitted_at=now,
            deadline=now + _seconds(self.timeout),
            schedule=schedule,
            submission_time_known=False,
        )

    def _finish(self, ended: RenderOutcome, context: Context) -> RenderResult:
        from airflow_json2video.core.result import render_result
        from airflow_json2video.task_log import log_finished
        from airflow_json2video.version_compat import as_outputs

        if ended.error is not None or ended.movie is None:
            self._fail(ended.error or Json2VideoError("The render ended, and nothing says how."))
        result = render_result(ended.movie, remaining_quota=ended.remaining_quota, submission_key=None)
        Json2VideoRenderLink.persist(context, str(result["url"]))
        log_finished(result, ended.movie, log=self.log)
        return as_outputs(self, result)

    def _fail(self, error: Json2VideoError, context: Context | None = None) -> NoReturn:  # noqa: ARG002
        # Airflow's own classes, since soft_fail knows no others.
        from airflow.providers.common.compat.sdk import AirflowException

        from airflow_json2video.operators.base import fail_task

        fail_task(error, log=self.log, retryable_as=AirflowException)


def _seconds(value: float | timedelta) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
