"""What a step of a batch does at its end: abort, or defer until there is more to do or the service responds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_json2video import version_compat
from airflow_json2video.core.batch import ItemState
from airflow_json2video.core.rate_limit import RateLimiter
from airflow_json2video.core.refusal import seconds_to_confirmation
from airflow_json2video.exceptions import BatchFailed, ServiceUnreachable
from airflow_json2video.triggers.availability import defer_until_answering
from airflow_json2video.triggers.base import TIMEOUT_MARGIN
from airflow_json2video.triggers.batch import Json2VideoBatchTrigger

if TYPE_CHECKING:
    from airflow_json2video.batch.recovery import BatchRecovery
    from airflow_json2video.core.batch import BatchLedger
    from airflow_json2video.exceptions import Json2VideoError
    from airflow_json2video.operators._batch.credits import BatchCredits
    from airflow_json2video.operators._batch.settings import BatchSettings, BatchTask
    from airflow_json2video.operators._batch.state import BatchState

__all__ = ["BatchDeferral"]

_HOLD_S = 30.0
"""Seconds without a submission after the service failed; longer with each further failure."""
_LOOKUP_SLACK_S = 30.0
"""Seconds by which a lookup of unconfirmed items may be late, if renders that end resume the worker anyway."""


@dataclass(kw_only=True)
class BatchDeferral:
    """Decides at the end of a step whether the batch continues, and defers the task.

    :param ti: the task instance of the task's context.
    """

    task: BatchTask
    settings: BatchSettings
    state: BatchState
    batch: BatchLedger
    ti: Any

    @property
    def rate_limit(self) -> RateLimiter:
        """The rate limit of the submissions, with those of earlier steps."""
        return RateLimiter(self.settings.submissions_per_minute, self.state.sent)

    @property
    def waits_for_confirmation(self) -> bool:
        """Whether nothing is submitted until unconfirmed items are resolved: one that is not found fails the task."""
        fails = self.settings.on_lost_response == "fail"
        return fails and self.state.failed_steps > 0 and bool(self.batch.items_in(ItemState.UNCONFIRMED))

    def should_abort(self, failure: Json2VideoError | None) -> bool:
        """Return whether to wait only for renders in flight: the time is over, or the service failed for too long."""
        self._set_deadline()
        state, now = self.state, self._now()
        if state.deadline is not None and now >= state.deadline:
            self.batch.stop(BatchFailed("The task's execution_timeout has passed.", retryable=True))
            return True
        if failure is None:
            return False
        state.failed_steps += 1
        backoff = _HOLD_S * min(1.5 ** min(state.failed_steps - 1, 10), 10.0)
        hold: float | None = max(failure.retry_after or 0.0, backoff)
        failing_for = state.record_failure(failure, now=now)
        if not failure.retryable:  # a refusal counts as an outage until it has lasted
            hold = seconds_to_confirmation(failing_for)
        if hold is None or failing_for >= self.settings.render_timeout:
            self.batch.stop(failure.with_context(retryable=True))
            return True
        state.hold_until = now + hold
        self.task.log.warning("%s No submission for %.0f s.", failure.message, hold)
        return False

    def defer(self, recovery: BatchRecovery, failure: Json2VideoError | None, batch_credits: BatchCredits) -> NoReturn:
        """Free the worker slot until there is more to do."""
        records = self.batch.records
        renders = [(records[i].project, records[i].submitted_at) for i in self.batch.items_in(ItemState.IN_FLIGHT)]
        if isinstance(failure, ServiceUnreachable) and not renders:
            self.state.failed_steps -= 1
            self.until_available(failure)
        self._save()
        if (refusal := batch_credits.refusal_to_wait_for()) is not None:
            batch_credits.defer(refusal)
        is_more = bool(self.batch.items_in(ItemState.PENDING)) and not self.batch.is_stopping
        more_to_submit = is_more and not batch_credits.is_on_hold
        moments = self._moments(recovery, has_renders=bool(renders), more_to_submit=more_to_submit)
        deadline = max((at for _, at in renders), default=self._now()) + self.settings.render_timeout
        self.task.log.info("Waiting for %d renders in the triggerer; the worker slot is free.", len(renders))
        trigger = Json2VideoBatchTrigger(
            renders,
            json2video_conn_id=self.task.json2video_conn_id,
            render_timeout=self.settings.render_timeout,
            deadline=self.state.deadline,
            poll_interval=self.settings.poll_interval,
            more_to_submit=more_to_submit,
            resume_at=min(moments, default=None),
        )
        fires_until = max(deadline, *moments) if moments else deadline
        timeout = timedelta(seconds=max(fires_until - self._now(), 0.0)) + TIMEOUT_MARGIN
        self.task.defer(trigger=trigger, method_name="resume_batch", timeout=timeout)

    def until_available(self, error: Json2VideoError) -> NoReturn:
        """Free the worker slot until the service responds again.

        :raises Json2VideoError: *error*, if there is no time left to wait.
        """
        self._set_deadline()
        state, now = self.state, self._now()
        failing_for, after = state.record_failure(error, now=now), None
        latest = (state.failing_since or now) + self.settings.render_timeout
        deadline = min(latest, state.deadline or float("inf"))
        if not error.retryable:  # a refusal counts as an outage until it has lasted
            after = seconds_to_confirmation(failing_for)
        if now >= deadline or (after is None and not error.retryable):
            raise error.with_context(retryable=True)
        state.failed_steps += 1
        self._save()
        self.task.log.warning("%s Waiting in the triggerer until the service responds; the worker slot is free.", error)
        defer_until_answering(self.task, deadline=deadline, attempt=state.failed_steps - 1, after=after, kwargs={})

    def _moments(self, recovery: BatchRecovery, *, has_renders: bool, more_to_submit: bool) -> list[float]:
        """Return the moments at which the worker has something to do, whatever the renders do."""
        state, moments, free = self.state, [], len(self.batch.next_items())
        if (at := recovery.next_lookup_at()) is not None:
            moments.append(at)
        if (at := recovery.next_resolve_at()) is not None:
            moments.append(at + _LOOKUP_SLACK_S if has_renders else max(at, state.hold_until))
        if more_to_submit and free and not self.waits_for_confirmation:
            moments.append(max(state.hold_until, self.rate_limit.next_free(self._now(), wanted=free)))
        if state.deadline is not None and not has_renders:  # with renders, the trigger has the deadline
            moments.append(state.deadline)
        return moments

    def _set_deadline(self) -> None:
        """Set when the attempt ends; called late, when the service's time is known as well as it can be."""
        timeout = self.task.execution_timeout
        if timeout is not None and self.state.deadline is None:
            here = time.time()  # Airflow measures with the machine's clock
            self.state.deadline = self._now() + version_compat.execution_deadline(self.ti, timeout, now=here) - here

    def _save(self) -> None:
        self.state.ledger = self.batch.to_text()
        self.state.save(self.ti)

    def _now(self) -> float:
        """Return the service's time, which is the same for triggers and later steps on other machines."""
        return self.task.hook.clock.now()
