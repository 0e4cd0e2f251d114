"""When to look at a render, and what a look means. Pure: given times and answers, it gives times and verdicts.

The trigger and the synchronous loop ask the same :class:`RenderWatch`, so they cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_json2video.exceptions import (
    Json2VideoError,
    Money,
    ProjectNotFound,
    RenderDeadlineExceeded,
    RenderExpired,
    RenderStalled,
    error_from_render,
)
from airflow_json2video.rendering.result import movie_facts

__all__ = [
    "MIN_POLL_INTERVAL",
    "Ended",
    "LookAgain",
    "PollSchedule",
    "RenderWatch",
    "seconds_in_words",
]

MIN_POLL_INTERVAL = 5.0
"""Seconds; the service's own floor between two looks at one render."""

_NEW_PROJECT_GRACE = 60.0
"""Seconds after the submission in which an unknown project may only be a slow one."""

_STALLED_LOOK_AFTER = 60.0
"""Seconds from a first ``timeout`` to the one further look that it gets."""


@dataclass(frozen=True)
class PollSchedule:
    """When to look at a render again.

    :param interval: seconds between looks at a young render.
    :param floor: seconds; no interval is ever shorter. Five for JSON2Video; the service on one's own
        machine sets no floor.
    """

    interval: float = 10.0
    floor: float = MIN_POLL_INTERVAL
    longest: float = 60.0

    def next_look(self, *, age: float) -> float:
        """Seconds until the next look at a render that is *age* seconds old: grows by half a minute."""
        grown = self.interval * 1.25 ** (max(age, 0.0) // 60)
        return float(max(self.floor, min(grown, max(self.longest, self.interval))))

    def after_failures(self, failures: int) -> float:
        """Seconds until the next look after so many failed ones in a row.

        Half as much again each time, at most two minutes: the end of an outage is noticed within about half
        its length.
        """
        return float(max(self.floor, min(self.interval * 1.5 ** min(failures, 20), 120.0)))


@dataclass(frozen=True)
class LookAgain:
    """The render goes on; ``note`` is worth a log line if it is not None."""

    seconds: float
    note: str | None = None


@dataclass(frozen=True)
class Ended:
    """The waiting is over: ``movie`` holds the facts of a finished render, or ``error`` says why not."""

    movie: dict[str, Any] | None = None
    error: Json2VideoError | None = None
    remaining_quota: dict[str, Any] = field(default_factory=dict)


class RenderWatch:
    """Watches one render: told of answers, errors and the time, says what follows.

    :param project: the render.
    :param submitted_at: epoch seconds of the submission.
    :param deadline: epoch seconds; absolute, so it survives every restart.
    :param schedule: when to look.
    """

    def __init__(self, project: str, *, submitted_at: float, deadline: float, schedule: PollSchedule) -> None:
        self.project = project
        self.submitted_at = submitted_at
        self.deadline = deadline
        self.schedule = schedule
        self.status: str | None = None
        self._failures = 0
        self._stalled_since: float | None = None

    def on_status(
        self, movie: Mapping[str, Any], *, now: float, remaining_quota: Mapping[str, Any] | None = None
    ) -> LookAgain | Ended:
        """Say what an answer of the service means.

        :param movie: the movie object, in wire names.
        :param now: epoch seconds.
        """
        recovered = self._failures > 0
        self._failures = 0
        status = str(movie.get("status") or "unknown")
        changed, self.status = status != self.status, status
        age = now - self.submitted_at
        if status == "done":
            return self._done(movie, remaining_quota)
        if status == "error":
            return Ended(error=error_from_render(movie.get("message"), project=self.project))
        if status == "timeout":
            if self._stalled_since is None:
                self._stalled_since = now
            left = self._stalled_since + _STALLED_LOOK_AFTER - now
            if left <= 0 or now >= self.deadline:
                return Ended(error=self._stalled(movie))
            note = (
                f"Render {self.project} is reported as 'timeout' by the service and may still finish. "
                f"One more look in {seconds_in_words(left)}."
            )
            return LookAgain(min(left, max(self.deadline - now, self.schedule.floor)), note if changed else None)
        self._stalled_since = None
        if now >= self.deadline:
            return Ended(error=self._too_late(now, f"still {status}"))
        wait = self._until(now, self.schedule.next_look(age=age))
        if not (changed or recovered):
            return LookAgain(wait)
        remark = f" ({movie['message']})" if movie.get("message") else ""
        return LookAgain(
            wait,
            f"Render {self.project} is {status}{remark} after {seconds_in_words(age)} "
            f"(deadline in {seconds_in_words(self.deadline - now)}). Next look in {seconds_in_words(wait)}.",
        )

    def on_error(self, error: Json2VideoError, *, now: float) -> LookAgain | Ended:
        """Say what a failed look means: trouble that passes is waited out until the deadline, the rest ends."""
        if isinstance(error, ProjectNotFound):
            if now - self.submitted_at > _NEW_PROJECT_GRACE or now >= self.deadline:
                return Ended(error=_paid_for(error, self.project))
        elif not error.retryable:
            return Ended(error=_paid_for(error, self.project))
        self._failures += 1
        if now >= self.deadline:
            return Ended(error=self._too_late(now, f"the last look failed: {error.message}"))
        wait = self._until(now, max(self.schedule.after_failures(self._failures), error.retry_after or 0.0))
        note = f"A look at render {self.project} failed: {error.message} Next look in {seconds_in_words(wait)}."
        return LookAgain(wait, note if self._failures == 1 or self._failures % 10 == 0 else None)

    def _until(self, now: float, wait: float) -> float:
        # The last look falls on the deadline, so that a render that ended just before it is not missed.
        return min(wait, max(self.deadline - now, 0.05))

    def _done(self, movie: Mapping[str, Any], remaining_quota: Mapping[str, Any] | None) -> Ended:
        facts = movie_facts(dict(movie))
        facts.setdefault("project", self.project)
        if not movie.get("url"):
            gone = "was deleted" if movie.get("deleted_at") else "is older than seven days"
            return Ended(
                error=RenderExpired(f"Render {self.project} is done, but its file {gone}.", project=self.project)
            )
        return Ended(movie=facts, remaining_quota=dict(remaining_quota or {}))

    def _stalled(self, movie: Mapping[str, Any]) -> RenderStalled:
        return RenderStalled(
            f"Render {self.project} took too long: the service reports 'timeout'.",
            service_message=movie.get("message") or None,
            project=self.project,
            advice="It may still finish and be charged. A retry looks at it again before it pays for a new one.",
        )

    def _too_late(self, now: float, state: str) -> RenderDeadlineExceeded:
        return RenderDeadlineExceeded(
            f"Render {self.project} did not end within {seconds_in_words(self.deadline - self.submitted_at)} "
            f"({state} after {seconds_in_words(now - self.submitted_at)}).",
            project=self.project,
            advice="It cannot be cancelled: it goes on, is billed, and a retry of this task adopts it. "
            "Raise render_timeout if such movies need longer.",
        )


def _paid_for(error: Json2VideoError, project: str) -> Json2VideoError:
    error.project = error.project or project
    error.message = f"{error.message} Render {project} was submitted and goes on; it can be found under this project."
    error.args = (error.message,)
    error.money = Money.UNKNOWN
    return error


def seconds_in_words(seconds: float) -> str:
    """Write a number of seconds as a person does: ``8s``, ``12m 5s``, ``1h 3m``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m {rest}s"
    return f"{minutes // 60}h {minutes % 60}m"
