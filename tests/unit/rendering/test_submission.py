from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone

import pytest

from airflow_json2video.rendering.identity import Stamp
from airflow_json2video.rendering.submission import (
    SETTLE_LOOKS,
    Action,
    FoundRender,
    decide_submission,
)

MINE = Stamp(
    deployment="id:here",
    submission_key="d.t-1",
    task_key="task",
    namesake_key="any",
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


def decide(*renders, answer_lost=False, looks=SETTLE_LOOKS, **policy):
    return decide_submission(list(renders), mine=MINE, answer_lost=answer_lost, looks=looks, **policy)


def test_a_listing_that_fails_is_unknown_and_never_leads_to_a_submission():
    for lost in (True, False):
        for policy in ("fail", "resubmit"):
            decision = decide_submission(None, mine=MINE, answer_lost=lost, looks=99, on_ambiguous=policy)
            assert decision.action is Action.STOP
            assert "d.t-1" in decision.reason


@pytest.mark.parametrize("status", ["pending", "running", "a status of next year"])
def test_a_render_that_goes_on_is_adopted(status):
    decision = decide(found(status=status))
    assert (decision.action, decision.project) == (Action.ADOPT, "A" * 16)


def test_a_finished_render_whose_file_is_there_is_adopted():
    assert decide(found(status="done", has_file=True)).action is Action.ADOPT


def test_a_finished_render_whose_file_is_gone_is_submitted_again():
    decision = decide(found(status="done", has_file=False))
    assert decision.action is Action.SUBMIT
    assert "gone" in decision.warnings[0]


def test_a_failed_render_is_submitted_again_since_it_cost_nothing():
    assert decide(found(status="error")).action is Action.SUBMIT


def test_a_stalled_render_gets_one_more_look_before_a_new_one_is_paid_for():
    assert decide(found(status="timeout"), looks=1).action is Action.LOOK_AGAIN
    decision = decide(found(status="timeout"), looks=2)
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


def test_after_a_lost_answer_absence_counts_only_after_all_looks():
    for looks in range(1, SETTLE_LOOKS):
        assert decide(answer_lost=True, looks=looks).action is Action.LOOK_AGAIN
    decision = decide(answer_lost=True, looks=SETTLE_LOOKS)
    assert decision.action is Action.STOP
    assert "d.t-1" in decision.reason


def test_an_author_may_prefer_the_risk_of_paying_twice():
    decision = decide(answer_lost=True, on_ambiguous="resubmit")
    assert decision.action is Action.SUBMIT
    assert "paying twice" in decision.warnings[0]


def test_a_later_attempt_looks_as_long_before_it_submits_since_the_one_before_may_have_died_while_sending():
    for looks in range(1, SETTLE_LOOKS):
        assert decide(looks=looks).action is Action.LOOK_AGAIN
    assert decide(looks=SETTLE_LOOKS).action is Action.SUBMIT


def test_clearing_a_task_that_has_given_its_result_pays_again_unless_on_clear_is_reuse():
    before = found(status="done", has_file=True, generation=0)
    assert decide(before, delivered_before=3).action is Action.SUBMIT
    assert decide(before, delivered_before=3, on_clear="reuse").action is Action.ADOPT


def test_clearing_a_task_that_never_gave_its_result_adopts_the_render_however_it_ended():
    before = found(status="done", has_file=True, generation=0)
    decision = decide(before, delivered_before=0)
    assert decision.action is Action.ADOPT
    assert "from before it was cleared" in decision.reason


def test_of_the_renders_from_before_a_clear_only_those_after_the_last_result_are_adopted():
    delivered = found("A" * 16, "done", has_file=True, generation=-1, attempt=1)
    not_delivered = found("B" * 16, "done", has_file=True, generation=0, attempt=2, minutes=9)
    assert decide(delivered, not_delivered, delivered_before=2).project == "B" * 16
    lost = dataclasses.replace(not_delivered, status="error", has_file=False)
    assert decide(delivered, lost, delivered_before=2).action is Action.SUBMIT


def test_a_render_of_this_generation_is_adopted_whatever_is_said_to_be_delivered():
    assert decide(found(status="done", has_file=True), delivered_before=99).action is Action.ADOPT


def test_clearing_a_task_while_its_render_goes_on_adopts_it():
    assert decide(found(status="running", generation=0)).action is Action.ADOPT


def test_a_render_without_a_date_counts_as_the_youngest():
    undated = dataclasses.replace(found("B" * 16), created_at=None)
    assert decide(undated, found("A" * 16, minutes=9)).project == "A" * 16


def test_after_a_lost_answer_an_earlier_attempts_failed_render_says_nothing_about_this_one():
    for earlier in (found(status="error"), found(status="done"), found(status="timeout")):
        for looks in range(1, SETTLE_LOOKS):
            assert decide(earlier, answer_lost=True, looks=looks).action is Action.LOOK_AGAIN
        assert decide(earlier, answer_lost=True).action is Action.STOP


def test_after_a_lost_answer_this_attempts_own_render_is_taken_however_it_ended():
    for status in ("error", "timeout", "done"):
        decision = decide(found("B" * 16, status=status, attempt=MINE.attempt), answer_lost=True, looks=1)
        assert (decision.action, decision.project) == (Action.ADOPT, "B" * 16)


def test_a_later_attempt_need_not_wait_if_the_list_shows_how_the_one_before_ended():
    assert decide(found(status="error", attempt=2), looks=1).action is Action.SUBMIT
    # Attempt 1's failure says nothing about attempt 2, which may have died while it was sending.
    assert decide(found(status="error", attempt=1), looks=1).action is Action.LOOK_AGAIN


def test_reusing_after_several_clears_takes_the_youngest_generation_and_does_not_call_them_one_submission():
    old = found("A" * 16, "done", has_file=True, generation=-1, submission_key="older")
    young = found("B" * 16, "done", has_file=True, generation=0, submission_key="old", minutes=9)
    decision = decide(old, young, on_clear="reuse")
    assert decision.project == "B" * 16
    assert decision.warnings == ()


def test_after_a_lost_answer_a_render_of_another_document_is_not_this_attempts_own_whatever_its_key():
    """A run that is deleted and made again under its id has the same key and attempt."""
    other = found("B" * 16, status="done", has_file=True, attempt=MINE.attempt, fingerprint="other")
    assert decide(other, answer_lost=True, looks=1).action is Action.LOOK_AGAIN
    assert decide(other, answer_lost=True).action is Action.STOP
