"""How a batch ends: its report, its result, or the error that says what failed and what is kept."""

from __future__ import annotations

from typing import Any

from airflow_json2video.batch.report import write_report
from airflow_json2video.core.batch import BatchLedger, BatchResult, ItemState, first_failures
from airflow_json2video.core.batch_items import BatchItems
from airflow_json2video.exceptions import BatchFailed, Billing, ConfigurationError, Json2VideoError, error_from_dict

__all__ = ["end_batch"]


def end_batch(batch: BatchLedger, items: BatchItems, *, report_path: str | None) -> BatchResult:
    """Write the report and give the result.

    :raises Json2VideoError: the batch failed, or its report could not be written.
    """
    trouble = None
    if report_path:
        try:
            write_report(report_path, items, batch)
        except ConfigurationError as error:
            trouble = error
    result = _result(batch, items, report_path)
    if not batch.is_success:
        raise _failure(batch, items, result)
    if trouble is not None:
        raise trouble.with_context(
            retryable=True,
            advice=f"{trouble.advice} All renders are kept: the next attempt takes them and pays for none.",
        )
    return result


def _result(batch: BatchLedger, items: BatchItems, report_path: str | None) -> BatchResult:
    tally = batch.tally()
    return BatchResult(
        items=len(items),
        done=tally[ItemState.DONE],
        failed=tally[ItemState.FAILED],
        unsure=tally[ItemState.UNSURE] + tally[ItemState.LOST],
        left=tally[ItemState.LEFT] + tally[ItemState.REFUSED] + tally[ItemState.UNKNOWN],
        seconds=round(batch.seconds(), 3),
        credits=batch.credits(),
        report_path=report_path,
        failures=first_failures(batch, items.keys),
        remaining_quota=batch.remaining_quota,
    )


def _failure(batch: BatchLedger, items: BatchItems, result: BatchResult) -> Json2VideoError:
    kept = "What was rendered is kept: the next attempt, or a clear of the task, renders only what is missing."
    where = f" The report says how each stands: {result['report_path']}" if result["report_path"] else ""
    billing = (
        Billing.UNKNOWN
        if result["unsure"]
        else Billing.CHARGED
        if result["done"] or result["credits"]
        else Billing.NOT_CHARGED
    )
    if batch.stop is not None:
        error = error_from_dict(batch.stop)
        return error.with_context(
            message=f"{error.message} The batch stopped there: {batch.in_words()}.",
            advice=f"{error.advice} {kept}{where}".strip(),
            billing=billing,
        )
    errors: list[dict[str, Any]] = [batch.records[index].error or {} for index in batch.failures]
    bound = batch.rules.bound(len(items))
    first = "; ".join(f"{each['key']}: {each['error']}" for each in result["failures"][:3])
    return BatchFailed(
        f"{len(batch.failures):,} of {len(items):,} items failed, and "
        f"{f'at most {bound:g} may' if bound else 'none may'}: {batch.in_words()}. {first}",
        # What is unsure is for a person, and a document at fault fails again.
        retryable=not result["unsure"] and any(error.get("retryable") for error in errors),
        billing=billing,
        advice=kept + where,
    )
