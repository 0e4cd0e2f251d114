"""The state of a batch between its steps, stored in an XCom of the task.

Airflow keeps this XCom while a task is deferred and deletes it when an attempt starts. It has room for ten thousand
items in every database, and ``dag.test()`` supports it. It is only a shortcut: if it is missing, the account's list
is read instead.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_json2video.exceptions import Json2VideoError
    from airflow_json2video.task_log import TaskLog

__all__ = ["BatchState"]

_STATE_KEY = "json2video_batch"
_STEP_KEY = "json2video_batch_step"


@dataclass
class BatchState:
    """What a step passes on to the next one of the same attempt. All moments are by the service's clock.

    :ivar step: number of the step that wrote this.
    :ivar last_returned_attempt: see :mod:`airflow_json2video.submission.attempt`.
    :ivar deployment: the deployment that submits; None if it was not recorded.
    :ivar is_checked: whether this attempt has made the checks that only a submission depends on, for every item.
    :ivar deadline: epoch seconds at which the attempt's execution_timeout ends.
    :ivar sent: see :class:`~airflow_json2video.core.rate_limit.RateLimiter`.
    :ivar hold_until: epoch seconds before which nothing is submitted.
    :ivar failing_since: epoch seconds since when the service fails. :ivar failed_steps: steps since then.
    :ivar refused_since: epoch seconds since when the service refuses requests; None if it does not.
    :ivar lacks_credits: an item could not be paid for, and none has been submitted since.
    :ivar credits_deadline: epoch seconds until which the batch waits for credits, once it has begun to.
    :ivar credits_waits: number of those waits since the last submission.
    :ivar ledger: from :meth:`~airflow_json2video.core.batch.BatchLedger.to_text`; None if it is missing.
    """

    step: int = 0
    last_returned_attempt: int = 0
    deployment: str | None = None
    is_checked: bool = False
    deadline: float | None = None
    sent: list[list[int]] = field(default_factory=list)
    hold_until: float = 0.0
    failing_since: float | None = None
    failed_steps: int = 0
    refused_since: float | None = None
    lacks_credits: bool = False
    credits_deadline: float | None = None
    credits_waits: int = 0
    ledger: str | None = None

    @classmethod
    def load(cls, ti: Any, *, log: TaskLog) -> BatchState | None:
        """Read what the step before saved; None if it is missing.

        The ledger is None if a step has begun since: that step may have submitted items that are not in it.
        """
        try:
            state = cls(**_pull(ti, _STATE_KEY, log=log))
        except TypeError:
            return None
        last_step = _pull(ti, _STEP_KEY, log=log)
        if last_step != state.step:
            state.step = max(state.step, last_step if isinstance(last_step, int) else 0)
            state.ledger = None
        return state

    def restore_credits_wait(self, event: Any) -> None:
        """Restore the wait for credits from the event of its trigger, if the rest is missing."""
        if isinstance(event, dict) and "min_credits" in event:
            self.credits_deadline, self.credits_waits = float(event["deadline"]), int(event["attempt"]) + 1

    def record_success(self) -> None:
        """Record that the service did what it was asked to: it does not fail any more."""
        self.failed_steps, self.failing_since, self.refused_since = 0, None, None

    def record_failure(self, error: Json2VideoError, *, now: float) -> float:
        """Record that the service failed; return for how many seconds it has failed in the same way."""
        self.failing_since = self.failing_since or now
        self.refused_since = None if error.retryable else self.refused_since or now
        return now - (self.refused_since or self.failing_since)

    def begin_step(self, ti: Any) -> None:
        """Record that a step begins, before it can submit anything."""
        self.step += 1
        ti.xcom_push(key=_STEP_KEY, value=self.step)

    def save(self, ti: Any) -> None:
        """Store this for the next step."""
        ti.xcom_push(key=_STATE_KEY, value=asdict(self))


def _pull(ti: Any, key: str, *, log: TaskLog) -> Any:
    index = -1 if ti.map_index is None else ti.map_index
    try:
        return ti.xcom_pull(task_ids=ti.task_id, key=key, map_indexes=index)
    except Exception as error:  # any failure here is harmless: the list is read instead
        log.warning("Could not read the XCom %r: %s: %s", key, type(error).__name__, error)
        return None
