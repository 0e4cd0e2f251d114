"""The service's clock, as this process knows it: moments that mean the same on every machine.

Workers and triggerers are different machines, and each may be wrong by hours. What one of them writes down for
another (when a render was submitted, when its deadline is) is therefore written in the service's time, which every
answer carries in its ``Date`` header. A process corrects its own clock by what it reads there.

Durations within one process are measured with ``time.monotonic()``, never with this clock: it is corrected when the
first answer arrives.
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
"""Seconds by which a ``Date`` header may be behind: it has whole seconds, and servers renew it every second."""
_SKEW_WARNING = 60.0
"""Seconds of difference that are logged."""
_MIN_INTERVAL = 1.0
"""Seconds between two answers that are read for it; reading a date is not free."""
_PLAUSIBLE = (1577836800.0, 4102444800.0)
"""From 2020 to 2099: a ``Date`` of another year is ignored."""
_MAX_SAMPLES = 3
"""Answers that have to agree before more is corrected: one page of a gateway with a wrong clock changes nothing."""


def compute_skew(date: float, *, asked_at: float, answered_at: float) -> float:
    """Return the least number of seconds by which the service can be ahead of this machine; negative: behind.

    :param date: of the answer's ``Date`` header, epoch seconds.
    :param asked_at: when the request was sent, by this machine's clock. :param answered_at: when the answer came.
    """
    least, most = date - answered_at, date + DATE_RESOLUTION - asked_at
    return max(least, min(0.0, most))


class ServiceClock:
    """What time it is at one service.

    :param host: for the warning.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._samples: deque[float] = deque(maxlen=_MAX_SAMPLES)
        self._recorded_at = -math.inf
        self._has_warned = False

    @property
    def is_known(self) -> bool:
        """Whether any answer of the service has been seen; until then this machine's clock is taken for right."""
        return bool(self._samples)

    @property
    def skew(self) -> float:
        """Seconds by which the service is ahead of this machine: no more than the latest answers agree on."""
        return min(self._samples, key=abs, default=0.0)

    def now(self) -> float:
        """Return the service's time, epoch seconds."""
        return time.time() + self.skew

    def record(self, status: int, headers: Mapping[str, str], *, seconds: float) -> None:
        """Read the time from an answer that has just arrived.

        :param seconds: how long the request took, measured.
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
                "The clock of this machine is %.0f s %s that of %s. Moments of renders are corrected by it. "
                "Synchronize the machine's clock (NTP).",
                abs(skew),
                "behind" if skew > 0 else "ahead of",
                urlsplit(self._host).netloc,
            )


_clocks: dict[str, ServiceClock] = {}


def get_clock(host: str) -> ServiceClock:
    """Return the clock of the service at an address; one for the whole process.

    :param host: as of :class:`~airflow_json2video.api.config.ClientConfig`.
    """
    return _clocks.setdefault(host, ServiceClock(host))


def read_date(headers: Mapping[str, str]) -> float | None:
    """Return when an answer was written by the ``Date`` header, epoch seconds; None if it does not say.

    :param headers: of the answer; they ignore case.
    """
    try:
        date = parsedate_to_datetime(headers["Date"])
    except (KeyError, ValueError, TypeError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    age = headers.get("Age", "")  # of an answer that a cache repeats
    return date.timestamp() + (float(age) if age.isdecimal() and len(age) < 9 else 0.0)
