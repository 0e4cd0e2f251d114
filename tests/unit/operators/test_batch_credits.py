"""A batch submits nothing beyond min_remaining_credits, and waits for credits without a worker slot if it is to."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_json2video.exceptions import (
    BatchFailed,
    ConfigurationError,
    CreditReserveReached,
    QuotaExhausted,
    find_error,
)
from airflow_json2video.triggers.batch import Json2VideoBatchTrigger
from airflow_json2video.triggers.credits import Json2VideoCreditsTrigger
from tests.unit.conftest import connection_json
from tests.unit.operators.test_batch import (
    ROWS,
    BatchAttempt,
    batch,
    killed,
    lines,
    one_project_each,
    sent,
    shorten_delays,
)
from tests.unit.operators.test_batch_killed import fast, kill_at_every_step

__all__ = ["batch", "fast"]

UNKNOWN = {"scenes": [{"elements": [{"type": "video", "src": "https://example.com/a.mp4"}]}]}


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch):
    shorten_delays(monkeypatch)
    monkeypatch.setattr("airflow_json2video.triggers.credits._FIRST_DELAY", 0.05)


@pytest.fixture
def waiting_batch(batch):
    """Return a function that makes a batch which waits for credits."""

    def make(**arguments):
        return batch(**{"wait_for_credits": timedelta(hours=1), **arguments})

    return make


def resume(attempt, *, until=None):
    """Run steps until the task has its result, or defers to a trigger of this kind."""
    outcome = attempt.deferred
    while outcome is attempt.deferred and (until is None or not isinstance(attempt.deferred.trigger, until)):
        outcome = attempt.fire().next_step()
    return outcome


def start(attempt, *, until=Json2VideoCreditsTrigger):
    attempt.render_templates().start()
    resume(attempt, until=until)
    return attempt


def balances(service):
    """Return how often the balance was read: a page of one render."""
    return sum(r.method == "GET" and "limit=1" in r.query.split("&") for r in service.requests)


def test_nothing_is_submitted_beyond_the_reserve_and_a_retry_reuses_finished_renders(batch, service, tmp_path):
    service.settings.update({"credits": 103})
    first = BatchAttempt(lambda: batch(min_remaining_credits=100))
    with pytest.raises(AirflowFailException, match=r"has 100 credits left.*stopped there: 3 of 7 done") as caught:
        first.run()
    assert isinstance(find_error(caught.value), CreditReserveReached)
    assert "Nothing more was submitted" in str(caught.value)
    assert sent(service) == 3
    assert service.credits_left == 100
    assert [line["status"] for line in lines(tmp_path)] == ["done"] * 3 + ["pending"] * 4
    service.settings.update({"credits": 107})
    second = BatchAttempt(lambda: batch(min_remaining_credits=100), try_number=2, max_tries=3, before=first)
    assert second.run()["done"] == 7
    assert service.posts == 7
    assert one_project_each(service)


def test_renders_of_earlier_steps_count_against_the_reserve_until_they_end(batch, service):
    service.settings.update({"credits": 104, "render_seconds": 5})
    attempt = BatchAttempt(lambda: batch(min_remaining_credits=100, submissions_per_minute=2))
    attempt.render_templates().start()
    assert sent(service) == 2
    attempt.make = lambda: batch(min_remaining_credits=100)
    attempt.deferred.trigger.resume_at = time.time()
    attempt.fire().next_step()
    assert sent(service) == 4
    assert not attempt.deferred.trigger.more_to_submit


def test_a_reserve_reached_by_renders_in_flight_is_checked_again_when_they_have_ended(batch, service):
    service.settings.update({"credits": 105, "render_seconds": 0.3})
    service.add_fault("render", status="error", message="Failed to download x", times=2)
    rules = {"min_remaining_credits": 100, "max_failures": None}
    result = BatchAttempt(lambda: batch(**rules)).run()
    assert (result["done"], result["failed"]) == (5, 2)
    assert service.credits_left == 100


@pytest.mark.parametrize("balance", [600, 103])
def test_the_balance_is_read_once_per_step(batch, service, balance):
    service.settings.update({"credits": balance})
    attempt = BatchAttempt(lambda: batch(min_remaining_credits=100))
    attempt.render_templates().start()
    assert (sent(service), balances(service)) == (min(7, balance - 100), 1)


def test_the_balance_is_read_again_before_an_item_without_an_estimate(batch, service):
    attempt = BatchAttempt(lambda: batch(movie=UNKNOWN, items=ROWS[:3], min_remaining_credits=100))
    attempt.render_templates().start()
    assert [r.method for r in service.requests] == ["GET", "POST"] * 3


def test_the_movie_of_a_stored_template_is_read_once_per_step_and_estimated(batch, service):
    service.settings.update({"credits": 105})
    service.add_template({"variables": {"city": ""}, "scenes": [{"duration": 2}]}, id="t" * 20)
    attempt = BatchAttempt(lambda: batch(movie=None, template="t" * 20, min_remaining_credits=100))
    with pytest.raises(AirflowFailException, match="about 2 credits"):
        attempt.run()
    assert (sent(service), service.credits_left) == (2, 101)


def test_without_a_reserve_the_balance_is_not_read(batch, service):
    attempt = BatchAttempt(batch)
    attempt.render_templates().start()
    assert {r.method for r in service.requests} == {"POST"}


def test_a_balance_that_cannot_be_read_for_a_while_is_an_outage(batch, service, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=service.url, retries=0))
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=2)
    assert BatchAttempt(lambda: batch(min_remaining_credits=100)).run()["done"] == 7
    assert one_project_each(service)


def test_nothing_is_submitted_if_the_service_refuses_to_return_the_balance(batch, service):
    service.add_fault("answer", method="GET", path="/v2/movies", status=403, body={"message": "No"}, times=None)
    with pytest.raises(AirflowFailException):
        BatchAttempt(lambda: batch(min_remaining_credits=1)).run()
    assert service.posts == 0


@pytest.mark.parametrize(("reserve", "balance"), [(None, 0), (100, 100)])
def test_a_batch_waits_for_credits_in_the_triggerer_and_then_continues(waiting_batch, service, reserve, balance):
    service.settings.update({"credits": balance})
    attempt = start(BatchAttempt(lambda: waiting_batch(min_remaining_credits=reserve)))
    assert attempt.deferred.method_name == "resume_submission"
    assert attempt.deferred.trigger.min_credits == balance + 1
    assert not service.submitted
    service.settings.update({"credits": balance + 7})
    attempt.fire().next_step()
    assert resume(attempt)["done"] == 7
    assert one_project_each(service)


def test_renders_in_flight_are_waited_for_before_credits(waiting_batch, service):
    service.settings.update({"credits": 103, "render_seconds": 0.3})
    attempt = BatchAttempt(lambda: waiting_batch(min_remaining_credits=100))
    attempt.render_templates().start()
    assert isinstance(attempt.deferred.trigger, Json2VideoBatchTrigger)
    assert len(attempt.deferred.trigger.renders) == 3
    resume(attempt, until=Json2VideoCreditsTrigger)
    assert attempt.xcoms["json2video_progress"].startswith("3 of 7 done")
    assert attempt.deferred.trigger.min_credits == 101
    service.settings.update({"credits": 107})
    attempt.fire().next_step()
    assert resume(attempt)["done"] == 7
    assert service.posts == 7


def test_a_row_refused_for_lack_of_credits_is_submitted_again(waiting_batch, service):
    service.add_fault("answer", method="POST", path="/v2/movies", canned="no-credits", nth=4)
    assert BatchAttempt(waiting_batch).run()["done"] == 7
    assert one_project_each(service)
    assert len(service.renders()) == 7


def test_while_renders_in_flight_are_waited_for_no_balance_is_read_and_nothing_submitted(waiting_batch, service):
    service.settings.update({"credits": 103, "render_seconds": 5})
    attempt = BatchAttempt(lambda: waiting_batch(min_remaining_credits=100))
    attempt.render_templates().start()
    before = (sent(service), balances(service))
    attempt.deferred.trigger.resume_at = time.time()  # as for a lookup of an unconfirmed item
    attempt.fire().next_step()
    assert (sent(service), balances(service)) == before == (3, 1)


def test_a_row_refused_for_lack_of_credits_counts_as_never_sent(waiting_batch, service):
    service.add_fault("answer", method="POST", path="/v2/movies", canned="no-credits", nth=1)
    service.add_fault("answer", method="POST", path="/v2/movies", status=500, nth=2)
    attempt = start(BatchAttempt(lambda: waiting_batch(items=ROWS[:1], on_lost_response="resubmit")))
    service.settings.update({"credits": 700})
    attempt.fire().next_step()
    assert resume(attempt)["done"] == 1
    assert (sent(service), len(service.renders())) == (3, 1)


def test_the_wait_for_credits_only_reads_and_its_trigger_contains_no_secret(waiting_batch, service):
    service.settings.update({"credits": 0})
    attempt = start(BatchAttempt(waiting_batch))
    before = len(service.requests)
    service.settings.update({"credits": 7})
    attempt.fire()
    assert [(r.method, r.path) for r in service.requests][before:] == [("GET", "/v2/movies")]
    assert "a-key-of-the-tests" not in json.dumps(attempt.deferred.trigger.serialize())


@pytest.mark.parametrize(("reserve", "error"), [(None, QuotaExhausted), (100, CreditReserveReached)])
def test_after_the_limit_of_the_wait_the_task_fails_with_the_refusal(waiting_batch, service, tmp_path, reserve, error):
    service.settings.update({"credits": reserve or 0})
    make = lambda: waiting_batch(min_remaining_credits=reserve, wait_for_credits=timedelta(seconds=0.5))  # noqa: E731
    with pytest.raises(AirflowFailException, match="The time of wait_for_credits is over") as caught:
        BatchAttempt(make).run()
    assert isinstance(find_error(caught.value), error)
    assert {line["status"] for line in lines(tmp_path)} == {"pending"}


def test_one_limit_holds_for_all_waits_and_repeated_refusals_are_checked_less_often(waiting_batch, service):
    service.add_fault("answer", method="POST", path="/v2/movies", canned="no-credits", nth=[1, 2, 5, 6], times=None)
    attempt = start(BatchAttempt(waiting_batch))
    first = attempt.deferred.trigger
    attempt.event = None
    attempt.next_step()
    again = attempt.deferred.trigger
    assert (again.deadline, first.attempt, again.attempt) == (first.deadline, 0, 1)
    attempt.next_step()
    resume(attempt, until=Json2VideoCreditsTrigger)
    later = attempt.deferred.trigger
    assert (later.deadline, later.attempt) == (first.deadline, 0)
    assert len(service.renders()) == 2


def test_an_execution_timeout_ends_the_wait_for_credits(waiting_batch, service):
    service.settings.update({"credits": 0})
    attempt = BatchAttempt(lambda: waiting_batch(execution_timeout=timedelta(seconds=30)))
    attempt.context["ti"].start_date = datetime.now(timezone.utc)
    start(attempt)
    assert attempt.deferred.trigger.deadline <= time.time() + 30


def test_state_lost_during_a_wait_for_credits_is_rebuilt_from_the_list_and_the_event(waiting_batch, service):
    service.settings.update({"credits": 103})
    attempt = start(BatchAttempt(lambda: waiting_batch(min_remaining_credits=100)))
    until = attempt.deferred.trigger.deadline
    attempt.event = {"requests": 1, "min_credits": 101, "deadline": until, "attempt": 0}
    attempt.xcoms.clear()
    attempt.next_step()
    resume(attempt, until=Json2VideoCreditsTrigger)
    assert (attempt.deferred.trigger.deadline, attempt.deferred.trigger.attempt) == (until, 1)
    service.settings.update({"credits": 107})
    attempt.fire().next_step()
    assert resume(attempt)["done"] == 7
    assert service.posts == 7
    assert one_project_each(service)


def test_an_attempt_after_one_killed_during_a_wait_for_credits_renders_only_what_is_missing(waiting_batch, service):
    service.settings.update({"credits": 103})
    first = start(BatchAttempt(lambda: waiting_batch(min_remaining_credits=100)))
    service.settings.update({"credits": 107})
    assert BatchAttempt(lambda: waiting_batch(min_remaining_credits=100), try_number=2, before=first).run()["done"] == 7
    assert service.posts == 7
    assert one_project_each(service)


def test_the_next_attempt_reattaches_to_the_render_of_a_worker_killed_right_after_the_wait(waiting_batch, service):
    service.settings.update({"credits": 0})
    first = start(BatchAttempt(waiting_batch))
    service.settings.update({"credits": 7})
    with killed(after_posts=1):
        first.fire().next_step()
    assert len(service.submitted) == 1
    assert BatchAttempt(waiting_batch, try_number=2, before=first).run()["done"] == 7
    assert one_project_each(service)


@pytest.mark.usefixtures("fast")
def test_a_kill_at_any_step_around_a_wait_for_credits_pays_for_one_render_of_each_row(waiting_batch, service):
    rows = ROWS[:2]

    def make(run_id):
        return waiting_batch(items=rows, min_remaining_credits=100, poll_interval=0.02)

    def run(first, before):  # each render costs one credit
        service.settings.update({"credits": before + 101})
        start(first)
        rerun(before)
        first.fire().next_step()
        resume(first)

    def rerun(before):
        service.settings.update({"credits": before + 102})

    assert kill_at_every_step(make, run, rerun, service, len(rows)) > 10


def test_a_lost_response_is_not_a_refusal_for_lack_of_credits(waiting_batch, service):
    service.add_fault("lost", method="POST", path="/v2/movies", nth=2)
    assert BatchAttempt(lambda: waiting_batch(min_remaining_credits=100)).run()["done"] == 7
    assert service.posts == 7


def test_wait_for_credits_can_be_a_template(batch, service):
    service.settings.update({"credits": 0})
    make = lambda: batch(wait_for_credits="{{ until }}")  # noqa: E731
    attempt = start(BatchAttempt(make, names={"until": "2099-01-01T06:00:00Z"}))
    assert attempt.deferred.trigger.deadline == datetime(2099, 1, 1, 6, tzinfo=timezone.utc).timestamp()


def test_an_invalid_wait_for_credits_fails_before_anything_is_submitted(waiting_batch, service):
    with pytest.raises(AirflowFailException, match="is not a time"):
        BatchAttempt(lambda: waiting_batch(wait_for_credits="tomorrow")).run()
    assert service.posts == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"wait_for_credits": 3600}, "wait_for_credits must be a timedelta"),
        ({"max_credits": -1}, "max_credits must be a number of credits"),
        ({"min_remaining_credits": "ten"}, "min_remaining_credits must be a number of credits"),
    ],
)
def test_wrong_arguments_about_credits_are_refused_when_the_dag_is_parsed(batch, arguments, why):
    with pytest.raises(ConfigurationError, match=why):
        batch(**arguments)


def test_a_batch_whose_execution_timeout_passed_is_retried_and_does_not_count_as_without_credits(batch, service):
    service.settings.update({"credits": 102, "render_seconds": 2})
    attempt = BatchAttempt(lambda: batch(min_remaining_credits=100, execution_timeout=timedelta(seconds=1)))
    attempt.context["ti"].start_date = datetime.now(timezone.utc)
    with pytest.raises(BatchFailed, match="execution_timeout has passed"):
        attempt.run()
    assert service.posts == 2
