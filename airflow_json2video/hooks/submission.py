"""Carrying out a submission: asks ``rendering.submission`` what to do, and does just that.

The one place that sends ``POST /movies`` for a task.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_json2video.exceptions import (
    Json2VideoError,
    Money,
    NotFound,
    RateLimited,
    ServiceUnreachable,
    SubmissionAmbiguous,
)
from airflow_json2video.hooks.account_list import RECENT, has_file, stamped_renders
from airflow_json2video.hooks.current import require_current
from airflow_json2video.rendering.identity import Stamp, deployment_in_words, read_stamp, stamp
from airflow_json2video.rendering.submission import (
    Action,
    Decision,
    FoundRender,
    OnAmbiguous,
    OnClear,
    decide_submission,
    settle_pause,
)

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.api.responses import MovieStatus
    from airflow_json2video.hooks.memory import TaskMemory
    from airflow_json2video.hooks.waiting import TaskLog

__all__ = ["Submission", "SubmittedRender"]

_LONGEST_PAUSE = 60.0
"""Seconds between two tries while the service is in trouble."""


@dataclass(frozen=True)
class SubmittedRender:
    """A render that belongs to this task now.

    :param submitted_at: epoch seconds; for an adopted render, when the service created it.
    """

    project: str
    submitted_at: float
    adopted: bool


@dataclass(kw_only=True)
class Submission:
    """One attempt to have one document rendered once.

    Dying anywhere in :meth:`run` loses nothing: the stamp is inside the document, so what was sent is in
    the account's list, where the next attempt finds it.

    :param mark: the stamp to send; ``None`` sends the document as it is and gives up adoption.
    :param attempt_before: try number of the attempt whose fate is not known: it may have submitted already.
        ``None`` for the very first.
    :param delivered_before: the attempt before which all renders have been delivered; see
        :func:`.decide_submission`.
    :param since: epoch seconds before which this run submitted nothing; the list is read back to it.
    :param patience: seconds for which a service in trouble is waited out here while this attempt has sent nothing.
    :param patience_after_sending: the same once an answer was lost: what was paid for may be in the list.
    :param still_current: asked immediately before the POST: whether Airflow still takes this attempt for
        the running one. It raises if it cannot find out.
    :param may_pay: called before each POST and never before an adoption; it raises if this render may not be paid for.
    :param kept: asked of a finished render whose file the service has no more: whether it is kept elsewhere, so that
        it need not be paid for again. It raises if that cannot be found out.
    :param memory: Airflow's own store for this task where there is one. It spares the listing; what it has
        lost or mixed up changes nothing else.
    """

    client: Json2VideoClient
    document: Mapping[str, Any]
    mark: Stamp | None
    attempt_before: int | None
    log: TaskLog
    delivered_before: int = 0
    since: float | None = None
    patience: float = 60.0
    patience_after_sending: float = 3600.0
    on_ambiguous: OnAmbiguous = "fail"
    on_clear: OnClear = "resubmit"
    still_current: Callable[[], bool] = lambda: True
    may_pay: Callable[[], None] = lambda: None
    kept: Callable[[MovieStatus], bool] | None = None
    memory: TaskMemory | None = None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time
    _namesake_reported: bool = field(default=False, init=False)
    _empty_at: float | None = None
    """When the list last showed nothing: what is much older need not be read again."""

    def run(self) -> SubmittedRender:
        """Submit the document, or adopt the render that an earlier attempt of this task started.

        :raises SubmissionAmbiguous: it is not known whether a render was started; nothing more was sent.
        :raises AttemptSuperseded: a later attempt has started; nothing was sent.
        :raises Json2VideoError: the service refused, or could not be reached.
        """
        if self.mark is None:
            return self._submit_unmarked()
        render = None
        if self.attempt_before is not None:
            render = self._recall(self.mark) or self._settle(self.mark, lost=None)
        if render is None:
            render = self._submit_marked(self.mark)
        if self.memory is not None:
            self.memory.remember(self.mark.submission_key, render.project)
        return render

    def _submit_marked(self, mark: Stamp) -> SubmittedRender:
        document = stamp(self.document, mark)
        try:
            return self._post(document)
        except Json2VideoError as error:
            if error.money is not Money.UNKNOWN:
                raise
            lost = error
        self.log.warning(
            "The submission was sent, and its answer is lost (%s). Looking for the render in the account's list.",
            lost.message,
        )
        found = self._settle(mark, lost=lost)
        if found is not None:
            return found
        try:
            return self._post(document)  # on_ambiguous="resubmit": the author prefers the risk
        except Json2VideoError as error:
            raise _ambiguous(
                f"A submission was sent and its answer lost; the second one failed too: {error.message}", mark, error
            ) from error

    def _submit_unmarked(self) -> SubmittedRender:
        try:
            return self._post(self.document)
        except Json2VideoError as error:
            if error.money is not Money.UNKNOWN:
                raise
            raise SubmissionAmbiguous(
                f"The submission was sent, and it is not known whether a render was started: {error.message}",
                retryable=False,
                advice="With durable=False it cannot be looked up. Look into the renders of the account; another run "
                "of this task submits again and may pay twice.",
            ) from error

    def _post(self, document: Mapping[str, Any]) -> SubmittedRender:
        from airflow_json2video.api import calls

        call = calls.submit_movie(document)
        began, failures = self.clock(), 0
        while True:
            try:
                self.may_pay()
                require_current(self.still_current, what="task", nothing="Nothing was submitted.")
                submitted_at = self.clock()
                project = self.client.execute(call).project
            except ServiceUnreachable as error:  # certainly not sent, so this is no second submission
                failures += 1
                if self.clock() - began >= self.patience:
                    raise
                self.log.warning("%s Trying again.", error)
                self.sleep(min(settle_pause(failures), _LONGEST_PAUSE))
            else:
                return SubmittedRender(project=project, submitted_at=submitted_at, adopted=False)

    def _recall(self, mark: Stamp) -> SubmittedRender | None:
        """Adopt the render that Airflow's store names, if the service confirms it."""
        from airflow_json2video.api import calls

        project = self.memory.recall(mark.submission_key) if self.memory is not None else None
        if project is None:
            return None
        try:
            movie = self.client.execute(calls.get_movie(project)).movie
        except Json2VideoError as error:
            if not error.retryable and not isinstance(error, NotFound):
                raise
            return None
        found = self._found(movie, mark)
        if found is None:
            return None
        decision = self._decide([found], mark, lost=None, looks=1)
        return self._adopted(decision, [found]) if decision.action is Action.ADOPT else None

    def _settle(self, mark: Stamp, *, lost: Json2VideoError | None) -> SubmittedRender | None:
        """Look until it is certain: the render to adopt, or ``None`` if one is to be submitted."""
        looks = failures = 0
        began = self.clock()
        patience = self.patience if lost is None else self.patience_after_sending
        if lost is not None:
            self.sleep(settle_pause(0))
        while True:
            found, trouble = self._list(mark, lost=lost)
            if found is None:
                failures += 1
                if self.clock() - began < patience:
                    self.log.warning("The account's list could not be read, so nothing is decided: %s", trouble)
                    self.sleep(min(settle_pause(failures), _LONGEST_PAUSE))
                    continue
            else:
                looks, failures = looks + 1, 0
            decision = self._decide(found, mark, lost=lost, looks=looks)
            if decision.action is Action.LOOK_AGAIN:
                self.log.info("%s Next look in %.0fs.", decision.reason, settle_pause(looks))
                self.sleep(settle_pause(looks))
                continue
            if decision.action is Action.ADOPT:
                return self._adopted(decision, found or [])
            for warning in decision.warnings:
                self.log.warning("%s", warning)
            if decision.action is Action.STOP:
                raise _stopped(decision, mark, lost=lost, trouble=trouble)
            self.log.info("%s", decision.reason)
            return None

    def _decide(
        self,
        found: list[FoundRender] | None,
        mark: Stamp,
        *,
        lost: Json2VideoError | None,
        looks: int,
    ) -> Decision:
        return decide_submission(
            found,
            mine=mark,
            answer_lost=lost is not None,
            looks=looks,
            on_ambiguous=self.on_ambiguous,
            on_clear=self.on_clear,
            attempt_before=self.attempt_before,
            delivered_before=self.delivered_before,
        )

    def _adopted(self, decision: Decision, found: list[FoundRender]) -> SubmittedRender:
        for warning in decision.warnings:
            self.log.warning("%s", warning)
        self.log.info("%s", decision.reason)
        render = next(r for r in found if r.project == decision.project)
        created = render.created_at.timestamp() if render.created_at else self.clock()
        return SubmittedRender(project=render.project, submitted_at=created, adopted=True)

    def _list(
        self, mark: Stamp, *, lost: Json2VideoError | None
    ) -> tuple[list[FoundRender] | None, Json2VideoError | None]:
        try:
            since, now = self.since if self._empty_at is None else self._empty_at - RECENT, self.clock()
            found = stamped_renders(self.client, lambda movie: self._found(movie, mark), now=now, since=since)
            self._empty_at = None if found else now
            return found, None
        except Json2VideoError as error:
            if error.retryable:
                return None, error
            if lost is not None:
                raise _ambiguous(
                    f"The answer to the submission was lost, and the list cannot be read: {error.message}", mark, error
                ) from error
            raise

    def _report_namesake(self, project: str, theirs: Stamp) -> None:
        if not self._namesake_reported:
            self._namesake_reported = True
            whose = deployment_in_words(theirs.deployment)
            self.log.info(
                "Render %s of the same task of another deployment (%s) was found and left alone.", project, whose
            )

    def _found(self, movie: MovieStatus, mark: Stamp) -> FoundRender | None:
        """Read a movie as a render of this task; None if it is another's."""
        theirs = read_stamp(movie.client_data, movie.json_text)
        if theirs is None or theirs.task_key != mark.task_key:
            if theirs is not None and theirs.is_namesake(mark):
                self._report_namesake(movie.project, theirs)
            return None
        return FoundRender(
            project=movie.project,
            status=movie.status,
            created_at=movie.created_at,
            has_file=has_file(movie, now=self.clock(), stored=partial(self.kept, movie) if self.kept else None),
            stamp=theirs,
        )


def _stopped(
    decision: Decision, mark: Stamp, *, lost: Json2VideoError | None, trouble: Json2VideoError | None
) -> Json2VideoError:
    if isinstance(lost, RateLimited) and trouble is None:
        lost.money = Money.NOT_SPENT
        lost.advice = "The account's list shows no render of it, so nothing was paid for."
        return lost
    if trouble is None:
        return _ambiguous(decision.reason, mark, lost)
    # What a later attempt cannot list now can be listed by the next. Of a submission whose answer was lost the next
    # attempt would not know, so that is for a person.
    return _ambiguous(f"{decision.reason} ({trouble.message})", mark, lost, retryable=lost is None)


def _ambiguous(
    message: str, mark: Stamp, cause: Json2VideoError | None, *, retryable: bool = False
) -> SubmissionAmbiguous:
    look = (
        f"Look for 'submission_key': '{mark.submission_key}' in the client-data of the account's renders "
        "(GET /movies, or the render logs of the dashboard)."
    )
    then = "Then clear the task: it adopts the render if the list shows it, and submits again if it does not."
    return SubmissionAmbiguous(
        message,
        service_message=cause.service_message if cause else None,
        retryable=retryable,
        advice=look if retryable else f"{look} {then}",
    )
