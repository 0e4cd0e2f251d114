"""One step of a batch on a worker: process the renders that ended, submit more, then defer or end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_json2video import metrics, version_compat
from airflow_json2video.batch.budget import UNBILLED_STATES
from airflow_json2video.batch.files import BatchFiles
from airflow_json2video.batch.recovery import BatchRecovery
from airflow_json2video.batch.submitter import BatchSubmitter
from airflow_json2video.core.batch import BatchLedger, BatchResult, ItemState
from airflow_json2video.core.batch_items import BatchItems
from airflow_json2video.core.identity import fingerprint
from airflow_json2video.deployment import require_same_deployment, require_unchanged_deployment
from airflow_json2video.exceptions import (
    AccountSuspended,
    ApiError,
    AuthenticationFailed,
    BatchFailed,
    Billing,
    Json2VideoError,
    PermissionDenied,
    SubmissionUnconfirmed,
)
from airflow_json2video.links import Json2VideoRenderLink, dashboard_url
from airflow_json2video.operators._batch.checks import check_batch, check_before_submit
from airflow_json2video.operators._batch.credits import BatchCredits
from airflow_json2video.operators._batch.deferral import BatchDeferral
from airflow_json2video.operators._batch.outcome import end_batch
from airflow_json2video.operators._batch.state import BatchState
from airflow_json2video.operators._outlets import emit_asset_events
from airflow_json2video.submission.attempt import (
    last_returned_attempt,
    previous_attempt,
    record_returned_result,
    task_identity,
)
from airflow_json2video.task_log import ItemLog
from airflow_json2video.triggers.batch import outcomes_from_event

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_json2video.core.identity import TaskIdentity
    from airflow_json2video.core.render_status import RenderOutcome
    from airflow_json2video.operators._batch.settings import BatchSettings, BatchTask

__all__ = ["BatchStep"]

_MAX_SUBMIT_SECONDS = 60.0
"""Seconds for which one step submits."""

_ACCOUNT_ERRORS = (AuthenticationFailed, AccountSuspended, PermissionDenied)
_PROGRESS_KEY = "json2video_progress"


class BatchStep:
    """One step of a batch.

    :param task: the operator, for its connection, log, outlets and deferral.
    :param rows: of the batch, read again for each step.
    """

    def __init__(
        self,
        settings: BatchSettings,
        *,
        task: BatchTask,
        context: Context,
        rows: Sequence[Mapping[str, Any]],
    ) -> None:
        self._settings = settings
        self._task = task
        self._context = context
        self._ti = context["ti"]
        self._log = task.log
        self._item_log = ItemLog(task.log)
        self._items = BatchItems.of(rows, base=settings.base_document(), key=settings.item_key)
        self._files = self._make_files()
        self._state = BatchState()

    def _make_files(self) -> BatchFiles | None:
        settings = self._settings
        if settings.output_path is None:
            return None
        return BatchFiles(
            output_path=settings.output_path,
            items=self._items,
            hook=self._task.hook,
            log=self._item_log,
            subtitles="subtitles" in settings.store,
            thumbnail="thumbnail" in settings.store,
            delete=settings.delete_remote,
        )

    def run(self, event: Any, *, is_resumed: bool) -> BatchResult:
        """Run the step. It ends with the task's result, a deferral or an error.

        :param event: of the trigger, after a deferral.
        """
        # Before anything that can fail: the first attempt creates the id that later ones search for.
        identity = task_identity(
            self._context, self._task.hook, log=self._log, items=self._items.keys, is_resumed=is_resumed
        )
        batch = self._resume(event) if is_resumed else self._begin()
        require_unchanged_deployment(identity.deployment, before=self._state.deployment)
        self._state.deployment = identity.deployment
        # From here on something may be sent that is in no saved ledger.
        self._state.begin_step(self._ti)
        self._apply_outcomes(batch, event)
        deferral = BatchDeferral(task=self._task, settings=self._settings, state=self._state, batch=batch, ti=self._ti)
        recovery = self._make_recovery(batch, identity, is_resumed=is_resumed)
        try:
            if recovery.recover_previous_attempts():
                self._state.record_success()
        except SubmissionUnconfirmed as error:
            deferral.until_available(error)
        recovery.resolve_unconfirmed()
        batch_credits = BatchCredits(
            task=self._task, settings=self._settings, items=self._items, batch=batch, state=self._state
        )
        failure = recovery.failure or self._check(batch, deferral)
        failure = failure or self._submit(batch, recovery, batch_credits, deferral)
        if self._files is not None:
            self._files.store(batch)
        batch_credits.stop_if_unpayable()
        is_aborted = deferral.should_abort(failure)
        self._report_progress(batch)
        if not batch.is_over and not (is_aborted and not batch.items_in(ItemState.IN_FLIGHT)):
            deferral.defer(recovery, failure, batch_credits)
        return self._end(batch)

    def _end(self, batch: BatchLedger) -> BatchResult:
        result = end_batch(batch, self._items, report_path=self._settings.report_path)
        if self._settings.on_clear == "resubmit":
            record_returned_result(self._ti)
        emit_asset_events(
            self._videos(batch),
            summary=result,
            outlets=self._task.outlets,
            account=self._task.json2video_conn_id,
            template=self._settings.template,
            context=self._context,
            log=self._log,
        )
        return result

    def _videos(self, batch: BatchLedger) -> Iterator[dict[str, Any]]:
        for index in batch.items_in(ItemState.DONE):
            record = batch.records[index]
            yield {
                **record.facts,
                "project": record.project,
                "stored_path": record.stored,
                "movie_hash": fingerprint(self._items.document(index)),
            }

    def _now(self) -> float:
        """Return the service's time, which is the same for triggers and later steps on other machines."""
        return self._task.hook.clock.now()

    # --- the start of a step --------------------------------------------------------------------

    def _begin(self) -> BatchLedger:
        """Begin the attempt: return a new ledger."""
        self._begin_state()
        return self._new_ledger(is_unknown=previous_attempt(self._context) is not None)

    def _begin_state(self) -> None:
        resubmits = self._settings.on_clear == "resubmit"
        self._state.last_returned_attempt = last_returned_attempt(self._ti) if resubmits else 0
        Json2VideoRenderLink.persist(self._context, dashboard_url(self._task.hook.settings.host))

    def _new_ledger(self, *, is_unknown: bool) -> BatchLedger:
        """Build a ledger without records, and check the batch.

        :param is_unknown: whether items may have been submitted already.
        """
        batch = BatchLedger(len(self._items), digest=self._items.digest(), rules=self._settings.rules)
        if is_unknown:
            batch.mark_all_unknown()
        check_batch(self._settings, batch, self._items, files=self._files, log=self._log)
        return batch

    def _resume(self, event: Any) -> BatchLedger:
        """Continue the attempt: return the ledger of the step before, or a new one if it is missing or incomplete."""
        self._task.hook.get_synchronized_clock()  # the saved moments are by the service's clock
        state = BatchState.load(self._ti, log=self._log)
        if state is None:
            self._begin_state()
            self._state.restore_credits_wait(event)
        else:
            self._state = state
        ledger = self._state.ledger
        batch = BatchLedger.from_text(ledger, rules=self._settings.rules) if ledger else None
        if batch is None:
            self._log.warning("Batch state is missing; rebuilding it from the account's renders.")
            return self._new_ledger(is_unknown=True)
        if batch.digest != self._items.digest():
            raise BatchFailed(
                "The batch source changed while the batch was running.",
                billing=Billing.UNKNOWN,
                advice="Submitted renders keep running and will be billed. Restore or freeze the source, then clear "
                "the task; unchanged rows are reused.",
            )
        return batch

    def _make_recovery(self, batch: BatchLedger, identity: TaskIdentity, *, is_resumed: bool) -> BatchRecovery:
        # After a deferral, this attempt itself may have sent submissions that are not recorded.
        attempt = int(self._ti.try_number)
        before = attempt if is_resumed else previous_attempt(self._context)
        ended_at = None if before in (None, attempt) else version_compat.previous_attempt_ended_at(self._ti)
        hook = self._task.hook
        return BatchRecovery(
            client=hook.client,
            items=self._items,
            batch=batch,
            identity=identity,
            attempt=attempt,
            previous_attempt=before,
            previous_attempt_ended_at=ended_at,
            service_clock=hook.clock,
            render_timeout=self._settings.render_timeout,
            confirmation_time=hook.settings.confirmation_time,
            last_returned_attempt=self._state.last_returned_attempt,
            earliest_submission_time=version_compat.earliest_submission_time(self._context),
            log=self._item_log,
            on_lost_response=self._settings.on_lost_response,
            on_clear=self._settings.on_clear,
            is_stored=self._files.is_stored if self._files is not None else None,
        )

    # --- submission -----------------------------------------------------------------------------

    def _check(self, batch: BatchLedger, deferral: BatchDeferral) -> Json2VideoError | None:
        """Check what only a submission depends on; return the error if the service failed meanwhile."""
        state = self._state
        if state.is_checked or self._now() < state.hold_until or not batch.next_items():
            return None
        unpaid = batch.items_in(ItemState.PENDING)
        try:
            check_before_submit(
                self._settings, self._items, files=self._files, unpaid=unpaid, hook=self._task.hook, log=self._log
            )
        except Json2VideoError as error:
            if error.retryable and not batch.items_in(*UNBILLED_STATES):
                deferral.until_available(error)
            if error.retryable or (isinstance(error, ApiError) and batch.has_paid):
                return error
            if len(unpaid) == len(self._items):
                raise
            self._log.error("Stopped submitting: %s", error)
            batch.stop(error.with_context(advice="Nothing more was submitted."))
        state.is_checked = not batch.items_in(ItemState.UNKNOWN)
        return None

    def _submit(
        self, batch: BatchLedger, recovery: BatchRecovery, batch_credits: BatchCredits, deferral: BatchDeferral
    ) -> Json2VideoError | None:
        """Submit as many items as may be in flight; return the error if the service failed meanwhile."""
        state = self._state
        if self._now() < state.hold_until or deferral.waits_for_confirmation or batch_credits.is_on_hold:
            return None
        hook = self._task.hook
        require_same_deployment(hook.settings.namespace, recovery.identity.deployment)
        submitter = BatchSubmitter(
            client=hook.client,
            items=self._items,
            batch=batch,
            rate_limit=deferral.rate_limit,
            stamp_for=recovery.stamp_for,
            service_clock=hook.clock,
            budget=batch_credits.budget,
            log=self._item_log,
            is_current=lambda: version_compat.attempt_is_current(self._ti),
            clock=self._now,
        )
        until = time.monotonic() + _MAX_SUBMIT_SECONDS
        # After a failure, a single item is submitted to find out whether the service works again.
        if not state.failed_steps or submitter.submit(until=until, most=1):
            state.record_success()
            submitter.submit(until=until)
        state.sent = submitter.rate_limit.sent
        batch_credits.record(submitter)
        return submitter.failure

    # --- results --------------------------------------------------------------------------------

    def _apply_outcomes(self, batch: BatchLedger, event: Any) -> None:
        for project, outcome in outcomes_from_event(event):
            index = batch.index_of(project)
            if index is None or batch.records[index].state is not ItemState.IN_FLIGHT:
                continue
            if outcome.movie is not None:
                batch.mark_done(index, outcome.movie, remaining_quota=outcome.remaining_quota)
                metrics.render_done(None)
            else:
                self._apply_failure(batch, index, outcome)

    def _apply_failure(self, batch: BatchLedger, index: int, outcome: RenderOutcome) -> None:
        error = outcome.error or Json2VideoError("The render finished without a status.")
        metrics.render_failed()
        self._item_log.error("%s: %s", self._items.where(index), error)
        batch.mark_failed(index, error)
        if isinstance(error, _ACCOUNT_ERRORS):
            batch.stop(error)

    def _report_progress(self, batch: BatchLedger) -> None:
        summary = batch.summarize()
        self._item_log.log_suppressed()
        self._log.info("%s (step %d)", summary, self._state.step)
        self._ti.xcom_push(key=_PROGRESS_KEY, value=summary)
        tally = batch.tally()
        pages = dashboard_url(self._task.hook.settings.host).split("#")[0]
        Json2VideoRenderLink.persist(
            self._context, f"{pages}#{tally[ItemState.DONE]}-of-{len(self._items)}-done-{len(batch.failures)}-failed"
        )
