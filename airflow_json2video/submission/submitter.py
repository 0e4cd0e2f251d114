"""Carry out a submission: ask ``core.submission`` what to do, and do it.

This is the only place that sends ``POST /movies`` for a task.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_json2video.api import calls
from airflow_json2video.api.clock import get_clock
from airflow_json2video.core.identity import Stamp, add_stamp, format_deployment
from airflow_json2video.core.refusal import seconds_to_confirmation
from airflow_json2video.core.submission import (
    Action,
    Decision,
    FoundRender,
    OnClear,
    OnLostResponse,
    Unconfirmed,
    backoff,
    decide_submission,
)
from airflow_json2video.core.submission_state import (
    SubmissionPaused,
    SubmissionState,
    unconfirmed_error,
)
from airflow_json2video.exceptions import (
    Billing,
    HostNotResolved,
    Json2VideoError,
    RateLimited,
    RenderNotStarted,
    ServerError,
    ServiceUnreachable,
    SubmissionUnconfirmed,
    TransportError,
)
from airflow_json2video.hooks.connection import DEFAULT_CONFIRMATION_TIME
from airflow_json2video.submission.attempt import ensure_attempt_is_current
from airflow_json2video.submission.lookup import TaskLookup

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.api.responses import MovieStatus
    from airflow_json2video.submission.task_state_store import TaskStateStore
    from airflow_json2video.task_log import TaskLog

__all__ = ["SubmittedRender", "Submitter"]

HOST_RESOLUTION_TIMEOUT = 120.0
"""Seconds for which a first attempt tries to resolve the host's name: nothing is paid for, and it may be mistyped."""

_CONFIRMATION_GRACE = 120.0
"""Seconds by which a submission may exceed its deadline to act on a confirmed absence."""


@dataclass(frozen=True)
class SubmittedRender:
    """A render that belongs to this task.

    :param submitted_at: epoch seconds; for an adopted render, when the service created it.
    """

    project: str
    submitted_at: float
    adopted: bool


