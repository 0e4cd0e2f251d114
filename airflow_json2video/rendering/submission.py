"""Whether to submit, adopt, look again or stop: one pure decision, asked by every path.

A submission is paid for and cannot be taken back, so the rule is: never send on a guess. What is
not known for certain is looked up in the account's list, and what cannot be looked up is not sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Literal

from airflow_json2video.rendering.identity import Stamp

__all__ = [
    "SETTLE_LOOKS",
    "Action",
    "Decision",
    "FoundRender",
    "OnAmbiguous",
    "OnClear",
    "decide_submission",
    "settle_pause",
]

OnAmbiguous = Literal["fail", "resubmit"]
OnClear = Literal["resubmit", "reuse"]

SETTLE_LOOKS = 4
"""Looks into the list before absence counts, in 70 s. The service does not say how soon a new project shows.

Both after a lost answer and in a later attempt: the one before it may have died while it was sending.
"""


class Action(str, Enum):
    """What an attempt does next."""

    SUBMIT = "submit"
    ADOPT = "adopt"
    LOOK_AGAIN = "look again"
    STOP = "stop"


@dataclass(frozen=True)
class FoundRender:
    """A render of the account's list that carries the stamp of this task instance."""

    project: str
    status: str
    created_at: datetime | None
    has_file: bool
    stamp: Stamp


@dataclass(frozen=True)
class Decision:
    """What to do, and the sentence for the log that says why and what it costs."""

    action: Action
    reason: str
    project: str | None = None
    warnings: tuple[str, ...] = field(default=())


def settle_pause(looks: int) -> float:
    """Seconds to wait after *looks* looks before the next one: 5, 10, 20, 40."""
    return float(5 * 2**looks)


def decide_submission(
    found: Sequence[FoundRender] | None,
    *,
    mine: Stamp,
    answer_lost: bool,
    looks: int = 1,
    on_ambiguous: OnAmbiguous = "fail",
    on_clear: OnClear = "resubmit",
    attempt_before: int | None = None,
    delivered_before: int = 0,
) -> Decision:
    """Decide about one submission from what the account's list shows.

    Absence is believed only after :data:`SETTLE_LOOKS`, unless the list shows a render of the very attempt
    in question: this one's, if its answer was lost, else that of the attempt before, which may have died
    while it was sending.

    :param found: the renders with this task instance's stamp, whatever their generation, in any
        order; ``None`` if the list could not be read, which is *unknown* and not *absent*.
    :param mine: the stamp that this attempt submits with.
    :param answer_lost: whether this attempt has sent a submission and its answer was lost.
    :param looks: how often the list has been read so far.
    :param on_ambiguous: what absence means when an answer was lost.
    :param on_clear: whether a task that a person cleared pays for a new render or reuses the old one.
    :param attempt_before: the attempt that may have submitted; default: the one before *mine*. It is *mine*
        itself when Airflow ran the same attempt anew, as after a start that it put off.
    :param delivered_before: the attempt before which all renders have been delivered when a person cleared the
        task. One of these that has ended is not adopted under ``on_clear="resubmit"``; one that the task never
        gave as its result is, however the wait for it was broken off.
    """
    if found is None:
        return Decision(
            Action.STOP,
            f"The account's list could not be read, so it is not known whether a render with submission key "
            f"{mine.submission_key} exists. "
            + ("One submission was sent; nothing more was." if answer_lost else "Nothing was submitted."),
        )
    before = mine.attempt - 1 if attempt_before is None else attempt_before
    same, notes = _of_this_document(found, mine, on_clear, delivered_before)
    usable = [r for r in same if _going_on(r) or (r.status == "done" and r.has_file)]
    if usable:
        return _adopt(usable, notes, mine)
    # All of it: a run that was made anew under an old id had the same key and attempt, for another document perhaps.
    own = [r for r in found if r.stamp == mine]
    if answer_lost and own:
        # It has ended already, and not well: whoever waits for it says how.
        return _adopt(own, notes, mine)
    if any(r.status == "timeout" for r in same) and looks < 2:
        reason = "A render of this task is reported as 'timeout' and may still finish: one more look before paying."
        return Decision(Action.LOOK_AGAIN, reason, warnings=tuple(notes))
    absent = f"The account's list shows no render of this attempt's submission (key {mine.submission_key})"
    if not answer_lost:
        absent = f"The account's list shows no render of attempt {before} (key {mine.submission_key})"
    settled = not answer_lost and any(r.stamp.attempt == before for r in found)
    if looks < SETTLE_LOOKS and not settled:
        return Decision(Action.LOOK_AGAIN, f"{absent} yet.", warnings=tuple(notes))
    notes += [_why_not(render) for render in same]
    if answer_lost and on_ambiguous == "fail":
        return Decision(
            Action.STOP,
            f"The answer to the submission was lost. {absent} after {looks} looks, and it is not known whether it "
            "will. Nothing more was submitted.",
            warnings=tuple(notes),
        )
    if answer_lost:
        notes.append(
            f"The answer to the submission was lost. {absent} after {looks} looks: submitting once more "
            "(on_ambiguous='resubmit'), at the risk of paying twice."
        )
    return Decision(Action.SUBMIT, "No usable render of this task exists.", warnings=tuple(notes))


