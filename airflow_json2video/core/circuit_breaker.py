"""Whether the service as a whole fails, and when to try it again. Pure."""

from __future__ import annotations

import math

from airflow_json2video.core.poll_schedule import MAX_RETRY_AFTER, PollSchedule
from airflow_json2video.exceptions import (
    AccountSuspended,
    AuthenticationFailed,
    Json2VideoError,
    PermissionDenied,
    RateLimited,
    ServiceUnreachable,
)

__all__ = ["ACCOUNT_REFUSALS", "CircuitBreaker"]

ACCOUNT_REFUSALS = (AuthenticationFailed, PermissionDenied, AccountSuspended)
"""Refusals that every call with the same key gets."""

_CONCERN_ALL = (*ACCOUNT_REFUSALS, RateLimited, ServiceUnreachable)
"""Failures that concern every render, so that one of them opens the breaker."""

_THRESHOLD = 3
"""Renders whose polls have to fail in a row, for other failures: one render may fail for its own reasons."""


class CircuitBreaker:
    """Decides from the results of polls whether all polls should be held back.

    While it is open, one poll at a time, the probe, may try the service.

    :ivar half_open_at: when the next probe may be sent, in seconds on the caller's clock; in the past while closed.
    :ivar error: the failure that opened it, or the last one since; None while it is closed.
    :ivar failed_project: the render whose poll failed with *error*.
    """

    def __init__(self) -> None:
        self.half_open_at = -math.inf
        self.error: Json2VideoError | None = None
        self.failed_project = ""
        self._failing: set[str] = set()
        self._attempts = 0

    @property
    def is_open(self) -> bool:
        """Whether polls should be held back."""
        return self.error is not None

    def record_success(self) -> bool:
        """Close the breaker, and return whether it was open."""
        was_open, self.error = self.is_open, None
        self.half_open_at, self._attempts = -math.inf, 0
        self._failing.clear()
        return was_open

    def record_failure(
        self, error: Json2VideoError, *, project: str, schedule: PollSchedule, now: float, is_probe: bool = False
    ) -> None:
        """Count a poll that failed, refusals included.

        :param is_probe: it was the one poll that tried whether the outage is over.
        """
        self._failing.add(project)
        if self.error is None:
            if len(self._failing) < _THRESHOLD and not isinstance(error, _CONCERN_ALL):
                return
        elif not is_probe:
            return  # it started before the breaker opened
        self.error, self.failed_project = error, project
        self._attempts += 1
        delay = max(schedule.after_failures(self._attempts), min(error.retry_after or 0.0, MAX_RETRY_AFTER))
        self.half_open_at = now + delay
