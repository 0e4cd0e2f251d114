"""Waits in the triggerer that come before a submission: for the service to respond, for the account to have credits.

Loaded when a task runs, not when its DAG file is parsed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_json2video.core.price import Price, required_credits, wait_deadline
from airflow_json2video.exceptions import Billing, CreditReserveReached, Json2VideoError, QuotaExhausted
from airflow_json2video.submission.budget import get_remaining_credits
from airflow_json2video.triggers.availability import defer_until_answering
from airflow_json2video.triggers.credits import defer_until_credits
from airflow_json2video.version_compat import execution_deadline

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_json2video.core.submission_state import SubmissionPaused
    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.triggers._protocols import DeferrableTask

__all__ = [
    "CREDIT_WAIT_ENDED",
    "ResumeState",
    "defer_for_credits",
    "defer_until_affordable",
    "defer_until_available",
]

_MAX_OUTAGE = 86_400.0
"""Seconds after which a deferred task checks again on a worker, however long the service does not respond."""

_BY_MACHINE = frozenset({"host_unresolved_since", "list_refused_since"})
"""Times in the state of a submission that are by the machine's clock; the others are by the service's."""

CREDIT_WAIT_ENDED = "The time of wait_for_credits is over."
"""Advice of an error that ends a wait for credits."""


@dataclass(frozen=True)
class ResumeState:
    """The state of an attempt that waits for the service or for credits; the deferral stores it.

    :ivar until: epoch seconds at which the attempt gives up on a service that does not respond.
    :ivar last_returned_attempt: see :func:`.last_returned_attempt`.
    :ivar hard_until: epoch seconds at which the task's execution_timeout ends; None if it has none.
    :ivar waits: number of waits for the service in the triggerer.
    :ivar credits_until: epoch seconds at which the wait for credits ends; None before the first such wait.
    :ivar credit_waits: number of waits for credits.
    :ivar deployment: the deployment that submits; None if it is not recorded.
    :ivar submission: the state of the submission; see :class:`.SubmissionState`.
    :ivar is_service_time: whether the times are by the service's clock, for another machine.
    """

    until: float
    last_returned_attempt: int
    hard_until: float | None = None
    waits: int = 0
    credits_until: float | None = None
    credit_waits: int = 0
    deployment: str | None = None
    submission: dict[str, Any] | None = None
    is_service_time: bool = False

    def in_service_time(self, skew: float) -> ResumeState:
        """Return a copy with times by the service's clock, which are the same on every machine.

        :param skew: seconds by which the service's clock is ahead of this machine's.
        """
        return self._moved(skew, is_service_time=True)

    def on_this_machine(self, hook: Json2VideoHook) -> ResumeState:
        """Return a copy with times by this machine's clock."""
        return self._moved(-hook.get_synchronized_clock().skew, is_service_time=False) if self.is_service_time else self

    def _moved(self, seconds: float, *, is_service_time: bool) -> ResumeState:
        def moment(value: float | None) -> float | None:
            return None if value is None else value + seconds

        submission = self.submission
        if submission is not None:
            submission = {k: moment(v) if k in _BY_MACHINE else v for k, v in submission.items()}
        return replace(
            self,
            until=self.until + seconds,
            hard_until=moment(self.hard_until),
            credits_until=moment(self.credits_until),
            submission=submission,
            is_service_time=is_service_time,
        )

    @classmethod
    def of_event(cls, event: Mapping[str, Any], *, render_timeout: float) -> ResumeState:
        """Build the state from a trigger's event, for ``dag.test()``, which drops the method's arguments."""
        if "min_credits" in event:
            until = event["deadline"]
            return cls(
                until=until + render_timeout,
                last_returned_attempt=0,
                credits_until=until,
                credit_waits=event["attempt"] + 1,
                is_service_time=True,
            )
        return cls.from_json(event["repeat"])

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> ResumeState:
        """Build the state from the result of ``dataclasses.asdict``; fields of newer versions are ignored."""
        return cls(**{name: facts[name] for name in cls.__dataclass_fields__ if name in facts})


