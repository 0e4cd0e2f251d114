"""When to poll a render, learned from how long the renders of its account take. Pure.

Polling is a trade-off: each poll costs a request, and each second between polls delays the result. So the next poll is
due when the *expected* delay reaches what a request is worth. While many renders end at that age, that is soon. In the
long tail, where few end in any minute, it is later. Ages at which no render has ever ended are skipped.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections import deque
from dataclasses import dataclass, field
from itertools import accumulate
from statistics import NormalDist
from zlib import crc32

from airflow_json2video.core.delays import capped

__all__ = ["MAX_RETRY_AFTER", "MIN_POLL_INTERVAL", "PollSchedule", "RenderTimes", "jitter", "poll_schedule"]

_LOCAL_FLOOR = 0.2
"""Seconds between two polls of a render of a service on this machine, which sets no limit of its own."""

MIN_POLL_INTERVAL = 5.0
"""Seconds; the service's own limit between two polls of one render."""

MAX_RETRY_AFTER = 300.0
"""Seconds by which the service's ``Retry-After`` can delay a poll."""

_REQUEST_WORTH = 0.65
"""Seconds of expected delay that a request is worth, at a poll interval of 10 s."""

_TYPICAL = 4.0
"""The median render time that is assumed before any is known, in poll intervals: 40 s at the default 10 s. The vendor
reports 8 s for 2 s of text, and 195 s for 108 s of portrait video. The spread covers both: one in ten below a fifth of
it, one in ten above five times."""
_SPREAD = 1.25
_GUESS_POINTS = 48
_GUESS_WEIGHT = 8.0
"""The number of observed renders that the guess weighs as much as."""
_TAIL_WEIGHT = 0.5
"""A render may be of a kind never observed: this many renders are assumed to need about as long again, at any age."""
_MAX_REMEMBERED = 200
"""Renders that are remembered. Older ones are forgotten, so that the schedule follows a change in what is rendered."""

_Z = [NormalDist().inv_cdf((i + 0.5) / _GUESS_POINTS) for i in range(_GUESS_POINTS)]


class RenderTimes:
    """How long the renders of one account took from submission to end: the latest observed, and a guess before that."""

    def __init__(self) -> None:
        self._latest: deque[float] = deque()
        self._sorted: list[float] = []
        self._since_update = 0
        self._curves: dict[float, _Curve] = {}

    def __len__(self) -> int:
        return len(self._latest)

    def add(self, seconds: float) -> None:
        """Add a render that took *seconds*."""
        if not 0 < seconds < math.inf:
            return
        self._latest.append(seconds)
        insort(self._sorted, seconds)
        if len(self._latest) > _MAX_REMEMBERED:
            del self._sorted[bisect_right(self._sorted, self._latest.popleft()) - 1]
        self._since_update += 1
        if self._since_update * 8 >= len(self._latest):
            self._since_update = 0
            self._curves.clear()

    def wait(self, age: float, *, interval: float) -> float:
        """Return the seconds after *age* at which the expected delay is worth a poll.

        :param interval: the author's ``poll_interval``: the result grows in proportion to it.
        """
        curve = self._curves.get(interval)
        if curve is None:
            curve = self._curves[interval] = _Curve(self._sorted, interval)
        return curve.wait(age)


