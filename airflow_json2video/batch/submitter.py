"""Submitting the items of a batch, as many as may be under way. The one place that sends ``POST /movies`` for a batch.

Dying anywhere in here loses nothing: every document carries the stamp of its item, so the account's list shows what
was sent.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    from airflow_json2video.batch.budget import BatchBudget
    from airflow_json2video.batch.item_log import ItemLog
    from airflow_json2video.batch.recovery import ServiceTime
    from airflow_json2video.core.batch import BatchLedger
    from airflow_json2video.core.batch_items import BatchItems
    from airflow_json2video.core.rate_limit import RateLimiter

__all__ = ["BatchSubmission"]

_OF_ITEMS = (InvalidRequest, InvalidMovie, NotFound, PlanLimitExceeded, ConfigurationError)
"""Refusals that are about one document; any other is about the account, and would meet all."""

_MAX_FAILED_IN_A_ROW = 3
"""Submissions refused or lost one after the other before the service is left alone for a while."""

_CURRENT_FOR = 1.0
"""Seconds for which "this attempt is the running one" is believed. A process that stalls for longer asks again, and
a successor confirms for minutes that nothing was sent before it sends anything."""

_SHORT_WAIT = 2.0
"""Seconds that the pace is waited for on the worker; for longer the task defers."""


@dataclass(kw_only=True)
class BatchSubmission:
    """The submissions of one slice.

    :param mark: returns the stamp of an item. :param service_time: what time it is there.
    :param still_current: whether Airflow still takes this attempt for the running one; raises if it cannot find out.
    :param balance: asked before each submission whether it may be made.
    :ivar accepted: whether any submission was.
    :ivar trouble: why the submissions broke off, if the service was in trouble.
    :ivar refusal: why they did, if the account could not pay; nothing was started for that item.
    """

    client: Json2VideoClient
    items: BatchItems
    batch: BatchLedger
    pace: RateLimiter
    mark: Callable[[int], Stamp]
    service_time: ServiceTime
    balance: BatchBudget
    log: ItemLog
    still_current: Callable[[], bool] = lambda: True
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time
    trouble: Json2VideoError | None = None
    refusal: Json2VideoError | None = None
    accepted: bool = False
    _current_at: float = float("-inf")

    def submit(self, *, until: float, most: int | None = None) -> bool:
        """Submit what may be under way, until the slice's time is over; give whether any was accepted so far.

        :param until: on the clock of ``time.monotonic()``. :param most: how many at most.
        :raises AttemptSuperseded: a later attempt has started.
        """
        room, failed_in_a_row = self.batch.room, 0
        for index in self.batch.indices(ItemState.LEFT)[:most]:
            wait = self.pace.wait(self.clock())
            if not room or self.batch.is_stopping or wait > _SHORT_WAIT or time.monotonic() + wait >= until:
                break
            if wait > 0:
                self.sleep(wait)
            if not self._may_pay(index):
                break
            self._require_current()
            try:
                project = self._post(index)
            except Json2VideoError as error:
                failed_in_a_row += self._failed(index, error)
                room -= self.batch.records[index].state is ItemState.LOST
                if self.refusal or self.trouble:
                    break
                if failed_in_a_row >= min(most or len(self.items), _MAX_FAILED_IN_A_ROW):
                    self.trouble = error
                    break
            else:
                self.accepted, room, failed_in_a_row = True, room - 1, 0
                self.batch.submitted(index, project, at=self.clock())
                self.balance.note(index)
                render_submitted()
        return self.accepted

    def _may_pay(self, index: int) -> bool:
        try:
            self.balance.require(index)
        except CreditReserveReached as error:
            self.refusal = error
        except Json2VideoError as error:
            if error.retryable:
                self.trouble = error
            else:
                self.log.task_log.error("Nothing more is submitted: %s", error)
                self.batch.halt(error)
        else:
            return True
        return False

    def _post(self, index: int) -> str:
        from airflow_json2video.api import calls

        document = self.items.document(index)
        call = calls.submit_movie(add_stamp(document, self.mark(index)))
        self.batch.records[index].sent += 1
        try:
            return self.client.execute(call).project
        finally:
            self.pace.note(self.clock())  # the first answer may have corrected the clock

    def _failed(self, index: int, error: Json2VideoError) -> bool:
        """Note how the submission of an item failed; return whether the service, and not the item, may be the cause."""
        where = self.items.where(index)
        if isinstance(error, (RenderNotStarted, RateLimited)):
            self.log.warning("%s was refused for now: %s", where, error.message)
            pause = backoff(self.batch.records[index].sent, jitter=random.random())  # noqa: S311
            self.batch.refused(index, error, due=self.service_time.now() + pause + (error.retry_after or 0.0))
            if isinstance(error, RateLimited):
                self.trouble = error
            return True
        if error.billing is Billing.UNKNOWN:
            self.log.warning("The response to the submission of %s was lost: %s", where, error.message)
            now = self.service_time.now()
            due = now + backoff(1, jitter=random.random())  # noqa: S311
            self.batch.lost(index, error, at=now if self.service_time.is_known else 0.0, due=due)
            self.balance.note(index)
            return True
        if isinstance(error, _OF_ITEMS):
            self.log.error("%s was refused: %s", where, error)
            self.batch.failed(index, error)
            return False
        self.batch.records[index].sent -= 1  # it was certainly not accepted
        if isinstance(error, QuotaExhausted):
            self.refusal = error
        elif isinstance(error, ServiceUnreachable) or self.batch.has_paid:
            self.trouble = error  # a refusal of a moment ends nothing while something is paid for
        else:
            self.log.task_log.error("Nothing more is submitted: %s", error)
            self.batch.halt(error)
        return False

    def _require_current(self) -> None:
        asked_at = time.monotonic()
        if asked_at - self._current_at < _CURRENT_FOR:
            return
        ensure_attempt_is_current(self.still_current, what="batch", nothing="Nothing more was submitted.")
        self._current_at = asked_at
