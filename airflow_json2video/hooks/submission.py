"""Carrying out a submission: asks ``rendering.submission`` what to do, and does just that.

The one place that sends ``POST /movies`` for a task.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_json2video.exceptions import Json2VideoError, Money, RateLimited, SubmissionAmbiguous
from airflow_json2video.rendering.identity import Stamp, read_stamp, stamp
from airflow_json2video.rendering.submission import (
    Action,
    Decision,
    FoundRender,
    OnAmbiguous,
    OnClear,
    decide_submission,
    settle_pause,
)

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.hooks.waiting import TaskLog

__all__ = ["SubmittedRender", "submit_once"]

_LOOK_BACK = timedelta(days=8)
"""A render older than its file's seven days is of no use to an attempt, so older ones are not listed."""

_LOOK_AHEAD = timedelta(days=1)
"""The service's clock may be ahead of ours."""

_FAILED_LISTINGS = 3
"""Listings that may fail in a row, each with the client's own retries, before the attempt gives up."""


@dataclass(frozen=True)
class SubmittedRender:
    """A render that belongs to this task now.

    :param submitted_at: epoch seconds; for an adopted render, when the service created it.
    """

    project: str
    submitted_at: float
    adopted: bool


def submit_once(
    client: Json2VideoClient,
    document: Mapping[str, Any],
    *,
    mark: Stamp | None,
    later_attempt: bool,
    on_ambiguous: OnAmbiguous = "fail",
    on_clear: OnClear = "resubmit",
    log: TaskLog,
    sleep: Callable[[float], None] = time.sleep,
) -> SubmittedRender:
    """Submit *document*, or adopt the render that an earlier attempt of this task started.

    Dying anywhere in here loses nothing: the stamp is inside the document, so what was sent is in the
    account's list, where the next attempt finds it.

    :param mark: the stamp to send; ``None`` sends the document as it is and gives up adoption.
    :param later_attempt: whether an earlier attempt may have submitted already.
    :raises SubmissionAmbiguous: it is not known whether a render was started; nothing more was sent.
    :raises Json2VideoError: the service refused, or could not be reached.
    """
    if mark is None:
        try:
            return _post(client, document)
        except Json2VideoError as error:
            if error.money is not Money.UNKNOWN:
                raise
            raise SubmissionAmbiguous(
                f"The submission was sent, and it is not known whether a render was started: {error.message}",
                retryable=False,
                advice="With durable=False it cannot be looked up. Look into the renders of the account; a retry "
                "submits again and may pay twice.",
            ) from error

    if later_attempt:
        found = _settle(client, mark, lost=None, on_ambiguous=on_ambiguous, on_clear=on_clear, log=log, sleep=sleep)
        if found is not None:
            return found
    try:
        return _post(client, stamp(document, mark))
    except Json2VideoError as error:
        if error.money is not Money.UNKNOWN:
            raise
        lost = error
        log.warning(
            "The answer to the submission was lost (%s). Looking for the render in the account's list.",
            error.message,
        )
    found = _settle(client, mark, lost=lost, on_ambiguous=on_ambiguous, on_clear=on_clear, log=log, sleep=sleep)
    # on_ambiguous="resubmit", and the list shows nothing: the author prefers the risk.
    return found if found is not None else _post(client, stamp(document, mark))


def _post(client: Json2VideoClient, document: Mapping[str, Any]) -> SubmittedRender:
    from airflow_json2video.api import calls

    submitted_at = time.time()
    project = client.execute(calls.submit_movie(document)).project
    return SubmittedRender(project=project, submitted_at=submitted_at, adopted=False)


def _settle(
    client: Json2VideoClient,
    mark: Stamp,
    *,
    lost: Json2VideoError | None,
    on_ambiguous: OnAmbiguous,
    on_clear: OnClear,
    log: TaskLog,
    sleep: Callable[[float], None],
) -> SubmittedRender | None:
    """Look until it is certain: the render to adopt, or ``None`` if one is to be submitted."""
    looks = failures = 0
    if lost is not None:
        sleep(settle_pause(0))
    while True:
        found, trouble = _list_renders(client, mark)
        if found is None:
            failures += 1
            if failures < _FAILED_LISTINGS:
                log.warning("The account's list could not be read: %s", trouble)
                sleep(settle_pause(failures))
                continue
        else:
            looks += 1
        decision = decide_submission(
            found,
            mine=mark,
            answer_lost=lost is not None,
            looks=looks,
            on_ambiguous=on_ambiguous,
            on_clear=on_clear,
        )
        if decision.action is Action.LOOK_AGAIN:
            log.info("%s Next look in %.0fs.", decision.reason, settle_pause(looks))
            sleep(settle_pause(looks))
            continue
        for warning in decision.warnings:
            log.warning("%s", warning)
        if decision.action is Action.STOP:
            raise _stopped(decision, mark, lost=lost, trouble=trouble)
        log.info("%s", decision.reason)
        if decision.action is Action.SUBMIT:
            return None
        adopted = next(r for r in found or () if r.project == decision.project)
        created = adopted.created_at.timestamp() if adopted.created_at else time.time()
        return SubmittedRender(project=adopted.project, submitted_at=created, adopted=True)


def _list_renders(client: Json2VideoClient, mark: Stamp) -> tuple[list[FoundRender] | None, Json2VideoError | None]:
    now = datetime.now(timezone.utc)
    renders = []
    try:
        # Explicit dates: the list's default start is the first of the month and hides last night's render.
        for movie in client.movies(date_start=now - _LOOK_BACK, date_end=now + _LOOK_AHEAD):
            theirs = read_stamp(movie.client_data, movie.json_text)
            if theirs is None or theirs.task_key != mark.task_key:
                continue
            renders.append(
                FoundRender(
                    project=movie.project,
                    status=movie.status,
                    created_at=_moment(movie.created_at),
                    has_file=bool(movie.url),
                    stamp=theirs,
                )
            )
    except Json2VideoError as error:
        if not error.retryable:
            raise
        return None, error
    return renders, None


def _moment(text: str | datetime | None) -> datetime | None:
    if text is None or isinstance(text, datetime):
        return text
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None


def _stopped(
    decision: Decision, mark: Stamp, *, lost: Json2VideoError | None, trouble: Json2VideoError | None
) -> Json2VideoError:
    if isinstance(lost, RateLimited) and trouble is None:
        lost.money = Money.NOT_SPENT
        lost.advice = "The account's list shows no render of it, so nothing was paid for."
        return lost
    return SubmissionAmbiguous(
        decision.reason if trouble is None else f"{decision.reason} ({trouble.message})",
        service_message=lost.service_message if lost else None,
        # What could not be listed now can be listed later; what the list does not show, a person has to judge.
        retryable=trouble is not None,
        advice=(
            f"Look for 'submission_key': '{mark.submission_key}' in the client-data of the account's renders "
            "(GET /movies, or the render logs of the dashboard). If it is there, clear the task with "
            "on_clear='reuse'; if not, clear it to submit again."
        ),
    )
