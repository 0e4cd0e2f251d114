"""What a batch has done, what it does next, when it is over, and whether it fails. Pure.

Each item goes its way through :class:`ItemState`; the ledger holds them all, survives between slices as a short
text, and is rebuilt from the account's list where that text is lost.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any, Literal, TypedDict

from airflow_json2video.core.packing import pack, unpack
from airflow_json2video.core.result import credits_of
from airflow_json2video.exceptions import Json2VideoError

__all__ = [
    "BatchLedger",
    "BatchResult",
    "BatchRules",
    "ItemRecord",
    "ItemState",
    "OnItemFailure",
    "Recovery",
    "first_failures",
]

OnItemFailure = Literal["fail", "continue"]


class BatchResult(TypedDict):
    """The result of a batch, as its XCom. How each item ended stands in the report.

    ``seconds`` is the length of all finished videos, ``credits`` what they were charged by the published prices, not
    counting generated assets; ``failures`` are the first ones, each with ``key``, ``project`` and ``error``.
    """

    items: int
    done: int
    failed: int
    unsure: int
    left: int
    seconds: float
    credits: int
    report_path: str | None
    failures: list[dict[str, Any]]
    remaining_quota: dict[str, Any]


_LONGEST_ERROR = 300
_FACTS = ("url", "duration", "size", "width", "height", "rendering_time", "ass", "thumbnail", "ended_at")
"""What is kept of a finished movie, in wire names, for the report."""


class ItemState(str, Enum):
    """Where an item stands."""

    LEFT = "left"
    """Nothing was sent for it."""
    UNKNOWN = "unknown"
    """An earlier attempt may have sent it, and the account's list has not shown it yet."""
    UNDER_WAY = "under way"
    LOST = "lost"
    """It was sent and its answer lost; the account's list will show whether it became a render."""
    DONE = "done"
    FAILED = "failed"
    UNSURE = "unsure"
    """Its response was lost, the list does not show it, and ``on_lost_response`` says "fail"."""
    REFUSED = "refused"
    """The service could not start its render and asks to try again later. Nothing was started."""


_CODES = {state: code for code, state in enumerate(ItemState)}


@dataclass(slots=True)
class ItemRecord:
    """What is known of one item.

    :ivar at: epoch seconds of its submission, as far as it was submitted. If its response was lost: the last moment
        at which it can have been sent, by the service's clock; 0 if that is unknown.
    :ivar sent: how often it was sent.
    :ivar since: when its submission first failed in a way that may pass, by the service's clock; 0 if it did not.
    :ivar due: when the list is to be read for it, by the service's clock, if it was refused or its response was lost.
    :ivar facts: of the finished movie, in wire names; also of one that is paid for and could not be stored.
    :ivar stored: where its file was stored.
    :ivar error: the facts of its failure, see :meth:`.Json2VideoError.facts`; only what a report needs.
    """

    state: ItemState = ItemState.LEFT
    project: str | None = None
    at: float = 0.0
    sent: int = 0
    since: float = 0.0
    due: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    stored: str | None = None
    error: dict[str, Any] | None = None

    @property
    def credits(self) -> int:
        """What the render was charged by the published prices; generated assets are not counted."""
        return credits_of(self.facts) or 0


@dataclass(frozen=True, kw_only=True)
class BatchRules:
    """What the author asked for.

    :param max_failures: a number of items, or a share below 1 of all; ``None``: any number.
    """

    max_in_flight: int = 100
    on_item_failure: OnItemFailure = "fail"
    max_failures: float | None = None

    def bound(self, items: int) -> float:
        """Give how many items may fail without the task failing."""
        if self.on_item_failure == "fail":
            return 0
        if self.max_failures is None:
            return math.inf
        return self.max_failures * items if 0 < self.max_failures < 1 else self.max_failures


@dataclass(slots=True)
class Recovery:
    """What is known of the search for renders that earlier attempts submitted, or earlier steps of this one.

    All moments are the service's.

    :ivar sent_until: the last moment at which one of them can have been sent; 0 if it is unknown.
    :ivar first_read_at: when the list was first read for it; 0 if it was not. :ivar read_at: when it was last read.
    :ivar due: when it is to be read again.
    :ivar reads_far: whether it is to be read back to the start of the run: renders of long ago are concerned.
    """

    sent_until: float = 0.0
    first_read_at: float = 0.0
    read_at: float = 0.0
    due: float = 0.0
    reads_far: bool = True


