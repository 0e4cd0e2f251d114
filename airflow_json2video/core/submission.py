"""Decide whether to submit, adopt, check again or stop. Pure; used by every path that submits.

A submission is paid for and cannot be undone, so the rule is: never send on a guess. What is not known for certain is
looked up in the account's list, and what cannot be looked up is not sent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any, Literal

from airflow_json2video.core.delays import capped
from airflow_json2video.core.identity import Stamp

__all__ = [
    "Action",
    "Decision",
    "FoundRender",
    "OnClear",
    "OnLostResponse",
    "Unconfirmed",
    "backoff",
    "decide_submission",
]

OnLostResponse = Literal["resubmit", "fail"]
OnClear = Literal["resubmit", "reuse"]

_FIRST_CHECK = 5.0
"""Seconds after the last time of sending at which the list is first checked."""
_SECOND_CHECK_OF_TIMEOUT = 10.0
"""Seconds after which a render in status ``timeout`` is checked again before a new one is paid for."""
_MAX_BACKOFF = 300.0


class Action(str, Enum):
    """What an attempt does next."""

    SUBMIT = "submit"
    ADOPT = "adopt"
    CHECK_AGAIN = "check again"
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
class Unconfirmed:
    """A submission that was sent, or may have been, and whose response is unknown.

    :param attempt: the attempt that sent it, or may have died while sending it.
    :param last_sent_at: the last moment at which it can have been sent, epoch seconds.
    :param response_lost: True if this attempt itself sent it and its response was lost; False if it belongs to an
        earlier attempt, and it is unknown whether that one sent anything.
    :param fingerprint: of the document that was sent, if its response was lost: a document that contains the current
        time, for example, changes when the task continues in another process.
    :param one_render: whether *attempt* can have started one render at most. Then a listed render of that attempt is
        the one in question. False if it is unknown how often it submitted, such as for an item of a batch whose ledger
        is lost, or for the command line.
    """

    attempt: int
    last_sent_at: float
    response_lost: bool = False
    fingerprint: str | None = None
    one_render: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Unconfirmed:
        """Read what :meth:`to_json` returned; fields of a newer version are ignored."""
        return cls(**{name: fields[name] for name in cls.__dataclass_fields__ if name in fields})


@dataclass(frozen=True)
class Decision:
    """What to do, and the sentence for the log that says why and what it costs.

    :ivar check_in: seconds until the list is to be read again, with ``Action.CHECK_AGAIN``.
    """

    action: Action
    reason: str
    project: str | None = None
    warnings: tuple[str, ...] = field(default=())
    check_in: float = 0.0


def backoff(failures: int, *, jitter: float) -> float:
    """Return the seconds to wait after this many failures in a row: about 5, 10, 20, and so on up to 300.

    :param failures: 1 or more. :param jitter: a random number from 0 to 1, so that many tasks do not return together.
    """
    doubled = _FIRST_CHECK * 2.0 ** min(max(failures - 1, 0), 10)
    return capped(min(doubled, _MAX_BACKOFF) * (0.75 + 0.5 * jitter))


def decide_submission(
    found: Sequence[FoundRender] | None,
    *,
    mine: Stamp,
    unconfirmed: Unconfirmed | None,
    read_at: float,
    earlier_read_at: float | None = None,
    confirmation_time: float,
    on_lost_response: OnLostResponse = "resubmit",
    on_clear: OnClear = "resubmit",
    last_returned_attempt: int = 0,
) -> Decision:
    """Decide about one submission from what the account's list shows.

    A submission whose response is unknown counts as absent when a list that was read *confirmation_time* after the
    last time of sending does not show it, or as soon as the list shows the render that it started.

    :param found: the renders with this task instance's stamp, whatever their generation, in any
        order; ``None`` if the list could not be read: the result is then *unknown*, not *absent*.
    :param mine: the stamp that this attempt submits with.
    :param unconfirmed: the submission whose response is unknown; ``None`` if every submission was refused with a
        response that says that nothing was started.
    :param read_at: when the read of the list began, epoch seconds, by the clock of *unconfirmed*.
    :param earlier_read_at: when the list was first read for this decision; ``None`` the first time.
    :param confirmation_time: seconds after which a render that was submitted must be in the account's list.
    :param on_lost_response: what absence means when a response was lost.
    :param on_clear: whether a cleared task pays for a new render or reuses the existing one.
    :param last_returned_attempt: the attempt before which all results had been returned when the task was cleared.
        Under ``on_clear="resubmit"`` such a render is not adopted once it has ended. One that the task never returned
        as its result is adopted, however the wait for it was interrupted.
    """
    lost = unconfirmed is not None and unconfirmed.response_lost
    if found is None:
        return Decision(
            Action.STOP,
            "The account's list could not be read, so it is unknown whether a render with submission key "
            f"{mine.submission_key} exists. "
            + ("One submission was sent; nothing more was." if lost else "Nothing was submitted."),
        )
    fingerprints, bare = {mine.fingerprint}, replace(mine, fingerprint="")
    if unconfirmed is not None and unconfirmed.fingerprint is not None:
        fingerprints.add(unconfirmed.fingerprint)
    same, notes = _select_candidates(found, mine, fingerprints, on_clear, last_returned_attempt)
    usable = [r for r in same if _is_running(r) or (r.status == "done" and r.has_file)]
    if usable:
        return _adopt(usable, notes, mine)
    # The whole stamp: a run recreated under an old id had the same key and attempt, perhaps for another document.
    own = [r for r in found if r.stamp.fingerprint in fingerprints and replace(r.stamp, fingerprint="") == bare]
    if lost and own:
        # It has already failed: the wait for it reports how.
        return _adopt(own, notes, mine)
    if any(r.status == "timeout" for r in same):
        waited = 0.0 if earlier_read_at is None else read_at - earlier_read_at
        if waited < _SECOND_CHECK_OF_TIMEOUT:
            reason = "A render of this task is reported as 'timeout' and may still finish: checking once more first."
            check_in = _SECOND_CHECK_OF_TIMEOUT - max(waited, 0.0)
            return Decision(Action.CHECK_AGAIN, reason, warnings=tuple(notes), check_in=check_in)
    if unconfirmed is not None and not _is_absent(unconfirmed, found, read_at - confirmation_time):
        return _check_again(unconfirmed, notes, mine, read_at=read_at, confirmation_time=confirmation_time)
    notes += [_explain_unusable(render) for render in same]
    if lost:
        absent = (
            f"The response to the submission was lost. The account's list does not show it (submission key "
            f"{mine.submission_key}) {confirmation_time:.0f} s later"
        )
        if on_lost_response == "fail":
            return Decision(Action.STOP, f"{absent}. Nothing more was submitted.", warnings=tuple(notes))
        notes.append(f"{absent}: submitting again.")
    return Decision(Action.SUBMIT, "No usable render of this task exists.", warnings=tuple(notes))


def _is_absent(unconfirmed: Unconfirmed, found: Sequence[FoundRender], sent_before: float) -> bool:
    """Return whether that submission started no render, or one that the list shows as ended."""
    # Not after a lost response: its own render is adopted, and others of the same attempt are other submissions.
    is_shown = unconfirmed.one_render and any(r.stamp.attempt == unconfirmed.attempt for r in found)
    return unconfirmed.last_sent_at <= sent_before or (is_shown and not unconfirmed.response_lost)


def _check_again(
    unconfirmed: Unconfirmed, notes: Sequence[str], mine: Stamp, *, read_at: float, confirmation_time: float
) -> Decision:
    age = read_at - unconfirmed.last_sent_at
    left = min(confirmation_time - age, confirmation_time)  # a clock that was set back does not make the wait longer
    whose = "this attempt's submission" if unconfirmed.response_lost else f"attempt {unconfirmed.attempt}"
    reason = (
        f"The account's list shows no render of {whose} yet (submission key {mine.submission_key}). Its absence is "
        f"confirmed in {left:.0f} s."
    )
    # The time since sending doubles from check to check: few checks, most of them early.
    check_in = min(max(age, _FIRST_CHECK), left)
    return Decision(Action.CHECK_AGAIN, reason, warnings=tuple(notes), check_in=check_in)


def _select_candidates(
    found: Sequence[FoundRender],
    mine: Stamp,
    fingerprints: Collection[str],
    on_clear: OnClear,
    last_returned_attempt: int,
) -> tuple[list[FoundRender], list[str]]:
    """Return the renders that may be adopted, this generation's first and oldest first, and why the others may not."""
    same, notes = [], []
    for render in sorted(found, key=lambda r: (-r.stamp.generation, _age(r))):
        if render.stamp.fingerprint not in fingerprints:
            notes.append(f"Render {render.project} ({render.status}) is of another document, so it is not reused.")
        elif on_clear == "resubmit" and _was_returned(render, mine, last_returned_attempt):
            notes.append(
                f"Render {render.project} ({render.status}) is from before the clear of a task that had returned its "
                "result, so it is not reused (on_clear='resubmit')."
            )
        else:
            same.append(render)
    return same, notes


