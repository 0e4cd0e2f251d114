from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone

import pytest

from airflow_json2video.core.identity import Stamp
from airflow_json2video.core.submission import (
    Action,
    FoundRender,
    Unconfirmed,
    backoff,
    decide_submission,
)

MINE = Stamp(
    deployment="id:here",
    submission_key="d.t-1",
    task_key="task",
    name_key="any",
    generation=1,
    attempt=3,
    fingerprint="same",
)
NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)


def found(project="A" * 16, status="running", *, minutes=0, has_file=False, **stamp):
    return FoundRender(
        project=project,
        status=status,
        created_at=NOON + timedelta(minutes=minutes),
        has_file=has_file,
        stamp=dataclasses.replace(MINE, **{"attempt": MINE.attempt - 1, **stamp}),
    )


SENT = 1_000_000.0
CONFIRMATION_TIME = 300.0
EARLIER = Unconfirmed(attempt=MINE.attempt - 1, last_sent_at=SENT)
LOST = Unconfirmed(attempt=MINE.attempt, last_sent_at=SENT, response_lost=True, fingerprint=MINE.fingerprint)


def decide(*renders, unconfirmed=EARLIER, after=CONFIRMATION_TIME, **policy):
    """Return the decision on a list that was read this long after the last time of sending."""
    policy.setdefault("confirmation_time", CONFIRMATION_TIME)
    return decide_submission(list(renders), mine=MINE, unconfirmed=unconfirmed, read_at=SENT + after, **policy)


def test_nothing_is_submitted_if_the_list_cannot_be_read():
    for unconfirmed in (EARLIER, LOST, None):
        for policy in ("fail", "resubmit"):
            decision = decide_submission(
                None,
                mine=MINE,
                unconfirmed=unconfirmed,
                read_at=SENT + 1e6,
                confirmation_time=CONFIRMATION_TIME,
                on_lost_response=policy,
            )
            assert decision.action is Action.STOP
            assert "d.t-1" in decision.reason


@pytest.mark.parametrize("status", ["pending", "running", "a status of next year"])
def test_a_running_render_is_adopted(status):
    decision = decide(found(status=status))
    assert (decision.action, decision.project) == (Action.ADOPT, "A" * 16)


def test_a_finished_render_with_a_file_is_adopted():
    assert decide(found(status="done", has_file=True)).action is Action.ADOPT


def test_a_finished_render_without_a_file_is_submitted_again():
    decision = decide(found(status="done", has_file=False))
    assert decision.action is Action.SUBMIT
    assert "gone" in decision.warnings[0]


def test_a_failed_render_is_submitted_again():
    decision = decide(found(status="error"))
    assert decision.action is Action.SUBMIT
    assert "failed, which cost nothing" in decision.warnings[0]


def test_a_timed_out_render_is_checked_again_before_a_new_one_is_paid_for():
    first = decide(found(status="timeout"))
    assert (first.action, first.check_in) == (Action.CHECK_AGAIN, 10.0)
    read_at = SENT + CONFIRMATION_TIME
    soon = decide(found(status="timeout"), earlier_read_at=read_at - 4.0)
    assert (soon.action, soon.check_in) == (Action.CHECK_AGAIN, 6.0)
    clock_went_back = decide(found(status="timeout"), earlier_read_at=read_at + 7200.0)
    assert (clock_went_back.action, clock_went_back.check_in) == (Action.CHECK_AGAIN, 10.0)
    decision = decide(found(status="timeout"), earlier_read_at=read_at - 10.0)
    assert decision.action is Action.SUBMIT
    assert "charged too" in decision.warnings[0]


def test_a_render_of_another_document_is_not_adopted_and_named():
    decision = decide(found(fingerprint="other"))
    assert decision.action is Action.SUBMIT
    assert "another document" in decision.warnings[0]