class BatchLedger:
    """The ledger of a batch.

    :param count: items. :param digest: of what is asked for; see :meth:`.BatchItems.digest`.
    """

    def __init__(self, count: int, *, digest: str, rules: BatchRules) -> None:
        self.records = [ItemRecord() for _ in range(count)]
        self.digest = digest
        self.rules = rules
        self.stop: dict[str, Any] | None = None
        """The facts of the error because of which nothing more is submitted, whatever the rules."""
        self.remaining_quota: dict[str, Any] = {}
        self.recovery = Recovery()
        self._of_project: dict[str, int] = {}

    # --- what happens to items ------------------------------------------------------------------

    def submitted(self, index: int, project: str, *, at: float) -> None:
        """Note that an item is a render now, by a submission or by adoption."""
        sent = self.records[index].sent
        self.records[index] = ItemRecord(ItemState.UNDER_WAY, project=project, at=at, sent=sent)
        self._of_project[project] = index

    def lost(self, index: int, error: Json2VideoError, *, at: float, due: float) -> None:
        """Note that an item was sent and its response was lost; see :class:`ItemRecord`."""
        self._failed_for_now(index, ItemState.LOST, error, at=at, due=due)

    def refused(self, index: int, error: Json2VideoError, *, due: float) -> None:
        """Note that an item was sent, and that the service could not start its render; see :class:`ItemRecord`."""
        self._failed_for_now(index, ItemState.REFUSED, error, at=due, due=due)

    def _failed_for_now(self, index: int, state: ItemState, error: Json2VideoError, *, at: float, due: float) -> None:
        before = self.records[index]
        since = before.since or at or due
        self.records[index] = ItemRecord(state, at=at, sent=before.sent, since=since, due=due, error=_brief(error))

    def done(self, index: int, movie: Mapping[str, Any], *, remaining_quota: Mapping[str, Any] | None = None) -> None:
        """Note that an item's render has ended well.

        :param movie: the movie, in wire names.
        """
        record = self.records[index]
        record.state, record.error = ItemState.DONE, None
        record.project = str(movie.get("project") or record.project)
        record.facts = {name: movie[name] for name in _FACTS if movie.get(name) not in (None, False)}
        if remaining_quota:
            self.remaining_quota = dict(remaining_quota)

    def failed(self, index: int, error: Json2VideoError) -> None:
        """Note that an item has failed: refused, or its render ended badly."""
        record = self.records[index]
        record.state, record.error = ItemState.FAILED, _brief(error)
        record.project = record.project or error.project

    def unsure(self, index: int, error: Json2VideoError) -> None:
        """Note that it cannot be found out whether an item became a render."""
        self.records[index].state = ItemState.UNSURE
        self.records[index].error = _brief(error)

    def suspect_all(self) -> None:
        """Note that every item may have been sent, by an earlier attempt or an earlier step of this one."""
        self.recovery = Recovery()
        for record in self.records:
            record.state = ItemState.UNKNOWN

    def back(self, index: int) -> None:
        """Note that an item did not become a render and may be sent."""
        before = self.records[index]
        self.records[index] = ItemRecord(sent=before.sent, since=before.since)

    def halt(self, error: Json2VideoError) -> None:
        """Submit nothing more: the account, and not an item, is what fails."""
        self.stop = self.stop or _brief(error)

    def index_of(self, project: str) -> int | None:
        """Give the item of a render that is under way."""
        return self._of_project.get(project)

    # --- where it stands ------------------------------------------------------------------------

    def indices(self, *states: ItemState) -> list[int]:
        """Give the items in one of these states, in the order of the rows."""
        return [index for index, record in enumerate(self.records) if record.state in states]

    def tally(self) -> Counter[ItemState]:
        """Count the items by state."""
        return Counter(record.state for record in self.records)

    def credits(self) -> int:
        """Add up what the finished renders were charged."""
        return sum(record.credits for record in self.records)

    def seconds(self) -> float:
        """Add up the finished videos, in seconds."""
        return sum(float(record.facts.get("duration") or 0.0) for record in self.records)

    @property
    def failures(self) -> list[int]:
        """Items that failed or that nobody can be sure of, in the order of the rows."""
        return self.indices(ItemState.FAILED, ItemState.UNSURE)

    @property
    def has_paid(self) -> bool:
        """Whether anything was rendered, or may be rendering now."""
        return bool(self.indices(ItemState.UNDER_WAY, ItemState.LOST, ItemState.UNKNOWN, ItemState.DONE))

    @property
    def is_stopping(self) -> bool:
        """Whether nothing more is submitted although items are left."""
        return self.stop is not None or (self.rules.on_item_failure == "fail" and bool(self.failures))

    @property
    def is_over(self) -> bool:
        """Whether nothing is under way or to be settled, and nothing more will be submitted."""
        tally = self.tally()
        if tally[ItemState.UNDER_WAY] or tally[ItemState.LOST] or tally[ItemState.UNKNOWN]:
            return False
        return self.is_stopping or not (tally[ItemState.LEFT] or tally[ItemState.REFUSED])

    @property
    def is_success(self) -> bool:
        """Whether a batch that is over has ended well."""
        return self.stop is None and len(self.failures) <= self.rules.bound(len(self.records))

    @property
    def room(self) -> int:
        """How many more may be in flight."""
        tally = self.tally()
        return max(0, self.rules.max_in_flight - tally[ItemState.UNDER_WAY] - tally[ItemState.LOST])

    def next_items(self) -> list[int]:
        """Return the items to submit now, as many as may be in flight in addition to those that are."""
        return [] if self.is_stopping else self.indices(ItemState.LEFT)[: self.room]

    def in_words(self) -> str:
        """Write where it stands as a line for the log."""
        tally = self.tally()
        unclear = tally[ItemState.LOST] + tally[ItemState.UNSURE]
        return (
            f"{tally[ItemState.DONE]:,} of {len(self.records):,} done, {tally[ItemState.FAILED]:,} failed, "
            + (f"{unclear:,} with a lost answer, " if unclear else "")
            + (f"{tally[ItemState.REFUSED]:,} refused for now, " if tally[ItemState.REFUSED] else "")
            + (f"{tally[ItemState.UNKNOWN]:,} looked for in the account's list, " if tally[ItemState.UNKNOWN] else "")
            + f"{tally[ItemState.UNDER_WAY]:,} under way, {tally[ItemState.LEFT]:,} left; {self.credits():,} credits"
        )

    # --- between slices -------------------------------------------------------------------------

    def packed(self) -> str:
        """Write the ledger as a short text, about 40 bytes an item."""
        rows = [
            [
                *(_CODES[r.state], r.project, math.ceil(r.at), r.sent, math.ceil(r.since), math.ceil(r.due)),
                *([r.facts.get(name) for name in _FACTS], r.stored, r.error),
            ]
            for r in self.records
        ]
        columns = list(zip(*rows, strict=True))  # what is alike stands together, which zlib likes
        recovery = asdict(self.recovery)
        whole = {"digest": self.digest, "stop": self.stop, "quota": self.remaining_quota, "recovery": recovery}
        return pack({**whole, "columns": columns})

    @classmethod
    def unpacked(cls, text: str, *, rules: BatchRules) -> BatchLedger | None:
        """Read what :meth:`packed` wrote; None if it cannot be read."""
        try:
            kept = unpack(text)
            rows = list(zip(*kept["columns"], strict=True))
            batch = cls(len(rows), digest=str(kept["digest"]), rules=rules)
            batch.stop, batch.remaining_quota = kept["stop"], dict(kept["quota"])
            batch.recovery = Recovery(**kept["recovery"])
            states = list(ItemState)
            for index, (code, project, at, sent, since, due, facts, stored, error) in enumerate(rows):
                known = {name: value for name, value in zip(_FACTS, facts, strict=True) if value is not None}
                moments = float(at), sent, float(since), float(due)
                batch.records[index] = ItemRecord(states[code], project, *moments, known, stored, error)
                if project and states[code] is ItemState.UNDER_WAY:
                    batch._of_project[project] = index
        except (ValueError, KeyError, TypeError, IndexError):
            return None
        return batch


def _brief(error: Json2VideoError) -> dict[str, Any]:
    facts = error.to_dict()
    words = facts["message"]
    kept: dict[str, Any] = {
        "error": facts["error"],
        "message": words if len(words) <= _LONGEST_ERROR else f"{words[: _LONGEST_ERROR - 3]}...",
        "retryable": facts["retryable"],
        "billing": facts["billing"],
    }
    return kept if not error.advice else {**kept, "advice": error.advice[:_LONGEST_ERROR]}


def first_failures(batch: BatchLedger, keys: Sequence[str], *, most: int = 5) -> list[dict[str, Any]]:
    """Give the first failures, for the task's result."""
    found = []
    for index in batch.failures[:most]:
        record = batch.records[index]
        found.append({"key": keys[index], "project": record.project, "error": (record.error or {}).get("message")})
    return found
