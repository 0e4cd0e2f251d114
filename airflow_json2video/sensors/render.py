"""The sensor that waits for a render that was submitted elsewhere. What it does when it runs is in ``_render``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from airflow.providers.common.compat.sdk import BaseSensorOperator

from airflow_json2video.exceptions import Json2VideoError
from airflow_json2video.links import Json2VideoRenderLink
from airflow_json2video.operators.base import TemplatedFields, default_deferrable, fail_task

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, PokeReturnValue, XComArg

    from airflow_json2video.core.render_status import RenderTracker
    from airflow_json2video.core.result import RenderResult
    from airflow_json2video.hooks.json2video import Json2VideoHook

__all__ = ["Json2VideoRenderSensor"]


class Json2VideoRenderSensor(TemplatedFields, BaseSensorOperator):
    """Waits until a render is done, wherever it was submitted, and returns its facts as the task's result.

    It never submits and costs nothing. ``timeout``, ``soft_fail`` and ``poke_interval`` are those of every sensor. A
    render that fails also fails the sensor, without further waiting.

    :param project: 16-character project id of the render (templated).
    :param json2video_conn_id: the connection of the account that submitted the render (templated).
    :param timeout: seconds (or a timedelta) that the sensor waits.
    :param poke_interval: seconds (or a timedelta); scales the poll schedule.
    :param deferrable: wait in the triggerer, or poll on a worker. Default: ``True``, unless the environment
        variable ``AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE`` is ``False``.
    :param end_from_trigger: see :class:`~airflow_json2video.operators.render.Json2VideoRenderOperator`.
    """

    template_fields: Sequence[str] = ("project", "json2video_conn_id")
    operator_extra_links = (Json2VideoRenderLink(),)
    ui_color = "#eef0ff"

    def __init__(
        self,
        *,
        project: str | XComArg,
        json2video_conn_id: str = "json2video_default",
        timeout: float | timedelta = 3600.0,
        poke_interval: float | timedelta = 10.0,
        deferrable: bool | None = None,
        end_from_trigger: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, timeout=timeout, **kwargs)
        self.project: Any = project
        self.json2video_conn_id = json2video_conn_id
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self.end_from_trigger = end_from_trigger

    @cached_property
    def hook(self) -> Json2VideoHook:
        """The hook of this task's connection."""
        from airflow_json2video.hooks.json2video import Json2VideoHook

        return Json2VideoHook(self.json2video_conn_id)

    def execute(self, context: Context) -> Any:
        """Wait for the render."""
        from airflow_json2video.sensors._render import check_render, defer_until_done

        try:
            check_render(self, context)
        except Json2VideoError as error:
            self._fail(error, context)
        if not self.deferrable:
            return super().execute(context)
        # A render that has ended needs no triggerer, and the response shows the service's time.
        done = self.poke(context)
        if done is not False:
            return done.xcom_value
        return defer_until_done(
            self, context, timeout=_seconds(self.timeout), poll_interval=_seconds(self.poke_interval)
        )

    def poke(self, context: Context) -> PokeReturnValue | Literal[False]:
        """Poll once."""
        from airflow.providers.common.compat.sdk import PokeReturnValue

        from airflow_json2video.sensors._render import poll_render

        try:
            result = poll_render(self, self._tracker, context)
        except Json2VideoError as error:
            self._fail(error, context)
        return False if result is None else PokeReturnValue(is_done=True, xcom_value=result)

    def execute_complete(self, context: Context, event: Any = None, project: str = "", **_: Any) -> RenderResult:
        """Return the result after the trigger has fired, or fail with the reason."""
        from airflow_json2video.sensors._render import result_from_event

        try:
            return result_from_event(self, event, context, project=project)
        except Json2VideoError as error:
            self._fail(error, context)

    @cached_property
    def _tracker(self) -> RenderTracker:
        from airflow_json2video.sensors._render import make_tracker

        return make_tracker(self, timeout=_seconds(self.timeout), poll_interval=_seconds(self.poke_interval))

    def _fail(self, error: Json2VideoError, context: Context) -> NoReturn:  # noqa: ARG002
        # One of Airflow's own exceptions, since soft_fail handles no others.
        from airflow.providers.common.compat.sdk import AirflowException

        fail_task(error, log=self.log, retryable_as=AirflowException)


def _seconds(value: float | timedelta) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
