"""Metrics for Airflow's own metrics backend (StatsD or OpenTelemetry, as Airflow is configured).

Names contain neither an id nor a connection, and there are no tags, since plain StatsD does not support them. A metric
that cannot be sent never fails anything else.
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
    "render_charged",
    "render_done",
    "render_failed",
    "render_reattached",
    "render_submitted",
    "report_poller",
    "video_not_stored",
    "video_stored",
]

log = logging.getLogger(__name__)


@dataclass
class PollerNumbers:
    """The counters of a poller.

    :ivar singles: polls of one render. :ivar lists: pages of the list. :ivar delivered: statuses that
        subscriptions received.
    :ivar lag: maximum delay of the event loop since the last report, in seconds. :ivar worst_lag: maximum ever.
    """

    singles: int = 0
    lists: int = 0
    delivered: int = 0
    lag: float = 0.0
    worst_lag: float = 0.0


def render_submitted(*, estimated: int | None = None) -> None:
    """Count a submitted render, which will be billed.

    :param estimated: the estimated cost in credits, if known.
    """

    def send(to: Any) -> None:
        to.incr("json2video.renders.submitted")
        if estimated is not None:
            to.incr("json2video.credits.estimated", estimated)

    _send(send)


def render_charged(seconds: float, *, remaining: float | None, in_triggerer: bool = False) -> None:
    """Count the seconds of video that a finished render is billed for, and report what the account has left."""

    def send(to: Any) -> None:
        to.incr("json2video.seconds.charged", round(seconds))
        if remaining is not None:
            to.gauge("json2video.credits.remaining", remaining)

    _send(send, in_triggerer=in_triggerer)


def render_reattached() -> None:
    """Count a render that an earlier attempt submitted and this one reattached to."""
    _send(lambda to: to.incr("json2video.renders.reattached"))


def render_done(seconds: float | None, *, in_triggerer: bool = False) -> None:
    """Count a render that succeeded, and send how long it took, if known."""

    def send(to: Any) -> None:
        to.incr("json2video.renders.done")
        if seconds is not None:
            to.timing("json2video.render_time", timedelta(seconds=seconds))

    _send(send, in_triggerer=in_triggerer)


def render_failed() -> None:
    """Count a render that failed, or whose wait reached its deadline."""
    _send(lambda to: to.incr("json2video.renders.failed"))


def video_stored(length: int, *, seconds: float) -> None:
    """Count a stored video, with its size in bytes and how long storing took."""

    def send(to: Any) -> None:
        to.incr("json2video.videos.stored")
        to.incr("json2video.stored_bytes", length)
        to.timing("json2video.store_time", timedelta(seconds=seconds))

    _send(send)


def video_not_stored() -> None:
    """Count a video that could not be stored; a retry may succeed."""
    _send(lambda to: to.incr("json2video.videos.not_stored"))


def report_poller(now: PollerNumbers, *, before: PollerNumbers, waiting: int) -> None:
    """Send the changes of a poller's counters since the last report. For the triggerer.

    :param waiting: number of renders that this event loop waits for, of all accounts.
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
        log.debug("Could not send a metric", exc_info=True)
