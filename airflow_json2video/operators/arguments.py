"""The arguments that one render and a batch share, checked alike."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow_json2video.exceptions import ConfigurationError

__all__ = ["credits_limit", "one_of", "path_as_text", "require_end_of_wait", "seconds_of"]


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


def one_of(name: str, value: Any, allowed: tuple[str, ...]) -> Any:
    """Give a choice.

    :raises ConfigurationError: it is none of those.
    """
    if value not in allowed:
        raise ConfigurationError(f"{name} must be one of {', '.join(map(repr, allowed))}, not {value!r}.")
    return value


def seconds_of(name: str, value: float | timedelta) -> float:
    """Give a length of time in seconds.

    :raises ConfigurationError: it is no number above 0.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < float("inf"):
        raise ConfigurationError(f"{name} must be a number of seconds above 0, not {value!r}.")
    return float(seconds)


def path_as_text(path: Any) -> Any:
    """Give a path object as Airflow can store and template it; what an XCom is to give stays as it is."""
    return str(path) if isinstance(path, os.PathLike) or hasattr(path, "conn_id") else path
