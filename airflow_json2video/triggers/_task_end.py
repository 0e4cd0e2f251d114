"""Ending a task from its trigger, without a worker: when that may be done, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from airflow.triggers.base import TriggerEvent

__all__ = ["TriggeredTaskEnd", "reason_for_worker"]

_MORE_TO_DO = {
    "outlets": "it has outlets",
    "output_path": "it keeps the video (output_path)",
    "on_success_callback": "it has an on_success_callback",
    "_post_execute_hook": "it has a post_execute hook",
    "multiple_outputs": "it has multiple_outputs",
    "map_index_template": "it has a map_index_template",
    "returns_dag_result": "its result is the DAG's",
}


def reason_for_worker(operator: Any, context: Any) -> str | None:
    """Say why a task has to end on a worker although its author would have it end from the trigger.

    Whatever a worker does after ``execute()`` and the triggerer does not is a reason.

    :returns: the reason, or None if there is none.
    """
    try:
        import_module("airflow.sdk")
    except ImportError:
        # Such an end cannot be told from a person's mark there, on which the meaning of a clear depends.
        return "it needs Airflow 3"
    for name, reason in _MORE_TO_DO.items():
        if getattr(operator, name, None):
            return reason
    if _length_is_needed(operator, context["ti"]):
        return "another task expands over its result"
    if _has_listeners():
        return "this Airflow has listeners (as for lineage), which hear only of tasks that end on a worker"
    return None


class TriggeredTaskEnd:
    """What a trigger needs to end its task: whose XComs it pushes, and what the result holds beside the movie.

    :param arguments: of :meth:`arguments_of`; they are stored among the trigger's own.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._ti = {name: arguments[name] for name in ("dag_id", "run_id", "task_id", "map_index")}
        self._do_xcom_push = bool(arguments["do_xcom_push"])
        self._delivery_key: str | None = arguments["delivery_key"]
        self.submission_key: str | None = arguments["submission_key"]
        self.estimated_credits: int | None = arguments.get("estimated_credits")
        self.pays = bool(arguments.get("pays"))

    @staticmethod
    def arguments_of(
        operator: Any,
        ti: Any,
        *,
        submission_key: str | None,
        delivery_key: str | None,
        estimated_credits: int | None = None,
        pays: bool = False,
    ) -> dict[str, Any]:
        """Give the arguments for the task that runs now, as plain JSON."""
        return {
            "dag_id": ti.dag_id,
            "run_id": ti.run_id,
            "task_id": ti.task_id,
            "map_index": -1 if ti.map_index is None else ti.map_index,
            "do_xcom_push": bool(operator.do_xcom_push),
            "submission_key": submission_key,
            "delivery_key": delivery_key,
            **({"pays": True, "estimated_credits": estimated_credits} if pays else {}),
        }

    async def event(self, result: Mapping[str, Any], *, cost: Mapping[str, Any] | None = None) -> TriggerEvent:
        """Push what a worker would push, and give the event that ends the task as successful.

        The event could carry them itself, but Airflow 3.0 to 3.3 encodes those twice: the next task would get text.
        It carries the one whose key alone counts, since Airflow stores that together with the task's success.

        :raises Exception: they could not be pushed.
        """
        from airflow.triggers.base import TaskSuccessEvent

        from airflow_json2video.links import Json2VideoRenderLink

        await self._push(Json2VideoRenderLink.key, str(result["url"]))
        if cost is not None:
            await self._push("json2video_cost", dict(cost))
        if self._do_xcom_push:
            await self._push("return_value", dict(result))
        event: TriggerEvent = TaskSuccessEvent(xcoms={self._delivery_key: True} if self._delivery_key else None)
        return event

    async def _push(self, key: str, value: Any) -> None:
        from airflow.providers.common.compat.sdk import XCom

        from airflow_json2video.supervisor_calls import uninterrupted

        if hasattr(XCom, "aset"):  # 3.3 and later
            await uninterrupted(XCom.aset(key, value, **self._ti))
            return
        from asgiref.sync import sync_to_async

        await uninterrupted(sync_to_async(XCom.set)(key, value, **self._ti))


def _length_is_needed(operator: Any, ti: Any) -> bool:
    is_mapped = ti.map_index is not None and ti.map_index >= 0
    return not is_mapped and next(iter(operator.iter_mapped_dependants()), None) is not None


def _has_listeners() -> bool:
    for module in ("airflow.sdk.listener", "airflow.listeners.listener"):  # 3.2 and later; before
        try:
            return bool(import_module(module).get_listener_manager().has_listeners)
        except (ImportError, AttributeError):
            continue
    return False
