"""What the work of a task reads of its operator, as types: the operators are not imported where the work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from airflow_json2video.triggers._protocols import TriggeredTask

if TYPE_CHECKING:
    from airflow_json2video.core.submission import OnClear, OnLostResponse
    from airflow_json2video.task_log import ErrorLog

__all__ = ["RenderTask"]


class RenderTask(TriggeredTask, Protocol):
    """What the work reads of a render operator: its arguments, most of them once Airflow's expressions are filled in.

    :ivar is_history_carried_over: whether the markers of the attempt before were copied to this one.
    """

    task_id: str
    outlets: Any
    movie: Any
    template: Any
    variables: Any
    webhook: Any
    poll_interval: float
    render_timeout: float
    deferrable: bool
    wait_for_completion: bool
    durable: bool
    on_lost_response: OnLostResponse
    on_clear: OnClear
    output_path: Any
    store: tuple[str, ...]
    delete_remote: bool
    max_credits: float | None
    min_remaining_credits: float | None
    wait_for_credits: Any
    is_history_carried_over: bool

    @property
    def log(self) -> ErrorLog: ...

    def resume_arguments(self) -> dict[str, Any]:
        """Return the arguments that ``resume_submission`` needs in addition to those of the deferral."""
