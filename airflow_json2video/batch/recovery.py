"""Find the renders of a batch in the account's list: those of earlier attempts, and those whose response was lost.

:func:`~airflow_json2video.core.submission.decide_submission` decides about each item exactly as about a single render.
One read of the list serves all items.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_json2video.core.batch import BatchLedger, ItemState
from airflow_json2video.core.identity import (
    Stamp,
    TaskIdentity,
    fingerprint,
    format_deployment,
    read_stamp,
)
from airflow_json2video.core.result import select_fields, to_json
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
from airflow_json2video.metrics import render_reattached
from airflow_json2video.submission.lookup import (
    LOOKUP_WINDOW,
    find_stamped_renders,
    refetch_if_incomplete,
    to_found_render,
)

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.api.clock import ServiceClock
    from airflow_json2video.api.responses import MovieStatus
    from airflow_json2video.core.batch_items import BatchItems
    from airflow_json2video.task_log import ItemLog

__all__ = ["BatchRecovery"]


@dataclass(kw_only=True)
class BatchRecovery:
    """Reads the account's list for the items of a batch during one step.

    :param identity: of the task instance; the identity of each item is derived from it.
    :param previous_attempt: the attempt that may have submitted items that are not recorded, if there is one. It is
        *attempt* itself if the ledger was lost.
    :param previous_attempt_ended_at: when Airflow ended that attempt, if it is known.
    :param clock: of this machine, for durations.
    :param render_timeout: seconds during which a refused item is submitted again.
    :param last_returned_attempt: see :func:`.decide_submission`, also for ``confirmation_time`` and the options.
    :param earliest_submission_time: epoch seconds before which this run submitted nothing; the list is read back to it.
    :param is_stored: returns whether the video of a finished render is stored, if the service no longer has its file.
    :ivar failure: the error that interrupted the read of the list for lost responses.
    """

    client: Json2VideoClient
    items: BatchItems
    batch: BatchLedger
    identity: TaskIdentity
    attempt: int
    previous_attempt: int | None
    service_clock: ServiceClock
    log: ItemLog
    render_timeout: float
    previous_attempt_ended_at: float | None = None
    confirmation_time: float = DEFAULT_CONFIRMATION_TIME
    last_returned_attempt: int = 0
    on_lost_response: OnLostResponse = "resubmit"
    on_clear: OnClear = "reuse"
    earliest_submission_time: float | None = None
    is_stored: Callable[[int, MovieStatus], bool] | None = None
    clock: Callable[[], float] = time.monotonic
    failure: Json2VideoError | None = None
    _found: dict[int, dict[str, FoundRender]] = field(default_factory=dict)
    _movies: dict[str, dict[str, Any]] = field(default_factory=dict)
    _index_by_key: dict[str, int] = field(default_factory=dict)
    _name_keys: frozenset[str] = frozenset()
    _reports_other_deployment: bool = False

    def stamp_for(self, index: int) -> Stamp:
        """Return the stamp of an item."""
        identity = replace(self.identity, item=self.items.keys[index])
        return Stamp.of(identity, fingerprint(self.items.document(index)), attempt=self.attempt)

    def now(self) -> float:
        """Return the service's time."""
        return self.service_clock.now()

    # --- renders of earlier attempts ------------------------------------------------------------

    def next_lookup_at(self) -> float | None:
        """Return when to read the list for renders of earlier attempts; None if no item is unknown."""
        unknown = self.batch.items_in(ItemState.UNKNOWN)
        return self._not_before_now(self.batch.recovery.next_read_at) if unknown else None

    def recover_previous_attempts(self) -> bool:
        """Read the list once, if it is time to, for the renders of all unknown items; return whether it was read.

        :raises SubmissionUnconfirmed: the list could not be read, so nothing may be submitted.
        """
        recovery, unknown = self.batch.recovery, self.batch.items_in(ItemState.UNKNOWN)
        if not self._is_due(self.next_lookup_at()):
            return False
        self._reports_other_deployment = not recovery.first_read_at
        try:
            read_at = self._read_list(
                self.earliest_submission_time if recovery.reads_whole_run else recovery.read_at - LOOKUP_WINDOW
            )
        except Json2VideoError as error:
            raise SubmissionUnconfirmed(
                f"The account's list could not be read, so it is unknown which of {len(unknown):,} items have been "
                f"submitted already. Nothing is submitted until the list can be read. ({error.message})",
                retryable=error.retryable,
            ) from error
        recovery.last_sent_at = recovery.last_sent_at or min(read_at, self.previous_attempt_ended_at or read_at)
        undecided = self._decide_all(unknown, read_at)
        recovery.first_read_at, recovery.read_at = recovery.first_read_at or read_at, read_at
        # A render that is much older than the longest lag and was not in the first list does not exist.
        recovery.reads_whole_run = any(index in self._found for index in undecided)
        self.log.task_log.info("Recovered the renders of earlier attempts: %s.", self.batch.summarize())
        return True

    def _decide_all(self, unknown: list[int], read_at: float) -> list[int]:
        """Decide about each item; return those for which the list is to be read again."""
        recovery = self.batch.recovery
        unconfirmed = Unconfirmed(
            attempt=self.attempt if self.previous_attempt is None else self.previous_attempt,
            last_sent_at=recovery.last_sent_at,
            # In an attempt whose ledger was lost, an item may have been submitted again after its render failed.
            one_render=False,
        )
        earlier = recovery.first_read_at or None
        # The decision is the same for all items without a render; the stamps of all of them would take seconds.
        absent = self._decide([], self._bare_stamp(), unconfirmed, read_at=read_at, earlier_read_at=earlier)
        undecided, check_in = [], self.confirmation_time
        for index in unknown:
            decision = absent
            if found := list(self._found.get(index, {}).values()):
                mine = self.stamp_for(index)
                decision = self._decide(found, mine, unconfirmed, read_at=read_at, earlier_read_at=earlier)
            if decision.action is Action.CHECK_AGAIN:
                undecided.append(index)
                check_in = min(check_in, decision.check_in)
                continue
            if decision.action is Action.ADOPT:
                self._adopt(index, decision)
            else:
                self.batch.reset_item(index)
            self._log_notes(decision)
        recovery.next_read_at = read_at + check_in
        return undecided

    # --- submissions that were refused, or whose response was lost ------------------------------

    def next_resolve_at(self) -> float | None:
        """Return when to read the list for items that were refused or are unconfirmed; None if there are none."""
        check_at = min((self.batch.records[index].check_at for index in self._items_to_look_up()), default=None)
        return None if check_at is None else self._not_before_now(check_at)

    def resolve_unconfirmed(self) -> None:
        """Read the list once, if it is time to, for all items that were refused or whose response was lost."""
        if not self._is_due(self.next_resolve_at()):
            return
        items, now = self._items_to_look_up(), self.now()
        oldest = min(min(self.batch.records[index].failing_since or now, now) for index in items)
        try:
            read_at = self._read_list(oldest - LOOKUP_WINDOW)
        except Json2VideoError as error:
            self.log.task_log.warning(
                "Could not read the account's list; unconfirmed submissions stay unconfirmed: %s", error.message
            )
            self.failure = error
            return
        for index in items:
            self._resolve(index, read_at)
        resolved = len(items) - len(self._items_to_look_up())
        self.log.task_log.info(
            "Looked up %d unconfirmed or refused submissions in the account's list: %d resolved.", len(items), resolved
        )

    def _items_to_look_up(self) -> list[int]:
        if self.batch.is_stopping:  # refused items are not submitted again
            return self.batch.items_in(ItemState.UNCONFIRMED)
        return self.batch.items_in(ItemState.UNCONFIRMED, ItemState.REFUSED)

    def _resolve(self, index: int, read_at: float) -> None:
        record = self.batch.records[index]
        unconfirmed = None
        if record.state is ItemState.UNCONFIRMED:
            record.submitted_at = record.submitted_at or read_at  # certainly later than it was sent
            unconfirmed = Unconfirmed(attempt=self.attempt, last_sent_at=record.submitted_at, response_lost=True)
        elif record.check_at > read_at:
            return
        decision = self._decide(
            list(self._found.get(index, {}).values()),
            self.stamp_for(index),
            unconfirmed,
            read_at=read_at,
            earlier_read_at=record.failing_since,
        )
        if decision.action is Action.CHECK_AGAIN:
            record.check_at = read_at + decision.check_in
            return
        if decision.action is Action.ADOPT:
            self._adopt(index, decision)
        elif decision.action is Action.STOP:
            self.batch.mark_unresolved(index, self._unresolved_error(index, decision.reason))
            self.log.error("%s: %s", self.items.where(index), decision.reason)
        elif read_at - record.failing_since >= self.render_timeout:
            error = error_from_dict(record.error or {}).with_context(billing=Billing.NOT_CHARGED, retryable=True)
            self.batch.mark_failed(index, error)
            self.log.error("%s: %s", self.items.where(index), error.message)
        else:
            self.batch.reset_item(index)
        self._log_notes(decision)

    def _not_before_now(self, moment: float) -> float:
        # Before the service has answered, its time is unknown to this process. Reading the list is free.
        now = self.now()
        return max(moment, now) if self.service_clock.is_known else now

    def _is_due(self, moment: float | None) -> bool:
        return moment is not None and moment <= self.now()

    def _unresolved_error(self, index: int, message: str) -> SubmissionUnconfirmed:
        key = replace(self.identity, item=self.items.keys[index]).submission_key
        return SubmissionUnconfirmed(
            message,
            retryable=False,
            advice=f"Search the client-data of the account's renders for 'submission_key': '{key}'. Then clear the "
            "task: it reattaches to the render if the list shows it, and submits again if not.",
        )

    # --- the list -------------------------------------------------------------------------------

    def _read_list(self, since: float | None) -> float:
        """Record all renders of this batch's items in the list; return when the read began.

        :param since: see :func:`.find_stamped_renders`.
        """
        began = self.clock()
        self._found.clear()
        if not self._index_by_key:
            for index, key in enumerate(self.items.keys):
                self._index_by_key[replace(self.identity, item=key).task_key] = index
            self._name_keys = self.identity.name_keys(self.items.keys)

        def read(movie: MovieStatus) -> tuple[int, FoundRender, Mapping[str, Any]] | None:
            theirs = read_stamp(movie.client_data, movie.json_text)
            index = self._index_by_key.get(theirs.task_key) if theirs is not None else None
            if theirs is None or index is None:
                if theirs is not None and theirs.name_key in self._name_keys:
                    self._report_other_deployment(movie.project, theirs)
                return None
            movie = refetch_if_incomplete(self.client, movie, now=self.now())
            found = to_found_render(movie, theirs, now=self.now(), is_stored=partial(self._is_stored, index))
            return index, found, _facts(movie)

        for index, found, facts in find_stamped_renders(self.client, read, now=self.now, since=since):
            self._found.setdefault(index, {})[found.project] = found
            self._movies[found.project] = dict(facts)
        # By now the service has answered, so that its time is known.
        return self.now() - (self.clock() - began)

    def _report_other_deployment(self, project: str, theirs: Stamp) -> None:
        if self._reports_other_deployment:
            self._reports_other_deployment = False
            self.log.task_log.info(
                "Ignored render %s: it belongs to the same batch of another deployment (%s).",
                project,
                format_deployment(theirs.deployment),
            )

    def _is_stored(self, index: int, movie: MovieStatus) -> bool:
        return self.is_stored is not None and self.is_stored(index, movie)

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
            last_returned_attempt=self.last_returned_attempt,
        )

    def _adopt(self, index: int, decision: Decision) -> None:
        project = str(decision.project)
        found = self._found[index][project]
        created = found.created_at.timestamp() if found.created_at else self.now()
        self.batch.mark_submitted(index, project, at=created)
        render_reattached()
        movie = self._movies[project]
        # A file that is not available yet is waited for in the triggerer, as a running render is.
        if found.status == "done" and file_state(movie, now=self.now()) is not FileState.LATE:
            self.batch.mark_done(index, movie)

    def _log_notes(self, decision: Decision) -> None:
        for warning in decision.warnings:
            self.log.warning("%s", warning)

    def _bare_stamp(self) -> Stamp:
        return Stamp.of(self.identity, "", attempt=self.attempt)


def _facts(movie: MovieStatus) -> Mapping[str, Any]:
    return select_fields(to_json(movie.model_copy(update={"json_text": None}))) if movie.status == "done" else {}