def _of_this_document(
    found: Sequence[FoundRender], mine: Stamp, on_clear: OnClear, delivered_before: int
) -> tuple[list[FoundRender], list[str]]:
    """Give the renders that may be adopted, this generation's first and oldest first, and why not the others."""
    same, notes = [], []
    for render in sorted(found, key=lambda r: (-r.stamp.generation, _age(r))):
        if render.stamp.fingerprint != mine.fingerprint:
            notes.append(f"Render {render.project} ({render.status}) is of another document, so it is not adopted.")
        elif on_clear == "resubmit" and _was_delivered(render, mine, delivered_before):
            notes.append(
                f"Render {render.project} ({render.status}) is from before the clear of a task that had given its "
                "result, so it is not adopted (on_clear='resubmit')."
            )
        else:
            same.append(render)
    return same, notes


def _adopt(usable: Sequence[FoundRender], notes: Sequence[str], mine: Stamp) -> Decision:
    first = usable[0]
    key = first.stamp.submission_key
    twins = [r.project for r in usable if r.stamp.submission_key == key]
    warnings = list(notes)
    if len(twins) > 1:
        warnings.append(
            f"Several renders carry submission key {key}: {', '.join(twins)}. Each may have been charged; the oldest "
            f"usable one, {first.project}, is adopted."
        )
    whose = "of this task" if first.stamp.generation == mine.generation else "of this task from before it was cleared"
    reason = f"Found render {first.project} {whose}, {first.status}: adopted, nothing new is paid for."
    return Decision(Action.ADOPT, reason, project=first.project, warnings=tuple(warnings))


def _was_delivered(render: FoundRender, mine: Stamp, delivered_before: int) -> bool:
    earlier = render.stamp.generation != mine.generation and render.stamp.attempt < delivered_before
    return earlier and not _going_on(render)


def _going_on(render: FoundRender) -> bool:
    # A status that is not documented is taken for one that goes on: that never pays twice.
    return render.status not in {"done", "error", "timeout"}


def _why_not(render: FoundRender) -> str:
    if render.status == "error":
        return f"Render {render.project} of this task failed, which cost nothing."
    if render.status == "timeout":
        return f"Render {render.project} of this task is still in 'timeout'; should it finish, it is charged too."
    return f"Render {render.project} of this task is done, and its file is gone (deleted, or older than 7 days)."


def _age(render: FoundRender) -> tuple[bool, float, str]:
    created = render.created_at
    return (created is None, created.timestamp() if created else 0.0, render.project)