def test_of_several_usable_renders_the_oldest_is_adopted_and_all_are_named():
    decision = decide(found("B" * 16, minutes=5), found("A" * 16, minutes=1), found("C" * 16, "error"))
    assert decision.project == "A" * 16
    assert "A" * 16 in decision.warnings[-1]
    assert "B" * 16 in decision.warnings[-1]


def test_an_older_failed_render_does_not_hide_a_younger_usable_one():
    assert decide(found("B" * 16, "error"), found("A" * 16, minutes=9)).project == "A" * 16


@pytest.mark.parametrize("unconfirmed", [EARLIER, LOST], ids=["an earlier attempt", "a lost response"])
def test_absence_is_confirmed_five_minutes_after_the_last_moment_of_sending(unconfirmed):
    for after in (-7200.0, 0.0, 5.0, 70.0, 299.9):
        assert decide(unconfirmed=unconfirmed, after=after).action is Action.CHECK_AGAIN
    assert decide(unconfirmed=unconfirmed, after=300.0).action is Action.SUBMIT
    assert decide(unconfirmed=unconfirmed, after=19.9, confirmation_time=20.0).action is Action.CHECK_AGAIN
    assert decide(unconfirmed=unconfirmed, after=20.0, confirmation_time=20.0).action is Action.SUBMIT


def test_the_list_is_checked_often_at_first_and_at_the_confirmation_time():
    checks, after = [], 5.0
    while (decision := decide(unconfirmed=LOST, after=after)).action is Action.CHECK_AGAIN:
        checks.append(after)
        after += decision.check_in
    assert (checks, after) == ([5.0, 10.0, 20.0, 40.0, 80.0, 160.0], 300.0)


def test_a_clock_that_was_set_back_does_not_extend_the_wait():
    assert 0 < decide(unconfirmed=LOST, after=-7200.0).check_in <= CONFIRMATION_TIME


def test_after_a_lost_response_on_lost_response_decides():
    decision = decide(unconfirmed=LOST)
    assert decision.action is Action.SUBMIT
    assert "submitting again" in decision.warnings[-1]
    failed = decide(unconfirmed=LOST, on_lost_response="fail")
    assert failed.action is Action.STOP
    assert "d.t-1" in failed.reason


def test_a_later_attempt_submits_with_either_on_lost_response():
    assert decide(on_lost_response="fail").action is Action.SUBMIT


def test_after_a_refusal_that_started_nothing_one_reading_of_the_list_is_enough():
    assert decide(unconfirmed=None, after=0.0).action is Action.SUBMIT
    assert decide(found(attempt=MINE.attempt), unconfirmed=None, after=0.0).action is Action.ADOPT


def test_the_backoff_doubles_with_jitter_and_never_overflows():
    assert [backoff(n, jitter=0.5) for n in range(1, 9)] == [5, 10, 20, 40, 80, 160, 300, 300]
    assert (backoff(1, jitter=0.0), backoff(1, jitter=1.0)) == (3.75, 6.25)
    assert backoff(100_000, jitter=1.0) == 375


def test_clearing_a_delivered_task_pays_again_unless_on_clear_is_reuse():
    before = found(status="done", has_file=True, generation=0)
    assert decide(before, last_returned_attempt=3).action is Action.SUBMIT
    assert decide(before, last_returned_attempt=3, on_clear="reuse").action is Action.ADOPT


def test_clearing_an_undelivered_task_adopts_its_render():
    before = found(status="done", has_file=True, generation=0)
    decision = decide(before, last_returned_attempt=0)
    assert decision.action is Action.ADOPT
    assert "from before it was cleared" in decision.reason


def test_after_a_clear_only_renders_after_the_last_result_are_adopted():
    returned = found("A" * 16, "done", has_file=True, generation=-1, attempt=1)
    not_returned = found("B" * 16, "done", has_file=True, generation=0, attempt=2, minutes=9)
    assert decide(returned, not_returned, last_returned_attempt=2).project == "B" * 16
    lost = dataclasses.replace(not_returned, status="error", has_file=False)
    assert decide(returned, lost, last_returned_attempt=2).action is Action.SUBMIT


