"""When a batch submits again, and when that is worth a worker. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

__all__ = ["RateLimiter", "is_worth_resuming"]

_WINDOW = 60


class RateLimiter:
    """At most so many submissions within any minute.

    :param sent: of those before: epoch seconds and how many were sent then, each.
    """

    def __init__(self, per_minute: float, sent: Iterable[Sequence[int]] = ()) -> None:
        self._most = max(1, int(per_minute))
        self.sent = [[second, count] for second, count in sent]

    def wait(self, now: float) -> float:
        """Seconds until the next submission may be sent; 0: now."""
        return max(0.0, self._room_at(1, now=now) - now)

    def note(self, now: float) -> None:
        """Count a submission."""
        second = math.ceil(now)
        if self.sent and self.sent[-1][0] == second:
            self.sent[-1][1] += 1
        else:
            self.sent.append([second, 1])

    def free_at(self, now: float, *, wanted: int) -> float:
        """Give the moment from which *wanted* submissions, or a quarter of a minute's, may be sent in a row."""
        return self._room_at(min(max(1, wanted), max(1, self._most // 4)), now=now)

    def _room_at(self, room: int, *, now: float) -> float:
        self.sent = [[second, count] for second, count in self.sent if now - second < _WINDOW]
        surplus = sum(count for _, count in self.sent) + room - self._most
        for second, count in self.sent:
            if surplus <= 0:
                break
            surplus -= count
            now = float(second + _WINDOW)
        return now


def is_worth_resuming(*, ended: int, waiting: int, more_to_submit: bool, since_first: float, linger: float) -> bool:
    """Whether a worker is to be asked for: a slice costs some seconds of one, however little there is to do.

    :param ended: renders that have ended since the batch was deferred. :param waiting: those that go on.
    :param more_to_submit: items wait for the places of those that ended.
    :param since_first: seconds since the first of them ended. :param linger: seconds that it may wait.
    """
    if not waiting:
        return True
    return more_to_submit and ended > 0 and (ended >= waiting or since_first >= linger)
