"""The log of a task, as far as this package uses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from airflow_json2video.core.result import get_warnings, summarize

if TYPE_CHECKING:
    from airflow_json2video.core.result import RenderResult

__all__ = ["ErrorLog", "TaskLog", "log_finished"]


class TaskLog(Protocol):
    """The part of a logger that is used: Airflow 2 gives the standard library's, Airflow 3 structlog's."""

    def info(self, event: str, *args: Any) -> Any:
        """Log what happens."""

    def warning(self, event: str, *args: Any) -> Any:
        """Log what a person should look at."""


class ErrorLog(TaskLog, Protocol):
    """The same where an error need not end the task."""

    def error(self, event: str, *args: Any) -> Any:
        """Log what went wrong."""


def log_finished(result: RenderResult, movie: Mapping[str, Any], *, log: TaskLog) -> None:
    """Tell a task's log of a finished render, and of what a local service did not draw as it was asked to."""
    log.info("%s", summarize(result))
    for warning in get_warnings(movie):
        log.warning("Render %s: %s", result["project"], warning)
