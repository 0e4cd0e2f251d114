"""The ledger of a batch: the state of each item, what to submit next, when the batch is over, if it failed. Pure.

Each item moves through the states of :class:`ItemState`. The ledger is stored between two steps as a short text, and
is rebuilt from the account's list if that text is missing.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any, TypedDict

from airflow_json2video.core.result import credits_of
from airflow_json2video.exceptions import Json2VideoError

__all__ = [
    "BatchLedger",
    "BatchResult",
    "BatchRules",
    "ItemRecord",
    "ItemState",
    "Recovery",
    "decode",
    "encode",
    "first_failures",
]


class BatchResult(TypedDict):
    """The result of a batch, as stored in its XCom. The report lists the state of each item.

    ``seconds`` is the total length of the finished videos and ``credits`` what they cost by the published prices,
    without generated assets. ``failures`` are the first failed items, each with ``key``, ``project`` and ``error``.
    """

    items: int
    done: int
    failed: int
    unresolved: int
    pending: int
    seconds: float
    credits: int
    report_path: str | None
    failures: list[dict[str, Any]]
    remaining_quota: dict[str, Any]


_MAX_ERROR_LENGTH = 300
_FACTS = ("url", "duration", "size", "width", "height", "rendering_time", "ass", "thumbnail", "ended_at")
"""Fields of a finished movie that the report needs, in the API's names."""


class ItemState(str, Enum):
    """The state of an item. The values are those of the report."""

    PENDING = "pending"
    """Not submitted."""
    UNKNOWN = "unknown"
    """An earlier attempt may have submitted it; the account's list has not shown it yet."""
    IN_FLIGHT = "in_flight"
    """Its render is queued or running."""
    UNCONFIRMED = "unconfirmed"
    """It was submitted and the response was lost; the account's list will show whether a render exists."""
    DONE = "done"
    FAILED = "failed"
    UNRESOLVED = "unresolved"
    """Its response was lost, the list does not show it, and ``on_lost_response`` is "fail"."""
    REFUSED = "refused"
    """The service could not start its render and asks to try again later. Nothing was started."""


_CODES = {state: code for code, state in enumerate(ItemState)}


@dataclass(slots=True)
class ItemRecord:
    """The record of one item.

    :ivar submitted_at: epoch seconds of its submission, if it was submitted. If the response was lost: the last moment
        at which it can have been sent, by the service's clock; 0 if that is unknown.
    :ivar submissions: number of times it was sent.
    :ivar failing_since: when its submission first failed in a way that may pass, by the service's clock; 0 if it did
        not fail.
    :ivar check_at: when to read the list for it, by the service's clock, if it was refused or its response was lost.
    :ivar facts: fields of the finished movie, in the API's names; also of one that is paid for and could not be stored.
    :ivar stored: path of the stored file.
    :ivar error: the facts of its failure that a report needs, see :meth:`.Json2VideoError.to_dict`.
    """

    state: ItemState = ItemState.PENDING
    project: str | None = None
    submitted_at: float = 0.0
    submissions: int = 0
    failing_since: float = 0.0
    check_at: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    stored: str | None = None
    error: dict[str, Any] | None = None

    @property
    def credits(self) -> int:
        """The cost of the render by the published prices, without generated assets."""
        return credits_of(self.facts) or 0


@dataclass(frozen=True, kw_only=True)
class BatchRules:
    """The limits of a batch.

    :param max_in_flight: items that may be in flight at a time.
    :param max_failures: items that may fail: a number, a share below 1 of all items, or None for any number. With 0,
        the first failure stops the batch.
    """

    max_in_flight: int = 100
    max_failures: float | None = 0

    def allowed_failures(self, items: int) -> float:
        """Return how many of *items* may fail without failing the task."""
        if self.max_failures is None:
            return math.inf
        return self.max_failures * items if 0 < self.max_failures < 1 else self.max_failures


@dataclass(slots=True)
class Recovery:
    """The progress of the search for renders that earlier attempts, or earlier steps of this one, submitted.

    All moments are by the service's clock.

    :ivar last_sent_at: the last moment at which one of them can have been sent; 0 if it is unknown.
    :ivar first_read_at: when the list was first read for it; 0 if it was not. :ivar read_at: when it was last read.
    :ivar next_read_at: when to read it again.
    :ivar reads_whole_run: whether to read the list back to the start of the run, since old renders are concerned.
    """

    last_sent_at: float = 0.0
    first_read_at: float = 0.0
    read_at: float = 0.0
    next_read_at: float = 0.0
    reads_whole_run: bool = True


