"""Finding the renders of a batch in the account's list: those of earlier attempts, and those whose answer was lost.

What a find means is decided for each item by :func:`~airflow_json2video.rendering.submission.decide_submission`,
exactly as for a single render. One reading of the list serves all items.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_json2video.exceptions import Json2VideoError, RateLimited, SubmissionAmbiguous
from airflow_json2video.hooks.account_list import RECENT, has_file, stamped_renders
from airflow_json2video.hooks.metrics import render_adopted
from airflow_json2video.rendering.batch import Batch, ItemState
from airflow_json2video.rendering.identity import (
    Stamp,
    TaskIdentity,
    deployment_in_words,
    fingerprint,
    read_stamp,
)
from airflow_json2video.rendering.result import movie_facts
from airflow_json2video.rendering.storing import FileState, file_state
from airflow_json2video.rendering.submission import (
    CONFIRMATION_TIME,
    Action,
    Decision,
    FoundRender,
    OnClear,
    OnLostResponse,
    Unconfirmed,
    decide_submission,
)

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.api.responses import MovieStatus
    from airflow_json2video.hooks.batch_log import ItemLog
    from airflow_json2video.rendering.batch_items import BatchItems

__all__ = ["BatchFinding"]

_LOOKS = 7
"""Looks after which a render that the list does not show is absent: the last one is more than five minutes later."""


def _pause(looks: int) -> float:
    return float(5 * 2 ** min(looks, 6))


@dataclass(kw_only=True)
class BatchFinding:
    """The looks of one slice into the list.

    :param identity: of the task instance; each item's is made from it.
    :param attempt_before: as of :class:`~airflow_json2video.hooks.submission.Submission`; so are the others.
    :param since: epoch seconds before which this run submitted nothing; the list is read back to it.
    :param kept: asked of an item's finished render whose file the service has no more: whether it is kept elsewhere.
    :ivar trouble: why the list could not be read for lost answers, if it could not.
    """

    client: Json2VideoClient
    items: BatchItems
    batch: Batch
    identity: TaskIdentity
    attempt: int
    attempt_before: int | None
    log: ItemLog
    delivered_before: int = 0
    on_lost_response: OnLostResponse = "resubmit"
    confirmation_time: float = CONFIRMATION_TIME
    on_clear: OnClear = "reuse"
    since: float | None = None
    kept: Callable[[int, MovieStatus], bool] | None = None
    clock: Callable[[], float] = time.time
    trouble: Json2VideoError | None = None
    _seen: dict[int, dict[str, FoundRender]] = field(default_factory=dict)
    _movies: dict[str, dict[str, Any]] = field(default_factory=dict)
    _indices: dict[str, int] = field(default_factory=dict)
    _namesakes: frozenset[str] = frozenset()
    _reports_namesake: bool = False

    def mark(self, index: int) -> Stamp:
        """Give the stamp of an item."""
        identity = replace(self.identity, item=self.items.keys[index])
        return Stamp.of(identity, fingerprint(self.items.document(index)), attempt=self.attempt)

    # --- what earlier attempts started ----------------------------------------------------------

    def look_at(self) -> float | None:
        """Give the moment at which the list is to be read for what earlier attempts sent; None if all is known."""
        if not self.batch.indices(ItemState.UNKNOWN):
            return None
        return self.batch.looked_at + (_pause(self.batch.looks) if self.batch.looks else 0.0)

    def recover(self) -> None:
        """Read the list once, if it is time to, for the renders of all items that are not known yet.

        :raises SubmissionAmbiguous: the list could not be read, so nothing may be submitted.
        :raises Json2VideoError: the service refuses to give it.
        """
        batch, due = self.batch, self.look_at()
        if due is None or due > self.clock():
            return
        pending = batch.indices(ItemState.UNKNOWN)
        self._seen.clear()
        self._reports_namesake = not batch.looks
        try:
            self._look(self.since if batch.looks_far else batch.looked_at - RECENT)
        except Json2VideoError as error:
            if not error.retryable:
                raise
            raise SubmissionAmbiguous(
                f"The account's list could not be read, so it is not known which of {len(pending):,} items have been "
                f"submitted already. Nothing is submitted meanwhile. ({error.message})"
            ) from error
        batch.looks, batch.looked_at = batch.looks + 1, self.clock()
        again = self._decide_all(pending)
        # What is older than an hour and was not shown at first is not there.
        batch.looks_far = any(index in self._seen for index in again)
        self.log.task_log.info("What earlier attempts left: %s.", batch.in_words())

    def _decide_all(self, pending: list[int]) -> list[int]:
        """Decide about each; give those that are to be looked for again."""
        looks = self.batch.looks
        # All items without a render are in the same case; to make the stamp of each would take seconds.
        absent = decide_submission([], mine=self._bare_stamp(), **self._moments(lost=False, looks=looks))
        again = []
        for index in pending:
            decision = self._decide(index, lost=False, looks=looks) if self._seen.get(index) else absent
            if decision.action is Action.ADOPT:
                self._adopt(index, decision)
            elif decision.action is Action.CHECK_AGAIN:
                again.append(index)
                continue
            else:
                self.batch.back(index)
            self._remark(decision)
        return again

    # --- lost answers ---------------------------------------------------------------------------

    def settle_at(self) -> float | None:
        """Give the moment at which the list is to be read for items whose answer was lost; None if there are none."""
        return min((self._due(index) for index in self.batch.indices(ItemState.LOST)), default=None)

    def settle(self) -> None:
        """Read the list once for all items whose answer was lost and whose look is due."""
        lost = self.batch.indices(ItemState.LOST)
        now = self.clock()
        due = {index for index in lost if self._due(index) <= now}
        if not due:
            return
        oldest = min(self.batch.records[index].at for index in lost)
        self._seen.clear()
        try:
            self._look(min(oldest, now) - RECENT)
        except Json2VideoError as error:
            if not error.retryable:
                self.batch.halt(error)
                for index in lost:
                    self.batch.unsure(index, self._ambiguous(index, f"The list cannot be read: {error.message}"))
                return
            self.log.task_log.warning("The account's list could not be read, so nothing is decided: %s", error.message)
            self.trouble = error
            return
        for index in lost:
            record = self.batch.records[index]
            record.looks += index in due
            decision = self._decide(index, lost=True, looks=record.looks)
            if decision.action is Action.ADOPT:
                self._adopt(index, decision)
            elif decision.action is Action.SUBMIT and record.sent < 2:
                self.batch.back(index)
            elif decision.action is not Action.CHECK_AGAIN:
                self._give_up(index, decision)
        left = len(self.batch.indices(ItemState.LOST))
        self.log.task_log.info("Of %d lost answers, %d are settled by the account's list.", len(lost), len(lost) - left)

    def _give_up(self, index: int, decision: Decision) -> None:
        error = self.batch.records[index].error or {}
        if error.get("error") == RateLimited.__name__:
            self.batch.back(index)  # it was refused, and the list confirms that nothing came of it
            return
        self.batch.unsure(index, self._ambiguous(index, decision.reason))
        self.log.error("%s: %s", self.items.where(index), decision.reason)

    def _due(self, index: int) -> float:
        record = self.batch.records[index]
        return record.at + sum(_pause(look) for look in range(record.looks + 1))

    def _ambiguous(self, index: int, message: str) -> SubmissionAmbiguous:
        key = replace(self.identity, item=self.items.keys[index]).submission_key
        return SubmissionAmbiguous(
            message,
            retryable=False,
            advice=f"Look for 'submission_key': '{key}' in the client-data of the account's renders. Then clear the "
            "task: it adopts the render if the list shows it, and submits again if it does not.",
        )

    # --- the list -------------------------------------------------------------------------------

    def _look(self, since: float | None) -> None:
        """Note all renders of this batch's items that the list shows."""
        if not self._indices:
            for index, key in enumerate(self.items.keys):
                self._indices[replace(self.identity, item=key).task_key] = index
            self._namesakes = self.identity.namesakes(self.items.keys)

        def read(movie: MovieStatus) -> tuple[int, FoundRender, Mapping[str, Any]] | None:
            theirs = read_stamp(movie.client_data, movie.json_text)
            index = self._indices.get(theirs.task_key) if theirs is not None else None
            if theirs is None or index is None:
                if theirs is not None and theirs.namesake_key in self._namesakes:
                    self._report_namesake(movie.project, theirs)
                return None
            found = FoundRender(
                project=movie.project,
                status=movie.status,
                created_at=movie.created_at,
                has_file=has_file(movie, now=self.clock(), stored=partial(self._is_kept, index, movie)),
                stamp=theirs,
            )
            return index, found, _facts(movie)

        for index, found, facts in stamped_renders(self.client, read, now=self.clock(), since=since):
            self._seen.setdefault(index, {})[found.project] = found
            self._movies[found.project] = dict(facts)

    def _report_namesake(self, project: str, theirs: Stamp) -> None:
        if self._reports_namesake:
            self._reports_namesake = False
            whose = deployment_in_words(theirs.deployment)
            self.log.task_log.info(
                "Render %s of the same batch of another deployment (%s) was found and left alone.", project, whose
            )

    def _is_kept(self, index: int, movie: MovieStatus) -> bool:
        return self.kept is not None and self.kept(index, movie)

    def _decide(self, index: int, *, lost: bool, looks: int) -> Decision:
        return decide_submission(
            list(self._seen.get(index, {}).values()),
            mine=self.mark(index),
            on_lost_response=self.on_lost_response,
            on_clear=self.on_clear,
            delivered_before=self.delivered_before,
            **self._moments(lost=lost, looks=looks),
        )

    def _moments(self, *, lost: bool, looks: int) -> dict[str, Any]:
        attempt = self.attempt if lost or self.attempt_before is None else self.attempt_before
        unconfirmed = Unconfirmed(attempt=attempt, last_sent_at=0.0, response_lost=lost)
        read_at = self.confirmation_time if looks >= _LOOKS else 0.0
        earlier = None if looks < 2 else -60.0
        return {
            "unconfirmed": unconfirmed,
            "read_at": read_at,
            "earlier_read_at": earlier,
            "confirmation_time": self.confirmation_time,
        }

    def _adopt(self, index: int, decision: Decision) -> None:
        project = str(decision.project)
        found = self._seen[index][project]
        created = found.created_at.timestamp() if found.created_at else self.clock()
        self.batch.submitted(index, project, at=created)
        render_adopted()
        movie = self._movies[project]
        # A file that has not appeared yet is waited for in the triggerer, as a render that is running.
        if found.status == "done" and file_state(movie, now=self.clock()) is not FileState.LATE:
            self.batch.done(index, movie)

    def _remark(self, decision: Decision) -> None:
        for warning in decision.warnings:
            self.log.warning("%s", warning)

    def _bare_stamp(self) -> Stamp:
        return Stamp.of(self.identity, "", attempt=self.attempt)


def _facts(movie: MovieStatus) -> Mapping[str, Any]:
    from airflow_json2video.hooks.waiting import wire

    return movie_facts(wire(movie.model_copy(update={"json_text": None}))) if movie.status == "done" else {}
