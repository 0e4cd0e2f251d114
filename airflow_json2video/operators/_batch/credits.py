"""What a batch does when the account cannot pay for its next item: wait for what is under way, for credits, or stop.

Loaded when a task runs, not when its DAG file is parsed.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn

from airflow_json2video.batch.budget import MAY_STILL_COST, BatchBudget
from airflow_json2video.core.batch import BatchLedger
from airflow_json2video.core.batch_items import BatchItems
from airflow_json2video.core.price import Price, wait_deadline
from airflow_json2video.exceptions import Json2VideoError, QuotaExhausted
from airflow_json2video.operators._deferral import CREDIT_WAIT_ENDED, defer_for_credits

if TYPE_CHECKING:
    from airflow_json2video.batch.submitter import BatchSubmission
    from airflow_json2video.operators._batch.state import BatchState
    from airflow_json2video.operators.batch import Json2VideoBatchRenderOperator

__all__ = ["BatchCredits"]


@dataclass(kw_only=True)
class BatchCredits:
    """The money of one slice.

    :ivar refusal: that the service or the reserve gave to the next item in this slice: nothing was started for it.
    """

    operator: Json2VideoBatchRenderOperator
    items: BatchItems
    batch: BatchLedger
    memory: BatchState
    refusal: Json2VideoError | None = None

    @cached_property
    def balance(self) -> BatchBudget:
        """Give the balance for one slice; nothing is asked yet."""
        return BatchBudget(
            client=self.operator.hook.client,
            items=self.items,
            batch=self.batch,
            min_remaining=self.operator.min_remaining_credits,
        )

    @property
    def holds(self) -> bool:
        """Whether an item was refused, and what is under way is waited for before one is tried again.

        What it costs may count twice until then, in the balance and as an estimate; and a render that fails is free.
        """
        return self.memory.short_of_credits and bool(self.batch.indices(*MAY_STILL_COST))

    def take_in(self, submission: BatchSubmission) -> None:
        """Note how the submissions of the slice ended."""
        self.refusal = submission.refusal
        self.memory.short_of_credits = self.refusal is not None
        if submission.accepted:
            self.memory.quota_waits = 0

    def decide(self) -> None:
        """Stop the batch if it cannot be paid for, nothing under way may change that, and no wait was asked for."""
        memory, refusal = self.memory, self.refusal
        if refusal is None or self.batch.is_stopping:
            return
        log, waits = self.operator.log, self.operator.on_quota_exhausted == "wait"
        if waits and memory.quota_until is None:
            memory.quota_until = wait_deadline(self.operator.quota_wait_until, now=self.operator.hook.clock.now())
        if self.holds and (waits or not isinstance(refusal, QuotaExhausted)):
            log.warning("%s Nothing more is submitted until what is under way has ended.", refusal.message)
            return
        if waits and self.operator.hook.clock.now() < self._deadline:
            memory.quota_waits += 1
            return
        if waits:
            refusal = refusal.with_context(advice=f"{refusal.advice} {CREDIT_WAIT_ENDED}".strip())
        log.error("Nothing more is submitted: %s", refusal)
        self.batch.halt(refusal)

    def awaited_after(self) -> Json2VideoError | None:
        """Give the refusal after which there is nothing left to do but to wait for credits; None if there is more."""
        return None if self.batch.is_stopping or self.holds else self.refusal

    def defer(self, refusal: Json2VideoError) -> NoReturn:
        """Free the worker slot until the account has credits for the next item above the reserve."""
        price = Price(seconds=None, credits=None, at_least=0, at_most=None)
        with suppress(Json2VideoError):  # of a stored template that cannot be read now
            price = self.balance.price(self.batch.next_items()[0])
        defer_for_credits(
            self.operator,
            refusal,
            price=price,
            min_remaining=self.operator.min_remaining_credits,
            until=self._deadline,
            attempt=self.memory.quota_waits - 1,
            kwargs={},
        )

    @property
    def _deadline(self) -> float:
        return min(self.memory.quota_until or 0.0, self.memory.until or float("inf"))
