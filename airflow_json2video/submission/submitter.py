"""Carrying out a submission: asks ``core.submission`` what to do, and does just that.

The one place that sends ``POST /movies`` for a task.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_json2video.core.identity import Stamp, add_stamp, format_deployment, read_stamp
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
from airflow_json2video.submission.lookup import LOOKUP_WINDOW, find_stamped_renders, has_file, refetch_if_incomplete

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.api.responses import MovieStatus
    from airflow_json2video.submission.task_store import TaskStateStore
    from airflow_json2video.task_log import TaskLog

__all__ = ["SubmittedRender", "Submitter"]

RESOLUTION_TIMEOUT = 120.0
"""Seconds for which a first attempt tries to resolve the host's name: nothing is paid for, and it may be mistyped."""

_AFTER_CONFIRMATION = 120.0
"""Seconds by which a submission may outlast its deadline to act on a confirmed absence."""


@dataclass(frozen=True)
class SubmittedRender:
    """A render that belongs to this task now.

    :param submitted_at: epoch seconds; for an adopted render, when the service created it.
    """

    project: str
    submitted_at: float
    adopted: bool


@dataclass(kw_only=True)
class Submitter:
    """One attempt to have one document rendered once.

    Dying anywhere in :meth:`run` loses nothing: the stamp is inside the document, so what was sent is in
    the account's list, where the next attempt finds it.

    :param stamp: the stamp to send; ``None`` sends the document as it is and gives up adoption.
    :param attempt_before: the attempt that may have submitted before, and of which nobody knows; ``None`` if there is
        none. It is *stamp*'s own if Airflow runs the same attempt again, as after a start that it put off.
    :param attempt_before_had_project: whether that attempt received the project of what it submitted. Only then a
        listed render of that attempt is known to be what it submitted last.
    :param attempt_before_ended_at: when Airflow ended that attempt, epoch seconds by Airflow's clock, if it is known.
        Without it, it may have sent until now.
    :param state: of the same attempt, before it paused.
    :param last_delivered_attempt: the attempt before which all renders have been delivered; see
        :func:`.decide_submission`.
    :param since: epoch seconds before which this run submitted nothing; the list is read back to it.
    :param until: epoch seconds after which nothing is submitted, unless to end a confirmation that was waited for.
    :param hard_until: epoch seconds at which the task is ended in any case.
    :param max_hold: seconds that one pause may hold the worker slot; a longer one raises :class:`SubmissionPaused`.
    :param confirmation_time: seconds; see :func:`.decide_submission`.
    :param still_current: asked immediately before the POST: whether Airflow still takes this attempt for
        the running one. It raises if it cannot find out.
    :param before_submit: called before each POST and never before an adoption; raises if the render is not affordable.
    :param is_stored: called with a finished render whose file the service has deleted; returns whether it is stored
        elsewhere, so that it need not be paid for again. Raises if that is unknown.
    :param task_store: Airflow's own store for this task where there is one. It spares the listing; what it has
        lost or mixed up changes nothing else.
    :param skew: returns the seconds by which the service's clock is ahead of this machine's; default: by the
        service's answers.
    """

    client: Json2VideoClient
    document: Mapping[str, Any]
    stamp: Stamp | None
    log: TaskLog
    attempt_before: int | None = None
    attempt_before_had_project: bool = False
    attempt_before_ended_at: float | None = None
    state: SubmissionState | None = None
    last_delivered_attempt: int = 0
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
    task_store: TaskStateStore | None = None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time
    skew: Callable[[], float] | None = None
    _state: SubmissionState = field(init=False)
    _sent_until: float | None = field(init=False, default=None)
    """Until when something can have been sent, as this process saw it by its machine's clock."""
    _send_by: float = field(init=False)

    def __post_init__(self) -> None:
        self._send_by = min(self.until, self.hard_until)
        self._state = self.state or SubmissionState()
        if self.state is None and self.attempt_before is not None and self.stamp is not None:
            self._sent_until = self.clock()
            unconfirmed = Unconfirmed(
                attempt=self.attempt_before,
                last_sent_at=self._sent_until,
                one_render=self.attempt_before_had_project,
            )
            self._note(unconfirmed=unconfirmed)
        elif self._state.unconfirmed is not None and not self._state.on_service_clock:
            self._sent_until = self.clock()  # later than it was, so that it is certain

    @property
    def progress(self) -> SubmissionState:
        """What is known by now."""
        return self._state

    _empty_at: float | None = None
    """When the list last showed nothing: what is much older need not be read again."""

    def run(self) -> SubmittedRender:
        """Submit the document, or adopt the render that an earlier attempt of this task started.

        :raises SubmissionPaused: it has to wait, and is to go on later with the state that this carries.
        :raises SubmissionUnconfirmed: it is unknown whether a render was started; nothing more was sent.
        :raises AttemptSuperseded: a later attempt has started; nothing was sent.
        :raises Json2VideoError: the service refused, or could not be reached.
        """
        render = None
        # Also after an absence that was confirmed before a wait, as for credits: reading the list again is free.
        if self.stamp is not None and (self._state.unconfirmed is not None or self._state.sent):
            render = self._recall(self.stamp) or self._settle(self.stamp)
        while render is None:
            render = self._post()
            if render is None and self.stamp is not None:
                render = self._settle(self.stamp)
        if self.task_store is not None and self.stamp is not None:
            self.task_store.save(self.stamp.submission_key, render.project)
        return render

    # --- sending --------------------------------------------------------------------------------

    def _post(self) -> SubmittedRender | None:
        """Send the document once; None if it was refused without being started, or its response was lost."""
        from airflow_json2video.api import calls

        call = calls.submit_movie(self.document if self.stamp is None else add_stamp(self.document, self.stamp))
        while True:
            self._require_time_to_send()
            try:
                self.before_submit()
            except (TransportError, ServerError, RateLimited) as error:  # of a question about the account or template
                self._wait_out(error)
                continue
            ensure_attempt_is_current(
                self.still_current, what="task", nothing="Nothing was submitted.", sleep=self.sleep
            )
            submitted_at = self.clock()
            try:
                project = self.client.execute(call).project
            except ServiceUnreachable as error:  # certainly not sent, so this is no second submission
                self._wait_out(error)
            except (RenderNotStarted, RateLimited) as error:
                self._refused(error)
                return None
            except Json2VideoError as error:
                if error.billing is not Billing.UNKNOWN:
                    raise
                self._lost(error)
                return None
            else:
                return SubmittedRender(project=project, submitted_at=submitted_at, adopted=False)

    def _refused(self, error: Json2VideoError) -> None:
        """Wait for the next try, after a refusal that says that nothing was started."""
        refusals = self._state.refusals + 1
        self._note(sent=True, refusals=refusals, error=error.to_dict())
        self._answered()
        self._send_by = min(self.until, self.hard_until)
        pause = backoff(refusals, jitter=random.random()) + (error.retry_after or 0.0)  # noqa: S311
        self.log.warning("%s Submitting again in %.0f s.", error.message, pause)
        nothing = error.with_context(billing=Billing.NOT_CHARGED, retryable=True, advice="Nothing was submitted.")
        self._wait(pause, f"Submission {refusals} was refused.", error=nothing)

    def _lost(self, error: Json2VideoError) -> None:
        if self.stamp is None:
            raise SubmissionUnconfirmed(
                f"The submission was sent, and it is unknown whether a render was started: {error.message}",
                service_message=error.service_message,
                retryable=False,
                advice="With durable=False it cannot be looked up. Check the renders of the account; another run "
                "of this task submits again and may pay twice.",
            ) from error
        self._answered()
        self._send_by = min(self.until, self.hard_until)
        self._sent_until = self.clock()
        unconfirmed = Unconfirmed(
            attempt=self.stamp.attempt,
            last_sent_at=self._sent_until + self._skew(),
            response_lost=True,
            fingerprint=self.stamp.fingerprint,
        )
        self._note(unconfirmed=unconfirmed, on_service_clock=False, sent=True, error=error.to_dict())
        self.log.warning(
            "The submission was sent, and its response was lost (%s). Checking the account's list for the render.",
            error.message,
        )
        self._wait(backoff(1, jitter=random.random()), "The response to the submission was lost.")  # noqa: S311

    # --- looking up -----------------------------------------------------------------------------

    def _recall(self, stamp: Stamp) -> SubmittedRender | None:
        """Adopt the render that Airflow's store names, if the service confirms it."""
        from airflow_json2video.api import calls

        project = self.task_store.load(stamp.submission_key) if self.task_store is not None else None
        if project is None:
            return None
        try:
            found = self._found(self.client.execute(calls.get_movie(project)).movie, stamp)
        except Json2VideoError:  # the list decides
            return None
        if found is None:
            return None
        decision = self._decide([found], stamp, read_at=self.clock())
        return self._adopted(decision, [found]) if decision.action is Action.ADOPT else None

    def _settle(self, stamp: Stamp) -> SubmittedRender | None:
        """Read the list until it is certain: the render to adopt, or ``None`` if one is to be submitted."""
        while True:
            read_at = self.clock()
            try:
                found = self._list(stamp)
            except Json2VideoError as error:
                self._wait_out(error, of_list=stamp)
                continue
            self._answered()
            if self._state.first_read_at is None:
                self._note(first_read_at=read_at + self._skew())
            decision = self._decide(found, stamp, read_at=read_at)
            if decision.action is Action.CHECK_AGAIN:
                self.log.info("%s Checking again in %.0f s.", decision.reason, decision.check_in)
                self._wait(decision.check_in, decision.reason, error=self._unknown(stamp, decision.reason))
                continue
            if decision.action is Action.ADOPT:
                return self._adopted(decision, found)
            for warning in decision.warnings:
                self.log.warning("%s", warning)
            if decision.action is Action.STOP:
                raise self._unknown(stamp, decision.reason, retryable=False)
            self.log.info("%s", decision.reason)
            if self._state.unconfirmed is not None and not self._state.unconfirmed.response_lost:
                self._send_by = self._give_up_at()
            self._note(unconfirmed=None, first_read_at=None)
            self._sent_until = None
            return None

    def _list(self, stamp: Stamp) -> list[FoundRender]:
        since = self.since if self._empty_at is None else self._empty_at - LOOKUP_WINDOW
        found = find_stamped_renders(
            self.client, lambda movie: self._found(movie, stamp), now=self._now, since=since, here=self.clock
        )
        self._empty_at = None if found else self._now()
        return found

    def _decide(self, found: list[FoundRender], stamp: Stamp, *, read_at: float) -> Decision:
        """Decide by the service's clock, which is the same on every machine."""
        unconfirmed = self._state.unconfirmed
        if unconfirmed is not None:
            # By now the service has answered, so that the skew is known.
            if self._sent_until is not None:
                last_sent_at = self._sent_until + self._skew()
                if self.attempt_before_ended_at is not None and not unconfirmed.response_lost:
                    last_sent_at = min(last_sent_at, self.attempt_before_ended_at)
                unconfirmed = replace(unconfirmed, last_sent_at=last_sent_at)
            self._note(unconfirmed=unconfirmed, on_service_clock=True)
        return decide_submission(
            found,
            mine=stamp,
            unconfirmed=unconfirmed,
            read_at=read_at + self._skew(),
            earlier_read_at=self._state.first_read_at,
            confirmation_time=self.confirmation_time,
            on_lost_response=self.on_lost_response,
            on_clear=self.on_clear,
            last_delivered_attempt=self.last_delivered_attempt,
        )

    def _adopted(self, decision: Decision, found: list[FoundRender]) -> SubmittedRender:
        for warning in decision.warnings:
            self.log.warning("%s", warning)
        self.log.info("%s", decision.reason)
        render = next(r for r in found if r.project == decision.project)
        created = render.created_at.timestamp() if render.created_at else self.clock()
        return SubmittedRender(project=render.project, submitted_at=created, adopted=True)

    def _report_other_deployment(self, project: str, theirs: Stamp) -> None:
        if not self._state.other_deployment_reported:
            self._note(other_deployment_reported=True)
            whose = format_deployment(theirs.deployment)
            self.log.info(
                "Render %s of the same task of another deployment (%s) was found and left alone.", project, whose
            )

    def _found(self, movie: MovieStatus, stamp: Stamp) -> FoundRender | None:
        """Read a movie as a render of this task; None if it is another's."""
        theirs = read_stamp(movie.client_data, movie.json_text)
        if theirs is None or theirs.task_key != stamp.task_key:
            if theirs is not None and theirs.is_same_task_elsewhere(stamp):
                self._report_other_deployment(movie.project, theirs)
            return None
        movie = refetch_if_incomplete(self.client, movie, now=self._now())
        return FoundRender(
            project=movie.project,
            status=movie.status,
            created_at=movie.created_at,
            has_file=has_file(
                movie, now=self._now(), stored=partial(self.is_stored, movie) if self.is_stored else None
            ),
            stamp=theirs,
        )

    # --- waiting --------------------------------------------------------------------------------

    def _wait_out(self, error: Json2VideoError, *, of_list: Stamp | None = None) -> None:
        """Wait after a request that failed in a way that may pass, and that submitted nothing.

        :param of_list: set if the list could not be read, which is *unknown* and never *absent*.
        :raises Json2VideoError: it does not pass.
        """
        now, before = self.clock(), self._state
        unresolved = list_refused = None
        if isinstance(error, HostNotResolved):
            unresolved = before.unresolved_since or now
        if not error.retryable:
            list_refused = before.list_refused_since or now
        failures = before.failures + 1
        self._note(
            failures=failures, unresolved_since=unresolved, list_refused_since=list_refused, error=error.to_dict()
        )
        if list_refused is None:
            pause = backoff(min(failures, 4), jitter=random.random()) + (error.retry_after or 0.0)  # noqa: S311
        else:
            pause = seconds_to_confirmation(now - list_refused) or 0.0
        final = error
        if of_list is not None:
            decision = decide_submission(
                None,
                mine=of_list,
                unconfirmed=self._state.unconfirmed,
                read_at=now,
                confirmation_time=self.confirmation_time,
            )
            final = self._unknown(of_list, f"{decision.reason} ({error.message})")
        if not pause:  # it is refused for good, but what is paid for is not lost
            raise final if self._state.sent else error.with_context(retryable=True)
        self.log.warning("%s Trying again in %.0f s.", error, pause)
        limit = unresolved + RESOLUTION_TIMEOUT if unresolved is not None and of_list is None else None
        self._wait(pause, error.message, error=final, limit=limit)

    def _wait(
        self, seconds: float, reason: str, *, error: Json2VideoError | None = None, limit: float | None = None
    ) -> None:
        """Wait here, or raise what makes the task wait elsewhere.

        :param error: raised if there is no time left. :param limit: epoch seconds, where it is earlier than usual.
        """
        now, until = self.clock(), self._give_up_at()
        until = until if limit is None else min(until, limit)
        if error is not None and now >= until:
            raise error
        seconds = min(seconds, max(until - now, 0.0))
        if seconds > self.max_hold:
            raise SubmissionPaused(reason, seconds=seconds, until=until, state=self._state)
        self.sleep(seconds)

    def _give_up_at(self) -> float:
        """Return when the wait ends: a confirmation is not interrupted shortly before its end."""
        unconfirmed = self._state.unconfirmed
        if unconfirmed is None:
            return self._send_by
        sent_at = self._sent_until  # by this machine's clock, whatever is learned of the service's meanwhile
        if sent_at is None or self._state.on_service_clock:
            sent_at = unconfirmed.last_sent_at - self._skew()
        return min(self.hard_until, max(self.until, sent_at + self.confirmation_time + _AFTER_CONFIRMATION))

    def _require_time_to_send(self) -> None:
        """Raise if it is too late to submit. What was submitted before is known to have come to nothing."""
        if self.clock() >= self._send_by:
            cause = (self._state.error or {}).get("message")
            raise ServiceUnreachable(
                "The time for this attempt to submit is over." + (f" The last problem was: {cause}" if cause else ""),
                advice="Nothing was charged." if self._state.sent else "Nothing was submitted.",
            )

    def _answered(self) -> None:
        """Note that a request arrived: no outage is left."""
        if self._state.failures:
            self._note(failures=0, unresolved_since=None, list_refused_since=None)

    def _now(self) -> float:
        """Return the service's time, as far as it is known."""
        return self.clock() + self._skew()

    def _skew(self) -> float:
        if self.skew is not None:
            return self.skew()
        from airflow_json2video.api.clock import get_clock

        return get_clock(self.client.config.host).skew

    def _note(self, **facts: Any) -> None:
        self._state = replace(self._state, **facts)

    def _unknown(self, stamp: Stamp, message: str, *, retryable: bool | None = None) -> SubmissionUnconfirmed:
        if retryable is None:
            unconfirmed = self._state.unconfirmed
            lost = unconfirmed is not None and unconfirmed.response_lost
            retryable = not (lost and self.on_lost_response == "fail")
        return unconfirmed_error(self._state, message, submission_key=stamp.submission_key, retryable=retryable)
