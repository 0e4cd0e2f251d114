"""What the operators have in common: the connection, and how a failure ends a task."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_json2video.exceptions import Json2VideoError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_json2video.hooks.json2video import Json2VideoHook

__all__ = ["Json2VideoBaseOperator", "Json2VideoCallOperator", "fail_task"]


class Json2VideoBaseOperator(BaseOperator):
    """Has a connection to JSON2Video.

    :param json2video_conn_id: the connection that holds the API key (templated).
    """

    ui_color = "#eef0ff"

    def __init__(self, *, json2video_conn_id: str = "json2video_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.json2video_conn_id = json2video_conn_id

    @cached_property
    def hook(self) -> Json2VideoHook:
        """The hook of this task's connection."""
        from airflow_json2video.hooks.json2video import Json2VideoHook

        return Json2VideoHook(self.json2video_conn_id)


class Json2VideoCallOperator(Json2VideoBaseOperator):
    """Calls JSON2Video and is done; what a retry cannot help fails the task without one."""

    def execute(self, context: Context) -> Any:
        """Do what the class says."""
        try:
            return self.carry_out(context)
        except Json2VideoError as error:
            fail_task(error)

    def carry_out(self, context: Context) -> Any:
        """Do it, and give the task's result.

        :raises Json2VideoError: it cannot be done; the error says whether a retry can help.
        """
        raise NotImplementedError


def fail_task(error: Json2VideoError) -> NoReturn:
    """Fail the task: for good where a retry cannot help, else so that Airflow retries it."""
    if error.retryable:
        raise error
    from airflow.providers.common.compat.sdk import AirflowFailException

    raise AirflowFailException(str(error)) from error
