"""Deadlines, delays, outages and wrong clocks of a submission."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import replace

import pytest

from airflow_json2video.api.client import Json2VideoClient
from airflow_json2video.core.submission import Unconfirmed
from airflow_json2video.core.submission_state import SubmissionPaused, SubmissionState
from airflow_json2video.exceptions import (
    Billing,
    HostNotResolved,
    Json2VideoError,
    ServerError,
    SubmissionUnconfirmed,
)
from tests.unit.submission.support import NOT_STARTED, TASK, FakeClock

pytestmark = pytest.mark.usefixtures("no_backoff")


def test_the_delays_between_refusals_grow_until_the_deadline(submission, service, monkeypatch):
    monkeypatch.undo()
    body = {"success": False, "message": NOT_STARTED[1]}
    service.add_fault("answer", method="POST", path="/v2/movies", status=500, body=body, times=None)
    passed = FakeClock()
    with pytest.raises(Json2VideoError, match=r"time limit for submitting.*starting subprocess") as caught:
        submission(until=passed.clock() + 600, clock=passed.clock, sleep=passed.sleep).run()
    assert caught.value.retryable
    assert caught.value.billing is Billing.NOT_CHARGED
    assert passed.delays == sorted(passed.delays[:-1]) + passed.delays[-1:]
    assert passed.seconds == pytest.approx(600, abs=5)
    assert 7 <= [r.method for r in service.requests].count("POST") <= 8


def test_a_429_is_retried_after_the_delay_that_the_service_requests(submission, service):
    service.add_fault("answer", method="POST", path="/v2/movies", status=429, retry_after=7)
    waited = []
    assert not submission(until=time.time() + 60, sleep=waited.append).run().adopted
    assert waited == [7.01]
    assert len(service.renders()) == 1


def test_a_render_that_is_listed_after_four_and_a_half_minutes_is_not_paid_for_twice(submission, service):
    passed = FakeClock(service.clock)
    service.settings.update({"list_delay": 270.0})
    service.add_fault("lost", method="POST", path="/v2/movies")
    found = submission(until=4e9, confirmation_time=300.0, clock=passed.clock, sleep=passed.sleep).run()
    assert found.adopted
    assert (service.posts, len(service.renders())) == (1, 1)


def test_a_long_wait_frees_the_worker_slot_and_continues_in_another_process(submission, service):
    service.add_fault("lost", method="POST", path="/v2/movies", when="before")
    passed = FakeClock()
    state = None
    pauses = []
    while True:
        task = submission(
            state=None if state is None else SubmissionState.from_json(json.loads(json.dumps(state))),
            until=4e9,
            max_hold=15.0,
            confirmation_time=300.0,
            clock=passed.clock,
            sleep=passed.sleep,
        )
        try:
            render = task.run()
        except SubmissionPaused as paused:
            pauses.append(paused.seconds)
            passed.sleep(paused.seconds)
            state = paused.state.to_json()
        else:
            break
    assert not render.adopted
    assert sum(pauses) == pytest.approx(300, abs=40)
    assert len(pauses) <= 5
    assert service.posts == 1  # the one that broke off never arrived


def test_a_time_that_another_machine_recorded_before_any_response_is_not_trusted(submission, service):
    """Its clock may have been hours behind."""
    state = SubmissionState(
        unconfirmed=Unconfirmed(attempt=1, last_sent_at=time.time() - 7200, response_lost=True), on_service_clock=False
    )
    with pytest.raises(SubmissionPaused):
        submission(state=state, max_hold=1.0, until=4e9, confirmation_time=300.0).run()
    assert service.posts == 0


def test_with_the_default_retry_delay_a_retry_needs_one_reading_of_the_list(submission, service):
    submission(attempt=2, previous_attempt_ended_at=time.time() - 300, confirmation_time=300.0).run()
    assert [r.method for r in service.requests] == ["GET", "POST"]


@pytest.mark.parametrize("wrong_by", [-3 * 86400.0, 3 * 86400.0], ids=["behind", "ahead"])
def test_a_worker_whose_clock_is_days_off_does_not_pay_twice(submission, client, service, monkeypatch, wrong_by):
    first = submission(since=time.time() - 3600).run()
    heard, movies = [], client.movies
    monkeypatch.setattr(client, "movies", lambda **options: heard.append(1) or movies(**options))
    again = submission(
        attempt=2,
        since=time.time() - 3600,
        until=float("inf"),
        clock=lambda: time.time() + wrong_by,
        skew=lambda: -wrong_by if heard else 0.0,
    ).run()
    assert (again.project, service.posts) == (first.project, 1)


def test_a_worker_whose_clock_is_ahead_waits_the_full_confirmation_time(submission, service):
    """By this machine's clock the previous attempt ended two hours ago; by the service's it ended just now."""
    with pytest.raises(SubmissionPaused):
        submission(
            attempt=2,
            previous_attempt_ended_at=time.time() - 1.0,
            clock=lambda: time.time() + 7200.0,
            skew=lambda: -7200.0,
            until=4e9,
            max_hold=1.0,
            confirmation_time=300.0,
        ).run()
    assert service.posts == 0


def test_an_outage_shorter_than_the_deadline_does_not_fail_a_later_attempt(submission, service):
    first = submission().run()
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=20)
    assert submission(attempt=2).run().project == first.project


def test_an_unresolvable_host_fails_before_the_deadline_and_is_named(submission, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.undo()  # the pauses are to be real; the clock is not
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    task = submission()
    task.client = Json2VideoClient("key", host="https://api.json2vidoe.invalid/v2", retries=0)
    passed = FakeClock()
    task.clock, task.sleep, task.until = passed.clock, passed.sleep, passed.clock() + 3600
    task.__post_init__()
    with pytest.raises(HostNotResolved, match=r"json2vidoe\.invalid") as caught:
        task.run()
    assert caught.value.retryable
    assert "Nothing was submitted" in str(caught.value)
    assert passed.seconds == pytest.approx(120, abs=1)


def _unreachable(task, monkeypatch, outages):
    """Make the service unreachable for *task* whenever the next of *outages* is true."""
    from airflow_json2video.exceptions import ServiceUnreachable

    execute, outages = task.client.execute, iter(outages)

    def perhaps(call):
        if next(outages, False):
            raise ServiceUnreachable("no connection")
        return execute(call)

    monkeypatch.setattr(task.client, "execute", perhaps)


def test_an_outage_of_ten_minutes_is_survived_with_delays_of_up_to_forty_seconds(submission, service, monkeypatch):
    """Nothing was sent. Only a name that does not resolve ends a first attempt sooner, since it may be mistyped."""
    monkeypatch.undo()
    monkeypatch.setattr("airflow_json2video.submission.submitter.random.random", lambda: 0.5)
    passed = FakeClock()
    task = submission(until=passed.clock() + 3600, clock=passed.clock, sleep=passed.sleep)
    _unreachable(task, monkeypatch, [True] * 17)
    assert not task.run().adopted
    assert passed.delays == [5, 10, 20] + [40] * 14
    assert service.posts == 1


def test_delays_start_small_again_after_an_outage(submission, service, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr("airflow_json2video.submission.submitter.random.random", lambda: 0.5)
    passed = FakeClock()
    task = submission(
        attempt=2, previous_attempt_ended_at=passed.clock() - 900, clock=passed.clock, sleep=passed.sleep, until=4e9
    )
    _unreachable(task, monkeypatch, [True, True, True, False, True])  # three times the list, which answers then
    assert not task.run().adopted
    assert passed.delays == [5, 10, 20, 5]


@pytest.mark.parametrize("skew", [0.0, 7200.0, -7200.0])
def test_an_attempt_may_submit_after_a_confirmation_that_outlasts_its_deadline(submission, service, skew):
    """Otherwise every attempt would start the wait again, and none would submit."""
    passed = FakeClock()
    task = submission(
        attempt=2,
        until=passed.clock() + 250,
        confirmation_time=300.0,
        clock=passed.clock,
        sleep=passed.sleep,
        skew=lambda: skew,
    )
    assert not task.run().adopted
    assert passed.seconds == pytest.approx(300, abs=1)
    assert service.posts == 1


@pytest.mark.parametrize("skew", [0.0, 7200.0, -7200.0])
def test_learning_the_skew_during_an_outage_does_not_move_the_deadline(submission, service, monkeypatch, skew):
    """Each failed response contains the service's time, while the time of sending is still by this machine's clock."""
    monkeypatch.undo()
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=None)
    passed = FakeClock()
    with pytest.raises(SubmissionUnconfirmed, match="could not be read"):
        submission(
            attempt=2,
            until=passed.clock() + 10,
            confirmation_time=300.0,
            clock=passed.clock,
            sleep=passed.sleep,
            skew=lambda: skew if passed.delays else 0.0,
        ).run()
    assert passed.seconds == pytest.approx(420, abs=1)
    assert service.posts == 0


def test_a_confirmation_ends_with_the_task(submission, service):
    passed = FakeClock()
    limit = passed.clock() + 250
    with pytest.raises(SubmissionUnconfirmed, match="shows no render of attempt 1 yet") as caught:
        submission(
            attempt=2,
            until=limit,
            hard_until=limit,
            confirmation_time=300.0,
            clock=passed.clock,
            sleep=passed.sleep,
            skew=lambda: 0.0,
        ).run()
    assert caught.value.retryable
    assert passed.seconds == pytest.approx(250, abs=1)
    assert service.posts == 0


def test_a_confirmed_absence_may_be_acted_on_until_two_minutes_past_the_deadline(submission, service):
    """Also if the account or the service is briefly unavailable at that time."""
    for asked_for, submits in ((119.0, True), (121.0, False)):
        passed = FakeClock()

        def before_submit(passed=passed, asked_for=asked_for):
            if passed.seconds < 300 + asked_for:
                passed.sleep(300 + asked_for - passed.seconds)
                raise ServerError("the account cannot be asked", http_status=503)

        task = submission(
            attempt=2,
            until=passed.clock() + 10,
            confirmation_time=300.0,
            clock=passed.clock,
            sleep=passed.sleep,
            skew=lambda: 0.0,
            before_submit=before_submit,
            task=replace(TASK, map_index=int(asked_for)),
        )
        if submits:
            assert not task.run().adopted
        else:
            with pytest.raises(Json2VideoError):
                task.run()
    assert service.posts == 1


def test_a_wait_of_exactly_max_hold_stays_on_the_worker(submission, service):
    passed = FakeClock()
    state = SubmissionState(
        unconfirmed=Unconfirmed(attempt=1, last_sent_at=passed.clock() - 285.0, response_lost=True),
        on_service_clock=True,
        sent=True,
    )
    facts = {"state": state, "confirmation_time": 300.0, "until": 4e9, "skew": lambda: 0.0}
    with pytest.raises(SubmissionPaused) as paused:
        submission(max_hold=14.9, clock=passed.clock, sleep=passed.sleep, **facts).run()
    assert paused.value.seconds == pytest.approx(15.0)
    assert not submission(max_hold=15.0, clock=passed.clock, sleep=passed.sleep, **facts).run().adopted
    assert passed.delays == pytest.approx([15.0])


def test_the_first_check_after_a_lost_response_comes_after_five_seconds(submission, service, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr("airflow_json2video.submission.submitter.random.random", lambda: 0.5)
    service.add_fault("lost", method="POST", path="/v2/movies")
    passed = FakeClock()
    assert submission(until=4e9, clock=passed.clock, sleep=passed.sleep).run().adopted
    assert passed.delays == [5.0]


def test_a_refusal_after_the_deadline_fails_retryably_without_a_charge(submission, service, monkeypatch):
    body = {"success": False, "message": NOT_STARTED[0]}
    service.add_fault("answer", method="POST", path="/v2/movies", status=500, body=body, times=None)
    passed = FakeClock()
    task = submission(until=passed.clock() + 10, clock=passed.clock, sleep=passed.sleep)
    execute = task.client.execute

    def slow(call):
        passed.sleep(15.0)
        return execute(call)

    monkeypatch.setattr(task.client, "execute", slow)
    with pytest.raises(Json2VideoError, match="Error creating movie") as caught:
        task.run()
    assert caught.value.retryable
    assert caught.value.billing is Billing.NOT_CHARGED
