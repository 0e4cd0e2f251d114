"""The service's time, which can be scaled, frozen and moved. It never affects media time."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone
from typing import Any

__all__ = ["Clock", "from_iso", "iso"]


EARLIEST, LATEST = 0.0, 221_845_392_000.0
"""From the start of 1970 to the start of 9000: dates that can be written, and the date ranges around them."""


class Clock:
    """Seconds since the epoch as the service sees them.

    Everything simulated (queueing, minimum render time, expiry, dates) reads this clock. Waits that a
    client experiences (a delayed response) are in real time.

    :param scale: simulated seconds per real second; 0 freezes the clock.
    :param start: first reading, seconds since the epoch; the real time by default.
    """

    def __init__(self, *, scale: float = 1.0, start: float | None = None) -> None:
        self._lock = threading.Lock()
        self._scale = self._checked(scale)
        self._base = time.time() if start is None else self._moment(start)
        self._read = time.monotonic()

    @staticmethod
    def _checked(scale: float) -> float:
        if not 0 <= scale < float("inf"):
            raise ValueError(f"the scale of a clock must be a number of at least 0, got {scale!r}")
        return float(scale)

    @staticmethod
    def _moment(moment: float) -> float:
        """Check that a time can be written as a date, since every response contains one."""
        if not EARLIEST <= moment <= LATEST:
            raise ValueError(f"a clock must show a time from the year 1970 to 9000, got {moment!r} seconds since 1970")
        return float(moment)

    def _now(self) -> float:
        return min(LATEST, self._base + (time.monotonic() - self._read) * self._scale)

    def now(self) -> float:
        """Return the current time, in seconds since the epoch."""
        with self._lock:
            return self._now()

    @property
    def scale(self) -> float:
        """Simulated seconds per real second."""
        return self._scale

    def _rebase(self, *, base: float | None = None, scale: float | None = None) -> None:
        with self._lock:
            self._base = self._now() if base is None else base
            self._read = time.monotonic()
            if scale is not None:
                self._scale = self._checked(scale)

    def set_scale(self, scale: float) -> None:
        """Run *scale* times as fast from now on."""
        self._rebase(scale=self._checked(scale))

    def freeze(self) -> None:
        """Freeze the clock; :meth:`advance` and :meth:`move_to` still move it."""
        self._rebase(scale=0.0)

    def resume(self) -> None:
        """Run at real speed again, from the current reading."""
        self._rebase(scale=1.0)

    def advance(self, seconds: float) -> float:
        """Move by *seconds*, also backwards, and return the new time."""
        with self._lock:
            self._base, self._read = self._moment(self._now() + seconds), time.monotonic()
            return self._base

    def move_to(self, moment: float | datetime | str) -> None:
        """Set the time: epoch seconds, an aware datetime, or ISO-8601 text."""
        if isinstance(moment, str):
            moment = from_iso(moment)
        elif isinstance(moment, datetime):
            moment = moment.timestamp()
        self._rebase(base=self._moment(moment))

    def describe(self) -> dict[str, Any]:
        """Return the reading as JSON, for the control endpoints."""
        now = self.now()
        return {"now": iso(now), "epoch": now, "scale": self._scale, "frozen": self._scale == 0}


def iso(moment: float) -> str:
    """Format epoch seconds as the service does: ISO-8601, milliseconds, ``Z``."""
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_iso(text: str) -> float:
    """Read an ISO-8601 date or time as epoch seconds; without a zone it is UTC.

    :raises ValueError: *text* is not a date.
    """
    # A '+' that was not escaped in a query string arrives as a space.
    cleaned = text.strip()
    if len(cleaned) > 6 and cleaned[-6] == " " and cleaned[-3] == ":":
        cleaned = f"{cleaned[:-6]}+{cleaned[-5:]}"
    if cleaned.endswith(("Z", "z")):
        cleaned = f"{cleaned[:-1]}+00:00"
    moment = datetime.fromisoformat(_six_digits(cleaned))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.timestamp()


def _six_digits(text: str) -> str:
    """Pad or cut a fraction to microseconds: Python 3.10 reads 3 or 6 digits only."""
    head, dot, tail = text.partition(".")
    if not dot:
        return text
    digits = len(tail) - len(tail.lstrip("0123456789"))
    return f"{head}.{tail[:digits][:6]:0<6}{tail[digits:]}"
