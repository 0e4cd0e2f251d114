"""What a batch does when the account cannot pay for its next item: wait for renders in flight, for credits, or stop."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn

from airflow_json2video.batch.budget import UNBILLED_STATES, BatchBudget
from airflow_json2video.core.price import Price, wait_deadline
from airflow_json2video.exceptions import Json2VideoError, QuotaExhausted
from airflow_json2video.operators._deferral import CREDIT_WAIT_ENDED, defer_for_credits

if TYPE_CHECKING:
    from airflow_json2video.batch.submitter import BatchSubmitter
    from airflow_json2video.core.batch import BatchLedger
    from airflow_json2video.core.batch_items import BatchItems
    from airflow_json2video.operators._batch.settings import BatchSettings, BatchTask
    from airflow_json2video.operators._batch.state import BatchState

__all__ = ["BatchCredits"]


@dataclass(kw_only=True)
class BatchCredits:
    """The credits of a batch during one step.

    :ivar refusal: the error by which the service or the reserve refused the next item; nothing was started for it.
    """

    task: BatchTask
    settings: BatchSettings
    items: BatchItems
    batch: BatchLedger
    state: BatchState
    refusal: Json2VideoError | None = None

    @cached_property
    def budget(self) -> BatchBudget:
        """The budget of this step. The balance is not read yet."""
        return BatchBudget(
            client=self.task.hook.client,
            items=self.items,
            batch=self.batch,
            min_remaining=self.settings.min_remaining_credits,
        )

    @property
    def is_on_hold(self) -> bool:
        """Whether an item was refused, and renders in flight must end before it is tried again.

        Until they end, their cost may count twice, in the balance and as an estimate; and a failed render is free.
        """
        return self.state.lacks_credits and bool(self.batch.items_in(*UNBILLED_STATES))

    def record(self, submitter: BatchSubmitter) -> None:
        """Record how the submissions of the step ended."""
        self.refusal = submitter.refusal
        self.state.lacks_credits = self.refusal is not None
        if submitter.accepted:
            self.state.credits_waits = 0

    def stop_if_unpayable(self) -> None:
        """Stop the batch if it cannot be paid for, no render in flight may change that, and it is not to wait."""
        state, refusal = self.state, self.refusal
        if refusal is None or self.batch.is_stopping:
            return
        log, now = self.task.log, self.task.hook.clock.now()
        waits = self.settings.wait_for_credits is not None
        if waits and state.credits_deadline is None:
            state.credits_deadline = wait_deadline(self.settings.wait_for_credits, now=now)
        if self.is_on_hold and (waits or not isinstance(refusal, QuotaExhausted)):
            log.warning("%s Nothing more is submitted until the renders in flight have ended.", refusal.message)
            return
        if waits and now < self._deadline:
            state.credits_waits += 1
            return
        if waits:
            refusal = refusal.with_context(advice=f"{refusal.advice} {CREDIT_WAIT_ENDED}".strip())
        log.error("Stopped submitting: %s", refusal)
        self.batch.stop(refusal)

    def refusal_to_wait_for(self) -> Json2VideoError | None:
        """Return the refusal after which only a wait for credits is left; None if there is anything else to do."""
        return None if self.batch.is_stopping or self.is_on_hold else self.refusal

    def defer(self, refusal: Json2VideoError) -> NoReturn:
        """Free the worker slot until the account has credits for the next item above the reserve."""
        price = Price(seconds=None, credits=None, at_least=0, at_most=None)
        with suppress(Json2VideoError):  # the movie of a stored template may be unreadable at the moment
            price = self.budget.price(self.batch.next_items()[0])
        defer_for_credits(
            self.task,
            refusal,
            price=price,
            min_remaining=self.settings.min_remaining_credits,
            until=self._deadline,
            attempt=self.state.credits_waits - 1,
            kwargs={},
        )

    @property
    def _deadline(self) -> float:
        return min(self.state.credits_deadline or 0.0, self.state.deadline or float("inf"))
