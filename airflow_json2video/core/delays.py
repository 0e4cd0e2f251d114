"""The upper limit of the delays between polls and between submissions. It is the seam for tests: see ``testing``.

In production there is no limit, and :func:`capped` returns what it gets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["capped", "max_delay"]

_limit_s = math.inf


def capped(seconds: float) -> float:
    """Return *seconds*, or the limit of the enclosing :func:`max_delay` if that is less."""
    return min(seconds, _limit_s)


@contextmanager
def max_delay(seconds: float) -> Iterator[None]:
    """Limit every delay between polls and between submissions to *seconds*, in all threads of this process.

    For tests that wait for renders of the local service.
    """
    global _limit_s
    before, _limit_s = _limit_s, seconds
    try:
        yield
    finally:
        _limit_s = before
