"""Find the mistakes of a batch before anything is paid for."""

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

if TYPE_CHECKING:
    from airflow_json2video.batch.files import BatchFiles
    from airflow_json2video.core.batch import BatchLedger
    from airflow_json2video.core.batch_items import BatchItems
    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.operators._batch.settings import BatchSettings
    from airflow_json2video.task_log import TaskLog

__all__ = ["check_batch", "check_before_submit"]

_MAX_WARNINGS = 10


def check_batch(
    settings: BatchSettings, batch: BatchLedger, items: BatchItems, *, files: BatchFiles | None, log: TaskLog
) -> None:
    """Raise if the batch certainly contains a mistake, and log possible ones. No request is sent to the service.

    :raises Json2VideoError: a row lacks a variable, a document is wrong, or the videos could not be stored; nothing
        was submitted.
    """
    if settings.executor is not None and settings.source is not None and is_local(settings.source):
        log.warning(
            "source %s is on the disk of this worker, and with %s each step of the batch may run on another worker. "
            "Mount that directory on all workers, or put the file on object storage.",
            settings.source,
            settings.executor,
        )
    if settings.wait_for_credits is not None:
        wait_deadline(settings.wait_for_credits, now=time.time())
    if settings.template is None:
        items.require_complete()
    for warning in items.require_valid()[:_MAX_WARNINGS]:
        log.warning("%s", warning)
    if files is not None:
        files.check()
    if settings.report_path is not None:
        try:
            write_report(settings.report_path, items, batch)
        except ConfigurationError as error:
            raise error.with_context(advice=f"{error.advice} Nothing was submitted.") from error


def check_before_submit(
    settings: BatchSettings,
    items: BatchItems,
    *,
    files: BatchFiles | None,
    unpaid: Sequence[int],
    hook: Json2VideoHook,
    log: TaskLog,
) -> None:
    """Check what only a submission depends on: the variables that the template requires, the price, the destination.

    This is not checked earlier: renders that an earlier attempt paid for are reused even if the template or a limit
    has changed since.

    :param unpaid: the items that may be submitted.
    :raises Json2VideoError: nothing more may be submitted, or the service could not be asked.
    """
    if settings.template is not None:
        schema = hook.get_template_variables(settings.template)
        items.require_complete(schema=schema, only=unpaid)
    _check_price(settings, items, hook=hook, log=log)
    if files is not None:
        files.check_before_submit(unpaid, executor=settings.executor)


def _check_price(settings: BatchSettings, items: BatchItems, *, hook: Json2VideoHook, log: TaskLog) -> None:
    if items.base is not None and items.base.get("template") is not None:
        items = replace(items, base=merge_stored_template(items.base, hook.client))
    price = total_price(Price.of(items.document(index)) for index in range(len(items)))
    if price.credits is not None and price.seconds is not None:
        log.info("Estimated: %.1f s of video, about %s credits.", price.seconds, f"{price.credits:,}")
    else:
        log.info("The cost cannot be estimated in advance (%s).", price.why_unknown)
    if refusal := check_max_credits(price, max_credits=settings.max_credits):
        raise refusal
