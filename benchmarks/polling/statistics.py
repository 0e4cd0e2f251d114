"""Delays of which some have not ended when the measurement ends. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Delay", "quantile", "seen_within"]


@dataclass(frozen=True)
class Delay:
    """The time from the end of a render to its trigger's event.

    :ivar seconds: how long it took, or how long it had taken when the run ended. :ivar seen: False in that case.
    """

    seconds: float
    seen: bool


def quantile(delays: Iterable[Delay], share: float) -> float:
    """Return the delay within which *share* of the ends were seen; infinity if fewer were seen during the run.

    After Kaplan and Meier: a render that ended a second before the run did and was not seen by then says only that
    its delay is more than a second. Leaving it out would favor the slow.
    """
    for seconds, left in _survival(sorted(delays, key=lambda delay: delay.seconds)):
        if left <= 1 - share + 1e-12:
            return seconds
    return math.inf


def seen_within(delays: Iterable[Delay], seconds: float) -> float:
    """Return the share of the ends that were seen within *seconds*; NaN if nothing ended."""
    ordered = sorted(delays, key=lambda delay: delay.seconds)
    if not ordered:
        return math.nan
    left = 1.0
    for moment, after in _survival(ordered):
        if moment > seconds:
            break
        left = after
    return 1 - left


def _survival(ordered: Sequence[Delay]) -> Iterable[tuple[float, float]]:
    left = 1.0
    for place, delay in enumerate(ordered):
        if delay.seen:
            left *= 1 - 1 / (len(ordered) - place)
            yield delay.seconds, left
