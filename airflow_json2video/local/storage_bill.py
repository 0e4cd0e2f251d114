"""The cost of the drive so far: credits for each week in which it held more than the free allowance."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_json2video.local.store import Records

__all__ = ["WEEK", "StorageBill"]

WEEK = 7 * 86400.0


class StorageBill:
    """Charges at the end of each week, counted from the time at which the storage began to cost credits.

    When a week is charged is not documented. Times are epoch seconds on the service's clock; a charge in the future,
    after the clock was set back, does not count yet.

    :param records: where the bill is stored.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self._lock = threading.Lock()

    def settle(self, *, price: int, now: float) -> None:
        """Charge every week that has ended.

        Must be called before and after each change of the files: the price applies since the last call.

        :param price: credits per week for the current files.
        """
        with self._lock:
            bill: dict[str, Any] = self._records.get("bill") or {"since": None, "charges": []}
            since, charges = bill["since"], list(bill["charges"])
            if not price:
                since = None
            elif since is None:
                since = now
            while since is not None and since + WEEK <= now:
                since += WEEK
                charges.append([since, price])
            if {"since": since, "charges": charges} != bill:
                self._records.put("bill", {"since": since, "charges": charges})

    def spent(self, now: float) -> float:
        """Return the credits of all charges up to *now*."""
        bill = self._records.get("bill") or {"charges": []}
        return float(sum(price for moment, price in bill["charges"] if moment <= now))
