"""Which of a task's renders have been delivered: what a clear means under ``on_clear="resubmit"``, and only there.

A clear of a task that had given its result asks for a new render. A clear of one that never did (it was
waiting, was marked by a person, ran out of time) does not: its render was paid for and nobody has it yet.
Airflow 2 keeps a history of the task's attempts that tells. Airflow 3 keeps none that a worker may read, but
tells an attempt which XComs the one before it left, for it to delete them: so it is in their keys.
"""

from __future__ import annotations

import re
from typing import Any

from airflow_json2video.version_compat import is_resumed, succeeded_attempts, xcom_keys_of_the_attempt_before

__all__ = ["carry_over_history", "delivery_key", "last_delivered_attempt", "record_delivery"]

_GAVE = re.compile(r"^json2video_generation_(\d+)_gave_attempt_(\d+)$", re.MULTILINE)
_HANDED_ON = re.compile(r"^json2video_generation_(\d+)_after_attempt_(\d+)$", re.MULTILINE)


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
