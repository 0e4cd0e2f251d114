"""One slice of a batch on a worker: take in what has ended, submit more, defer again or end.

Loaded when a task runs, not when its DAG file is parsed.

What the task knows between its slices is an XCom of its own: Airflow keeps it while a task is deferred and deletes it
when an attempt starts, it has room for ten thousand items in every database, and ``dag.test()`` keeps it too. It is
a short cut only: whatever it does not tell, the account's list does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_json2video.exceptions import (
    AccountSuspended,
    AuthenticationFailed,
    BatchFailed,
    ConfigurationError,
    Json2VideoError,
    Money,
    PermissionDenied,
    ServiceUnreachable,
    SubmissionAmbiguous,
    error_from_facts,
)
from airflow_json2video.hooks import metrics
from airflow_json2video.hooks.batch import BatchWork
from airflow_json2video.hooks.batch_files import BatchFiles
from airflow_json2video.hooks.batch_report import write_report
from airflow_json2video.hooks.money import with_template
from airflow_json2video.links import Json2VideoRenderLink, pages_of
from airflow_json2video.operators.render import attempt_before, task_identity
from airflow_json2video.rendering.batch import (
    Batch,
    BatchResult,
    BatchRules,
    ItemState,
    Pace,
    first_failures,
)
from airflow_json2video.rendering.batch_items import BatchItems
from airflow_json2video.rendering.money import Price, refusal_by_price, total_price

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_json2video.operators.batch import Json2VideoBatchRenderOperator
    from airflow_json2video.rendering.polling import Ended

__all__ = ["BatchSlice"]

_SLICE = 60.0
"""Seconds for which one slice submits."""
_NO_HURRY = 30.0
"""Seconds by which the look after lost answers may be late, if renders that end will bring the worker back anyhow."""

_OF_ACCOUNT = (AuthenticationFailed, AccountSuspended, PermissionDenied)
_STATE = "json2video_batch"
_OPENED = "json2video_batch_slice"
_PROGRESS = "json2video_progress"


@dataclass
class _Memory:
    """What a slice leaves to the next one of the same attempt.

    :ivar number: of the slice that wrote this. :ivar delivered: see ``hooks.deliveries``.
    :ivar until: epoch seconds at which the attempt gives up, by its execution_timeout.
    :ivar sent: epoch seconds of the submissions of the last minute.
    :ivar trouble_since: epoch seconds since when the service is in trouble. :ivar waits: slices since then.
    :ivar ledger: of :meth:`.Batch.packed`; None: nothing is known yet.
    """

    number: int = 0
    delivered: int = 0
    until: float | None = None
    sent: list[float] = field(default_factory=list)
    trouble_since: float | None = None
    waits: int = 0
    ledger: str | None = None


class BatchSlice:
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
        self._items = BatchItems.of(rows, base=_base(operator), key=operator.item_key)
        self._rules = BatchRules(
            max_in_flight=operator.max_in_flight,
            on_item_failure=operator.on_item_failure,
            max_failures=operator.max_failures,
        )
        self._files = self._files_of(operator)
        self._memory = _Memory()

    def _files_of(self, operator: Json2VideoBatchRenderOperator) -> BatchFiles | None:
        if operator.output_path is None:
            return None
        return BatchFiles(
            template=str(operator.output_path),
            items=self._items,
            hook=operator.hook,
            log=operator.log,
            subtitles=operator.store_subtitles,
            thumbnail=operator.store_thumbnail,
            delete=operator.delete_after_store,
        )

    def run(self, event: Any, *, is_resumed: bool) -> BatchResult:
        """Do the slice; it ends in the task's result, a deferral, or an error.

        :param event: of the trigger, after a deferral.
        """
        batch = self._recall() if is_resumed else None
        if not is_resumed:
            self._begin()
        if batch is None:
            batch = Batch(len(self._items), digest=self._items.digest(), rules=self._rules)
            self._check(batch)
            if is_resumed or attempt_before(self._context) is not None:
                batch.suspect_all()
        # From here on something may be sent that no earlier memory knows of.
        self._memory.number += 1
        self._ti.xcom_push(key=_OPENED, value=self._memory.number)
        work = self._work(batch, is_resumed=is_resumed)
        self._take_in(batch, event)
        try:
            work.recover()
        except SubmissionAmbiguous as error:
            self._wait_out(error, batch)
        work.settle()
        if work.trouble is None:
            work.submit(until=time.time() + _SLICE)
        if self._files is not None:
            self._files.store(batch)
        self._note_trouble(work)
        if self._memory.until is not None and time.time() >= self._memory.until:
            batch.halt(BatchFailed("The task's execution_timeout has passed.", retryable=True))
        self._tell(batch)
        if not batch.is_over:
            self._defer(batch, work)
        return self._end(batch)

    # --- the beginning --------------------------------------------------------------------------

    def _begin(self) -> None:
        from airflow_json2video.hooks.deliveries import delivered_before
        from airflow_json2video.version_compat import execution_deadline

        self._memory.delivered = delivered_before(self._ti)
        timeout = self._operator.execution_timeout
        if timeout is not None:
            self._memory.until = execution_deadline(self._ti, timeout, now=time.time())
        Json2VideoRenderLink.persist(self._context, pages_of(self._operator.hook.settings.host))

    def _check(self, batch: Batch) -> None:
        """Find everything that is wrong before anything is paid for."""
        schema = None
        if self._operator.template is not None:
            schema = self._operator.hook.get_template_variables(str(self._operator.template))
        self._items.require_complete(schema=schema)
        for doubt in self._items.require_valid()[:10]:
            self._log.warning("%s", doubt)
        self._check_price()
        if self._files is not None:
            self._files.check()
        if self._operator.report_path:
            try:
                write_report(str(self._operator.report_path), self._items, batch)
            except ConfigurationError as error:
                error.advice = f"{error.advice} Nothing was submitted."
                raise

    def _check_price(self) -> None:
        base = self._items.base
        if base is not None and base.get("template") is not None:
            base = with_template(base, self._operator.hook.client)
        price = total_price(Price.of(replace(self._items, base=base).document(i)) for i in range(len(self._items)))
        if price.credits is not None and price.seconds is not None:
            self._log.info("Estimated: %.1f s of video, about %s credits.", price.seconds, f"{price.credits:,}")
        else:
            self._log.info("The cost cannot be estimated beforehand (%s).", price.why_unknown)
        if refusal := refusal_by_price(price, max_credits=self._operator.max_credits):
            raise refusal

    def _recall(self) -> Batch | None:
        """Read what the slice before left; None if that is lost, or if a slice has begun since that left nothing."""
        kept = self._pull(_STATE)
        try:
            self._memory = _Memory(**kept)
        except TypeError:
            self._log.warning("What this attempt knew of the batch is lost; the account's list tells it anew.")
            self._begin()
            return None
        batch = Batch.unpacked(self._memory.ledger, rules=self._rules) if self._memory.ledger else None
        opened = self._pull(_OPENED)
        if batch is None or opened != self._memory.number:
            self._memory.number = max(self._memory.number, opened if isinstance(opened, int) else 0)
            return None
        if batch.digest != self._items.digest():
            raise BatchFailed(
                "The rows are not those that this batch began with: their source has changed while it was under way.",
                money=Money.UNKNOWN,
                advice="Renders under way go on. Let the source be, or copy it first; then clear the task: it takes "
                "the renders of rows that are the same, and renders the others.",
            )
        return batch

    def _pull(self, key: str) -> Any:
        ti = self._ti
        index = -1 if ti.map_index is None else ti.map_index
        try:
            return ti.xcom_pull(task_ids=ti.task_id, key=key, map_indexes=index)
        except Exception as error:  # whatever is wrong with it, the list can tell
            self._log.warning("Airflow does not give the XCom %r: %s: %s", key, type(error).__name__, error)
            return None

    def _work(self, batch: Batch, *, is_resumed: bool) -> BatchWork:
        from airflow_json2video.version_compat import attempt_is_current

        # After a deferral it is this attempt itself that may have sent what nobody remembers.
        before = int(self._ti.try_number) if is_resumed else attempt_before(self._context)
        return BatchWork(
            client=self._operator.hook.client,
            items=self._items,
            batch=batch,
            pace=Pace(self._operator.submissions_per_minute, self._memory.sent),
            identity=task_identity(self._ti),
            attempt=self._ti.try_number,
            attempt_before=before,
            delivered_before=self._memory.delivered,
            log=self._log,
            on_ambiguous=self._operator.on_ambiguous,
            on_clear=self._operator.on_clear,
            still_current=lambda: attempt_is_current(self._ti),
            kept=self._files.has if self._files is not None else None,
        )

    # --- what has ended -------------------------------------------------------------------------

    def _take_in(self, batch: Batch, event: Any) -> None:
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

    def _take_failure(self, batch: Batch, index: int, ended: Ended) -> None:
        error = ended.error or Json2VideoError("The render ended, and nothing says how.")
        metrics.render_failed()
        self._log.error("%s: %s", self._items.where(index).capitalize(), error)
        batch.failed(index, error)
        if isinstance(error, _OF_ACCOUNT):
            batch.halt(error)

    def _tell(self, batch: Batch) -> None:
        words = batch.in_words()
        self._log.info("%s (slice %d)", words, self._memory.number)
        self._ti.xcom_push(key=_PROGRESS, value=words)
        tally = batch.tally()
        pages = pages_of(self._operator.hook.settings.host).split("#")[0]
        Json2VideoRenderLink.persist(
            self._context, f"{pages}#{tally[ItemState.DONE]}-of-{len(self._items)}-done-{len(batch.failures)}-failed"
        )

    # --- going on -------------------------------------------------------------------------------

    def _note_trouble(self, work: BatchWork) -> None:
        if work.trouble is None:
            self._memory.trouble_since, self._memory.waits = None, 0
            return
        self._memory.waits += 1
        since = self._memory.trouble_since = self._memory.trouble_since or time.time()
        if time.time() - since >= self._operator.render_timeout:
            work.batch.halt(work.trouble)

    def _defer(self, batch: Batch, work: BatchWork) -> NoReturn:
        from airflow_json2video.triggers.batch import Json2VideoBatchTrigger, defer_batch

        operator, now = self._operator, time.time()
        renders = [(batch.records[i].project, batch.records[i].at) for i in batch.indices(ItemState.UNDER_WAY)]
        self._memory.sent = work.pace.sent
        self._remember(batch)
        if isinstance(work.trouble, ServiceUnreachable) and not renders:
            self._wait_out(work.trouble, batch)
        more, room = bool(batch.indices(ItemState.LEFT)) and not batch.is_stopping, len(batch.next_items())
        moments = [due for due in (work.look_at(),) if due is not None]
        if (due := work.settle_at()) is not None:
            moments.append(due + _NO_HURRY if renders else due)
        if more and room:
            hold = work.hold * min(1.5 ** max(self._memory.waits - 1, 0), 10.0)
            moments.append(max(now + hold, work.pace.free_at(now, wanted=room)))
        if self._memory.until is not None:
            moments.append(max(self._memory.until, now))
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

    def _remember(self, batch: Batch) -> None:
        self._memory.ledger = batch.packed()
        self._ti.xcom_push(key=_STATE, value=asdict(self._memory))

    def _wait_out(self, error: Json2VideoError, batch: Batch) -> NoReturn:
        """Wait in the triggerer until the service answers again."""
        from airflow_json2video.triggers.service import defer_until_answering

        now = time.time()
        since = self._memory.trouble_since = self._memory.trouble_since or now
        deadline = min(since + self._operator.render_timeout, self._memory.until or float("inf"))
        if now >= deadline:
            raise error
        self._memory.waits += 1
        self._remember(batch)
        self._log.warning("%s Waiting in the triggerer until the service answers; the worker slot is free.", error)
        defer_until_answering(self._operator, deadline=deadline, earlier=self._memory.waits - 1, kwargs={})

    # --- the end --------------------------------------------------------------------------------

    def _end(self, batch: Batch) -> BatchResult:
        from airflow_json2video.hooks.deliveries import note_delivery

        trouble = None
        if self._operator.report_path:
            try:
                write_report(str(self._operator.report_path), self._items, batch)
            except ConfigurationError as error:
                trouble = error
        result = self._result(batch)
        if not batch.is_success:
            raise self._failure(batch, result)
        if trouble is not None:
            trouble.retryable = True
            trouble.advice = f"{trouble.advice} All renders are kept: the next attempt takes them and pays for none."
            raise trouble
        note_delivery(self._ti)
        return result

    def _result(self, batch: Batch) -> BatchResult:
        tally = batch.tally()
        return BatchResult(
            items=len(self._items),
            done=tally[ItemState.DONE],
            failed=tally[ItemState.FAILED],
            unsure=tally[ItemState.UNSURE],
            left=tally[ItemState.LEFT],
            seconds=round(batch.seconds(), 3),
            credits=batch.credits(),
            report_path=str(self._operator.report_path) if self._operator.report_path else None,
            failures=first_failures(batch, self._items.keys),
            remaining_quota=batch.remaining_quota,
        )

    def _failure(self, batch: Batch, result: BatchResult) -> Json2VideoError:
        kept = "What was rendered is kept: the next attempt, or a clear of the task, renders only what is missing."
        where = f" The report says how each stands: {result['report_path']}" if result["report_path"] else ""
        money = Money.UNKNOWN if result["unsure"] else Money.SPENT if result["credits"] else Money.NOT_SPENT
        first = "; ".join(f"{each['key']}: {each['error']}" for each in result["failures"][:3])
        if batch.stop is not None:
            error = error_from_facts({**batch.stop, "money": money.value})
            error.message = f"{error.message} The batch stopped there: {batch.in_words()}."
            error.advice = f"{error.advice} {kept}{where}"
            return error
        errors = [batch.records[index].error or {} for index in batch.failures]
        bound = self._rules.bound(len(self._items))
        return BatchFailed(
            f"{len(batch.failures):,} of {len(self._items):,} items failed, and "
            f"{f'at most {bound:g} may' if bound else 'none may'}: {batch.in_words()}. {first}",
            # What is unsure is for a person, and a document at fault fails again.
            retryable=not result["unsure"] and any(error.get("retryable") for error in errors),
            money=money,
            advice=kept + where,
        )


def _base(operator: Json2VideoBatchRenderOperator) -> dict[str, Any] | None:
    from airflow_json2video.operators.document import document_of

    if operator.movie is None and operator.template is None:
        return None
    base = document_of(movie=operator.movie, template=operator.template, variables=operator.variables)
    if base.get("variables") is not None and not isinstance(base["variables"], Mapping):
        raise ConfigurationError("The movie's 'variables' must be an object.", advice="Nothing was submitted.")
    return base
