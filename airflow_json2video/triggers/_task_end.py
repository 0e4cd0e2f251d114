"""Ending a task from its trigger, without a worker: when that is possible, and what is pushed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import XCom
from airflow.triggers.base import TriggerEvent
from asgiref.sync import sync_to_async

from airflow_json2video.links import Json2VideoRenderLink
from airflow_json2video.supervisor_calls import uninterrupted

if TYPE_CHECKING:
    from airflow_json2video.triggers._protocols import TriggeredTask

__all__ = ["TriggeredTaskEnd", "reason_for_worker"]

_NEEDS_WORKER = {
    "outlets": "the task has outlets",
    "output_path": "the task stores the video (output_path)",
    "on_success_callback": "the task has an on_success_callback",
    "_post_execute_hook": "the task has a post_execute hook",
    "multiple_outputs": "the task has multiple_outputs",
    "map_index_template": "the task has a map_index_template",
    "returns_dag_result": "the task's result is the DAG's",
}


def reason_for_worker(task: TriggeredTask, context: Any) -> str | None:
    """Return why a task must end on a worker although ``end_from_trigger`` is set; None if it need not.

    Everything that a worker does after ``execute()`` and the triggerer does not is a reason.
    """
    try:
        import_module("airflow.sdk")
    except ImportError:
        # There, such an end looks like a task that was marked as successful, and a clear of those means another thing.
        return "it needs Airflow 3"
    for name, reason in _NEEDS_WORKER.items():
        if getattr(task, name, None):
            return reason
    if _is_expanded_over(task, context["ti"]):
        return "another task expands over its result"
    if _has_listeners():
        return "Airflow listeners are registered, and are not notified about tasks that end in the triggerer"
    return None


class TriggeredTaskEnd:
    """What a trigger needs to end its task: the XComs' task, and what the result contains in addition to the movie.

    :param arguments: from :meth:`arguments_of`; they are stored as one argument of the trigger.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._ti = {name: arguments[name] for name in ("dag_id", "run_id", "task_id", "map_index")}
        self._do_xcom_push = bool(arguments["do_xcom_push"])
        self._returned_result_key: str | None = arguments["returned_result_key"]
        self.submission_key: str | None = arguments["submission_key"]
        self.estimated_credits: int | None = arguments.get("estimated_credits")
        self.is_billed = bool(arguments.get("is_billed"))

    @staticmethod
    def arguments_of(
        task: TriggeredTask,
        ti: Any,
        *,
        submission_key: str | None,
        returned_result_key: str | None,
        estimated_credits: int | None = None,
        is_billed: bool = False,
    ) -> dict[str, Any]:
        """Return the arguments for the task that runs now, as plain JSON."""
        return {
            "dag_id": ti.dag_id,
            "run_id": ti.run_id,
            "task_id": ti.task_id,
            "map_index": -1 if ti.map_index is None else ti.map_index,
            "do_xcom_push": bool(task.do_xcom_push),
            "submission_key": submission_key,
            "returned_result_key": returned_result_key,
            **({"is_billed": True, "estimated_credits": estimated_credits} if is_billed else {}),
        }

    async def event(self, result: Mapping[str, Any], *, cost: Mapping[str, Any] | None = None) -> TriggerEvent:
        """Push the XComs that a worker would push, and return the event that ends the task as successful.

        The event could carry them itself, but Airflow 3.0 to 3.3 encodes those twice: the next task would get text.
        It carries the XCom whose key alone counts, because Airflow stores that one together with the task's success.

        :raises Exception: the XComs could not be pushed.
        """
        from airflow.triggers.base import TaskSuccessEvent

        await self._push(Json2VideoRenderLink.key, str(result["url"]))
        if cost is not None:
            await self._push("json2video_cost", dict(cost))
        if self._do_xcom_push:
            await self._push("return_value", dict(result))
        event: TriggerEvent = TaskSuccessEvent(
            xcoms={self._returned_result_key: True} if self._returned_result_key else None
        )
        return event

    async def _push(self, key: str, value: Any) -> None:
        if hasattr(XCom, "aset"):  # 3.3 and later
            await uninterrupted(XCom.aset(key, value, **self._ti))
            return
        await uninterrupted(sync_to_async(XCom.set)(key, value, **self._ti))


def _is_expanded_over(task: TriggeredTask, ti: Any) -> bool:
    is_mapped = ti.map_index is not None and ti.map_index >= 0
    return not is_mapped and next(iter(task.iter_mapped_dependants()), None) is not None


def _has_listeners() -> bool:
    for module in ("airflow.sdk.listener", "airflow.listeners.listener"):  # 3.2 and later; before
        try:
            return bool(import_module(module).get_listener_manager().has_listeners)
        except (ImportError, AttributeError):
            continue
    return False
