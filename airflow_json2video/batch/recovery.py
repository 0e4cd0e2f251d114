"""Finding the renders of a batch in the account's list: those of earlier attempts, and those whose response was lost.

What a find means is decided for each item by :func:`~airflow_json2video.core.submission.decide_submission`,
exactly as for a single render. One reading of the list serves all items.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from airflow_json2video.core.batch import BatchLedger, ItemState
from airflow_json2video.core.identity import (
    Stamp,
    TaskIdentity,
    fingerprint,
    format_deployment,
    read_stamp,
)
from airflow_json2video.core.result import select_fields
from airflow_json2video.core.storage_path import FileState, file_state
from airflow_json2video.core.submission import (
    Action,
    Decision,
    FoundRender,
    OnClear,
    OnLostResponse,
    Unconfirmed,
    decide_submission,
)
from airflow_json2video.exceptions import Billing, Json2VideoError, SubmissionUnconfirmed, error_from_dict
from airflow_json2video.hooks.connection import DEFAULT_CONFIRMATION_TIME
from airflow_json2video.metrics import render_adopted
from airflow_json2video.submission.lookup import (
    LOOKUP_WINDOW,
    find_stamped_renders,
    refetch_if_incomplete,
    to_found_render,
)

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.api.responses import MovieStatus
    from airflow_json2video.batch.item_log import ItemLog
    from airflow_json2video.core.batch_items import BatchItems

__all__ = ["BatchRecovery", "ServiceTime"]


class ServiceTime(Protocol):
    """The service's clock, as :class:`~airflow_json2video.api.clock.ServiceClock` knows it."""

    @property
    def is_known(self) -> bool:
        """Whether the service has answered this process."""

    def now(self) -> float:
        """Return the service's time, epoch seconds."""


