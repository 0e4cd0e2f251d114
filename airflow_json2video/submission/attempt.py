"""This attempt of a task: who submits, which attempt came before, what it returned, whether it is still running."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_json2video.core.identity import NO_DEPLOYMENT, TaskIdentity
from airflow_json2video.deployment import get_or_create_deployment
from airflow_json2video.exceptions import AttemptSuperseded, Json2VideoError
from airflow_json2video.submission.lookup import require_no_other_render
from airflow_json2video.version_compat import (
    earliest_submission_time,
    is_resumed,
    previous_attempt_xcom_keys,
    succeeded_attempts,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.task_log import TaskLog

__all__ = [
    "carry_over_history",
    "ensure_attempt_is_current",
    "last_returned_attempt",
    "previous_attempt",
    "record_returned_result",
    "returned_result_key",
    "task_identity",
]

log = logging.getLogger(__name__)

_RETRY_DELAYS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between the tries to ask Airflow: an outage of its database for up to a minute only costs that minute."""

_RETURNED = re.compile(r"^json2video_generation_(\d+)_returned_by_attempt_(\d+)$", re.MULTILINE)
_CARRIED_OVER = re.compile(r"^json2video_generation_(\d+)_after_attempt_(\d+)$", re.MULTILINE)


def task_identity(
    context: Context,
    hook: Json2VideoHook,
    *,
    log: TaskLog,
    items: Sequence[str] | None = None,
    is_resumed: bool = False,
) -> TaskIdentity:
    """Return who submits: the deployment, the task instance, and how often it was cleared.

    :param items: keys of the items, if the task is a batch.
    :param is_resumed: whether this attempt itself may have submitted something already.
    :raises Json2VideoError: the deployment is unknown.
    """
    ti = context["ti"]
    identity = TaskIdentity(
        deployment=NO_DEPLOYMENT,
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
        generation=ti.max_tries,
    )

    def before_creating() -> None:
        if is_resumed or previous_attempt(context) is not None:
            names = {identity.name_key} if items is None else identity.name_keys(items)
            require_no_other_render(hook.client, names, since=earliest_submission_time(context))

    deployment = get_or_create_deployment(hook.settings.namespace, ti=ti, log=log, before_creating=before_creating)
    return replace(identity, deployment=deployment)


def previous_attempt(context: Context) -> int | None:
    """Return the attempt that may have submitted before this one; None if there is none."""
    ti = context["ti"]
    if context.get("task_reschedule_count"):
        # Airflow 3.1 and later postpone a start when a worker lacks the DAG, also for a task that had deferred. Then
        # execute() runs again with the same number.
        return int(ti.try_number)
    return int(ti.try_number) - 1 if ti.try_number > 1 else None


def ensure_attempt_is_current(
    still_current: Callable[[], bool], *, what: str, nothing: str, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Raise unless Airflow considers this attempt the running one. Call it right before something is paid for.

    If Airflow does not respond, the question is repeated for up to a minute, since it is free.

    :param what: what it is an attempt of. :param nothing: the sentence of the advice that says what was submitted.
    :raises AttemptSuperseded: a later attempt has started. :raises Json2VideoError: Airflow did not respond.
    """
    for delay in (*_RETRY_DELAYS, None):
        try:
            current = still_current()
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            if delay is None:
                raise Json2VideoError(
                    f"Could not ask Airflow whether this attempt is still the running one: {problem}.",
                    retryable=True,
                    advice=nothing,
                ) from error
            log.warning("Could not ask Airflow whether this attempt is still the running one: %s.", problem)
            sleep(delay)
        else:
            break
    if not current:
        raise AttemptSuperseded(
            f"This attempt of the {what} is no longer the running one.",
            advice=f"{nothing.removesuffix('.')} by this attempt; the later attempt continues.",
        )


# --- which results have been returned: what a clear means under on_clear="resubmit" ------------
#
# A clear of a task that had returned its result requests a new render. A clear of one that had not (it was waiting,
# was marked by a user, ran out of time) does not: its render is paid for and was never returned. Airflow 2 keeps a
# history of the task's attempts. Airflow 3 has none that a worker may read, but passes to each attempt the XCom keys
# that the attempt before left, so that it can delete them: the history is written into these keys.


def last_returned_attempt(ti: Any) -> int:
    """Return the attempt before which the results of all renders of the task were returned; 0 if none was.

    If that is unknown, the result is 0 too: then an existing render is reused and not paid for again.

    :param ti: the task instance of the task's context.
    """
    keys = previous_attempt_xcom_keys(ti)
    if keys is None:
        return max(succeeded_attempts(ti), default=-1) + 1
    lines = "\n".join(keys)
    carried_over = {int(generation): int(attempt) for generation, attempt in _CARRIED_OVER.findall(lines)}
    if ti.max_tries in carried_over:  # a retry: what an attempt returned after the clear says nothing about the clear
        return carried_over[ti.max_tries] + 1
    # Old keys may be among them: Airflow 3.0 does not delete those of a mapped task.
    returned = [int(attempt) for generation, attempt in _RETURNED.findall(lines) if int(generation) != ti.max_tries]
    return max([*returned, *carried_over.values()], default=-1) + 1


def carry_over_history(ti: Any) -> None:
    """Copy the records of returned results forward; Airflow deletes a task's XComs when an attempt starts.

    Call it before anything that may take long or fail. The very first attempt has nothing to copy.
    """
    if ti.try_number > 1 and previous_attempt_xcom_keys(ti) is not None and not is_resumed(ti):
        last = max(last_returned_attempt(ti) - 1, 0)
        ti.xcom_push(key=f"json2video_generation_{ti.max_tries}_after_attempt_{last}", value=last)


def record_returned_result(ti: Any) -> None:
    """Record that this attempt returns its result."""
    if previous_attempt_xcom_keys(ti) is not None:
        ti.xcom_push(key=returned_result_key(ti), value=ti.try_number)


def returned_result_key(ti: Any) -> str:
    """Return the key of the XCom that records that this attempt returned its result."""
    return f"json2video_generation_{ti.max_tries}_returned_by_attempt_{ti.try_number}"