class _Curve:
    """The render times as a weighted distribution, and the waits that follow from it."""

    def __init__(self, observed: list[float], interval: float) -> None:
        weight = _GUESS_WEIGHT / _GUESS_POINTS
        guess = [(_TYPICAL * interval * math.exp(_SPREAD * z), weight) for z in _Z]
        points = sorted([*guess, *((seconds, 1.0) for seconds in observed)])
        self._ends = [end for end, _ in points]
        self._weights = [0.0, *accumulate(weight for _, weight in points)]
        self._moments = [0.0, *accumulate(end * weight for end, weight in points)]
        self._interval = interval
        self._worth = _REQUEST_WORTH * (interval / 10.0) ** 2
        self._known: dict[int, float] = {}

    def wait(self, age: float) -> float:
        # A step of this scale is an eighth of a second for a new render and 15 s for one of ten minutes.
        step = int(40 * math.log1p(max(age, 0.0) / 5))
        wait = self._known.get(step)
        if wait is None:
            wait = self._known[step] = self._solve(5 * math.expm1(step / 40))
        return wait

    def _solve(self, age: float) -> float:
        low, high = 0.0, 1.0
        while self._delay(age, high) < self._worth:
            low, high = high, high * 2
        for _ in range(10):
            middle = (low + high) / 2
            low, high = (middle, high) if self._delay(age, middle) < self._worth else (low, middle)
        return high

    def _delay(self, age: float, wait: float) -> float:
        """Return for how many seconds a render that runs at *age* will have been finished unnoticed, on average."""
        first, last = bisect_right(self._ends, age), bisect_right(self._ends, age + wait)
        delay = (age + wait) * (self._weights[last] - self._weights[first]) - (
            self._moments[last] - self._moments[first]
        )
        delay += _TAIL_WEIGHT * wait * wait / (2 * max(age, self._interval))
        return delay / (self._weights[-1] - self._weights[first] + _TAIL_WEIGHT)


@dataclass(frozen=True)
class PollSchedule:
    """When to poll a render first, and when again.

    :param interval: the author's ``poll_interval``, in seconds. It scales the schedule: twice the interval means about
        twice the time between polls and half the requests.
    :param floor: seconds; no interval is shorter. Five for JSON2Video; a service on this machine sets no limit.
    :param longest: seconds; no interval is longer, unless the author asks for a longer one.
    :param times: what is known of the account's render times.
    """

    interval: float = 10.0
    floor: float = MIN_POLL_INTERVAL
    longest: float = 60.0
    times: RenderTimes = field(default_factory=RenderTimes, compare=False, repr=False)

    def first_poll(self, *, age: float, jitter: float = 0.5) -> float:
        """Return the seconds until the first poll of a render that is *age* seconds old: when the quickest may be done.

        :param jitter: 0 to 1, see :func:`jitter`; spreads polls that would coincide.
        """
        wait = self._spread(self._bounded(self.times.wait(0.0, interval=self.interval)), jitter)
        # A render that was not polled for a while, for example during a restart, is polled now; a thousand of them
        # within the minimum interval.
        return capped(max(wait - age, self.floor * jitter))

    def next_poll(self, *, age: float, jitter: float = 0.5) -> float:
        """Return the seconds until the next poll of a render that still runs at *age* seconds."""
        return capped(
            max(self.floor, self._spread(self._bounded(self.times.wait(age, interval=self.interval)), jitter))
        )

    def after_failures(self, failures: int) -> float:
        """Return the seconds until the next poll after a number of failed polls in a row.

        Each is 1.5 times the one before, at most two minutes, so the end of an outage is noticed within about half its
        length.
        """
        return capped(float(max(self.floor, min(self.interval * 1.5 ** min(failures, 20), 120.0))))

    def _bounded(self, wait: float) -> float:
        return max(self.floor, min(wait, max(self.longest, self.interval)))

    @staticmethod
    def _spread(wait: float, jitter: float) -> float:
        return wait * (0.75 + 0.5 * jitter)


def jitter(project: str, poll: int = 0) -> float:
    """Return a number from 0 to 1 for this poll of this render: another for each, the same in every process."""
    return crc32(f"{project}{poll}".encode()) / 2**32


def poll_schedule(poll_interval: float, *, is_loopback: bool, times: RenderTimes | None = None) -> PollSchedule:
    """Return the schedule for the author's ``poll_interval``; never below the service's own limit.

    A service on this machine is polled as often as the author asks for.

    :param times: what is known of the account's render times.
    """
    floor = MIN_POLL_INTERVAL
    if is_loopback:
        floor = min(floor, max(_LOCAL_FLOOR, poll_interval / 2))
    return PollSchedule(interval=poll_interval, floor=floor, times=RenderTimes() if times is None else times)
