"""When to look at a render: learnt from how long the renders of its account take. Pure.

A look costs a request, and no look costs lateness: seconds in which the render has ended and nobody
knows. So the next look falls on the moment at which the *expected* lateness reaches what a request is
worth. While renders of that age end often, that is soon; in the long tail, where few end in any minute,
it is later; and while no render has ever ended at that age, it is not at all.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections import deque
from dataclasses import dataclass, field
from itertools import accumulate
from statistics import NormalDist
from zlib import crc32

__all__ = ["MIN_POLL_INTERVAL", "PollSchedule", "RenderTimes", "chance_of", "poll_schedule"]

_LOCAL_FLOOR = 0.2
"""Seconds between looks at a render of a service on this machine, which sets no floor of its own."""

MIN_POLL_INTERVAL = 5.0
"""Seconds; the service's own floor between two looks at one render."""

_WORTH = 0.65
"""Seconds of expected lateness that a request is worth, at a poll interval of 10 s."""

_TYPICAL = 4.0
"""The middle render time that is assumed before any is known, in poll intervals: 40 s at the default 10 s. Seen
by the vendor: 2 s of text in 8 s, 108 s of portrait video in 195 s. The spread covers both: one in ten under a
fifth of it, one in ten over five times."""
_SPREAD = 1.25
_GUESS_POINTS = 48
_GUESS_WEIGHT = 8.0
"""As many renders as the guess weighs against those that were seen."""
_TAIL_WEIGHT = 0.5
"""At any age one may be of a kind never seen: so many renders are taken to need about as long again."""
_KEPT = 200
"""Renders that are remembered; older ones are forgotten, so that the plan follows a change of habits."""

_Z = [NormalDist().inv_cdf((i + 0.5) / _GUESS_POINTS) for i in range(_GUESS_POINTS)]


class RenderTimes:
    """How long the renders of one account took, submission to end: the latest that were seen, and a guess before."""

    def __init__(self) -> None:
        self._latest: deque[float] = deque()
        self._sorted: list[float] = []
        self._unplanned = 0
        self._curves: dict[float, _Curve] = {}

    def __len__(self) -> int:
        return len(self._latest)

    def add(self, seconds: float) -> None:
        """Remember a render that took *seconds*."""
        if not 0 < seconds < math.inf:
            return
        self._latest.append(seconds)
        insort(self._sorted, seconds)
        if len(self._latest) > _KEPT:
            del self._sorted[bisect_right(self._sorted, self._latest.popleft()) - 1]
        self._unplanned += 1
        if self._unplanned * 8 >= len(self._latest):
            self._unplanned = 0
            self._curves.clear()

    def wait(self, age: float, *, interval: float) -> float:
        """Give the seconds from *age* after which the expected lateness is worth a look.

        :param interval: the author's ``poll_interval``: waits grow in proportion to it.
        """
        curve = self._curves.get(interval)
        if curve is None:
            curve = self._curves[interval] = _Curve(self._sorted, interval)
        return curve.wait(age)


class _Curve:
    """The render times as a weighted distribution, and the waits that follow from it."""

    def __init__(self, seen: list[float], interval: float) -> None:
        weight = _GUESS_WEIGHT / _GUESS_POINTS
        guess = [(_TYPICAL * interval * math.exp(_SPREAD * z), weight) for z in _Z]
        points = sorted([*guess, *((seconds, 1.0) for seconds in seen)])
        self._ends = [end for end, _ in points]
        self._weights = [0.0, *accumulate(weight for _, weight in points)]
        self._moments = [0.0, *accumulate(end * weight for end, weight in points)]
        self._interval = interval
        self._worth = _WORTH * (interval / 10.0) ** 2
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
        while self._lateness(age, high) < self._worth:
            low, high = high, high * 2
        for _ in range(10):
            middle = (low + high) / 2
            low, high = (middle, high) if self._lateness(age, middle) < self._worth else (low, middle)
        return high

    def _lateness(self, age: float, wait: float) -> float:
        """Seconds for which a render that is not over at *age* will have been over unnoticed, on average."""
        first, last = bisect_right(self._ends, age), bisect_right(self._ends, age + wait)
        late = (age + wait) * (self._weights[last] - self._weights[first]) - (
            self._moments[last] - self._moments[first]
        )
        late += _TAIL_WEIGHT * wait * wait / (2 * max(age, self._interval))
        return late / (self._weights[-1] - self._weights[first] + _TAIL_WEIGHT)


@dataclass(frozen=True)
class PollSchedule:
    """When to look at a render, and when again.

    :param interval: the author's ``poll_interval``, in seconds. It scales the plan: twice the interval, about twice
        the time between looks and half the requests.
    :param floor: seconds; no interval is ever shorter. Five for JSON2Video; the service on one's own
        machine sets no floor.
    :param longest: seconds; no interval is longer, unless the author asks for a longer one.
    :param times: what is known of the account's render times.
    """

    interval: float = 10.0
    floor: float = MIN_POLL_INTERVAL
    longest: float = 60.0
    times: RenderTimes = field(default_factory=RenderTimes, compare=False, repr=False)

    def first_look(self, *, age: float, chance: float = 0.5) -> float:
        """Seconds until the first look at a render that is *age* seconds old: when the quickest may be done.

        :param chance: 0 to 1, another for each render: spreads looks that would fall together.
        """
        wait = self._spread(self._bounded(self.times.wait(0.0, interval=self.interval)), chance)
        # One that was left unwatched, as by a restart, is looked at now; a thousand of them within the floor.
        return max(wait - age, self.floor * chance)

    def next_look(self, *, age: float, chance: float = 0.5) -> float:
        """Seconds until the next look at a render that goes on at *age* seconds."""
        return max(self.floor, self._spread(self._bounded(self.times.wait(age, interval=self.interval)), chance))

    def after_failures(self, failures: int) -> float:
        """Seconds until the next look after so many failed ones in a row.

        Half as much again each time, at most two minutes: the end of an outage is noticed within about half
        its length.
        """
        return float(max(self.floor, min(self.interval * 1.5 ** min(failures, 20), 120.0)))

    def _bounded(self, wait: float) -> float:
        return max(self.floor, min(wait, max(self.longest, self.interval)))

    @staticmethod
    def _spread(wait: float, chance: float) -> float:
        return wait * (0.75 + 0.5 * chance)


def chance_of(project: str, look: int = 0) -> float:
    """Give a number from 0 to 1 that is this render's own at this look, and the same wherever it is asked."""
    return crc32(f"{project}{look}".encode()) / 2**32


def poll_schedule(poll_interval: float, *, is_loopback: bool, times: RenderTimes | None = None) -> PollSchedule:
    """Give the schedule for an interval that an author asked for; never under the service's own floor.

    A service on this machine is looked at as often as an author asks for, and no more often than JSON2Video else.

    :param times: what is known of the account's render times.
    """
    floor = MIN_POLL_INTERVAL
    if is_loopback:
        floor = min(floor, max(_LOCAL_FLOOR, poll_interval / 2))
    return PollSchedule(interval=poll_interval, floor=floor, times=RenderTimes() if times is None else times)
