"""The log of a batch: its progress stands out, and of two hundred lines about single items five do."""

from __future__ import annotations

from typing import Any, Protocol

from airflow_json2video.task_log import ErrorLog

__all__ = ["BatchLog", "ItemLog"]

_MAX_SHOWN = 5


class BatchLog(ErrorLog, Protocol):
    """The log of a task, where single items are a matter of debugging."""

    def debug(self, event: str, *args: Any) -> Any:
        """Log what only helps to debug."""


class ItemLog:
    """Logs what happens to single items during one step of a batch.

    What goes well is logged at debug. Of the problems the first five are logged as such, and the others at debug and
    as a number: the report names each of them.

    :param log: of the task.
    """

    def __init__(self, log: BatchLog) -> None:
        self.task_log = log
        self._problems = 0

    def info(self, event: str, *args: Any) -> None:
        """Log what went well with an item."""
        self.task_log.debug(event, *args)

    def warning(self, event: str, *args: Any) -> None:
        """Log what may be wrong with an item."""
        (self.task_log.warning if self._is_shown() else self.task_log.debug)(event, *args)

    def error(self, event: str, *args: Any) -> None:
        """Log what is wrong with an item."""
        (self.task_log.error if self._is_shown() else self.task_log.debug)(event, *args)

    def summarize(self) -> None:
        """Log how many problems were not shown."""
        more = self._problems - _MAX_SHOWN
        if more > 0:
            self.task_log.warning("And %s more lines about single items; the report names each item.", f"{more:,}")
        self._problems = 0

    def _is_shown(self) -> bool:
        self._problems += 1
        return self._problems <= _MAX_SHOWN
