"""Asking Airflow, right before something is paid for, whether this attempt is still the running one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from airflow_json2video.exceptions import AttemptSuperseded, Json2VideoError

__all__ = ["ensure_attempt_is_current"]

log = logging.getLogger(__name__)

_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between the tries to ask: an outage of Airflow's database of a minute costs nothing but this minute."""


def ensure_attempt_is_current(
    still_current: Callable[[], bool], *, what: str, nothing: str, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Raise unless Airflow takes this attempt for the running one.

    Airflow is asked again for up to a minute if it does not answer, since asking is free.

    :param what: what it is an attempt of. :param nothing: what became of the submissions, as the advice has it.
    :raises AttemptSuperseded: a later attempt has started. :raises Json2VideoError: Airflow could not be asked.
    """
    for pause in (*_PAUSES, None):
        try:
            current = still_current()
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            if pause is None:
                raise Json2VideoError(
                    f"Airflow could not be asked whether this attempt is still the running one: {problem}.",
                    retryable=True,
                    advice=nothing,
                ) from error
            log.warning("Airflow could not be asked whether this attempt is still the running one: %s.", problem)
            sleep(pause)
        else:
            break
    if not current:
        raise AttemptSuperseded(
            f"This attempt of the {what} is no longer the running one.",
            advice=f"{nothing.removesuffix('.')} by this attempt; the later one goes on.",
        )
