"""One slice of a batch on a worker: take in what has ended, submit more, defer again or end.

Loaded when a task runs, not when its DAG file is parsed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_json2video import metrics
from airflow_json2video.batch.budget import MAY_STILL_COST
from airflow_json2video.batch.files import BatchFiles
from airflow_json2video.batch.item_log import ItemLog
from airflow_json2video.batch.recovery import BatchRecovery
from airflow_json2video.batch.submitter import BatchSubmission
from airflow_json2video.core.batch import (
    BatchLedger,
    BatchResult,
    BatchRules,
    ItemState,
)
from airflow_json2video.core.batch_items import BatchItems
from airflow_json2video.core.identity import fingerprint
from airflow_json2video.core.rate_limit import RateLimiter
from airflow_json2video.core.refusal import seconds_to_confirmation
from airflow_json2video.deployment import require_same_deployment, require_unchanged_deployment
from airflow_json2video.exceptions import (
    AccountSuspended,
    ApiError,
    AuthenticationFailed,
    BatchFailed,
    Billing,
    ConfigurationError,
    Json2VideoError,
    PermissionDenied,
    ServiceUnreachable,
    SubmissionUnconfirmed,
)
from airflow_json2video.links import Json2VideoRenderLink, dashboard_url
from airflow_json2video.operators._batch.checks import check_batch, check_before_paying
from airflow_json2video.operators._batch.credits import BatchCredits
from airflow_json2video.operators._batch.outcome import end_batch
from airflow_json2video.operators._batch.state import BatchState
from airflow_json2video.operators._outlets import emit_asset_events
from airflow_json2video.submission.attempt import attempt_before, last_delivered_attempt, record_delivery, task_identity

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_json2video.core.identity import TaskIdentity
    from airflow_json2video.core.render_status import RenderOutcome
    from airflow_json2video.operators.batch import Json2VideoBatchRenderOperator

__all__ = ["BatchStep"]

_SLICE = 60.0
"""Seconds for which one slice submits."""
_HOLD = 30.0
"""Seconds without a submission after the service was in trouble; longer each time."""
_NO_HURRY = 30.0
"""Seconds by which the look after lost answers may be late, if renders that end will bring the worker back anyhow."""

_OF_ACCOUNT = (AuthenticationFailed, AccountSuspended, PermissionDenied)
_PROGRESS = "json2video_progress"


class BatchStep:
    """One slice.

    :param rows: of the batch, read anew for each slice.
    """

    def __init__(
        self, operator: Json2VideoBatchRenderOperator, context: Context, *, rows: Sequence[Mapping[str, Any]]
    ) -> None:
        self._operator = operator
        self._context = context
        self._ti = context["ti"]
        self._log = operator.log
        self._item_log = ItemLog(operator.log)
        self._items = BatchItems.of(rows, base=_base(operator), key=operator.item_key)
        self._rules = BatchRules(
            max_in_flight=operator.max_in_flight,
            on_item_failure=operator.on_item_failure,
            max_failures=operator.max_failures,
        )
        self._files = self._files_of(operator)
        self._report_path = str(operator.report_path) if operator.report_path else None
        self._memory = BatchState()

    def _files_of(self, operator: Json2VideoBatchRenderOperator) -> BatchFiles | None:
        if operator.output_path is None:
            return None
        return BatchFiles(
            template=str(operator.output_path),
            items=self._items,
            hook=operator.hook,
            log=self._item_log,
            subtitles=operator.store_subtitles,
            thumbnail=operator.store_thumbnail,
            delete=operator.delete_after_store,
        )

    def run(self, event: Any, *, is_resumed: bool) -> BatchResult:
        """Do the slice; it ends in the task's result, a deferral, or an error.

        :param event: of the trigger, after a deferral.
        """
        # First of all, whatever comes of the rest: a first attempt creates the id that later ones look for.
        identity = task_identity(
            self._context, self._operator.hook, log=self._log, items=self._items.keys, is_resumed=is_resumed
        )
        if is_resumed:  # what the slice before noted is by the service's clock
            self._operator.hook.learn_time()
        batch = self._recall(event) if is_resumed else None
        if not is_resumed:
            self._begin()
        if batch is None:
            batch = BatchLedger(len(self._items), digest=self._items.digest(), rules=self._rules)
            if is_resumed or attempt_before(self._context) is not None:
                batch.suspect_all()
            check_batch(self._operator, batch, self._items, files=self._files, report_path=self._report_path)
        require_unchanged_deployment(identity.deployment, before=self._memory.deployment)
        self._memory.deployment = identity.deployment
        # From here on something may be sent that no earlier memory knows of.
        self._memory.open_slice(self._ti)
        self._take_in(batch, event)
        finding = self._finding(batch, identity, is_resumed=is_resumed)
        try:
            if finding.recover():
                self._memory.note_answer()
        except SubmissionUnconfirmed as error:
            self._wait_out(error, batch)
        finding.settle()
        funds = BatchCredits(operator=self._operator, items=self._items, batch=batch, memory=self._memory)
        trouble = finding.trouble or self._check_before_paying(batch) or self._submit(batch, finding, funds)
        if self._files is not None:
            self._files.store(batch)
        funds.decide()
        gives_up = self._gives_up(batch, trouble)
        self._tell(batch)
        if not batch.is_over and not (gives_up and not batch.indices(ItemState.UNDER_WAY)):
            self._defer(batch, finding, trouble, funds)
        result = end_batch(batch, self._items, report_path=self._report_path)
        if self._operator.on_clear == "resubmit":
            record_delivery(self._ti)
        emit_asset_events(
            self._videos(batch),
            summary=result,
            outlets=self._operator.outlets,
            account=self._operator.json2video_conn_id,
            template=self._operator.template,
            context=self._context,
            log=self._log,
        )
        return result

    def _videos(self, batch: BatchLedger) -> Iterator[dict[str, Any]]:
        for index in batch.indices(ItemState.DONE):
            record = batch.records[index]
            yield {
                **record.facts,
                "project": record.project,
                "stored_path": record.stored,
                "movie_hash": fingerprint(self._items.document(index)),
            }

    def _clock(self) -> float:
        """Return the service's time: the trigger and the next slice read what is noted, on other machines."""
        return self._operator.hook.clock.now()

    # --- the beginning --------------------------------------------------------------------------

    def _begin(self) -> None:
        self._memory.delivered = last_delivered_attempt(self._ti) if self._operator.on_clear == "resubmit" else 0
        Json2VideoRenderLink.persist(self._context, dashboard_url(self._operator.hook.settings.host))

    def _recall(self, event: Any) -> BatchLedger | None:
        """Give the ledger that the slice before left; None if it is lost, or may not be the last word."""
        memory = BatchState.recall(self._ti, log=self._log)
        if memory is None:
            self._begin()
            self._memory.take_from(event)
        else:
            self._memory = memory
        batch = BatchLedger.unpacked(self._memory.ledger, rules=self._rules) if self._memory.ledger else None
        if batch is None:
            self._log.warning("What this attempt knew of the batch is lost; the account's list tells it anew.")
        elif batch.digest != self._items.digest():
            raise BatchFailed(
                "The rows are not those that this batch began with: their source has changed while it was under way.",
                billing=Billing.UNKNOWN,
                advice="Renders under way go on. Let the source be, or copy it first; then clear the task: it takes "
                "the renders of rows that are the same, and renders the others.",
            )
        return batch

    def _finding(self, batch: BatchLedger, identity: TaskIdentity, *, is_resumed: bool) -> BatchRecovery:
        from airflow_json2video.version_compat import previous_attempt_ended_at, run_began

        # After a deferral it is this attempt itself that may have sent what nobody remembers.
        attempt = int(self._ti.try_number)
        before = attempt if is_resumed else attempt_before(self._context)
        hook = self._operator.hook
        return BatchRecovery(
            client=hook.client,
            items=self._items,
            batch=batch,
            identity=identity,
            attempt=attempt,
            attempt_before=before,
            attempt_before_ended_at=None if before in (None, attempt) else previous_attempt_ended_at(self._ti),
            service_time=hook.clock,
            render_timeout=self._operator.render_timeout,
            confirmation_time=hook.settings.confirmation_time,
            last_delivered_attempt=self._memory.delivered,
            since=run_began(self._context),
            log=self._item_log,
            on_lost_response=self._operator.on_lost_response,
            on_clear=self._operator.on_clear,
            kept=self._files.has if self._files is not None else None,
        )

    def _check_before_paying(self, batch: BatchLedger) -> Json2VideoError | None:
        """Check what only a submission depends on; return the trouble in which that failed, if it did."""
        memory = self._memory
        if memory.checked or self._clock() < memory.hold_until or not batch.next_items():
            return None
        unpaid = batch.indices(ItemState.LEFT)
        try:
            check_before_paying(self._operator, self._items, files=self._files, unpaid=unpaid)
        except Json2VideoError as error:
            if error.retryable and not batch.indices(*MAY_STILL_COST):
                self._wait_out(error, batch)
            if error.retryable or (isinstance(error, ApiError) and batch.has_paid):
                return error
            if len(unpaid) == len(self._items):
                raise
            self._log.error("Nothing more is submitted: %s", error)
            batch.halt(error.with_context(advice="Nothing more was submitted."))
        memory.checked = not batch.indices(ItemState.UNKNOWN)
        return None

    def _submit(self, batch: BatchLedger, finding: BatchRecovery, funds: BatchCredits) -> Json2VideoError | None:
        """Submit what may be under way; give the trouble in which that broke off, if it did."""
        from airflow_json2video.version_compat import attempt_is_current

        memory, now = self._memory, self._clock()
        if now < memory.hold_until or self._awaits_lost(batch) or funds.holds:
            return None
        require_same_deployment(self._operator.hook.settings.namespace, finding.identity.deployment)
        submission = BatchSubmission(
            client=self._operator.hook.client,
            items=self._items,
            batch=batch,
            pace=self._pace(),
            mark=finding.mark,
            service_time=finding.service_time,
            balance=funds.balance,
            log=self._item_log,
            still_current=lambda: attempt_is_current(self._ti),
            clock=self._clock,
        )
        until = time.monotonic() + _SLICE
        # After trouble one item tries whether it is over.
        if not memory.waits or submission.submit(until=until, most=1):
            memory.note_answer()
            submission.submit(until=until)
        memory.sent = submission.pace.sent
        funds.take_in(submission)
        return submission.trouble

    def _awaits_lost(self, batch: BatchLedger) -> bool:
        """Whether nothing is submitted until what was lost is settled: then each item that is lost fails for good."""
        fails = self._operator.on_lost_response == "fail"
        return fails and self._memory.waits > 0 and bool(batch.indices(ItemState.LOST))

    def _pace(self) -> RateLimiter:
        return RateLimiter(self._operator.submissions_per_minute, self._memory.sent)

    # --- what has ended -------------------------------------------------------------------------

    def _take_in(self, batch: BatchLedger, event: Any) -> None:
        from airflow_json2video.triggers.batch import ended_of_batch

        for project, ended in ended_of_batch(event):
            index = batch.index_of(project)
            if index is None or batch.records[index].state is not ItemState.UNDER_WAY:
                continue
            if ended.movie is not None:
                batch.done(index, ended.movie, remaining_quota=ended.remaining_quota)
                metrics.render_done(None)
            else:
                self._take_failure(batch, index, ended)

    def _take_failure(self, batch: BatchLedger, index: int, ended: RenderOutcome) -> None:
        error = ended.error or Json2VideoError("The render ended, and nothing says how.")
        metrics.render_failed()
        self._item_log.error("%s: %s", self._items.where(index), error)
        batch.failed(index, error)
        if isinstance(error, _OF_ACCOUNT):
            batch.halt(error)

    def _tell(self, batch: BatchLedger) -> None:
        words = batch.in_words()
        self._item_log.summarize()
        self._log.info("%s (slice %d)", words, self._memory.number)
        self._ti.xcom_push(key=_PROGRESS, value=words)
        tally = batch.tally()
        pages = dashboard_url(self._operator.hook.settings.host).split("#")[0]
        Json2VideoRenderLink.persist(
            self._context, f"{pages}#{tally[ItemState.DONE]}-of-{len(self._items)}-done-{len(batch.failures)}-failed"
        )

    # --- going on -------------------------------------------------------------------------------

    def _note_end(self) -> None:
        """Note when the attempt gives up, once the service's time is known as far as it can be."""
        from airflow_json2video.version_compat import execution_deadline

        timeout = self._operator.execution_timeout
        if timeout is not None and self._memory.until is None:
            here = time.time()  # Airflow has no other clock
            self._memory.until = self._clock() + execution_deadline(self._ti, timeout, now=here) - here

    def _gives_up(self, batch: BatchLedger, trouble: Json2VideoError | None) -> bool:
        """Whether nothing more is waited for but renders under way: time is up, or the service is away for too long."""
        self._note_end()
        memory, now = self._memory, self._clock()
        if memory.until is not None and now >= memory.until:
            batch.halt(BatchFailed("The task's execution_timeout has passed.", retryable=True))
            return True
        if trouble is None:
            return False
        memory.waits += 1
        hold: float | None = max(trouble.retry_after or 0.0, _HOLD * min(1.5 ** min(memory.waits - 1, 10), 10.0))
        lasted = memory.note_trouble(trouble, now=now)
        if not trouble.retryable:  # a refusal, which is an outage until it has lasted
            hold = seconds_to_confirmation(lasted)
        if hold is None or lasted >= self._operator.render_timeout:
            batch.halt(trouble.with_context(retryable=True))
            return True
        memory.hold_until = now + hold
        self._log.warning("%s No submission for %.0f s.", trouble.message, hold)
        return False

    def _defer(
        self, batch: BatchLedger, finding: BatchRecovery, trouble: Json2VideoError | None, funds: BatchCredits
    ) -> NoReturn:
        from airflow_json2video.triggers.batch import Json2VideoBatchTrigger, defer_batch

        operator, now = self._operator, self._clock()
        renders = [(batch.records[i].project, batch.records[i].at) for i in batch.indices(ItemState.UNDER_WAY)]
        if isinstance(trouble, ServiceUnreachable) and not renders:
            self._memory.waits -= 1
            self._wait_out(trouble, batch)
        self._remember(batch)
        if (refusal := funds.awaited_after()) is not None:
            funds.defer(refusal)
        more = bool(batch.indices(ItemState.LEFT)) and not batch.is_stopping and not funds.holds
        room = len(batch.next_items())
        moments = []
        if (seconds := finding.recovery_in()) is not None:
            moments.append(now + seconds)
        if (seconds := finding.settlement_in()) is not None:
            moments.append(now + seconds + _NO_HURRY if renders else max(now + seconds, self._memory.hold_until))
        if more and room and not self._awaits_lost(batch):
            moments.append(max(self._memory.hold_until, self._pace().free_at(now, wanted=room)))
        if self._memory.until is not None and not renders:  # theirs is the trigger's own deadline
            moments.append(self._memory.until)
        deadline = max((at for _, at in renders), default=now) + operator.render_timeout
        self._log.info("Waiting for %d renders in the triggerer; the worker slot is free.", len(renders))
        trigger = Json2VideoBatchTrigger(
            renders,
            json2video_conn_id=operator.json2video_conn_id,
            render_timeout=operator.render_timeout,
            deadline=self._memory.until,
            poll_interval=operator.poll_interval,
            more_to_submit=more,
            resume_at=min(moments, default=None),
        )
        defer_batch(operator, trigger, until=max(deadline, *moments) if moments else deadline)

    def _remember(self, batch: BatchLedger) -> None:
        self._memory.ledger = batch.packed()
        self._memory.keep(self._ti)

    def _wait_out(self, error: Json2VideoError, batch: BatchLedger) -> NoReturn:
        """Wait in the triggerer until the service answers again."""
        from airflow_json2video.triggers.availability import defer_until_answering

        self._note_end()
        memory, now = self._memory, self._clock()
        lasted, after = memory.note_trouble(error, now=now), None
        deadline = min((memory.trouble_since or now) + self._operator.render_timeout, memory.until or float("inf"))
        if not error.retryable:  # a refusal, which is an outage until it has lasted
            after = seconds_to_confirmation(lasted)
        if now >= deadline or (after is None and not error.retryable):
            raise error.with_context(retryable=True)
        memory.waits += 1
        self._remember(batch)
        self._log.warning("%s Waiting in the triggerer until the service answers; the worker slot is free.", error)
        defer_until_answering(self._operator, deadline=deadline, attempt=memory.waits - 1, after=after, kwargs={})


def _base(operator: Json2VideoBatchRenderOperator) -> dict[str, Any] | None:
    from airflow_json2video.operators._document import build_document, plain_document

    if operator.movie is None and operator.template is None:
        return None
    base = plain_document(
        build_document(movie=operator.movie, template=operator.template, variables=operator.variables)
    )
    if base.get("variables") is not None and not isinstance(base["variables"], Mapping):
        raise ConfigurationError("The movie's 'variables' must be an object.", advice="Nothing was submitted.")
    return base