def test_a_render_of_this_generation_is_always_adopted():
    assert decide(found(status="done", has_file=True), last_returned_attempt=99).action is Action.ADOPT


def test_clearing_a_task_while_its_render_is_running_adopts_it():
    assert decide(found(status="running", generation=0)).action is Action.ADOPT


def test_a_render_without_a_date_counts_as_the_youngest():
    undated = dataclasses.replace(found("B" * 16), created_at=None)
    assert decide(undated, found("A" * 16, minutes=9)).project == "A" * 16


def test_after_a_lost_response_a_failed_render_of_an_earlier_attempt_does_not_count():
    for earlier in (found(status="error"), found(status="done"), found(status="timeout")):
        for after in (5.0, 299.0):
            decision = decide(earlier, unconfirmed=LOST, after=after, earlier_read_at=SENT - 60)
            assert decision.action is Action.CHECK_AGAIN
        assert decide(earlier, unconfirmed=LOST, earlier_read_at=SENT).action is Action.SUBMIT


def test_after_a_lost_response_the_attempts_own_render_is_adopted_even_if_it_failed():
    for status in ("error", "timeout", "done"):
        decision = decide(found("B" * 16, status=status, attempt=MINE.attempt), unconfirmed=LOST, after=5.0)
        assert (decision.action, decision.project) == (Action.ADOPT, "B" * 16)


def test_a_lost_response_belongs_to_the_sent_document_even_if_it_has_changed():
    """The task continues in another process, where ``{{ macros.datetime.now() }}`` has another value."""
    lost = dataclasses.replace(LOST, fingerprint="as it was sent")
    for status in ("running", "error"):
        render = found("B" * 16, status=status, attempt=MINE.attempt, fingerprint="as it was sent")
        assert decide(render, unconfirmed=lost, after=5.0).project == "B" * 16


def test_a_later_attempt_does_not_wait_if_the_list_shows_the_previous_render():
    assert decide(found(status="error", attempt=2), after=1.0).action is Action.SUBMIT
    # Attempt 1's failure says nothing about attempt 2, which may have died while it was sending.
    assert decide(found(status="error", attempt=1), after=1.0).action is Action.CHECK_AGAIN


def test_one_render_does_not_resolve_an_attempt_that_may_have_submitted_twice():
    """An item of a batch whose ledger is lost: its first render failed, and the second is not listed yet."""
    unknown = dataclasses.replace(EARLIER, one_render=False)
    assert decide(found(status="error", attempt=2), unconfirmed=unknown, after=299.0).action is Action.CHECK_AGAIN
    assert decide(found(status="error", attempt=2), unconfirmed=unknown).action is Action.SUBMIT


def test_reuse_after_several_clears_adopts_the_latest_generation():
    old = found("A" * 16, "done", has_file=True, generation=-1, submission_key="older")
    young = found("B" * 16, "done", has_file=True, generation=0, submission_key="old", minutes=9)
    decision = decide(old, young, on_clear="reuse")
    assert decision.project == "B" * 16
    assert decision.warnings == ()


def test_after_a_lost_response_a_render_of_another_document_is_not_adopted():
    """A run that is deleted and made again under its id has the same key and attempt."""
    other = found("B" * 16, status="done", has_file=True, attempt=MINE.attempt, fingerprint="other")
    assert decide(other, unconfirmed=LOST, after=5.0).action is Action.CHECK_AGAIN
    assert decide(other, unconfirmed=LOST).action is Action.SUBMIT


def test_an_unconfirmed_submission_survives_json_and_ignores_unknown_fields():
    for facts in (EARLIER, LOST):
        assert Unconfirmed.from_json({**facts.to_json(), "of_next_year": 1}) == facts
