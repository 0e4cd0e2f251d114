"""What a look at a render means. Pure: given times and answers, it gives times and verdicts.

The trigger and the synchronous loop ask the same :class:`RenderTracker`, so they cannot drift apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_json2video.core.poll_schedule import MIN_POLL_INTERVAL, PollSchedule, chance_of
from airflow_json2video.core.refusal import seconds_to_confirmation
from airflow_json2video.core.render_failure import error_from_render
from airflow_json2video.core.result import created_at, select_fields
from airflow_json2video.core.storage_path import FileState, file_state, no_file
from airflow_json2video.exceptions import (
    Billing,
    Json2VideoError,
    ProjectNotFound,
    RenderDeadlineExceeded,
    RenderStalled,
)

__all__ = [
    "LONGEST_WISH",
    "MIN_POLL_INTERVAL",
    "PollAgain",
    "PollSchedule",
    "RenderOutcome",
    "RenderTracker",
    "format_duration",
    "outcome_from_exception",
]

LONGEST_WISH = 300.0
"""Seconds that the service's own ``Retry-After`` can hold up a look."""

_POLLS_AT_DEADLINE = 3
"""Polls in a row that have to fail before the deadline ends a wait: what fails the last one may last a second."""

_STALLED_LOOK_AFTER = 60.0
"""Seconds from a first ``timeout`` to the one further look that it gets."""

_FILE_LATE_FOR = 600.0
"""Seconds for which the file of a render that is done is waited for, where it may still appear."""

_FIRST_SIGN_OF_LIFE = 300.0
"""Seconds of age at which a render that goes on is worth a line; the next ones fall at three times the age."""


@dataclass(frozen=True)
class PollAgain:
    """The render goes on; ``note`` is worth a log line if it is not None."""

    seconds: float
    note: str | None = None


@dataclass(frozen=True)
class RenderOutcome:
    """The waiting is over: ``movie`` holds the facts of a finished render, or ``error`` says why not."""

    movie: dict[str, Any] | None = None
    error: Json2VideoError | None = None
    remaining_quota: dict[str, Any] = field(default_factory=dict)


