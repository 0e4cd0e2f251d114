"""Everything that can be found wrong with a batch before it is paid for.

Loaded when a task runs, not when its DAG file is parsed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_json2video.batch.report import write_report
from airflow_json2video.core.price import Price, check_max_credits, total_price, wait_deadline
from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.storage.destinations import is_local
from airflow_json2video.submission.budget import merge_stored_template
from airflow_json2video.version_compat import remote_executor

if TYPE_CHECKING:
    from airflow_json2video.batch.files import BatchFiles
    from airflow_json2video.core.batch import BatchLedger
    from airflow_json2video.core.batch_items import BatchItems
    from airflow_json2video.operators.batch import Json2VideoBatchRenderOperator

__all__ = ["check_batch", "check_before_paying"]

_MOST_DOUBTS = 10


def check_batch(
    operator: Json2VideoBatchRenderOperator,
    batch: BatchLedger,
    items: BatchItems,
    *,
    files: BatchFiles | None,
    report_path: str | None,
) -> None:
    """Refuse a batch that is certainly wrong, and log what is doubtful. The service is not asked.

    :raises Json2VideoError: a row lacks a variable, a document is wrong, or the videos could not be stored; nothing
        was submitted.
    """
    executor = remote_executor(operator)
    if executor is not None and operator.source is not None and is_local(str(operator.source)):
        operator.log.warning(
            "source %s is on the disk of this worker, and with %s each step of the batch may run on another one. Let "
            "all workers mount that folder, or put the file on object storage.",
            operator.source,
            executor,
        )
    if operator.quota_wait_until is not None:
        wait_deadline(operator.quota_wait_until, now=time.time())
    if operator.template is None:
        items.require_complete()
    for doubt in items.require_valid()[:_MOST_DOUBTS]:
        operator.log.warning("%s", doubt)
    if files is not None:
        files.check()
    if report_path is not None:
        try:
            write_report(report_path, items, batch)
        except ConfigurationError as error:
            raise error.with_context(advice=f"{error.advice} Nothing was submitted.") from error


def check_before_paying(
    operator: Json2VideoBatchRenderOperator, items: BatchItems, *, files: BatchFiles | None, unpaid: Sequence[int]
) -> None:
    """Refuse what only a submission depends on: the price, what the template requires of the rows, and the place.

    Not checked earlier, since what an earlier attempt has paid for is taken however its template or the limit has
    changed since.

    :param unpaid: the items that may be submitted.
    :raises Json2VideoError: nothing more may be submitted, or the service could not be asked.
    """
    if operator.template is not None:
        schema = operator.hook.get_template_variables(str(operator.template))
        items.require_complete(schema=schema, only=unpaid)
    _check_price(operator, items)
    if files is not None:
        files.check_before_paying(unpaid, executor=remote_executor(operator))


def _check_price(operator: Json2VideoBatchRenderOperator, items: BatchItems) -> None:
    if items.base is not None and items.base.get("template") is not None:
        items = replace(items, base=merge_stored_template(items.base, operator.hook.client))
    price = total_price(Price.of(items.document(index)) for index in range(len(items)))
    if price.credits is not None and price.seconds is not None:
        operator.log.info("Estimated: %.1f s of video, about %s credits.", price.seconds, f"{price.credits:,}")
    else:
        operator.log.info("The cost cannot be estimated in advance (%s).", price.why_unknown)
    if refusal := check_max_credits(price, max_credits=operator.max_credits):
        raise refusal
