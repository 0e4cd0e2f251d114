"""Waiting without a worker slot for what has to pass before anything can be submitted: an outage, an empty account.

Loaded when a task runs, not when its DAG file is parsed.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_json2video.exceptions import (
    Json2VideoError,
    Money,
    QuotaExhausted,
    ReserveReached,
    ServiceUnreachable,
    SubmissionAmbiguous,
)
from airflow_json2video.hooks.money import Budget, credits_left
from airflow_json2video.rendering.money import needed_credits, wait_deadline
from airflow_json2video.triggers.quota import defer_until_credits
from airflow_json2video.triggers.service import defer_until_answering
from airflow_json2video.version_compat import execution_deadline

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

__all__ = ["Pause", "wait_for_credits", "wait_out"]


@dataclass(frozen=True)
class Pause:
    """What an attempt remembers while it waits for the service or for credits; nothing has been submitted.

    :ivar until: epoch seconds at which it gives up a service that does not answer.
    :ivar delivered: see ``hooks.deliveries``.
    :ivar waits: how often it has waited for the service in the triggerer.
    :ivar quota_until: epoch seconds until which credits are waited for, once they were.
    :ivar quota_waits: how often they were.
    """

    until: float
    delivered: int
    waits: int = 0
    quota_until: float | None = None
    quota_waits: int = 0

    def require_time(self) -> None:
        """Fail where the service has been waited for and the time is over."""
        if self.waits and time.time() >= self.until:
            raise ServiceUnreachable(
                "The service did not answer in time for this attempt to submit.",
                advice="Nothing was submitted.",
            )


def wait_out(operator: Any, error: Json2VideoError, pause: Pause) -> None:
    """Wait in the triggerer until the service answers again, if nothing was sent and there is time left."""
    nothing_sent = error.retryable and isinstance(error, (ServiceUnreachable, SubmissionAmbiguous))
    if not (operator.deferrable and nothing_sent and time.time() < pause.until):
        return
    operator.log.warning("%s Waiting in the triggerer until the service answers; the worker slot is free.", error)
    kwargs = {"outage": asdict(replace(pause, waits=pause.waits + 1)), **operator._kept_for_later()}
    defer_until_answering(operator, deadline=pause.until, earlier=pause.waits, kwargs=kwargs)


def wait_for_credits(operator: Any, error: Json2VideoError, budget: Budget, pause: Pause, context: Context) -> None:
    """Wait in the triggerer until the account can pay, if it could not, this was asked for, and there is time left.

    Both errors mean that it is certain that no render was started.
    """
    could_not_pay = isinstance(error, (QuotaExhausted, ReserveReached)) and error.money is Money.NOT_SPENT
    if operator.on_quota_exhausted != "wait" or not could_not_pay:
        return
    now = time.time()
    until = pause.quota_until
    if until is None:
        until = wait_deadline(operator.quota_wait_until, now=now)
    # Only then does the service have to answer.
    limit = until + operator.render_timeout
    if operator.execution_timeout is not None:
        limit = min(limit, execution_deadline(context["ti"], operator.execution_timeout, now=now))
        until = min(until, limit)
    if now >= until:
        error.advice = f"{error.advice} Credits were waited for until the time of quota_wait_until.".strip()
        return
    left = None
    with suppress(Json2VideoError):
        left = credits_left(operator.hook.client)
    needed = needed_credits(budget.price, min_remaining=budget.min_remaining, left=left)
    operator.log.warning(
        "%s Waiting in the triggerer until the account has %g credits, at most until %s; the worker slot is free.",
        error,
        needed,
        datetime.fromtimestamp(until).astimezone().isoformat(timespec="seconds"),
    )
    kept = replace(pause, until=limit, quota_until=until, quota_waits=pause.quota_waits + 1)
    kwargs = {"outage": asdict(kept), **operator._kept_for_later()}
    defer_until_credits(operator, deadline=until, needed=needed, earlier=pause.quota_waits, kwargs=kwargs)
