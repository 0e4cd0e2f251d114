"""What the account has left for the next item of a batch, less what the batch has under way. Free calls only."""

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

__all__ = ["MAY_STILL_COST", "BatchBudget"]

MAY_STILL_COST = (ItemState.UNDER_WAY, ItemState.LOST, ItemState.UNKNOWN)
"""Items that are renders now, or may be: what they cost may not be in the balance yet."""


@dataclass(kw_only=True)
class BatchBudget:
    """The balance during one slice: asked for once, and anew before each item whose price is not known.

    :param min_remaining: credits that have to be left in the account; None: it is not asked at all.
    """

    client: Json2VideoClient
    items: BatchItems
    batch: BatchLedger
    min_remaining: float | None
    _left: float | None = None
    _asked: bool = False
    _committed: float = 0.0
    _prices: dict[int, Price] = field(default_factory=dict)

    def price(self, index: int) -> Price:
        """Estimate an item; the movie of a stored template is read for it, once.

        :raises Json2VideoError: the template cannot be read.
        """
        if index not in self._prices:
            self._prices[index] = Price.of(self._whole.document(index))
        return self._prices[index]

    def require(self, index: int) -> None:
        """Make sure that enough is left in the account if this item is submitted now.

        :raises CreditReserveReached: there is not. :raises Json2VideoError: the account could not be asked.
        """
        if self.min_remaining is None:
            return
        price = self.price(index)
        if not self._asked or price.credits is None:
            self._left = get_remaining_credits(self.client)
            self._asked = True
            self._committed = sum(self.price(other).billable_credits for other in self.batch.indices(*MAY_STILL_COST))
        refusal = check_reserve(
            self._left,
            price,
            min_remaining=self.min_remaining,
            committed=self._committed,
            nothing="Nothing more was submitted.",
        )
        if refusal is not None:
            raise refusal

    def note(self, index: int) -> None:
        """Note that an item was submitted, or may have been, since the balance was asked for."""
        if self.min_remaining is not None:
            self._committed += self.price(index).billable_credits

    @cached_property
    def _whole(self) -> BatchItems:
        base = self.items.base
        if base is None or base.get("template") is None:
            return self.items
        return replace(self.items, base=merge_stored_template(base, self.client))