class RenderTracker:
    """Watches one render: told of answers, errors and the time, says what follows.

    :param project: the render.
    :param submitted_at: epoch seconds of the submission.
    :param deadline: epoch seconds; absolute, so it survives every restart.
    :param schedule: when to look.
    :param age_known: False for a render that was submitted elsewhere: *submitted_at* is when the waiting began, and
        whether there is such a render at all is for the service to say.
    """

    __slots__ = (
        "_born",
        "_failing_since",
        "_failures",
        "_fileless_since",
        "_is_ours",
        "_looks",
        "_sign_of_life_at",
        "_stalled_since",
        "_verdict_since",
        "deadline",
        "project",
        "schedule",
        "status",
        "submitted_at",
    )

    def __init__(
        self, project: str, *, submitted_at: float, deadline: float, schedule: PollSchedule, age_known: bool = True
    ) -> None:
        self.project = project
        self.submitted_at = submitted_at
        self.deadline = deadline
        self.schedule = schedule
        self.status: str | None = None
        self._born = submitted_at if age_known else None
        self._is_ours = age_known
        self._failures = 0
        self._failing_since = 0.0
        self._verdict_since: float | None = None
        self._looks = 0
        self._sign_of_life_at = _FIRST_SIGN_OF_LIFE
        self._stalled_since: float | None = None
        self._fileless_since: float | None = None

    @property
    def born(self) -> float | None:
        """Epoch seconds of the submission, as far as it is known."""
        return self._born

    @property
    def failing(self) -> bool:
        """Whether the last look failed."""
        return self._failures > 0

    def first_look(self, *, now: float) -> float:
        """Seconds until the first look is worth a request."""
        age = math.inf if self._born is None else max(now - self._born, 0.0)
        wait = self.schedule.first_look(age=age, chance=chance_of(self.project))
        return min(wait, max(self.deadline - now, 0.0))

    def on_status(
        self, movie: Mapping[str, Any], *, now: float, remaining_quota: Mapping[str, Any] | None = None
    ) -> PollAgain | RenderOutcome:
        """Say what an answer of the service means.

        :param movie: the movie object, in wire names.
        :param now: epoch seconds.
        """
        recovered = self._failures > 0
        self._failures, self._verdict_since = 0, None
        status = str(movie.get("status") or "unknown")
        changed, self.status = status != self.status, status
        if self._born is None:
            self._born = created_at(movie) or self.submitted_at
        age = max(now - self._born, 0.0)
        if status == "done":
            return self._done({"project": self.project, **movie}, remaining_quota, now=now)
        if status == "error":
            return RenderOutcome(error=error_from_render(movie.get("message"), project=self.project))
        if status == "timeout":
            if self._stalled_since is None:
                self._stalled_since = now
            left = self._stalled_since + _STALLED_LOOK_AFTER - now
            if left <= 0 or now >= self.deadline:
                return RenderOutcome(error=self._stalled(movie))
            note = (
                f"Render {self.project} is reported as 'timeout' by the service and may still finish. "
                f"One more look in {format_duration(left)}."
            )
            return PollAgain(min(left, max(self.deadline - now, self.schedule.floor)), note if changed else None)
        self._stalled_since = None
        if now >= self.deadline:
            return RenderOutcome(error=self._too_late(now, status))
        self._looks += 1
        wait = self._until(now, self.schedule.next_look(age=age, chance=chance_of(self.project, self._looks)))
        alive = age >= self._sign_of_life_at
        while age >= self._sign_of_life_at:
            self._sign_of_life_at *= 3
        if not (changed or recovered or alive):
            return PollAgain(wait)
        still = "" if changed or recovered else "still "
        remark = f" ({movie['message']})" if movie.get("message") else ""
        return PollAgain(
            wait,
            f"Render {self.project} is {still}{status}{remark} after {format_duration(age)} "
            f"(deadline in {format_duration(self.deadline - now)}). Next look in {format_duration(wait)}.",
        )

    def on_error(self, error: Json2VideoError, *, now: float) -> PollAgain | RenderOutcome:
        """Say what a failed look means: whatever it is, it is waited out until the deadline.

        A refusal is no exception: the render is paid for, and the service refuses for seconds while nothing is wrong.
        """
        self._failing_since = self._failing_since if self._failures else now
        self._failures += 1
        is_over = now >= self.deadline and self._failures >= _POLLS_AT_DEADLINE
        verdict = self._verdict(error)
        self._verdict_since = None if verdict is None else self._verdict_since or now
        if verdict and (is_over or seconds_to_confirmation(now - (self._verdict_since or now)) is None):
            return RenderOutcome(error=verdict)
        if is_over:
            return RenderOutcome(error=self._unanswered(error, now - self._failing_since))
        if now >= self.deadline:
            wait = self.schedule.floor
        else:
            wish = min(error.retry_after or 0.0, LONGEST_WISH)
            wait = self._until(now, max(self.schedule.after_failures(self._failures), wish))
        note = f"A poll of render {self.project} failed: {error.message} Next poll in {format_duration(wait)}."
        return PollAgain(wait, note if self._failures == 1 or self._failures % 10 == 0 else None)

    def _until(self, now: float, wait: float) -> float:
        # The last look falls on the deadline, so that a render that ended just before it is not missed.
        return min(wait, max(self.deadline - now, 0.05))

    def _done(
        self, movie: Mapping[str, Any], remaining_quota: Mapping[str, Any] | None, *, now: float
    ) -> PollAgain | RenderOutcome:
        state = file_state(movie, now=now)
        if state is FileState.THERE:
            return RenderOutcome(movie=select_fields(dict(movie)), remaining_quota=dict(remaining_quota or {}))
        since = now if self._fileless_since is None else self._fileless_since
        if state in (FileState.LATE, FileState.MISSING) and now < min(since + _FILE_LATE_FOR, self.deadline):
            note = f"Render {self.project} is done, and its file has not appeared yet. Polling again."
            self._looks += 1
            wait = self._until(now, self.schedule.after_failures(1))
            first, self._fileless_since = self._fileless_since is None, since
            return PollAgain(wait, note if first else None)
        return RenderOutcome(error=no_file(movie, now=now))

    def _stalled(self, movie: Mapping[str, Any]) -> RenderStalled:
        return RenderStalled(
            f"Render {self.project} took too long: the service reports 'timeout'.",
            service_message=movie.get("message") or None,
            project=self.project,
            advice="It may still finish and be charged. A retry looks at it again before it pays for a new one.",
        )

    def _verdict(self, error: Json2VideoError) -> Json2VideoError | None:
        """Return the error that ends the wait before the deadline if the service keeps saying so; None for others."""
        if isinstance(error, ProjectNotFound) and not self._is_ours:
            return ProjectNotFound(
                error.message,
                service_message=error.service_message,
                http_status=error.http_status,
                project=self.project,
                retryable=True,
                advice=f"{error.advice} This task submits nothing and costs nothing.",
            )
        return None

    def _unanswered(self, error: Json2VideoError, lasting: float) -> RenderDeadlineExceeded:
        then = "The render keeps running and will be billed. A retry of this task reattaches to it."
        if not self._is_ours:
            then = "This task submits nothing and costs nothing. A render that exists keeps running."
        return RenderDeadlineExceeded(
            f"Render {self.project}: its deadline of {format_duration(self.deadline - self.submitted_at)} has passed, "
            f"and its status is unknown. The last {self._failures} polls failed, for {format_duration(lasting)}: "
            f"{error.message}",
            service_message=error.service_message,
            http_status=error.http_status,
            project=self.project,
            advice=f"{error.advice} {then}".strip(),
        )

    def _too_late(self, now: float, status: str) -> RenderDeadlineExceeded:
        advice = (
            "It cannot be cancelled: it goes on, is billed, and a retry of this task adopts it. "
            "Raise render_timeout if such movies need longer."
        )
        if not self._is_ours:
            advice = "The render keeps running. Raise the timeout of this task if such movies need longer."
        return RenderDeadlineExceeded(
            f"Render {self.project} did not end within {format_duration(self.deadline - self.submitted_at)} "
            f"(still {status} after {format_duration(now - self.submitted_at)}).",
            project=self.project,
            advice=advice,
        )


def outcome_from_exception(project: str, error: BaseException) -> RenderOutcome:
    """Give the end of a wait that a fault of ours broke off."""
    return RenderOutcome(
        error=Json2VideoError(
            f"Waiting for render {project} failed: {type(error).__name__}: {error}.",
            project=project,
            retryable=True,
            billing=Billing.UNKNOWN,
            advice="The render goes on; a retry of this task adopts it.",
        )
    )


def format_duration(seconds: float) -> str:
    """Write a number of seconds as a person does: ``8s``, ``12m 5s``, ``1h 3m``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m {rest}s"
    return f"{minutes // 60}h {minutes % 60}m"
