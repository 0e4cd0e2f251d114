"""The log of a task: the methods that this package calls, and the lines that several modules log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from airflow_json2video.core.result import get_warnings, summarize

if TYPE_CHECKING:
    from airflow_json2video.core.result import RenderResult

__all__ = ["BatchLog", "ErrorLog", "ItemLog", "TaskLog", "log_finished"]

_MAX_ITEM_PROBLEMS = 5
"""Problems of single items that one step of a batch shows."""


class TaskLog(Protocol):
    """The methods of a logger that are used. Airflow 2 has the standard library's loggers, Airflow 3 structlog's."""

    def info(self, event: str, *args: Any) -> Any:
        """Log an event."""

    def warning(self, event: str, *args: Any) -> Any:
        """Log a possible problem."""


class ErrorLog(TaskLog, Protocol):
    """A log for errors that need not end the task."""

    def error(self, event: str, *args: Any) -> Any:
        """Log a failure."""


class BatchLog(ErrorLog, Protocol):
    """The log of a batch, which reports single items at debug level."""

    def debug(self, event: str, *args: Any) -> Any:
        """Log a detail."""


class ItemLog:
    """Logs what happens to single items during one step of a batch.

    Successes are logged at debug level. The first five problems are logged at their own level, the others at debug
    level and counted; the report lists all of them.

    :param log: of the task.
    """

    def __init__(self, log: BatchLog) -> None:
        self.task_log = log
        self._problems = 0

    def info(self, event: str, *args: Any) -> None:
        """Log an event of an item."""
        self.task_log.debug(event, *args)

    def warning(self, event: str, *args: Any) -> None:
        """Log a possible problem of an item."""
        (self.task_log.warning if self._is_shown() else self.task_log.debug)(event, *args)

    def error(self, event: str, *args: Any) -> None:
        """Log a failure of an item."""
        (self.task_log.error if self._is_shown() else self.task_log.debug)(event, *args)

    def log_suppressed(self) -> None:
        """Log the number of problems that were not shown, and start to count again."""
        suppressed = self._problems - _MAX_ITEM_PROBLEMS
        if suppressed > 0:
            self.task_log.warning(
                "... and %s more problems of single items; the report lists every item.", f"{suppressed:,}"
            )
        self._problems = 0

    def _is_shown(self) -> bool:
        self._problems += 1
        return self._problems <= _MAX_ITEM_PROBLEMS


def log_finished(result: RenderResult, movie: Mapping[str, Any], *, log: TaskLog) -> None:
    """Log a finished render, and what a local service drew differently from the movie."""
    log.info("%s", summarize(result))
    for warning in get_warnings(movie):
        log.warning("Render %s: %s", result["project"], warning)
