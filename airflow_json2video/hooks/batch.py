"""Submitting the items of a batch, as many as may be under way. The one place that sends ``POST /movies`` for a batch.

Dying anywhere in here loses nothing: every document carries the stamp of its item, so the account's list shows what
was sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_json2video.exceptions import (
    ConfigurationError,
    InvalidMovie,
    InvalidRequest,
    Json2VideoError,
    Money,
    NotFound,
    PlanLimitExceeded,
    QuotaExhausted,
    RateLimited,
    RenderNotStarted,
    ReserveReached,
    ServiceUnreachable,
)
from airflow_json2video.hooks.current import require_current
from airflow_json2video.hooks.metrics import render_submitted
from airflow_json2video.rendering.identity import Stamp, stamp

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.hooks.batch_balance import BatchBalance
    from airflow_json2video.hooks.batch_log import ItemLog
    from airflow_json2video.rendering.batch import Batch
    from airflow_json2video.rendering.batch_items import BatchItems
    from airflow_json2video.rendering.pace import Pace

__all__ = ["BatchSubmission"]

_OF_ITEMS = (InvalidRequest, InvalidMovie, NotFound, PlanLimitExceeded, ConfigurationError)
"""Refusals that are about one document; any other is about the account, and would meet all."""

_MOST_LOST_IN_A_ROW = 3
"""Answers lost one after the other before it is taken for the service, which is left alone for a while then."""

_CURRENT_FOR = 1.0
"""Seconds for which "this attempt is the running one" is believed. A process that stalls for longer asks again, and
a successor looks into the list for a minute before it sends anything."""

_SHORT_WAIT = 2.0
"""Seconds that the pace is waited for on the worker; for longer the task defers."""


@dataclass(kw_only=True)
class BatchSubmission:
    """The submissions of one slice.

    :param mark: gives the stamp of an item.
    :param still_current: whether Airflow still takes this attempt for the running one; raises if it cannot find out.
    :param balance: asked before each submission whether it may be made.
    :ivar accepted: whether any submission was.
    :ivar trouble: why the submissions broke off, if the service was in trouble.
    :ivar refusal: why they did, if the account could not pay; nothing was started for that item.
    """

    client: Json2VideoClient
    items: BatchItems
    batch: Batch
    pace: Pace
    mark: Callable[[int], Stamp]
    balance: BatchBalance
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

        :param until: epoch seconds. :param most: how many at most.
        :raises AttemptSuperseded: a later attempt has started.
        """
        lost_in_a_row = 0
        for index in self.batch.next_items()[:most]:
            wait = self.pace.wait(self.clock())
            if self.batch.is_stopping or wait > _SHORT_WAIT or self.clock() + wait >= until:
                break
            if wait > 0:
                self.sleep(wait)
            if not self._may_pay(index):
                break
            self._require_current()
            try:
                project = self._post(index)
            except ServiceUnreachable as error:  # certainly not sent
                self.batch.records[index].sent -= 1
                self.trouble = error
                break
            except Json2VideoError as error:
                lost = error.money is Money.UNKNOWN or isinstance(error, RenderNotStarted)
                if isinstance(error, QuotaExhausted) and not lost:
                    self.batch.records[index].sent -= 1
                    self.refusal = error
                    break
                self._refused(index, error, lost=lost)
                lost_in_a_row = lost_in_a_row + 1 if lost else 0
                if isinstance(error, RateLimited) or lost_in_a_row >= min(most or len(self.items), _MOST_LOST_IN_A_ROW):
                    self.trouble = error
                    break
            else:
                self.accepted, lost_in_a_row = True, 0
                self.batch.submitted(index, project, at=self.clock())
                self.balance.note(index)
                render_submitted()
        return self.accepted

    def _may_pay(self, index: int) -> bool:
        try:
            self.balance.require(index)
        except ReserveReached as error:
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
        call = calls.submit_movie(stamp(document, self.mark(index)))
        self.pace.note(self.clock())
        self.batch.records[index].sent += 1
        return self.client.execute(call).project

    def _refused(self, index: int, error: Json2VideoError, *, lost: bool) -> None:
        where = self.items.where(index)
        if lost:
            self.log.warning("The answer to the submission of %s is lost: %s", where, error.message)
            self.batch.lost(index, error, at=self.clock())
            self.balance.note(index)
        elif isinstance(error, _OF_ITEMS):
            self.log.error("%s was refused: %s", where, error)
            self.batch.failed(index, error)
        else:
            self.log.task_log.error("Nothing more is submitted: %s", error)
            self.batch.halt(error)

    def _require_current(self) -> None:
        asked_at = self.clock()
        if asked_at - self._current_at < _CURRENT_FOR:
            return
        require_current(self.still_current, what="batch", nothing="Nothing more was submitted.")
        self._current_at = asked_at
