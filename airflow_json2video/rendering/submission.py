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
) -> Decision:
    """Decide about one submission from what the account's list shows.

    :param found: the renders with this task instance's stamp, whatever their generation, in any
        order; ``None`` if the list could not be read, which is *unknown* and not *absent*.
    :param mine: the stamp that this attempt would submit with.
    :param answer_lost: whether this attempt has sent a submission and its answer was lost. A later
        attempt asks with ``False``: what an earlier one did is for the list to tell.
    :param looks: how often the list has been read so far.
    :param on_ambiguous: what absence after :data:`SETTLE_LOOKS` looks means when an answer was lost.
    :param on_clear: whether a task that a person cleared pays for a new render or reuses the old one.
    """
    if found is None:
        return Decision(
            Action.STOP,
            f"The account's list could not be read, so it is not known whether a render with submission key "
            f"{mine.submission_key} exists. Nothing was submitted.",
        )
    same, notes = [], []
    for render in sorted(found, key=_age):
        if render.stamp.fingerprint != mine.fingerprint:
            notes.append(
                f"Render {render.project} ({render.status}) is of this task but of another document, so it is "
                "not adopted."
            )
        elif render.stamp.generation != mine.generation and on_clear == "resubmit" and not _going_on(render):
            notes.append(
                f"Render {render.project} ({render.status}) is from before the task was cleared, so it is not "
                "adopted (on_clear='resubmit')."
            )
        else:
            same.append(render)
    usable = [r for r in same if _going_on(r) or (r.status == "done" and r.has_file)]
    stalled = [r for r in same if r.status == "timeout"]
    if stalled and not usable and looks < 2:
        return Decision(
            Action.LOOK_AGAIN,
            f"Render {stalled[0].project} of this task is reported as 'timeout' and may still finish: one more look "
            "before a new one is paid for.",
            warnings=tuple(notes),
        )
    if usable:
        first = usable[0]
        if len(usable) > 1:
            projects = ", ".join(r.project for r in usable)
            notes.append(
                f"Several renders carry submission key {mine.submission_key}: {projects}. Each may have been "
                f"charged; the oldest usable one, {first.project}, is adopted."
            )
        return Decision(
            Action.ADOPT,
            f"Found render {first.project} of this task, {first.status}: adopted, nothing new is paid for.",
            project=first.project,
            warnings=tuple(notes),
        )
    notes += [_why_not(render) for render in same]
    absent = f"The account's list shows no render with submission key {mine.submission_key}"
    if not same and looks < SETTLE_LOOKS:
        return Decision(Action.LOOK_AGAIN, f"{absent} yet.", warnings=tuple(notes))
    if answer_lost and not same:
        if on_ambiguous == "fail":
            return Decision(
                Action.STOP,
                f"The answer to the submission was lost. {absent} after {looks} looks, and it is not known whether "
                "it will. Nothing more was submitted.",
                warnings=tuple(notes),
            )
        notes.append(
            f"The answer to the submission was lost. {absent} after {looks} looks: submitting once more "
            "(on_ambiguous='resubmit'), at the risk of paying twice."
        )
    return Decision(Action.SUBMIT, "No usable render of this task exists.", warnings=tuple(notes))


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
