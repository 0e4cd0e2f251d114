"""Whether the service as a whole is in trouble, and when to try it again. Pure."""

from __future__ import annotations

import math

from airflow_json2video.core.poll_schedule import PollSchedule
from airflow_json2video.core.render_status import LONGEST_WISH
from airflow_json2video.exceptions import (
    AccountSuspended,
    AuthenticationFailed,
    Json2VideoError,
    PermissionDenied,
    RateLimited,
    ServiceUnreachable,
)

__all__ = ["REFUSALS_OF_ACCOUNT", "CircuitBreaker"]

REFUSALS_OF_ACCOUNT = (AuthenticationFailed, PermissionDenied, AccountSuspended)
"""Refusals that every call with the same key meets."""

_OF_ALL = (*REFUSALS_OF_ACCOUNT, RateLimited, ServiceUnreachable)
"""Failures that concern every render at once."""

_ENOUGH = 3
"""Renders whose looks fail in a row before it is taken for the service: one of them may be odd by itself."""


class CircuitBreaker:
    """Told of every look, says whether all should be held back.

    :ivar until: when one look may try again; seconds on the caller's clock. The past while nothing is wrong.
    :ivar error: the failure that everybody waits because of.
    :ivar project: the render whose look failed last.
    """

    def __init__(self) -> None:
        self.until = -math.inf
        self.error: Json2VideoError | None = None
        self.project = ""
        self._failing: set[str] = set()
        self._tries = 0

    def on_success(self) -> bool:
        """Take the service for well; True if it was not before."""
        was_on, self.error = self.error is not None, None
        self.until, self._tries = -math.inf, 0
        self._failing.clear()
        return was_on

    def on_failure(
        self, error: Json2VideoError, *, project: str, schedule: PollSchedule, now: float, is_probe: bool = False
    ) -> None:
        """Count a poll that failed, refusals included.

        :param is_probe: it was the one look that tried whether the outage is over.
        """
        self._failing.add(project)
        if self.error is None:
            if len(self._failing) < _ENOUGH and not isinstance(error, _OF_ALL):
                return
        elif not is_probe:
            return  # it was under way before
        self.error, self.project = error, project
        self._tries += 1
        self.until = now + max(schedule.after_failures(self._tries), min(error.retry_after or 0.0, LONGEST_WISH))
