"""The rate of a batch's submissions, and when a deferred batch needs a worker again. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

__all__ = ["RateLimiter", "should_resume"]

_WINDOW = 60


class RateLimiter:
    """Limits the submissions within any minute.

    :param sent: earlier submissions: pairs of epoch seconds and the number sent in that second.
    """

    def __init__(self, per_minute: float, sent: Iterable[Sequence[int]] = ()) -> None:
        self._per_minute = max(1, int(per_minute))
        self.sent = [[second, count] for second, count in sent]

    def wait(self, now: float) -> float:
        """Return the seconds until the next submission is allowed; 0 if it is allowed now."""
        return max(0.0, self._free_at(1, now=now) - now)

    def record(self, now: float) -> None:
        """Count a submission."""
        second = math.ceil(now)
        if self.sent and self.sent[-1][0] == second:
            self.sent[-1][1] += 1
        else:
            self.sent.append([second, 1])

    def next_free(self, now: float, *, wanted: int) -> float:
        """Return the moment from which *wanted* submissions, or a quarter of a minute's, are allowed in a row."""
        return self._free_at(min(max(1, wanted), max(1, self._per_minute // 4)), now=now)

    def _free_at(self, wanted: int, *, now: float) -> float:
        self.sent = [[second, count] for second, count in self.sent if now - second < _WINDOW]
        surplus = sum(count for _, count in self.sent) + wanted - self._per_minute
        for second, count in self.sent:
            if surplus <= 0:
                break
            surplus -= count
            now = float(second + _WINDOW)
        return now


def should_resume(*, ended: int, waiting: int, more_to_submit: bool, since_first: float, max_delay: float) -> bool:
    """Return whether to resume on a worker. A step takes seconds of a worker slot, however little there is to do.

    :param ended: renders that ended since the batch was deferred. :param waiting: those that are still running.
    :param more_to_submit: whether items wait for free slots.
    :param since_first: seconds since the first render ended. :param max_delay: seconds that it may wait.
    """
    if not waiting:
        return True
    return more_to_submit and ended > 0 and (ended >= waiting or since_first >= max_delay)
