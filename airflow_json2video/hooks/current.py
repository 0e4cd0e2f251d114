"""Asking Airflow, right before something is paid for, whether this attempt is still the running one."""

from __future__ import annotations

from collections.abc import Callable

from airflow_json2video.exceptions import AttemptSuperseded, Json2VideoError

__all__ = ["require_current"]


def require_current(still_current: Callable[[], bool], *, what: str, nothing: str) -> None:
    """Go on only if it is.

    :param what: what it is an attempt of. :param nothing: what became of the submissions, as the advice has it.
    :raises AttemptSuperseded: a later attempt has started. :raises Json2VideoError: Airflow could not be asked.
    """
    try:
        current = still_current()
    except Exception as error:
        raise Json2VideoError(
            f"Airflow could not be asked whether this attempt is still the running one: {type(error).__name__}: "
            f"{error}.",
            retryable=True,
            advice=nothing,
        ) from error
    if not current:
        raise AttemptSuperseded(
            f"This attempt of the {what} is no longer the running one.",
            advice=f"{nothing.removesuffix('.')} by this attempt; the later one goes on.",
        )