@dataclass(kw_only=True)
class Submitter:
    """One attempt to have one document rendered once.

    If the process dies anywhere in :meth:`run`, nothing is lost: the stamp is inside the document, so whatever was
    sent is in the account's list, where the next attempt finds it.

    :param stamp: the stamp to send; ``None`` sends the document unchanged, and then no render can be adopted.
    :param previous_attempt: the attempt that may have submitted before, with unknown result; ``None`` if there is none.
        It equals *stamp*'s own attempt if Airflow runs the same attempt again, such as after a postponed start.
    :param previous_attempt_had_project: whether that attempt received the project of what it submitted. Only then is a
        listed render of that attempt known to be the one that it submitted last.
    :param previous_attempt_ended_at: when Airflow ended that attempt, epoch seconds by Airflow's clock, if known.
        If not, it may have sent until now.
    :param state: the state of the same attempt when it paused.
    :param last_returned_attempt: the attempt before which all results were returned; see
        :func:`.decide_submission`.
    :param since: epoch seconds before which this run submitted nothing; the list is read back to it.
    :param until: epoch seconds after which nothing is submitted, except to finish a confirmation in progress.
    :param hard_until: epoch seconds at which the task is ended in any case.
    :param max_hold: seconds that one wait may hold the worker slot; a longer one raises :class:`SubmissionPaused`.
    :param confirmation_time: seconds; see :func:`.decide_submission`.
    :param still_current: called immediately before the POST; returns whether Airflow still considers this attempt the
        running one, and raises if that is unknown.
    :param before_submit: called before each POST and never before an adoption; raises if the render is not affordable.
    :param is_stored: called with a finished render whose file the service has deleted; returns whether it is stored
        elsewhere, so that it need not be paid for again. Raises if that is unknown.
    :param task_state_store: Airflow's task state store, where there is one. It saves reading the list; if it has
        lost or mixed up its content, nothing else changes.
    :param skew: returns the seconds by which the service's clock is ahead of this machine's; default: measured from
        the service's responses.
    """

    client: Json2VideoClient
    document: Mapping[str, Any]
    stamp: Stamp | None
    log: TaskLog
    previous_attempt: int | None = None
    previous_attempt_had_project: bool = False
    previous_attempt_ended_at: float | None = None
    state: SubmissionState | None = None
    last_returned_attempt: int = 0
    since: float | None = None
    until: float = float("inf")
    hard_until: float = float("inf")
    max_hold: float = float("inf")
    confirmation_time: float = DEFAULT_CONFIRMATION_TIME
    on_lost_response: OnLostResponse = "resubmit"
    on_clear: OnClear = "resubmit"
    still_current: Callable[[], bool] = lambda: True
    before_submit: Callable[[], None] = lambda: None
    is_stored: Callable[[MovieStatus], bool] | None = None
    task_state_store: TaskStateStore | None = None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time
    skew: Callable[[], float] | None = None
    _state: SubmissionState = field(init=False)
    _lookup: TaskLookup | None = field(init=False, default=None)
    _last_sent_at: float | None = field(init=False, default=None)
    """The last moment at which something can have been sent, by this machine's clock."""
    _send_by: float = field(init=False)

    def __post_init__(self) -> None:
        self._send_by = min(self.until, self.hard_until)
        self._state = self.state or SubmissionState()
        if self.stamp is not None:
            self._lookup = TaskLookup(
                client=self.client,
                stamp=self.stamp,
                now=self._service_now,
                machine_clock=self.clock,
                since=self.since,
                is_stored=self.is_stored,
                on_other_deployment=self._report_other_deployment,
            )
        if self.state is None and self.previous_attempt is not None and self.stamp is not None:
            self._last_sent_at = self.clock()
            unconfirmed = Unconfirmed(
                attempt=self.previous_attempt,
                last_sent_at=self._last_sent_at,
                one_render=self.previous_attempt_had_project,
            )
            self._update(unconfirmed=unconfirmed)
        elif self._state.unconfirmed is not None and not self._state.on_service_clock:
            self._last_sent_at = self.clock()  # later than it was, to be certain

    @property
    def progress(self) -> SubmissionState:
        """The state so far."""
        return self._state

    def run(self) -> SubmittedRender:
        """Submit the document, or adopt the render that an earlier attempt of this task started.

        :raises SubmissionPaused: the attempt has to wait, and continues later with the state in this exception.
        :raises SubmissionUnconfirmed: it is unknown whether a render was started; nothing more was sent.
        :raises AttemptSuperseded: a later attempt has started; nothing was sent.
        :raises Json2VideoError: the service refused, or could not be reached.
        """
        render, lookup = None, self._lookup
        # Also after an absence that was confirmed before a wait (for credits, for example): reading the list is free.
        if lookup is not None and (self._state.unconfirmed is not None or self._state.sent):
            render = self._from_task_state_store(lookup) or self._resolve(lookup)
        while render is None:
            render = self._post()
            if render is None and lookup is not None:
                render = self._resolve(lookup)
        if self.task_state_store is not None and lookup is not None:
            self.task_state_store.save(lookup.stamp.submission_key, render.project)
        return render

    # --- sending --------------------------------------------------------------------------------

    def _post(self) -> SubmittedRender | None:
        """Send the document once; return None if it was refused before it started, or its response was lost."""
        call = calls.submit_movie(self.document if self.stamp is None else add_stamp(self.document, self.stamp))
        while True:
            self._require_time_to_send()
            try:
                self.before_submit()
            except (TransportError, ServerError, RateLimited) as error:  # of a request about the account or template
                self._retry_later(error)
                continue
            ensure_attempt_is_current(
                self.still_current, what="task", nothing="Nothing was submitted.", sleep=self.sleep
            )
            submitted_at = self.clock()
            try:
                project = self.client.execute(call).project
            except ServiceUnreachable as error:  # certainly not sent, so the next POST is not a second submission
                self._retry_later(error)
            except (RenderNotStarted, RateLimited) as error:
                self._wait_after_refusal(error)
                return None
            except Json2VideoError as error:
                if error.billing is not Billing.UNKNOWN:
                    raise
                self._wait_after_lost_response(error)
                return None
            else:
                return SubmittedRender(project=project, submitted_at=submitted_at, adopted=False)

    def _wait_after_refusal(self, error: Json2VideoError) -> None:
        """Wait for the next try, after a refusal that says that nothing was started."""
        refusals = self._state.refusals + 1
        self._update(sent=True, refusals=refusals, error=error.to_dict())
        self._clear_failures()
        self._send_by = min(self.until, self.hard_until)
        delay = backoff(refusals, jitter=random.random()) + (error.retry_after or 0.0)  # noqa: S311
        self.log.warning("%s Submitting again in %.0f s.", error.message, delay)
        nothing = error.with_context(billing=Billing.NOT_CHARGED, retryable=True, advice="Nothing was submitted.")
        self._wait(delay, f"Submission {refusals} was refused.", error=nothing)

    def _wait_after_lost_response(self, error: Json2VideoError) -> None:
        if self.stamp is None:
            raise SubmissionUnconfirmed(
                f"The submission was sent, and it is unknown whether a render was started: {error.message}",
                service_message=error.service_message,
                retryable=False,
                advice="With durable=False it cannot be looked up. Check the renders of the account; another run "
                "of this task submits again and may pay twice.",
            ) from error
        self._clear_failures()
        self._send_by = min(self.until, self.hard_until)
        self._last_sent_at = self.clock()
        unconfirmed = Unconfirmed(
            attempt=self.stamp.attempt,
            last_sent_at=self._last_sent_at + self._skew(),
            response_lost=True,
            fingerprint=self.stamp.fingerprint,
        )
        self._update(unconfirmed=unconfirmed, on_service_clock=False, sent=True, error=error.to_dict())
        self.log.warning(
            "The submission was sent, and its response was lost (%s). Checking the account's list for the render.",
            error.message,
        )
        self._wait(backoff(1, jitter=random.random()), "The response to the submission was lost.")  # noqa: S311

    # --- finding out whether a render exists ----------------------------------------------------

    def _from_task_state_store(self, lookup: TaskLookup) -> SubmittedRender | None:
        """Adopt the render that Airflow's store names, if the service confirms it."""
        project = self.task_state_store.load(lookup.stamp.submission_key) if self.task_state_store is not None else None
        if project is None:
            return None
        try:
            found = lookup.read(self.client.execute(calls.get_movie(project)).movie)
        except Json2VideoError:  # the list decides
            return None
        if found is None:
            return None
        decision = self._decide([found], lookup.stamp, read_at=self.clock())
        return self._adopt(decision, [found]) if decision.action is Action.ADOPT else None

    def _resolve(self, lookup: TaskLookup) -> SubmittedRender | None:
        """Read the list until it is certain: return the render to adopt, or ``None`` if one is to be submitted."""
        stamp = lookup.stamp
        while True:
            read_at = self.clock()
            try:
                found = lookup.find()
            except Json2VideoError as error:
                self._retry_later(error, of_list=stamp)
                continue
            self._clear_failures()
            if self._state.first_read_at is None:
                self._update(first_read_at=read_at + self._skew())
            decision = self._decide(found, stamp, read_at=read_at)
            if decision.action is Action.CHECK_AGAIN:
                self.log.info("%s Checking again in %.0f s.", decision.reason, decision.check_in)
                self._wait(decision.check_in, decision.reason, error=self._unconfirmed_error(stamp, decision.reason))
                continue
            if decision.action is Action.ADOPT:
                return self._adopt(decision, found)
            for warning in decision.warnings:
                self.log.warning("%s", warning)
            if decision.action is Action.STOP:
                raise self._unconfirmed_error(stamp, decision.reason, retryable=False)
            self.log.info("%s", decision.reason)
            if self._state.unconfirmed is not None and not self._state.unconfirmed.response_lost:
                self._send_by = self._wait_until()
            self._update(unconfirmed=None, first_read_at=None)
            self._last_sent_at = None
            return None

    def _decide(self, found: list[FoundRender], stamp: Stamp, *, read_at: float) -> Decision:
        """Decide by the service's clock, which is the same on every machine."""
        unconfirmed = self._state.unconfirmed
        if unconfirmed is not None:
            # By now the service has responded, so the skew is known.
            if self._last_sent_at is not None:
                last_sent_at = self._last_sent_at + self._skew()
                if self.previous_attempt_ended_at is not None and not unconfirmed.response_lost:
                    last_sent_at = min(last_sent_at, self.previous_attempt_ended_at)
                unconfirmed = replace(unconfirmed, last_sent_at=last_sent_at)
            self._update(unconfirmed=unconfirmed, on_service_clock=True)
        return decide_submission(
            found,
            mine=stamp,
            unconfirmed=unconfirmed,
            read_at=read_at + self._skew(),
            earlier_read_at=self._state.first_read_at,
            confirmation_time=self.confirmation_time,
            on_lost_response=self.on_lost_response,
            on_clear=self.on_clear,
            last_returned_attempt=self.last_returned_attempt,
        )

    def _adopt(self, decision: Decision, found: list[FoundRender]) -> SubmittedRender:
        for warning in decision.warnings:
            self.log.warning("%s", warning)
        self.log.info("%s", decision.reason)
        render = next(r for r in found if r.project == decision.project)
        created = render.created_at.timestamp() if render.created_at else self.clock()
        return SubmittedRender(project=render.project, submitted_at=created, adopted=True)

    def _report_other_deployment(self, project: str, theirs: Stamp) -> None:
        if not self._state.other_deployment_reported:
            self._update(other_deployment_reported=True)
            self.log.info(
                "Ignored render %s: it belongs to the same task of another deployment (%s).",
                project,
                format_deployment(theirs.deployment),
            )

    # --- waiting --------------------------------------------------------------------------------

    def _retry_later(self, error: Json2VideoError, *, of_list: Stamp | None = None) -> None:
        """Wait after a request that failed, may succeed later, and submitted nothing.

        :param of_list: set if the list could not be read: the result is then *unknown*, never *absent*.
        :raises Json2VideoError: the failure lasts too long.
        """
        now, before = self.clock(), self._state
        host_unresolved = list_refused = None
        if isinstance(error, HostNotResolved):
            host_unresolved = before.host_unresolved_since or now
        if not error.retryable:
            list_refused = before.list_refused_since or now
        failures = before.failures + 1
        self._update(
            failures=failures,
            host_unresolved_since=host_unresolved,
            list_refused_since=list_refused,
            error=error.to_dict(),
        )
        if list_refused is None:
            delay = backoff(min(failures, 4), jitter=random.random()) + (error.retry_after or 0.0)  # noqa: S311
        else:
            delay = seconds_to_confirmation(now - list_refused) or 0.0
        final = error
        if of_list is not None:
            decision = decide_submission(
                None,
                mine=of_list,
                unconfirmed=self._state.unconfirmed,
                read_at=now,
                confirmation_time=self.confirmation_time,
            )
            final = self._unconfirmed_error(of_list, f"{decision.reason} ({error.message})")
        if not delay:  # the refusal is confirmed, but what is paid for is not lost
            raise final if self._state.sent else error.with_context(retryable=True)
        self.log.warning("%s Trying again in %.0f s.", error, delay)
        limit = host_unresolved + HOST_RESOLUTION_TIMEOUT if host_unresolved is not None and of_list is None else None
        self._wait(delay, error.message, error=final, limit=limit)

    def _wait(
        self, seconds: float, reason: str, *, error: Json2VideoError | None = None, limit: float | None = None
    ) -> None:
        """Wait on the worker, or raise :class:`SubmissionPaused` if that would hold its slot for too long.

        :param error: raised if no time is left. :param limit: epoch seconds, where it is earlier than usual.
        """
        now, until = self.clock(), self._wait_until()
        until = until if limit is None else min(until, limit)
        if error is not None and now >= until:
            raise error
        seconds = min(seconds, max(until - now, 0.0))
        if seconds > self.max_hold:
            raise SubmissionPaused(reason, seconds=seconds, until=until, state=self._state)
        self.sleep(seconds)

    def _wait_until(self) -> float:
        """Return when waiting ends: a confirmation is not interrupted shortly before its end."""
        unconfirmed = self._state.unconfirmed
        if unconfirmed is None:
            return self._send_by
        sent_at = self._last_sent_at  # by this machine's clock, whatever is learned of the service's in the meantime
        if sent_at is None or self._state.on_service_clock:
            sent_at = unconfirmed.last_sent_at - self._skew()
        return min(self.hard_until, max(self.until, sent_at + self.confirmation_time + _CONFIRMATION_GRACE))

    def _require_time_to_send(self) -> None:
        """Raise if it is too late to submit. Earlier submissions are known to have started no render."""
        if self.clock() >= self._send_by:
            cause = (self._state.error or {}).get("message")
            raise ServiceUnreachable(
                "The time limit for submitting was reached." + (f" Last problem: {cause}" if cause else ""),
                advice="Nothing was charged." if self._state.sent else "Nothing was submitted.",
            )

    def _clear_failures(self) -> None:
        """Record that a request arrived, so that no outage is in progress."""
        if self._state.failures:
            self._update(failures=0, host_unresolved_since=None, list_refused_since=None)

    def _service_now(self) -> float:
        """Return the service's time, by the latest known skew."""
        return self.clock() + self._skew()

    def _skew(self) -> float:
        return get_clock(self.client.config.host).skew if self.skew is None else self.skew()

    def _update(self, **changes: Any) -> None:
        self._state = replace(self._state, **changes)

    def _unconfirmed_error(self, stamp: Stamp, message: str, *, retryable: bool | None = None) -> SubmissionUnconfirmed:
        if retryable is None:
            unconfirmed = self._state.unconfirmed
            lost = unconfirmed is not None and unconfirmed.response_lost
            retryable = not (lost and self.on_lost_response == "fail")
        return unconfirmed_error(self._state, message, submission_key=stamp.submission_key, retryable=retryable)
