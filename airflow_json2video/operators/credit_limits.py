"""The arguments that say what a task may spend, checked alike for one render and for a batch."""

from __future__ import annotations

from typing import Any

from airflow_json2video.exceptions import ConfigurationError

__all__ = ["credits_limit", "require_end_of_wait"]


def credits_limit(name: str, value: float | None) -> float | None:
    """Give a limit in credits; None is none.

    :raises ConfigurationError: it is no number from 0.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise ConfigurationError(f"{name} must be a number of credits, not {value!r}.")
    return float(value)


def require_end_of_wait(task_id: str, *, on_quota_exhausted: str, quota_wait_until: Any) -> None:
    """Make sure that a wait for credits has an end, and an end belongs to a wait.

    :raises ConfigurationError: one of the two is missing.
    """
    if (on_quota_exhausted == "wait") != (quota_wait_until is not None):
        raise ConfigurationError(
            f"Task {task_id!r}: on_quota_exhausted='wait' and quota_wait_until need each other, so that the wait has "
            "an end."
        )