@dataclass(kw_only=True)
class BatchRecovery:
    """The readings of the list in one step of a batch.

    :param identity: of the task instance; each item's is made from it.
    :param attempt_before: the attempt that may have submitted what nobody knows of, if there is one. It is *attempt*
        itself where the ledger was lost.
    :param attempt_before_ended_at: when Airflow ended that attempt, if it is known.
    :param service_time: what time it is there. :param clock: of this machine, for durations.
    :param render_timeout: seconds for which an item is submitted again.
    :param last_delivered_attempt: see :func:`.decide_submission`; so are the options.
    :param since: epoch seconds before which this run submitted nothing; the list is read back to it.
    :param kept: asked of an item's finished render whose file the service has no more: whether it is kept elsewhere.
    :ivar trouble: why the list could not be read for lost responses, if it could not.
    """

    client: Json2VideoClient
    items: BatchItems
    batch: BatchLedger
    identity: TaskIdentity
    attempt: int
    attempt_before: int | None
    service_time: ServiceTime
    log: ItemLog
    render_timeout: float
    attempt_before_ended_at: float | None = None
    confirmation_time: float = DEFAULT_CONFIRMATION_TIME
    last_delivered_attempt: int = 0
    on_lost_response: OnLostResponse = "resubmit"
    on_clear: OnClear = "reuse"
    since: float | None = None
    kept: Callable[[int, MovieStatus], bool] | None = None
    clock: Callable[[], float] = time.monotonic
    trouble: Json2VideoError | None = None
    _seen: dict[int, dict[str, FoundRender]] = field(default_factory=dict)
    _movies: dict[str, dict[str, Any]] = field(default_factory=dict)
    _indices: dict[str, int] = field(default_factory=dict)
    _name_keys: frozenset[str] = frozenset()
    _reports_other_deployment: bool = False

    def mark(self, index: int) -> Stamp:
        """Return the stamp of an item."""
        identity = replace(self.identity, item=self.items.keys[index])
        return Stamp.of(identity, fingerprint(self.items.document(index)), attempt=self.attempt)

    def now(self) -> float:
        """Return the service's time."""
        return self.service_time.now()

    # --- what earlier attempts started ----------------------------------------------------------

    def recovery_in(self) -> float | None:
        """Return the seconds until the list is to be read for what earlier attempts sent; None if all is known."""
        return self._seconds_to(self.batch.recovery.due) if self.batch.indices(ItemState.UNKNOWN) else None

    def recover(self) -> bool:
        """Read the list once, if it is time to, for the renders of all items that are unknown; return whether it was.

        :raises SubmissionUnconfirmed: the list could not be read, so nothing may be submitted.
        """
        recovery, pending = self.batch.recovery, self.batch.indices(ItemState.UNKNOWN)
        if self.recovery_in() != 0.0:
            return False
        self._reports_other_deployment = not recovery.first_read_at
        try:
            read_at = self._read_list(self.since if recovery.reads_far else recovery.read_at - LOOKUP_WINDOW)
        except Json2VideoError as error:
            raise SubmissionUnconfirmed(
                f"The account's list could not be read, so it is unknown which of {len(pending):,} items have been "
                f"submitted already. Nothing is submitted meanwhile. ({error.message})",
                retryable=error.retryable,
            ) from error
        recovery.sent_until = recovery.sent_until or min(read_at, self.attempt_before_ended_at or read_at)
        again = self._decide_all(pending, read_at)
        recovery.first_read_at, recovery.read_at = recovery.first_read_at or read_at, read_at
        # What is much older than the longest lag and was not shown at first does not exist.
        recovery.reads_far = any(index in self._seen for index in again)
        self.log.task_log.info("What earlier attempts left: %s.", self.batch.in_words())
        return True

    def _decide_all(self, pending: list[int], read_at: float) -> list[int]:
        """Decide about each; return those that the list is to be read for again."""
        recovery = self.batch.recovery
        unconfirmed = Unconfirmed(
            attempt=self.attempt if self.attempt_before is None else self.attempt_before,
            last_sent_at=recovery.sent_until,
            # In an attempt whose ledger was lost, an item may have been submitted again after its render failed.
            one_render=False,
        )
        earlier = recovery.first_read_at or None
        # All items without a render are in the same case; to make the stamp of each would take seconds.
        absent = self._decide([], self._bare_stamp(), unconfirmed, read_at=read_at, earlier_read_at=earlier)
        again, check_in = [], self.confirmation_time
        for index in pending:
            decision = absent
            if found := list(self._seen.get(index, {}).values()):
                mine = self.mark(index)
                decision = self._decide(found, mine, unconfirmed, read_at=read_at, earlier_read_at=earlier)
            if decision.action is Action.CHECK_AGAIN:
                again.append(index)
                check_in = min(check_in, decision.check_in)
                continue
            if decision.action is Action.ADOPT:
                self._adopt(index, decision)
            else:
                self.batch.back(index)
            self._remark(decision)
        recovery.due = read_at + check_in
        return again

    # --- submissions that were refused, or whose response was lost ------------------------------

    def settlement_in(self) -> float | None:
        """Return the seconds until the list is to be read for items that were refused or lost, if any."""
        due = min((self.batch.records[index].due for index in self._unsettled()), default=None)
        return None if due is None else self._seconds_to(due)

    def settle(self) -> None:
        """Read the list once for all items that were refused or whose response was lost, if it is time to."""
        if self.settlement_in() != 0.0:
            return
        unsettled, now = self._unsettled(), self.now()
        oldest = min(min(self.batch.records[index].since or now, now) for index in unsettled)
        try:
            read_at = self._read_list(oldest - LOOKUP_WINDOW)
        except Json2VideoError as error:
            self.log.task_log.warning("The account's list could not be read, so nothing is decided: %s", error.message)
            self.trouble = error
            return
        for index in unsettled:
            self._settle(index, read_at)
        left = len(self._unsettled())
        self.log.task_log.info(
            "Of %d submissions without a project, the account's list settles %d.", len(unsettled), len(unsettled) - left
        )

    def _unsettled(self) -> list[int]:
        if self.batch.is_stopping:  # what was refused is not submitted again
            return self.batch.indices(ItemState.LOST)
        return self.batch.indices(ItemState.LOST, ItemState.REFUSED)

    def _settle(self, index: int, read_at: float) -> None:
        record = self.batch.records[index]
        unconfirmed = None
        if record.state is ItemState.LOST:
            record.at = record.at or read_at  # after it was sent, in any case
            unconfirmed = Unconfirmed(attempt=self.attempt, last_sent_at=record.at, response_lost=True)
        elif record.due > read_at:
            return
        decision = self._decide(
            list(self._seen.get(index, {}).values()),
            self.mark(index),
            unconfirmed,
            read_at=read_at,
            earlier_read_at=record.since,
        )
        if decision.action is Action.CHECK_AGAIN:
            record.due = read_at + decision.check_in
            return
        if decision.action is Action.ADOPT:
            self._adopt(index, decision)
        elif decision.action is Action.STOP:
            self.batch.unsure(index, self._ambiguous(index, decision.reason))
            self.log.error("%s: %s", self.items.where(index), decision.reason)
        elif read_at - record.since >= self.render_timeout:
            error = error_from_dict(record.error or {}).with_context(billing=Billing.NOT_CHARGED, retryable=True)
            self.batch.failed(index, error)
            self.log.error("%s: %s", self.items.where(index), error.message)
        else:
            self.batch.back(index)
        self._remark(decision)

    def _seconds_to(self, due: float) -> float:
        # A process that has not heard of the service yet does not know when that is: reading the list is free.
        return max(0.0, due - self.now()) if self.service_time.is_known else 0.0

    def _ambiguous(self, index: int, message: str) -> SubmissionUnconfirmed:
        key = replace(self.identity, item=self.items.keys[index]).submission_key
        return SubmissionUnconfirmed(
            message,
            retryable=False,
            advice=f"Look for 'submission_key': '{key}' in the client-data of the account's renders. Then clear the "
            "task: it adopts the render if the list shows it, and submits again if it does not.",
        )

    # --- the list -------------------------------------------------------------------------------

    def _read_list(self, since: float | None) -> float:
        """Note all renders of this batch's items that the list shows; return when the reading began.

        :param since: see :func:`.find_stamped_renders`.
        """
        began = self.clock()
        self._seen.clear()
        if not self._indices:
            for index, key in enumerate(self.items.keys):
                self._indices[replace(self.identity, item=key).task_key] = index
            self._name_keys = self.identity.name_keys(self.items.keys)

        def read(movie: MovieStatus) -> tuple[int, FoundRender, Mapping[str, Any]] | None:
            theirs = read_stamp(movie.client_data, movie.json_text)
            index = self._indices.get(theirs.task_key) if theirs is not None else None
            if theirs is None or index is None:
                if theirs is not None and theirs.name_key in self._name_keys:
                    self._report_other_deployment(movie.project, theirs)
                return None
            movie = refetch_if_incomplete(self.client, movie, now=self.now())
            found = to_found_render(movie, theirs, now=self.now(), is_stored=partial(self._is_kept, index))
            return index, found, _facts(movie)

        for index, found, facts in find_stamped_renders(self.client, read, now=self.now, since=since):
            self._seen.setdefault(index, {})[found.project] = found
            self._movies[found.project] = dict(facts)
        # By now the service has answered, so that its time is known.
        return self.now() - (self.clock() - began)

    def _report_other_deployment(self, project: str, theirs: Stamp) -> None:
        if self._reports_other_deployment:
            self._reports_other_deployment = False
            whose = format_deployment(theirs.deployment)
            self.log.task_log.info(
                "Render %s of the same batch of another deployment (%s) was found and left alone.", project, whose
            )

    def _is_kept(self, index: int, movie: MovieStatus) -> bool:
        return self.kept is not None and self.kept(index, movie)

    def _decide(
        self,
        found: list[FoundRender],
        mine: Stamp,
        unconfirmed: Unconfirmed | None,
        *,
        read_at: float,
        earlier_read_at: float | None,
    ) -> Decision:
        return decide_submission(
            found,
            mine=mine,
            unconfirmed=unconfirmed,
            read_at=read_at,
            earlier_read_at=earlier_read_at,
            confirmation_time=self.confirmation_time,
            on_lost_response=self.on_lost_response,
            on_clear=self.on_clear,
            last_delivered_attempt=self.last_delivered_attempt,
        )

    def _adopt(self, index: int, decision: Decision) -> None:
        project = str(decision.project)
        found = self._seen[index][project]
        created = found.created_at.timestamp() if found.created_at else self.now()
        self.batch.submitted(index, project, at=created)
        render_adopted()
        movie = self._movies[project]
        # A file that has not appeared yet is waited for in the triggerer, as a render that is running.
        if found.status == "done" and file_state(movie, now=self.now()) is not FileState.LATE:
            self.batch.done(index, movie)

    def _remark(self, decision: Decision) -> None:
        for warning in decision.warnings:
            self.log.warning("%s", warning)

    def _bare_stamp(self) -> Stamp:
        return Stamp.of(self.identity, "", attempt=self.attempt)


def _facts(movie: MovieStatus) -> Mapping[str, Any]:
    from airflow_json2video.core.result import to_json

    return select_fields(to_json(movie.model_copy(update={"json_text": None}))) if movie.status == "done" else {}
