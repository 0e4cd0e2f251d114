"""Which of a task's renders have been delivered: what a person's clear means under ``on_clear="resubmit"``.

A clear of a task that had given its result asks for a new render. A clear of one that never did (it was
waiting, was marked by a person, ran out of time) does not: its render was paid for and nobody has it yet.
Nothing but Airflow knows which it was, and from its own record: the XComs of the attempt before (Airflow 3
tells their keys to the next one), or the history of the task's attempts (Airflow 2).
"""

from __future__ import annotations

import re
from typing import Any

from airflow_json2video.version_compat import succeeded_attempts, xcom_keys_of_the_attempt_before

__all__ = ["DELIVERED", "delivered_before", "hand_on", "note_delivery"]

DELIVERED = "json2video_delivered"
"""The XCom of a task that gives its result without pushing it."""

_RETURN_VALUE = "return_value"
_HANDED_ON = re.compile(r"^json2video_generation_(\d+)_delivered_before_attempt_(\d+)$", re.MULTILINE)


def delivered_before(ti: Any) -> int:
    """Give the attempt before which all of the task's renders have been delivered; 0 if none has been.

    Where it cannot be told the answer is 0 as well: then a render that is there is taken, not paid for again.

    :param ti: the task instance of the task's context.
    """
    keys = xcom_keys_of_the_attempt_before(ti)
    if keys is None:
        return max((attempt + 1 for attempt in succeeded_attempts(ti)), default=0)
    handed_on = {int(generation): int(attempt) for generation, attempt in _HANDED_ON.findall("\n".join(keys))}
    if ti.max_tries in handed_on:  # a retry: whatever else the attempt before has pushed, it pushed after the clear
        return handed_on[ti.max_tries]
    if _RETURN_VALUE in keys or DELIVERED in keys:
        return int(ti.try_number)
    return max(handed_on.values(), default=0)


def hand_on(ti: Any, before: int) -> None:
    """Leave what was found to the next attempt, since Airflow deletes a task's XComs as an attempt starts.

    To be called before anything that may take long or fail. The first attempt of all has nothing to leave.
    """
    if ti.try_number > 1 and xcom_keys_of_the_attempt_before(ti) is not None:
        key = f"json2video_generation_{ti.max_tries}_delivered_before_attempt_{before}"
        ti.xcom_push(key=key, value=ti.try_number)


def note_delivery(operator: Any, ti: Any, project: str) -> None:
    """Note that the task gives its result, where Airflow itself keeps no trace of that."""
    if not operator.do_xcom_push:
        ti.xcom_push(key=DELIVERED, value=project)
