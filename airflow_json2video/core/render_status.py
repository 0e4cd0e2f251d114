"""What the response to a poll means. Pure: responses and times in, outcomes and delays out.

The trigger and the loop on a worker use the same :class:`RenderTracker`, so they cannot drift apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_json2video.core.poll_schedule import MAX_RETRY_AFTER, PollSchedule, jitter
from airflow_json2video.core.refusal import seconds_to_confirmation
from airflow_json2video.core.render_failure import error_from_render
from airflow_json2video.core.result import created_at, select_fields
from airflow_json2video.core.storage_path import FileState, file_state, missing_file_error
from airflow_json2video.exceptions import (
    Billing,
    Json2VideoError,
    ProjectNotFound,
    RenderDeadlineExceeded,
    RenderStalled,
)

__all__ = ["PollAgain", "RenderOutcome", "RenderTracker", "format_duration", "outcome_from_exception"]

_POLLS_AT_DEADLINE = 3
"""Polls in a row that have to fail before the deadline ends a wait: the failure of the last one may last a second."""

_STALLED_RECHECK_AFTER = 60.0
"""Seconds from a first ``timeout`` to the one further poll that follows it."""

_MAX_FILE_DELAY = 600.0
"""Seconds to wait for the file of a render that is done, if it may still appear."""

_FIRST_PROGRESS_NOTE = 300.0
"""Seconds of age at which a render that still runs is logged; the next lines follow at three times the age."""


@dataclass(frozen=True)
class PollAgain:
    """The render has not ended. Poll again after *seconds*, and log *note* if there is one."""

    seconds: float
    note: str | None = None


@dataclass(frozen=True)
class RenderOutcome:
    """How the wait ended: ``movie`` is the finished render, or ``error`` says why there is none."""

    movie: dict[str, Any] | None = None
    error: Json2VideoError | None = None
    remaining_quota: dict[str, Any] = field(default_factory=dict)


class RenderTracker:
    """Tracks one render: decides from responses, errors and the time what follows.

    :param project: the render.
    :param submitted_at: epoch seconds of the submission.
    :param deadline: epoch seconds; absolute, so that it survives every restart.
    :param schedule: when to poll.
    :param submission_time_known: False for a render that was submitted elsewhere: *submitted_at* is when the wait
        began, and the render may not exist.
    """

    __slots__ = (
        "_failing_since",
        "_failures",
        "_fileless_since",
        "_is_ours",
        "_polls",
        "_progress_note_at",
        "_refused_since",
        "_stalled_since",
        "_submitted_at",
        "deadline",
        "project",
        "schedule",
        "status",
        "submitted_at",
    )

    def __init__(
        self,
        project: str,
        *,
        submitted_at: float,
        deadline: float,
        schedule: PollSchedule,
        submission_time_known: bool = True,
    ) -> None:
        self.project = project
        self.submitted_at = submitted_at
        self.deadline = deadline
        self.schedule = schedule
        self.status: str | None = None
        self._submitted_at = submitted_at if submission_time_known else None
        self._is_ours = submission_time_known
        self._failures = 0
        self._failing_since = 0.0
        self._refused_since: float | None = None
        self._polls = 0
        self._progress_note_at = _FIRST_PROGRESS_NOTE
        self._stalled_since: float | None = None
        self._fileless_since: float | None = None

    @property
    def submitted_at_known(self) -> float | None:
        """Epoch seconds of the submission; None while they are unknown."""
        return self._submitted_at

    @property
    def is_failing(self) -> bool:
        """Whether the last poll failed."""
        return self._failures > 0

    def first_poll(self, *, now: float) -> float:
        """Return the seconds until the first poll is worth a request."""
        age = math.inf if self._submitted_at is None else max(now - self._submitted_at, 0.0)
        wait = self.schedule.first_poll(age=age, jitter=jitter(self.project))
        return min(wait, max(self.deadline - now, 0.0))

    def on_status(
        self, movie: Mapping[str, Any], *, now: float, remaining_quota: Mapping[str, Any] | None = None
    ) -> PollAgain | RenderOutcome:
        """Return what a response of the service means.

        :param movie: the movie object, in the service's names.
        :param now: epoch seconds.
        """
        recovered = self._failures > 0
        self._failures, self._refused_since = 0, None
        status = str(movie.get("status") or "unknown")
        changed, self.status = status != self.status, status
        if self._submitted_at is None:
            self._submitted_at = created_at(movie) or self.submitted_at
        age = max(now - self._submitted_at, 0.0)
        if status == "done":
            return self._done({"project": self.project, **movie}, remaining_quota, now=now)
        if status == "error":
            return RenderOutcome(error=error_from_render(movie.get("message"), project=self.project))
        if status == "timeout":
            if self._stalled_since is None:
                self._stalled_since = now
            left = self._stalled_since + _STALLED_RECHECK_AFTER - now
            if left <= 0 or now >= self.deadline:
                return RenderOutcome(error=self._stalled(movie))
            note = (
                f"Render {self.project} is reported as 'timeout' by the service and may still finish. "
                f"One more poll in {format_duration(left)}."
            )
            return PollAgain(min(left, max(self.deadline - now, self.schedule.floor)), note if changed else None)
        self._stalled_since = None
        if now >= self.deadline:
            return RenderOutcome(error=self._deadline_exceeded(now, status))
        self._polls += 1
        wait = self._until(now, self.schedule.next_poll(age=age, jitter=jitter(self.project, self._polls)))
        is_note_due = age >= self._progress_note_at
        while age >= self._progress_note_at:
            self._progress_note_at *= 3
        if not (changed or recovered or is_note_due):
            return PollAgain(wait)
        still = "" if changed or recovered else "still "
        message = f" ({movie['message']})" if movie.get("message") else ""
        return PollAgain(
            wait,
            f"Render {self.project} is {still}{status}{message} after {format_duration(age)} "
            f"(deadline in {format_duration(self.deadline - now)}). Next poll in {format_duration(wait)}.",
        )

    def on_error(self, error: Json2VideoError, *, now: float) -> PollAgain | RenderOutcome:
        """Return what a failed poll means: whatever the failure is, polling continues until the deadline.

        This includes a refusal: the render is paid for, and the service can refuse for seconds while nothing is wrong.
        """
        self._failing_since = self._failing_since if self._failures else now
        self._failures += 1
        is_final = now >= self.deadline and self._failures >= _POLLS_AT_DEADLINE
        refusal = self._refusal(error)
        self._refused_since = None if refusal is None else self._refused_since or now
        if refusal and (is_final or seconds_to_confirmation(now - (self._refused_since or now)) is None):
            return RenderOutcome(error=refusal)
        if is_final:
            return RenderOutcome(error=self._status_unknown(error, now - self._failing_since))
        if now >= self.deadline:
            wait = self.schedule.floor
        else:
            retry_after = min(error.retry_after or 0.0, MAX_RETRY_AFTER)
            wait = self._until(now, max(self.schedule.after_failures(self._failures), retry_after))
        note = f"A poll of render {self.project} failed: {error.message} Next poll in {format_duration(wait)}."
        return PollAgain(wait, note if self._failures == 1 or self._failures % 10 == 0 else None)

    def _until(self, now: float, wait: float) -> float:
        # The last poll is at the deadline, so that a render that ended just before it is not missed.
        return min(wait, max(self.deadline - now, 0.05))

    def _done(
        self, movie: Mapping[str, Any], remaining_quota: Mapping[str, Any] | None, *, now: float
    ) -> PollAgain | RenderOutcome:
        state = file_state(movie, now=now)
        if state is FileState.THERE:
            return RenderOutcome(movie=select_fields(dict(movie)), remaining_quota=dict(remaining_quota or {}))
        since = now if self._fileless_since is None else self._fileless_since
        if state in (FileState.LATE, FileState.MISSING) and now < min(since + _MAX_FILE_DELAY, self.deadline):
            note = f"Render {self.project} is done, but its file has not appeared yet. Polling again."
            self._polls += 1
            wait = self._until(now, self.schedule.after_failures(1))
            first, self._fileless_since = self._fileless_since is None, since
            return PollAgain(wait, note if first else None)
        return RenderOutcome(error=missing_file_error(movie, now=now))

    def _stalled(self, movie: Mapping[str, Any]) -> RenderStalled:
        return RenderStalled(
            f"Render {self.project} took too long: the service reports 'timeout'.",
            service_message=movie.get("message") or None,
            project=self.project,
            advice="It may still finish and be charged. A retry polls it again before it submits a new render.",
        )

    def _refusal(self, error: Json2VideoError) -> Json2VideoError | None:
        """Return the error that ends the wait before the deadline if the service repeats it; None for other errors."""
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

    def _status_unknown(self, error: Json2VideoError, failing_for: float) -> RenderDeadlineExceeded:
        then = "The render keeps running and will be billed. A retry of this task reattaches to it."
        if not self._is_ours:
            then = "This task submits nothing and costs nothing. A render that exists keeps running."
        return RenderDeadlineExceeded(
            f"Render {self.project}: its deadline of {format_duration(self.deadline - self.submitted_at)} has passed, "
            f"and its status is unknown. The last {self._failures} polls failed, for {format_duration(failing_for)}: "
            f"{error.message}",
            service_message=error.service_message,
            http_status=error.http_status,
            project=self.project,
            advice=f"{error.advice} {then}".strip(),
        )

    def _deadline_exceeded(self, now: float, status: str) -> RenderDeadlineExceeded:
        advice = (
            "It cannot be canceled: it keeps running and will be billed, and a retry of this task reattaches to it. "
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
    """Return the outcome of a wait that was interrupted by an unexpected exception."""
    return RenderOutcome(
        error=Json2VideoError(
            f"Waiting for render {project} failed: {type(error).__name__}: {error}.",
            project=project,
            retryable=True,
            billing=Billing.UNKNOWN,
            advice="The render keeps running; a retry of this task reattaches to it.",
        )
    )


def format_duration(seconds: float) -> str:
    """Format a number of seconds for people: ``8s``, ``12m 5s``, ``1h 3m``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m {rest}s"
    return f"{minutes // 60}h {minutes % 60}m"
