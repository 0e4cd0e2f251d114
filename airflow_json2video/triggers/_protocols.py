"""What a deferral reads of the task that it defers, as types: operators and sensors stand above the triggers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.task_log import TaskLog

__all__ = ["DeferrableTask", "TriggeredTask"]


class DeferrableTask(Protocol):
    """What every deferral needs."""

    json2video_conn_id: str
    execution_timeout: timedelta | None

    @property
    def hook(self) -> Json2VideoHook: ...

    @property
    def log(self) -> TaskLog: ...

    def defer(self, *, trigger: Any, method_name: str, kwargs: Any = None, timeout: Any = None) -> NoReturn: ...


class TriggeredTask(DeferrableTask, Protocol):
    """What a task needs in addition if its trigger may end it (``end_from_trigger``)."""

    end_from_trigger: bool
    do_xcom_push: bool

    def iter_mapped_dependants(self) -> Iterator[Any]: ...
