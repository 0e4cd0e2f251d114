"""This attempt of a task: who submits, which attempt came before, what it delivered, whether it is still running."""

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
    is_resumed,
    run_began,
    succeeded_attempts,
    xcom_keys_of_the_attempt_before,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.task_log import TaskLog

__all__ = [
    "attempt_before",
    "carry_over_history",
    "delivery_key",
    "ensure_attempt_is_current",
    "last_delivered_attempt",
    "record_delivery",
    "task_identity",
]

log = logging.getLogger(__name__)

_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between the tries to ask: an outage of Airflow's database of a minute costs nothing but this minute."""

_GAVE = re.compile(r"^json2video_generation_(\d+)_gave_attempt_(\d+)$", re.MULTILINE)
_HANDED_ON = re.compile(r"^json2video_generation_(\d+)_after_attempt_(\d+)$", re.MULTILINE)


def task_identity(
    context: Context,
    hook: Json2VideoHook,
    *,
    log: TaskLog,
    items: Sequence[str] | None = None,
    is_resumed: bool = False,
) -> TaskIdentity:
    """Return who submits.

    :param items: keys of the items, where the task is a batch.
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
        if is_resumed or attempt_before(context) is not None:
            names = {identity.name_key} if items is None else identity.name_keys(items)
            require_no_other_render(hook.client, names, since=run_began(context))

    deployment = get_or_create_deployment(hook.settings.namespace, ti=ti, log=log, before_creating=before_creating)
    return replace(identity, deployment=deployment)


def attempt_before(context: Context) -> int | None:
    """Give the attempt that may have submitted before this one; None if there is none."""
    ti = context["ti"]
    if context.get("task_reschedule_count"):
        # Airflow 3.1 and later put a start off when a worker lacks the DAG, also that of a task which had
        # deferred: then execute() runs anew with the same number.
        return int(ti.try_number)
    return int(ti.try_number) - 1 if ti.try_number > 1 else None


def ensure_attempt_is_current(
    still_current: Callable[[], bool], *, what: str, nothing: str, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Raise unless Airflow takes this attempt for the running one.

    Airflow is asked again for up to a minute if it does not answer, since asking is free.

    :param what: what it is an attempt of. :param nothing: what became of the submissions, as the advice has it.
    :raises AttemptSuperseded: a later attempt has started. :raises Json2VideoError: Airflow could not be asked.
    """
    for pause in (*_PAUSES, None):
        try:
            current = still_current()
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            if pause is None:
                raise Json2VideoError(
                    f"Airflow could not be asked whether this attempt is still the running one: {problem}.",
                    retryable=True,
                    advice=nothing,
                ) from error
            log.warning("Airflow could not be asked whether this attempt is still the running one: %s.", problem)
            sleep(pause)
        else:
            break
    if not current:
        raise AttemptSuperseded(
            f"This attempt of the {what} is no longer the running one.",
            advice=f"{nothing.removesuffix('.')} by this attempt; the later one goes on.",
        )


# --- what was delivered: what a clear means under on_clear="resubmit" ---------------------------
#
# A clear of a task that had given its result asks for a new render. A clear of one that never did (it was
# waiting, was marked by a person, ran out of time) does not: its render was paid for and nobody has it yet.
# Airflow 2 keeps a history of the task's attempts that tells. Airflow 3 keeps none that a worker may read, but
# tells an attempt which XComs the one before it left, for it to delete them: so it is in their keys.


def last_delivered_attempt(ti: Any) -> int:
    """Give the attempt before which all of the task's renders have been delivered; 0 if none has been.

    Where it cannot be told the answer is 0 as well: then a render that is there is taken, not paid for again.

    :param ti: the task instance of the task's context.
    """
    keys = xcom_keys_of_the_attempt_before(ti)
    if keys is None:
        return max(succeeded_attempts(ti), default=-1) + 1
    lines = "\n".join(keys)
    handed_on = {int(generation): int(attempt) for generation, attempt in _HANDED_ON.findall(lines)}
    if ti.max_tries in handed_on:  # a retry: what an attempt gave after the clear says nothing about the clear
        return handed_on[ti.max_tries] + 1
    # Keys of long ago may be among them: Airflow 3.0 does not delete those of a mapped task.
    gave = [int(attempt) for generation, attempt in _GAVE.findall(lines) if int(generation) != ti.max_tries]
    return max([*gave, *handed_on.values()], default=-1) + 1


def carry_over_history(ti: Any) -> None:
    """Leave what the attempt before left to the next one, since Airflow deletes a task's XComs as an attempt starts.

    To be called before anything that may take long or fail. The first attempt of all has nothing to leave.
    """
    if ti.try_number > 1 and xcom_keys_of_the_attempt_before(ti) is not None and not is_resumed(ti):
        last = max(last_delivered_attempt(ti) - 1, 0)
        ti.xcom_push(key=f"json2video_generation_{ti.max_tries}_after_attempt_{last}", value=last)


def record_delivery(ti: Any) -> None:
    """Note that this attempt gives its result."""
    if xcom_keys_of_the_attempt_before(ti) is not None:
        ti.xcom_push(key=delivery_key(ti), value=ti.try_number)


def delivery_key(ti: Any) -> str:
    """Give the key of the XCom that says so."""
    return f"json2video_generation_{ti.max_tries}_gave_attempt_{ti.try_number}"