class BatchLedger:
    """The ledger of a batch.

    :param count: number of items. :param digest: hash of the documents; see :meth:`.BatchItems.digest`.
    """

    def __init__(self, count: int, *, digest: str, rules: BatchRules) -> None:
        self.records = [ItemRecord() for _ in range(count)]
        self.digest = digest
        self.rules = rules
        self.stop_error: dict[str, Any] | None = None
        """The facts of the error because of which nothing more is submitted, whatever the rules."""
        self.remaining_quota: dict[str, Any] = {}
        self.recovery = Recovery()
        self._index_by_project: dict[str, int] = {}

    # --- changes of state -----------------------------------------------------------------------

    def mark_submitted(self, index: int, project: str, *, at: float) -> None:
        """Record the render of an item, whether this attempt submitted it or reattached to it.

        :param at: epoch seconds of the submission.
        """
        submissions = self.records[index].submissions
        self.records[index] = ItemRecord(ItemState.IN_FLIGHT, project=project, submitted_at=at, submissions=submissions)
        self._index_by_project[project] = index

    def mark_unconfirmed(self, index: int, error: Json2VideoError, *, sent_at: float, check_at: float) -> None:
        """Record that an item was sent and the response was lost; for the moments see :class:`ItemRecord`."""
        self._mark_failing(index, ItemState.UNCONFIRMED, error, sent_at=sent_at, check_at=check_at)

    def mark_refused(self, index: int, error: Json2VideoError, *, check_at: float) -> None:
        """Record that an item was sent and the service could not start its render; see :class:`ItemRecord`."""
        self._mark_failing(index, ItemState.REFUSED, error, sent_at=check_at, check_at=check_at)

    def _mark_failing(
        self, index: int, state: ItemState, error: Json2VideoError, *, sent_at: float, check_at: float
    ) -> None:
        before = self.records[index]
        self.records[index] = ItemRecord(
            state,
            submitted_at=sent_at,
            submissions=before.submissions,
            failing_since=before.failing_since or sent_at or check_at,
            check_at=check_at,
            error=_summary_of(error),
        )

    def mark_done(
        self, index: int, movie: Mapping[str, Any], *, remaining_quota: Mapping[str, Any] | None = None
    ) -> None:
        """Record that the render of an item succeeded.

        :param movie: the movie, in the API's names.
        """
        record = self.records[index]
        record.state, record.error = ItemState.DONE, None
        record.project = str(movie.get("project") or record.project)
        record.facts = {name: movie[name] for name in _FACTS if movie.get(name) not in (None, False)}
        if remaining_quota:
            self.remaining_quota = dict(remaining_quota)

    def mark_failed(self, index: int, error: Json2VideoError) -> None:
        """Record that an item failed: the service refused it, or its render failed."""
        record = self.records[index]
        record.state, record.error = ItemState.FAILED, _summary_of(error)
        record.project = record.project or error.project

    def mark_unresolved(self, index: int, error: Json2VideoError) -> None:
        """Record that it could not be determined whether a render of the item exists."""
        self.records[index].state = ItemState.UNRESOLVED
        self.records[index].error = _summary_of(error)

    def mark_all_unknown(self) -> None:
        """Record that every item may have been sent, by an earlier attempt or an earlier step of this one."""
        self.recovery = Recovery()
        for record in self.records:
            record.state = ItemState.UNKNOWN

    def reset_item(self, index: int) -> None:
        """Record that no render of the item exists, so that it may be submitted."""
        before = self.records[index]
        self.records[index] = ItemRecord(submissions=before.submissions, failing_since=before.failing_since)

    def stop(self, error: Json2VideoError) -> None:
        """Submit nothing more: the error concerns the account or the whole batch, not one item."""
        self.stop_error = self.stop_error or _summary_of(error)

    # --- queries --------------------------------------------------------------------------------

    def index_of(self, project: str) -> int | None:
        """Return the item of a render that was submitted; None if it is not part of the batch."""
        return self._index_by_project.get(project)

    def items_in(self, *states: ItemState) -> list[int]:
        """Return the items in one of these states, in the order of the rows."""
        return [index for index, record in enumerate(self.records) if record.state in states]

    def tally(self) -> Counter[ItemState]:
        """Count the items by state."""
        return Counter(record.state for record in self.records)

    def credits(self) -> int:
        """Return the sum of what the finished renders cost."""
        return sum(record.credits for record in self.records)

    def seconds(self) -> float:
        """Return the total length of the finished videos, in seconds."""
        return sum(float(record.facts.get("duration") or 0.0) for record in self.records)

    @property
    def failures(self) -> list[int]:
        """The items that failed or are unresolved, in the order of the rows."""
        return self.items_in(ItemState.FAILED, ItemState.UNRESOLVED)

    @property
    def has_paid(self) -> bool:
        """Whether anything was rendered, or may be rendering now."""
        return bool(self.items_in(ItemState.IN_FLIGHT, ItemState.UNCONFIRMED, ItemState.UNKNOWN, ItemState.DONE))

    @property
    def is_stopping(self) -> bool:
        """Whether nothing more is submitted, even if items are pending."""
        return self.stop_error is not None or (self.rules.max_failures == 0 and bool(self.failures))

    @property
    def is_over(self) -> bool:
        """Whether no item is in flight, unconfirmed or unknown, and nothing more will be submitted."""
        tally = self.tally()
        if tally[ItemState.IN_FLIGHT] or tally[ItemState.UNCONFIRMED] or tally[ItemState.UNKNOWN]:
            return False
        return self.is_stopping or not (tally[ItemState.PENDING] or tally[ItemState.REFUSED])

    @property
    def is_success(self) -> bool:
        """Whether a batch that is over succeeded."""
        return self.stop_error is None and len(self.failures) <= self.rules.allowed_failures(len(self.records))

    @property
    def free_slots(self) -> int:
        """How many more items may be in flight."""
        tally = self.tally()
        return max(0, self.rules.max_in_flight - tally[ItemState.IN_FLIGHT] - tally[ItemState.UNCONFIRMED])

    def next_items(self) -> list[int]:
        """Return the items to submit now: as many pending ones as there are free slots."""
        return [] if self.is_stopping else self.items_in(ItemState.PENDING)[: self.free_slots]

    def summarize(self) -> str:
        """Return the progress as a line for the log."""
        tally = self.tally()
        rare = ((ItemState.UNCONFIRMED, ""), (ItemState.UNRESOLVED, ""), (ItemState.REFUSED, " for now"))
        return (
            f"{tally[ItemState.DONE]:,} of {len(self.records):,} done, {tally[ItemState.FAILED]:,} failed, "
            + "".join(f"{tally[state]:,} {state.value}{more}, " for state, more in rare if tally[state])
            + (f"{tally[ItemState.UNKNOWN]:,} unknown until the list is read, " if tally[ItemState.UNKNOWN] else "")
            + f"{tally[ItemState.IN_FLIGHT]:,} in flight, {tally[ItemState.PENDING]:,} pending; "
            f"{self.credits():,} credits"
        )

    # --- between two steps ----------------------------------------------------------------------

    def to_text(self) -> str:
        """Return the ledger as a short text, about 40 bytes per item."""
        rows = [
            [
                *(_CODES[r.state], r.project, math.ceil(r.submitted_at), r.submissions),
                *(math.ceil(r.failing_since), math.ceil(r.check_at)),
                *([r.facts.get(name) for name in _FACTS], r.stored, r.error),
            ]
            for r in self.records
        ]
        columns = list(zip(*rows, strict=True))  # similar values next to each other compress better
        recovery = asdict(self.recovery)
        whole = {"digest": self.digest, "stop": self.stop_error, "quota": self.remaining_quota, "recovery": recovery}
        return encode({**whole, "columns": columns})

    @classmethod
    def from_text(cls, text: str, *, rules: BatchRules) -> BatchLedger | None:
        """Read what :meth:`to_text` returned; None if it cannot be read."""
        try:
            whole = decode(text)
            rows = list(zip(*whole["columns"], strict=True))
            batch = cls(len(rows), digest=str(whole["digest"]), rules=rules)
            batch.stop_error, batch.remaining_quota = whole["stop"], dict(whole["quota"])
            batch.recovery = Recovery(**whole["recovery"])
            states = list(ItemState)
            for index, (code, project, at, submissions, since, check_at, facts, stored, error) in enumerate(rows):
                known = {name: value for name, value in zip(_FACTS, facts, strict=True) if value is not None}
                numbers = float(at), submissions, float(since), float(check_at)
                batch.records[index] = ItemRecord(states[code], project, *numbers, known, stored, error)
                if project and states[code] is ItemState.IN_FLIGHT:
                    batch._index_by_project[project] = index
        except (ValueError, KeyError, TypeError, IndexError):
            return None
        return batch


