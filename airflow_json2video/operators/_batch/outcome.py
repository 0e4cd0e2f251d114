"""The end of a batch: its report, and its result or the error that says what failed."""

from __future__ import annotations

import math
from typing import Any

from airflow_json2video.batch.report import write_report
from airflow_json2video.core.batch import BatchLedger, BatchResult, ItemState, first_failures
from airflow_json2video.core.batch_items import BatchItems
from airflow_json2video.exceptions import BatchFailed, Billing, ConfigurationError, Json2VideoError, error_from_dict

__all__ = ["end_batch"]

_REUSED = "Finished renders are reused: the next attempt, or a clear of the task, renders only what is missing."


def end_batch(batch: BatchLedger, items: BatchItems, *, report_path: str | None) -> BatchResult:
    """Write the report and return the result.

    :raises Json2VideoError: the batch failed, or its report could not be written.
    """
    report_error = None
    if report_path:
        try:
            write_report(report_path, items, batch)
        except ConfigurationError as error:
            report_error = error
    result = _result(batch, items, report_path)
    if not batch.is_success:
        raise _failure(batch, items, result)
    if report_error is not None:
        reused = "All renders are reused: the next attempt pays for none."
        raise report_error.with_context(retryable=True, advice=f"{report_error.advice} {reused}")
    return result


def _result(batch: BatchLedger, items: BatchItems, report_path: str | None) -> BatchResult:
    tally = batch.tally()
    return BatchResult(
        items=len(items),
        done=tally[ItemState.DONE],
        failed=tally[ItemState.FAILED],
        unresolved=tally[ItemState.UNRESOLVED] + tally[ItemState.UNCONFIRMED],
        pending=tally[ItemState.PENDING] + tally[ItemState.REFUSED] + tally[ItemState.UNKNOWN],
        seconds=round(batch.seconds(), 3),
        credits=batch.credits(),
        report_path=report_path,
        failures=first_failures(batch, items.keys),
        remaining_quota=batch.remaining_quota,
    )


def _failure(batch: BatchLedger, items: BatchItems, result: BatchResult) -> Json2VideoError:
    where = f" Report: {result['report_path']}" if result["report_path"] else ""
    billing = (
        Billing.UNKNOWN
        if result["unresolved"]
        else Billing.CHARGED
        if result["done"] or result["credits"]
        else Billing.NOT_CHARGED
    )
    if batch.stop_error is not None:
        error = error_from_dict(batch.stop_error)
        return error.with_context(
            message=f"{error.message} The batch stopped there: {batch.summarize()}.",
            advice=f"{error.advice} {_REUSED}{where}".strip(),
            billing=billing,
        )
    errors: list[dict[str, Any]] = [batch.records[index].error or {} for index in batch.failures]
    allowed = batch.rules.allowed_failures(len(items))
    first = "; ".join(f"{each['key']}: {each['error']}" for each in result["failures"][:3])
    return BatchFailed(
        f"{len(batch.failures):,} of {len(items):,} items failed, max_failures allows {math.floor(allowed):,}: "
        f"{batch.summarize()}. {first}",
        # An unresolved item needs an operator, and an item whose document is wrong fails again.
        retryable=not result["unresolved"] and any(error.get("retryable") for error in errors),
        billing=billing,
        advice=_REUSED + where,
    )
