"""Submit the items of a batch. Only this module sends ``POST /movies`` for a batch.

A process that dies here loses nothing: every document carries the stamp of its item, so the account's list shows what
was sent.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_json2video.api.calls import submit_movie
from airflow_json2video.core.batch import ItemState
from airflow_json2video.core.identity import Stamp, add_stamp
from airflow_json2video.core.submission import backoff
from airflow_json2video.exceptions import (
    Billing,
    ConfigurationError,
    CreditReserveReached,
    InvalidMovie,
    InvalidRequest,
    Json2VideoError,
    NotFound,
    PlanLimitExceeded,
    QuotaExhausted,
    RateLimited,
    RenderNotStarted,
    ServiceUnreachable,
)
from airflow_json2video.metrics import render_submitted
from airflow_json2video.submission.attempt import ensure_attempt_is_current

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.api.clock import ServiceClock
    from airflow_json2video.batch.budget import BatchBudget
    from airflow_json2video.core.batch import BatchLedger
    from airflow_json2video.core.batch_items import BatchItems
    from airflow_json2video.core.rate_limit import RateLimiter
    from airflow_json2video.task_log import ItemLog

__all__ = ["BatchSubmitter"]

_ITEM_ERRORS = (InvalidRequest, InvalidMovie, NotFound, PlanLimitExceeded, ConfigurationError)
"""Errors that concern one document. Any other error concerns the account, so every item would fail with it."""

_MAX_FAILURES_IN_A_ROW = 3
"""Submissions in a row that are refused or whose response is lost before the step stops submitting."""

_CURRENT_FOR_S = 1.0
"""Seconds before Airflow is asked again whether this attempt is the running one. A process that stalls for longer asks
again, and its successor confirms for minutes that nothing was sent before it sends anything."""

_MAX_WAIT_S = 2.0
"""Seconds that the worker waits for the rate limit; for longer the task defers."""

_NOTHING_MORE = "Nothing more was submitted."


@dataclass(kw_only=True)
class BatchSubmitter:
    """Submits items during one step.

    :param stamp_for: returns the stamp of an item.
    :param is_current: returns whether Airflow still considers this attempt the running one; raises if that is unknown.
    :param budget: checked before each submission.
    :ivar accepted: whether the service accepted any submission.
    :ivar failure: the error that interrupted the submissions, if the service failed.
    :ivar refusal: the error that interrupted them, if the account could not pay; nothing was started for that item.
    """

    client: Json2VideoClient
    items: BatchItems
    batch: BatchLedger
    rate_limit: RateLimiter
    stamp_for: Callable[[int], Stamp]
    service_clock: ServiceClock
    budget: BatchBudget
    log: ItemLog
    is_current: Callable[[], bool] = lambda: True
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time
    failure: Json2VideoError | None = None
    refusal: Json2VideoError | None = None
    accepted: bool = False
    _checked_current_at: float = float("-inf")

    def submit(self, *, until: float, most: int | None = None) -> bool:
        """Submit pending items until no slot is free or the time is over; return whether any was accepted so far.

        :param until: end of the step's time, by ``time.monotonic()``. :param most: how many items to submit at most.
        :raises AttemptSuperseded: a later attempt has started.
        """
        free_slots, failures_in_a_row = self.batch.free_slots, 0
        for index in self.batch.items_in(ItemState.PENDING)[:most]:
            wait = self.rate_limit.wait(self.clock())
            if not free_slots or self.batch.is_stopping or wait > _MAX_WAIT_S or time.monotonic() + wait >= until:
                break
            if wait > 0:
                self.sleep(wait)
            if not self._is_affordable(index):
                break
            self._ensure_current()
            try:
                project = self._post(index)
            except Json2VideoError as error:
                failures_in_a_row += self._record_failure(index, error)
                free_slots -= self.batch.records[index].state is ItemState.UNCONFIRMED
                if self.refusal or self.failure:
                    break
                if failures_in_a_row >= min(most or len(self.items), _MAX_FAILURES_IN_A_ROW):
                    self.failure = error
                    break
            else:
                self.accepted, free_slots, failures_in_a_row = True, free_slots - 1, 0
                self.batch.mark_submitted(index, project, at=self.clock())
                self.budget.record(index)
                render_submitted()
        return self.accepted

    def _is_affordable(self, index: int) -> bool:
        try:
            self.budget.ensure_affordable(index)
        except CreditReserveReached as error:
            self.refusal = error
        except Json2VideoError as error:
            if error.retryable:
                self.failure = error
            else:
                self._stop(error)
        else:
            return True
        return False

    def _post(self, index: int) -> str:
        call = submit_movie(add_stamp(self.items.document(index), self.stamp_for(index)))
        self.batch.records[index].submissions += 1
        try:
            return self.client.execute(call).project
        finally:
            self.rate_limit.record(self.clock())  # the first response may have corrected the clock

    def _record_failure(self, index: int, error: Json2VideoError) -> bool:
        """Record why a submission failed; return whether the service, and not the item, may be the cause."""
        where = self.items.where(index)
        if isinstance(error, (RenderNotStarted, RateLimited)):
            self.log.warning("Submission of %s refused for now: %s", where, error.message)
            delay = backoff(self.batch.records[index].submissions, jitter=random.random())  # noqa: S311
            check_at = self.service_clock.now() + delay + (error.retry_after or 0.0)
            self.batch.mark_refused(index, error, check_at=check_at)
            if isinstance(error, RateLimited):
                self.failure = error
            return True
        if error.billing is Billing.UNKNOWN:
            self.log.warning("Lost the response to the submission of %s: %s", where, error.message)
            now = self.service_clock.now()
            check_at = now + backoff(1, jitter=random.random())  # noqa: S311
            sent_at = now if self.service_clock.is_known else 0.0
            self.batch.mark_unconfirmed(index, error, sent_at=sent_at, check_at=check_at)
            self.budget.record(index)
            return True
        if isinstance(error, _ITEM_ERRORS):
            self.log.error("Submission of %s refused: %s", where, error)
            self.batch.mark_failed(index, error)
            return False
        self.batch.records[index].submissions -= 1  # it was certainly not accepted
        if isinstance(error, QuotaExhausted):
            self.refusal = error
        elif isinstance(error, ServiceUnreachable) or self.batch.has_paid:
            self.failure = error  # one refusal does not stop a batch that has paid for renders
        else:
            self._stop(error)
        return False

    def _stop(self, error: Json2VideoError) -> None:
        self.log.task_log.error("Stopped submitting: %s", error)
        self.batch.stop(error)

    def _ensure_current(self) -> None:
        asked_at = time.monotonic()
        if asked_at - self._checked_current_at < _CURRENT_FOR_S:
            return
        ensure_attempt_is_current(self.is_current, what="batch", nothing=_NOTHING_MORE)
        self._checked_current_at = asked_at
