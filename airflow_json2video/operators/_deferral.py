"""Waiting without a worker slot for what has to pass before anything can be submitted: an outage, an empty account.

Loaded when a task runs, not when its DAG file is parsed.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_json2video.core.price import Price, required_credits, wait_deadline
from airflow_json2video.exceptions import (
    Billing,
    CreditReserveReached,
    Json2VideoError,
    QuotaExhausted,
)
from airflow_json2video.submission.budget import Budget, get_remaining_credits
from airflow_json2video.triggers.availability import defer_until_answering
from airflow_json2video.triggers.credits import defer_until_credits
from airflow_json2video.version_compat import execution_deadline

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_json2video.core.submission_state import SubmissionPaused
    from airflow_json2video.hooks.json2video import Json2VideoHook

__all__ = ["WAITED", "ResumeState", "defer_for_credits", "defer_until_available", "wait_for_credits"]

_LONGEST_WAIT = 86_400.0

_BY_MACHINE = frozenset({"unresolved_since", "list_refused_since"})
"""Moments in the state of a submission that are by the machine's clock; the others are the service's."""

WAITED = "Credits were waited for until the time of quota_wait_until."
"""Advice of an error that ends such a wait."""


@dataclass(frozen=True)
class ResumeState:
    """What an attempt remembers while it waits for the service or for credits.

    :ivar until: epoch seconds at which it gives up a service that does not answer.
    :ivar delivered: see ``hooks.deliveries``.
    :ivar hard_until: epoch seconds at which the task's execution_timeout ends; None if it has none.
    :ivar waits: how often it has waited for the service in the triggerer.
    :ivar quota_until: epoch seconds until which credits are waited for, once they were.
    :ivar quota_waits: how often they were.
    :ivar deployment: as which the attempt submits; None if it was not noted.
    :ivar submission: the state of the submission; see ``core.submission_state.SubmissionState``.
    :ivar is_service_time: whether its moments are the service's time, for another machine.
    """

    until: float
    delivered: int
    hard_until: float | None = None
    waits: int = 0
    quota_until: float | None = None
    quota_waits: int = 0
    deployment: str | None = None
    submission: dict[str, Any] | None = None
    is_service_time: bool = False

    def in_service_time(self, skew: float) -> ResumeState:
        """Return it with deadlines that mean the same on every machine.

        :param skew: seconds by which the service's clock is ahead of this machine's.
        """
        return self._moved(skew, is_service_time=True)

    def on_this_machine(self, hook: Json2VideoHook) -> ResumeState:
        """Return it with deadlines of this machine's clock."""
        return self._moved(-hook.learn_time().skew, is_service_time=False) if self.is_service_time else self

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
            quota_until=moment(self.quota_until),
            submission=submission,
            is_service_time=is_service_time,
        )

    @classmethod
    def of_event(cls, event: dict[str, Any], *, render_timeout: float) -> ResumeState:
        """Build it from a trigger's event, for ``dag.test()``, which loses the arguments of the method to resume."""
        if "min_credits" in event:
            until = event["deadline"]
            return cls(
                until=until + render_timeout,
                delivered=0,
                quota_until=until,
                quota_waits=event["attempt"] + 1,
                is_service_time=True,
            )
        return cls.from_json(event["repeat"])

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> ResumeState:
        """Read what ``dataclasses.asdict`` returned; fields of a newer version are ignored."""
        return cls(**{name: facts[name] for name in cls.__dataclass_fields__ if name in facts})


def defer_until_available(operator: Any, paused: SubmissionPaused, pause: ResumeState, context: Context) -> NoReturn:
    """Free the worker slot until the submission may go on."""
    skew = operator.hook.clock.skew
    # Also for version_compat.previous_attempt_ended_at: it says that this attempt may have sent something.
    context["ti"].xcom_push(key="json2video_waits_for", value=str(paused))
    operator.log.info("Continuing in %.0f s, once the service answers; the worker slot is free.", paused.seconds)
    kept = replace(pause, waits=pause.waits + 1, submission=paused.state.to_json())
    facts = asdict(kept.in_service_time(skew))
    defer_until_answering(
        operator,
        # The last word has the worker: at this moment it fails the task, or submits after a confirmed absence.
        deadline=min(paused.until, time.time() + _LONGEST_WAIT) + skew,
        after=paused.seconds,
        kwargs={"outage": facts, **operator._resume_kwargs()},
        repeat=facts,
    )


def wait_for_credits(
    operator: Any, error: Json2VideoError, budget: Budget, pause: ResumeState, context: Context
) -> Json2VideoError:
    """Defer until the account can pay, if it could not, the wait was requested, and there is time left.

    Both errors mean that it is certain that no render was started.

    :returns: the error that fails the task if it does not wait.
    """
    could_not_pay = isinstance(error, (QuotaExhausted, CreditReserveReached)) and error.billing is Billing.NOT_CHARGED
    if operator.on_quota_exhausted != "wait" or not could_not_pay:
        return error
    clock = operator.hook.clock
    pause, now = pause.in_service_time(clock.skew), clock.now()
    until = pause.quota_until
    if until is None:
        until = wait_deadline(operator.quota_wait_until, now=now)
    # Only then does the service have to answer.
    limit = until + operator.render_timeout
    if operator.execution_timeout is not None:
        here = time.time()  # Airflow has no other clock
        limit = min(limit, execution_deadline(context["ti"], operator.execution_timeout, now=here) + clock.skew)
        until = min(until, limit)
    if now < until:
        kept = replace(pause, until=limit, quota_until=until, quota_waits=pause.quota_waits + 1)
        kwargs = {"outage": asdict(kept), **operator._resume_kwargs()}
        defer_for_credits(operator, error, budget.price, until=until, attempt=pause.quota_waits, kwargs=kwargs)
    return error.with_context(advice=f"{error.advice} {WAITED}".strip())


def defer_for_credits(
    operator: Any, error: Json2VideoError, price: Price, *, until: float, attempt: int, kwargs: dict[str, Any]
) -> NoReturn:
    """Free the worker slot until the account has credits for a render that it could not pay for.

    :param error: the refusal. :param price: of the render.
    :param until: epoch seconds by the service's clock at which the wait ends.
    :param attempt: how often the task has waited for credits before. :param kwargs: handed to ``resume_submission``.
    """
    left = None
    with suppress(Json2VideoError):
        left = get_remaining_credits(operator.hook.client)
    needed = required_credits(price, min_remaining=operator.min_remaining_credits, left=left)
    operator.log.warning(
        "%s Waiting in the triggerer until the account has %g credits, at most until %s; the worker slot is free.",
        error,
        needed,
        datetime.fromtimestamp(until).astimezone().isoformat(timespec="seconds"),
    )
    defer_until_credits(operator, deadline=until, min_credits=needed, attempt=attempt, kwargs=kwargs)
