"""The recorded mix of render times, and the plan of a run: when each render starts and how long it takes.

Server and harness build the same plan from the same numbers, so they need not exchange it.

Half of the renders are short clips, two in five are ordinary videos, one in ten is long, with a heavy tail up
to 20 minutes. ``python -m benchmarks.polling.mix`` writes ``render_times.json``, the same each time.
"""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LONGEST", "SHORTEST", "Plan", "Render", "facts", "make_plan", "record", "recorded"]

FILE = Path(__file__).with_name("render_times.json")
SEED = 20261123
COUNT = 1000
SHORTEST, LONGEST = 2.0, 1200.0
"""Seconds."""

_CLIPS, _VIDEOS = (0.5, 12.0, 0.6), (0.4, 75.0, 0.5)
"""Share, median in seconds, and the spread of the logarithm."""
_TAIL_FROM, _TAIL_SHAPE = 150.0, 1.1
"""Seconds from which the long ones are, and the exponent with which they become rare."""

_PAUSE = 1.0
"""Seconds between the end of a render and the start of the one that replaces it."""


def record() -> list[float]:
    """Draw the mix."""
    rng = random.Random(SEED)
    times: list[float] = []
    while len(times) < COUNT:
        kind = rng.random()
        if kind < _CLIPS[0]:
            seconds = _CLIPS[1] * rng.lognormvariate(0, _CLIPS[2])
        elif kind < _CLIPS[0] + _VIDEOS[0]:
            seconds = _VIDEOS[1] * rng.lognormvariate(0, _VIDEOS[2])
        else:
            seconds = _TAIL_FROM * rng.paretovariate(_TAIL_SHAPE)
        if SHORTEST <= seconds <= LONGEST:
            times.append(round(seconds, 1))
    return times


def recorded() -> list[float]:
    """Read the mix: seconds from submission to end."""
    times: list[float] = json.loads(FILE.read_text())["seconds"]
    return times


def facts() -> dict[str, float]:
    """Return the figures of the mix, in seconds."""
    ordered = sorted(recorded())
    return {
        "median": round(statistics.median(ordered), 1),
        "mean": round(statistics.fmean(ordered), 1),
        "p95": ordered[int(0.95 * len(ordered))],
        "longest": ordered[-1],
    }


@dataclass(frozen=True)
class Render:
    """One render of a plan. Times are seconds since the run began; a render that started before has a negative start.

    :ivar start: when it was submitted. :ivar end: when it is done. :ivar watched: when its trigger starts.
    """

    number: int
    start: float
    end: float
    watched: float


@dataclass(frozen=True)
class Plan:
    """*size* renders are waited for at any time: each that ends is followed by another.

    :ivar renders: in the order in which they are watched.
    :ivar ramp: seconds over which the first triggers start, evenly.
    """

    size: int
    ramp: float
    renders: Sequence[Render]

    def ideal_polls(self, interval: float, *, since: float, until: float) -> int:
        """Count the polls that fall between two moments if each render is polled every *interval* seconds.

        From the start of its trigger on, and to the first that finds it done.
        """
        return sum(
            1
            for render in self.renders
            for moment in _poll_times(render, interval, until=until)
            if since <= moment < until
        )


def make_plan(size: int, *, horizon: float, ramp: float, times: Sequence[float] | None = None) -> Plan:
    """Plan a run with *size* renders in progress from the beginning, as on a system that has been running for long.

    The first ones are in the middle of their time, a long one more likely than a short one.

    :param horizon: seconds; no render starts after it.
    """
    times = recorded() if times is None else times
    rng = random.Random(f"{SEED} {size}")
    renders: list[tuple[float, float, float]] = []
    for place, seconds in enumerate(rng.choices(times, weights=times, k=size)):
        start = -seconds * rng.random()
        watched = ramp * place / size
        end = start + seconds
        if end <= watched:  # it ended before its trigger started
            start, end = watched - seconds / 2, watched + seconds / 2
        renders.append((watched, start, end))
        while (start := end + _PAUSE) < horizon:
            end = start + rng.choice(times)
            renders.append((start, start, end))
    renders.sort()
    return Plan(
        size=size,
        ramp=ramp,
        renders=[Render(n, start, end, watched) for n, (watched, start, end) in enumerate(renders)],
    )


def _poll_times(render: Render, interval: float, *, until: float) -> Iterator[float]:
    moment = render.watched
    while moment < until:
        yield moment
        if moment >= render.end:
            return
        moment += interval


def _write() -> None:
    times = record()
    lines = [", ".join(f"{t:g}" for t in times[n : n + 16]) for n in range(0, len(times), 16)]
    FILE.write_text(
        '{"what": "Render times in seconds, submission to end, as mix.py draws them",\n'
        f' "seed": {SEED},\n "seconds": [\n  ' + ",\n  ".join(lines) + "\n ]}\n"
    )


if __name__ == "__main__":
    _write()
