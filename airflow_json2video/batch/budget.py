"""What the account has left for the next item of a batch, minus the cost of the items in flight. Free calls only."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from airflow_json2video.core.batch import ItemState
from airflow_json2video.core.price import Price, check_reserve
from airflow_json2video.submission.budget import get_remaining_credits, merge_stored_template

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.core.batch import BatchLedger
    from airflow_json2video.core.batch_items import BatchItems

__all__ = ["UNBILLED_STATES", "BatchBudget"]

UNBILLED_STATES = (ItemState.IN_FLIGHT, ItemState.UNCONFIRMED, ItemState.UNKNOWN)
"""States of items that are renders, or may be, and whose cost may not be deducted from the balance yet."""


@dataclass(kw_only=True)
class BatchBudget:
    """The balance of the account during one step. It is read once, and again before each item of unknown price.

    :param min_remaining: credits that must remain in the account; None: the balance is not read.
    """

    client: Json2VideoClient
    items: BatchItems
    batch: BatchLedger
    min_remaining: float | None
    _credits_left: float | None = None
    _is_read: bool = False
    _committed: float = 0.0
    _prices: dict[int, Price] = field(default_factory=dict)

    def price(self, index: int) -> Price:
        """Estimate an item. The movie of a stored template is read once.

        :raises Json2VideoError: the template cannot be read.
        """
        if index not in self._prices:
            self._prices[index] = Price.of(self._complete_items.document(index))
        return self._prices[index]

    def ensure_affordable(self, index: int) -> None:
        """Raise unless enough credits remain in the account if this item is submitted now.

        :raises CreditReserveReached: too few would remain. :raises Json2VideoError: the balance could not be read.
        """
        if self.min_remaining is None:
            return
        price = self.price(index)
        if not self._is_read or price.credits is None:
            self._credits_left = get_remaining_credits(self.client)
            self._is_read = True
            self._committed = sum(self.price(other).billable_credits for other in self.batch.items_in(*UNBILLED_STATES))
        refusal = check_reserve(
            self._credits_left,
            price,
            min_remaining=self.min_remaining,
            committed=self._committed,
            nothing="Nothing more was submitted.",
        )
        if refusal is not None:
            raise refusal

    def record(self, index: int) -> None:
        """Record that an item was submitted, or may have been, since the balance was read."""
        if self.min_remaining is not None:
            self._committed += self.price(index).billable_credits

    @cached_property
    def _complete_items(self) -> BatchItems:
        base = self.items.base
        if base is None or base.get("template") is None:
            return self.items
        return replace(self.items, base=merge_stored_template(base, self.client))
