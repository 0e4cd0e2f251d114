"""What the drive has cost so far: credits for each week in which it held more than is free."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_json2video.local.store import Records

__all__ = ["WEEK", "StorageBill"]

WEEK = 7 * 86400.0


class StorageBill:
    """Charges at the end of each week, counted from the moment at which the storage began to cost.

    When a week is charged is not documented. Moments are epoch seconds on the service's clock; a charge that lies in
    the future, because the clock was put back, does not count yet.

    :param records: where the bill is kept.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self._lock = threading.Lock()

    def settle(self, *, price: int, now: float) -> None:
        """Charge every week that is over.

        To be called before and after each change of what is stored: the price held since the last call.

        :param price: credits a week for what is stored.
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
        """Give the credits of all charges up to *now*."""
        bill = self._records.get("bill") or {"charges": []}
        return float(sum(price for moment, price in bill["charges"] if moment <= now))
