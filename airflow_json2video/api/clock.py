"""The service's clock, for times that mean the same on every machine.

Workers and triggerers are different machines, and the clock of each may be wrong by hours. A time that one of them
stores for another (when a render was submitted, when its deadline is) is therefore the service's time, which is in the
``Date`` header of every response. Each process computes the difference to its own clock.

Durations within one process are measured with ``time.monotonic()``, never with this clock: it is corrected when the
first response arrives.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

__all__ = ["ServiceClock", "compute_skew", "get_clock", "read_date"]

log = logging.getLogger(__name__)

DATE_RESOLUTION = 2.0
"""Seconds by which a ``Date`` header may be behind: it has whole seconds, and servers update it every second."""
_SKEW_WARNING = 60.0
"""Seconds of difference above which a warning is logged."""
_MIN_INTERVAL = 1.0
"""Seconds between two responses whose ``Date`` is read; parsing a date takes time."""
_PLAUSIBLE = (1577836800.0, 4102444800.0)
"""From 2020 to 2099: a ``Date`` of another year is ignored."""
_MAX_SAMPLES = 3
"""Responses that must agree before the correction grows: one page of a gateway with a wrong clock has no effect."""


def compute_skew(date: float, *, asked_at: float, answered_at: float) -> float:
    """Return the smallest number of seconds by which the service can be ahead of this machine; negative if behind.

    :param date: of the response's ``Date`` header, epoch seconds.
    :param asked_at: when the request was sent, by this machine's clock.
    :param answered_at: when the response was received, by this machine's clock.
    """
    least, most = date - answered_at, date + DATE_RESOLUTION - asked_at
    return max(least, min(0.0, most))


class ServiceClock:
    """The time of one service.

    :param host: for the warning.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._samples: deque[float] = deque(maxlen=_MAX_SAMPLES)
        self._recorded_at = -math.inf
        self._has_warned = False

    @property
    def is_known(self) -> bool:
        """Whether a response of the service has been received; until then this machine's clock is used."""
        return bool(self._samples)

    @property
    def skew(self) -> float:
        """Seconds by which the service is ahead of this machine: the smallest value of the latest responses."""
        return min(self._samples, key=abs, default=0.0)

    def now(self) -> float:
        """Return the service's time, epoch seconds."""
        return time.time() + self.skew

    def record(self, status: int, headers: Mapping[str, str], *, seconds: float) -> None:
        """Read the time from a response that has just been received.

        :param seconds: measured duration of the request.
        """
        if status >= 500:  # often a gateway's own page
            return
        if len(self._samples) == _MAX_SAMPLES and time.monotonic() - self._recorded_at < _MIN_INTERVAL:
            return
        date = read_date(headers)
        if date is None or not _PLAUSIBLE[0] <= date < _PLAUSIBLE[1]:
            return
        self._recorded_at, answered_at = time.monotonic(), time.time()
        self._samples.append(compute_skew(date, asked_at=answered_at - seconds, answered_at=answered_at))
        skew = self.skew
        if abs(skew) > _SKEW_WARNING and not self._has_warned:
            self._has_warned = True
            log.warning(
                "The clock of this machine is %.0f s %s the clock of %s. Times of renders are corrected. "
                "Synchronize the machine's clock (NTP).",
                abs(skew),
                "behind" if skew > 0 else "ahead of",
                urlsplit(self._host).netloc,
            )


_clocks: dict[str, ServiceClock] = {}


def get_clock(host: str) -> ServiceClock:
    """Return the clock of the service at *host*; there is one for each process.

    :param host: as in :class:`~airflow_json2video.api.config.ClientConfig`.
    """
    return _clocks.setdefault(host, ServiceClock(host))


def read_date(headers: Mapping[str, str]) -> float | None:
    """Return the time of a response by its ``Date`` header, epoch seconds; None if it has none.

    :param headers: of the response; they must ignore case.
    """
    try:
        date = parsedate_to_datetime(headers["Date"])
    except (KeyError, ValueError, TypeError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    age = headers.get("Age", "")  # of a response from a cache
    return date.timestamp() + (float(age) if age.isdecimal() and len(age) < 9 else 0.0)
