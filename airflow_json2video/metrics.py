"""What happens, as numbers for Airflow's own metrics (StatsD or OpenTelemetry, as Airflow is configured).

The names carry no id and no connection, and no tags, since plain StatsD has none. A metric that cannot be
sent is no reason for anything to fail.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow_json2video.version_compat import stats

__all__ = [
    "PollerNumbers",
    "render_adopted",
    "render_charged",
    "render_done",
    "render_failed",
    "render_submitted",
    "report_poller",
    "video_not_stored",
    "video_stored",
]

log = logging.getLogger(__name__)


@dataclass
class PollerNumbers:
    """What a poller has done so far.

    :ivar singles: looks at one render. :ivar lists: pages of the list. :ivar delivered: statuses given to waiters.
    :ivar lag: seconds by which the event loop was late, the most since the last report.
    :ivar worst_lag: and the most ever.
    """

    singles: int = 0
    lists: int = 0
    delivered: int = 0
    lag: float = 0.0
    worst_lag: float = 0.0


def render_submitted(*, estimated: int | None = None) -> None:
    """Count a render that was submitted, and will be paid for.

    :param estimated: what it will cost, in credits, if that is known.
    """

    def send(to: Any) -> None:
        to.incr("json2video.renders.submitted")
        if estimated is not None:
            to.incr("json2video.credits.estimated", estimated)

    _send(send)


def render_charged(seconds: float, *, remaining: float | None, in_triggerer: bool = False) -> None:
    """Count the seconds of video that a finished render is charged by, and say what the account has left."""

    def send(to: Any) -> None:
        to.incr("json2video.seconds.charged", round(seconds))
        if remaining is not None:
            to.gauge("json2video.credits.remaining", remaining)

    _send(send, in_triggerer=in_triggerer)


def render_adopted() -> None:
    """Count a render that an earlier attempt submitted and this one goes on with."""
    _send(lambda to: to.incr("json2video.renders.adopted"))


def render_done(seconds: float | None, *, in_triggerer: bool = False) -> None:
    """Count a render that ended well, and send how long it took, if that is known."""

    def send(to: Any) -> None:
        to.incr("json2video.renders.done")
        if seconds is not None:
            to.timing("json2video.render_time", timedelta(seconds=seconds))

    _send(send, in_triggerer=in_triggerer)


def render_failed() -> None:
    """Count a render that did not end well, or whose wait was given up."""
    _send(lambda to: to.incr("json2video.renders.failed"))


def video_stored(length: int, *, seconds: float) -> None:
    """Count a video that was kept, with its length in bytes and how long that took."""

    def send(to: Any) -> None:
        to.incr("json2video.videos.stored")
        to.incr("json2video.stored_bytes", length)
        to.timing("json2video.store_time", timedelta(seconds=seconds))

    _send(send)


def video_not_stored() -> None:
    """Count a video that could not be kept; a retry may."""
    _send(lambda to: to.incr("json2video.videos.not_stored"))


def report_poller(now: PollerNumbers, *, before: PollerNumbers, waiting: int) -> None:
    """Send what a poller has done since the last report. For the triggerer.

    :param waiting: renders that are waited for in this event loop, of all accounts.
    """

    def send(to: Any) -> None:
        to.incr("json2video.poller.requests.single", now.singles - before.singles)
        to.incr("json2video.poller.requests.list", now.lists - before.lists)
        to.incr("json2video.poller.statuses", now.delivered - before.delivered)
        to.gauge("json2video.poller.waiting", waiting)
        to.timing("json2video.poller.loop_lag", timedelta(seconds=now.lag))

    _send(send, in_triggerer=True)


def _send(send: Callable[[Any], Any], *, in_triggerer: bool = False) -> None:
    try:
        send(stats(in_triggerer=in_triggerer))
    except Exception:
        log.debug("A metric could not be sent", exc_info=True)