def defer_until_available(
    task: DeferrableTask, paused: SubmissionPaused, state: ResumeState, context: Context, *, kwargs: Mapping[str, Any]
) -> NoReturn:
    """Free the worker slot until the submission can continue.

    :param kwargs: arguments of ``resume_submission`` in addition to the state.
    """
    skew = task.hook.clock.skew
    # version_compat.previous_attempt_ended_at reads this too: this attempt may have sent something.
    context["ti"].xcom_push(key="json2video_waits_for", value=str(paused))
    task.log.info(
        "Waiting in the triggerer for at least %.0f s, until the service responds; the worker slot is free.",
        paused.seconds,
    )
    state = replace(state, waits=state.waits + 1, submission=paused.state.to_json())
    facts = asdict(state.in_service_time(skew))
    defer_until_answering(
        task,
        # At this time a worker decides: it fails the task, or submits after a confirmed absence.
        deadline=min(paused.until, time.time() + _MAX_OUTAGE) + skew,
        after=paused.seconds,
        kwargs={"state": facts, **kwargs},
        repeat=facts,
    )


def defer_until_affordable(
    task: DeferrableTask,
    error: Json2VideoError,
    *,
    limit: Any,
    price: Price,
    min_remaining: float | None,
    render_timeout: float,
    state: ResumeState,
    context: Context,
    kwargs: Mapping[str, Any],
) -> Json2VideoError:
    """Defer until the account can pay, if *error* says that it could not and there is time left.

    Both errors that say so mean that certainly no render was started.

    :param limit: the task's ``wait_for_credits``. :param price: of the render.
    :param min_remaining: the task's ``min_remaining_credits``. :param kwargs: as of :func:`defer_until_available`.
    :returns: the error to fail with, if the task does not wait.
    """
    if not isinstance(error, (QuotaExhausted, CreditReserveReached)) or error.billing is not Billing.NOT_CHARGED:
        return error
    clock = task.hook.clock
    state, now = state.in_service_time(clock.skew), clock.now()
    until = state.credits_until
    if until is None:
        until = wait_deadline(limit, now=now)
    # Only from then on does the service have to respond.
    last = until + render_timeout
    if task.execution_timeout is not None:
        here = time.time()  # Airflow has no other clock
        last = min(last, execution_deadline(context["ti"], task.execution_timeout, now=here) + clock.skew)
        until = min(until, last)
    if now < until:
        state = replace(state, until=last, credits_until=until, credit_waits=state.credit_waits + 1)
        defer_for_credits(
            task,
            error,
            price=price,
            min_remaining=min_remaining,
            until=until,
            attempt=state.credit_waits - 1,
            kwargs={"state": asdict(state), **kwargs},
        )
    return error.with_context(advice=f"{error.advice} {CREDIT_WAIT_ENDED}".strip())


def defer_for_credits(
    task: DeferrableTask,
    error: Json2VideoError,
    *,
    price: Price,
    min_remaining: float | None,
    until: float,
    attempt: int,
    kwargs: dict[str, Any],
) -> NoReturn:
    """Free the worker slot until the account has credits for a render that it could not pay for.

    :param error: the refusal. :param price: of the render.
    :param min_remaining: the task's ``min_remaining_credits``.
    :param until: epoch seconds by the service's clock at which the wait ends.
    :param attempt: number of waits for credits before this one. :param kwargs: arguments of ``resume_submission``.
    """
    left = None
    with suppress(Json2VideoError):
        left = get_remaining_credits(task.hook.client)
    needed = required_credits(price, min_remaining=min_remaining, left=left)
    task.log.warning(
        "%s Waiting in the triggerer until the account has %g credits, at most until %s; the worker slot is free.",
        error,
        needed,
        datetime.fromtimestamp(until).astimezone().isoformat(timespec="seconds"),
    )
    defer_until_credits(task, deadline=until, min_credits=needed, attempt=attempt, kwargs=kwargs)
