"""What a batch knows between its slices: an XCom of the task's own.

Airflow keeps it while a task is deferred and deletes it when an attempt starts, it has room for ten thousand items in
every database, and ``dag.test()`` keeps it too. It is a short cut only: what it does not tell, the account's list does.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_json2video.exceptions import Json2VideoError

__all__ = ["BatchState"]

_STATE = "json2video_batch"
_OPENED = "json2video_batch_slice"


@dataclass
class BatchState:
    """What a slice leaves to the next one of the same attempt.

    :ivar number: of the slice that wrote this. :ivar delivered: see ``hooks.deliveries``.
    :ivar deployment: as which the attempt submits; None if it was not noted.
    :ivar checked: whether this attempt has checked what only a submission depends on, for every item.
    :ivar until: epoch seconds at which the attempt gives up, by its execution_timeout.
    :ivar sent: see :class:`~airflow_json2video.core.rate_limit.RateLimiter`.
    :ivar hold_until: epoch seconds before which nothing is submitted.
    :ivar trouble_since: epoch seconds since when the service is in trouble. :ivar waits: slices since then.
    :ivar refused_since: epoch seconds since when the service refuses what it is asked for; None: it does not.
    :ivar short_of_credits: an item could not be paid for, and none has been submitted since.
    :ivar quota_until: epoch seconds until which credits are waited for, once they were. :ivar quota_waits: how often
        they were since the last submission.
    :ivar ledger: of :meth:`~airflow_json2video.core.batch.Batch.packed`; None: nothing is known.
    """

    number: int = 0
    delivered: int = 0
    deployment: str | None = None
    checked: bool = False
    until: float | None = None
    sent: list[list[int]] = field(default_factory=list)
    hold_until: float = 0.0
    trouble_since: float | None = None
    waits: int = 0
    refused_since: float | None = None
    short_of_credits: bool = False
    quota_until: float | None = None
    quota_waits: int = 0
    ledger: str | None = None

    @classmethod
    def recall(cls, ti: Any, *, log: Any) -> BatchState | None:
        """Read what the slice before left; None if that is lost.

        Its ledger is None if a slice has begun since: that one may have submitted what nobody remembers.
        """
        try:
            memory = cls(**_pull(ti, _STATE, log=log))
        except TypeError:
            return None
        opened = _pull(ti, _OPENED, log=log)
        if opened != memory.number:
            memory.number = max(memory.number, opened if isinstance(opened, int) else 0)
            memory.ledger = None
        return memory

    def take_from(self, event: Any) -> None:
        """Take what the event of a wait for credits repeats, where the rest is lost."""
        if isinstance(event, dict) and "min_credits" in event:
            self.quota_until, self.quota_waits = float(event["deadline"]), int(event["attempt"]) + 1

    def note_answer(self) -> None:
        """Note that the service did what it was asked to: no outage is left."""
        self.waits, self.trouble_since, self.refused_since = 0, None, None

    def note_trouble(self, error: Json2VideoError, *, now: float) -> float:
        """Note that it did not; return for how many seconds it has answered, or has not, in the same way."""
        self.trouble_since = self.trouble_since or now
        self.refused_since = None if error.retryable else self.refused_since or now
        return now - (self.refused_since or self.trouble_since)

    def open_slice(self, ti: Any) -> None:
        """Note that a slice begins, before it may submit anything."""
        self.number += 1
        ti.xcom_push(key=_OPENED, value=self.number)

    def keep(self, ti: Any) -> None:
        """Leave this to the next slice."""
        ti.xcom_push(key=_STATE, value=asdict(self))


def _pull(ti: Any, key: str, *, log: Any) -> Any:
    index = -1 if ti.map_index is None else ti.map_index
    try:
        return ti.xcom_pull(task_ids=ti.task_id, key=key, map_indexes=index)
    except Exception as error:  # whatever is wrong with it, the list can tell
        log.warning("Airflow does not give the XCom %r: %s: %s", key, type(error).__name__, error)
        return None