def encode(value: Any) -> str:
    """Return JSON as a short ASCII text that every XCom backend and database stores unchanged."""
    plain = json.dumps(value, separators=(",", ":")).encode()
    return base64.b85encode(zlib.compress(plain, 6)).decode()


def decode(text: str) -> Any:
    """Read what :func:`encode` returned.

    :raises ValueError: it is another text.
    """
    try:
        return json.loads(zlib.decompress(base64.b85decode(text)))
    except zlib.error as error:
        raise ValueError(str(error)) from None


def _summary_of(error: Json2VideoError) -> dict[str, Any]:
    facts = error.to_dict()
    message = facts["message"]
    summary: dict[str, Any] = {
        "error": facts["error"],
        "message": message if len(message) <= _MAX_ERROR_LENGTH else f"{message[: _MAX_ERROR_LENGTH - 3]}...",
        "retryable": facts["retryable"],
        "billing": facts["billing"],
    }
    return summary if not error.advice else {**summary, "advice": error.advice[:_MAX_ERROR_LENGTH]}


def first_failures(batch: BatchLedger, keys: Sequence[str], *, most: int = 5) -> list[dict[str, Any]]:
    """Return the first failures, for the task's result.

    :param keys: of all items. :param most: how many to return at most.
    """
    failures = []
    for index in batch.failures[:most]:
        record = batch.records[index]
        failures.append({"key": keys[index], "project": record.project, "error": (record.error or {}).get("message")})
    return failures