def _adopt(usable: Sequence[FoundRender], notes: Sequence[str], mine: Stamp) -> Decision:
    first = usable[0]
    key = first.stamp.submission_key
    same_key = [r.project for r in usable if r.stamp.submission_key == key]
    warnings = list(notes)
    if len(same_key) > 1:
        warnings.append(
            f"Several renders carry submission key {key}: {', '.join(same_key)}. Each may have been charged; the "
            f"oldest usable one, {first.project}, is reused."
        )
    whose = "of this task" if first.stamp.generation == mine.generation else "of this task, from before it was cleared"
    reason = f"Reattached to render {first.project} ({first.status}) {whose}. No new render was submitted."
    if first.stamp.generation != mine.generation and not _is_running(first):
        reason += " To order a new one, change the document, or set on_clear='resubmit'."
    return Decision(Action.ADOPT, reason, project=first.project, warnings=tuple(warnings))


def _was_returned(render: FoundRender, mine: Stamp, last_returned_attempt: int) -> bool:
    earlier = render.stamp.generation != mine.generation and render.stamp.attempt < last_returned_attempt
    return earlier and not _is_running(render)


def _is_running(render: FoundRender) -> bool:
    # A status that is not documented counts as running, so that nothing is paid for twice.
    return render.status not in {"done", "error", "timeout"}


def _explain_unusable(render: FoundRender) -> str:
    if render.status == "error":
        return f"Render {render.project} of this task failed, which cost nothing."
    if render.status == "timeout":
        return f"Render {render.project} of this task is still in status 'timeout'; if it finishes, it is charged too."
    return f"Render {render.project} of this task is done, and its file is gone (deleted, or older than 7 days)."


def _age(render: FoundRender) -> tuple[bool, float, str]:
    created = render.created_at
    return (created is None, created.timestamp() if created else 0.0, render.project)
