"""Adoption as the account's list really is: other people's documents, many pages, any order, last month, late."""

from __future__ import annotations

import json
import logging
import socket
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial

import pytest

from airflow_json2video.api.calls import get_movie
from airflow_json2video.api.client import Json2VideoClient
from airflow_json2video.core.identity import Stamp, TaskIdentity, fingerprint
from airflow_json2video.core.submission import Unconfirmed
from airflow_json2video.core.submission_state import SubmissionPaused, SubmissionState
from airflow_json2video.exceptions import (
    AuthenticationFailed,
    Billing,
    HostNotResolved,
    Json2VideoError,
    QuotaExhausted,
    ServerError,
    SubmissionUnconfirmed,
)
from airflow_json2video.submission.submitter import Submitter
from airflow_json2video.submission.task_store import TaskStateStore

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2}], "client-data": {"order": 7}}
TASK = TaskIdentity(deployment="id:here", dag_id="news", run_id="run", task_id="render", map_index=3, generation=2)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("airflow_json2video.submission.submitter.backoff", lambda failures, jitter: 0.01)


@pytest.fixture
def client(service):
    with Json2VideoClient("key", host=service.host, retries=1, sleep=lambda s: None) as client:
        yield client


@pytest.fixture
def submission(client):
    def make(*, attempt=1, movie=MOVIE, task=TASK, **more):
        stamp = Stamp.of(task, fingerprint(movie), attempt=attempt)
        return Submitter(
            client=client,
            document=movie,
            stamp=stamp,
            log=logging.getLogger(__name__),
            **{
                "attempt_before": attempt - 1 if attempt > 1 else None,
                "confirmation_time": 0.3,
                **more,
            },
        )

    return make


class Passing:
    """A clock on which sleeping takes no time of ours; it takes a service's clock along."""

    def __init__(self, service_clock=None):
        self.seconds = 0.0
        self.pauses = []
        self._began = time.time() if service_clock is None else service_clock.now()
        self._service_clock = service_clock

    def clock(self):
        return self._began + self.seconds

    def sleep(self, seconds):
        self.seconds += seconds
        self.pauses.append(seconds)
        if self._service_clock is not None:
            self._service_clock.move_to(self.clock())


def submit_for_others(client, count):
    from airflow_json2video.api import calls

    for number in range(count):
        client.execute(calls.submit_movie({"scenes": [], "client-data": {"n8n": number}}))


def test_a_render_is_found_behind_more_than_a_page_of_other_peoples_documents(submission, client, service):
    submit_for_others(client, 60)
    first = submission().run()
    submit_for_others(client, 60)
    for order in ("newest", "oldest", "shuffled"):
        service.settings.update({"list_order": order})
        again = submission(attempt=2).run()
        assert (again.project, again.adopted) == (first.project, True)
    assert service.posts == 121


def test_a_render_of_last_month_is_found_on_the_first(submission, service):
    def clock():
        return service.clock.now()

    service.clock.move_to(datetime(2026, 11, 30, 23, 59, 50, tzinfo=timezone.utc).timestamp())
    first = submission(clock=clock).run()
    service.clock.move_to(datetime(2026, 12, 1, 0, 4, tzinfo=timezone.utc).timestamp())
    assert submission(attempt=2, clock=clock).run().project == first.project


def test_a_failed_render_of_a_deleted_run_does_not_affect_a_new_run_with_the_same_id(
    submission, client, service, monkeypatch
):
    """Its first attempt died right after sending, and the list shows its render late."""
    failing = service.add_fault("render", status="error", message="no")
    submission().run()
    assert service.wait_idle()
    service.backend.faults.clear(failing)
    paid, shown_at = submission().run().project, time.time() + 0.15
    movies = client.movies
    monkeypatch.setattr(
        client,
        "movies",
        lambda **options: [m for m in movies(**options) if m.project != paid or time.time() > shown_at],
    )
    again = submission(attempt=2).run()
    assert (again.project, service.posts) == (paid, 2)


def test_an_adopted_render_counts_from_when_the_service_created_it(submission, service):
    first = submission().run()
    again = submission(attempt=2, clock=lambda: first.submitted_at + 500).run()
    assert again.submitted_at == pytest.approx(first.submitted_at, abs=2)


def test_mapped_tasks_and_other_runs_never_adopt_each_other(submission, service):
    projects = {
        submission(task=replace(TASK, map_index=index, run_id=run)).run().project
        for index in range(2)
        for run in ("manual__1", "backfill__1")
    }
    assert len(projects) == 4
    again = {
        submission(attempt=2, task=replace(TASK, map_index=index, run_id=run)).run().project
        for index in range(2)
        for run in ("manual__1", "backfill__1")
    }
    assert again == projects
    assert service.posts == 4


def test_a_later_attempt_fails_retryably_if_the_list_cannot_be_read(submission, service):
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=None)
    with pytest.raises(SubmissionUnconfirmed, match="could not be read") as caught:
        submission(attempt=2, until=time.time() + 0.2, hard_until=time.time() + 0.2).run()
    assert caught.value.retryable
    assert caught.value.billing is Billing.UNKNOWN
    assert service.posts == 0


def test_a_short_outage_of_the_list_does_not_fail_the_attempt(submission, service):
    first = submission().run()
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=3)
    assert submission(attempt=2).run().project == first.project


def test_one_refusal_of_the_list_does_not_fail_a_later_attempt(submission, service):
    """401 for a second: a gateway's moment, while the attempt before may have paid."""
    first = submission().run()
    service.add_fault("answer", method="GET", path="/v2/movies", status=401, body={"message": "Invalid API Key"})
    waited = []
    again = submission(attempt=2, until=time.time() + 900, sleep=waited.append).run()
    assert (again.project, waited) == (first.project, [60.0])
    assert service.posts == 1


def test_a_list_that_is_refused_for_five_minutes_fails_the_attempt_retryably(submission, service):
    service.settings.update({"api_keys": ("another",)})
    passed = Passing()
    with pytest.raises(AuthenticationFailed) as caught:
        submission(attempt=2, until=time.time() + 900, clock=passed.clock, sleep=passed.sleep).run()
    assert caught.value.retryable
    assert passed.seconds == pytest.approx(300, abs=5)
    assert service.posts == 0


def test_insufficient_credits_is_a_definite_refusal_and_the_list_is_not_read(submission, service):
    service.settings.update({"credits": 0.0})
    with pytest.raises(QuotaExhausted) as caught:
        submission().run()
    assert caught.value.billing is Billing.NOT_CHARGED
    assert [r.method for r in service.requests] == ["POST"]


def test_an_attempt_that_has_submitted_reads_the_list_again_after_a_wait_for_credits(submission, service):
    """Absence had been confirmed before; the list shows the render later than it ever should."""
    late = submission().run()
    again = submission(state=SubmissionState(sent=True)).run()
    assert (again.project, again.adopted, service.posts) == (late.project, True, 1)


OWN_WORDS = ("Error creating movie: the queue is full", "Error starting subprocess")


@pytest.mark.parametrize("words", OWN_WORDS)
def test_a_refusal_before_the_start_is_retried_after_one_reading_of_the_list(submission, service, words):
    body = {"success": False, "message": words}
    service.add_fault("answer", method="POST", path="/v2/movies", status=500, body=body, times=3)
    assert not submission().run().adopted
    assert [r.method for r in service.requests] == ["POST", "GET"] * 3 + ["POST"]
    assert len(service.renders()) == 1


def test_the_delays_between_refusals_grow_until_the_deadline(submission, service, monkeypatch):
    monkeypatch.undo()
    body = {"success": False, "message": OWN_WORDS[1]}
    service.add_fault("answer", method="POST", path="/v2/movies", status=500, body=body, times=None)
    passed = Passing()
    with pytest.raises(Json2VideoError, match=r"time limit for submitting.*starting subprocess") as caught:
        submission(until=passed.clock() + 600, clock=passed.clock, sleep=passed.sleep).run()
    assert caught.value.retryable
    assert caught.value.billing is Billing.NOT_CHARGED
    assert passed.pauses == sorted(passed.pauses[:-1]) + passed.pauses[-1:]
    assert passed.seconds == pytest.approx(600, abs=5)
    assert 7 <= [r.method for r in service.requests].count("POST") <= 8


def test_a_429_is_retried_after_the_delay_that_the_service_requests(submission, service):
    service.add_fault("answer", method="POST", path="/v2/movies", status=429, retry_after=7)
    waited = []
    assert not submission(until=time.time() + 60, sleep=waited.append).run().adopted
    assert waited == [7.01]
    assert len(service.renders()) == 1


def test_a_render_that_was_started_despite_a_refusal_is_adopted(submission, service):
    body = {"success": False, "message": OWN_WORDS[0]}
    service.add_fault("answer", method="POST", path="/v2/movies", status=500, body=body, when="after")
    assert submission().run().adopted
    assert service.posts == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("created", [True, False], ids=["project created", "no project"])
def test_absence_is_confirmed_before_resubmitting_after_an_unknown_server_error(submission, service, status, created):
    service.add_fault("answer", method="POST", path="/v2/movies", status=status, when="after" if created else "before")
    began = time.time()
    assert submission().run().adopted is created
    assert [r.method for r in service.requests].count("POST") == (1 if created else 2)
    assert len(service.renders()) == 1
    assert created or time.time() - began >= 0.3


def test_on_lost_response_fail_submits_nothing_more(submission, service):
    service.add_fault("lost", method="POST", path="/v2/movies", when="before")
    with pytest.raises(SubmissionUnconfirmed, match="was lost") as caught:
        submission(on_lost_response="fail").run()
    assert not caught.value.retryable
    assert TASK.submission_key in str(caught.value)
    assert service.posts == 0
    assert service.renders() == []


def test_a_render_that_is_listed_after_four_and_a_half_minutes_is_not_paid_for_twice(submission, service):
    passed = Passing(service.clock)
    service.settings.update({"list_delay": 270.0})
    service.add_fault("lost", method="POST", path="/v2/movies")
    found = submission(until=4e9, confirmation_time=300.0, clock=passed.clock, sleep=passed.sleep).run()
    assert found.adopted
    assert (service.posts, len(service.renders())) == (1, 1)


def test_a_long_wait_frees_the_worker_slot_and_continues_in_another_process(submission, service):
    service.add_fault("lost", method="POST", path="/v2/movies", when="before")
    passed = Passing()
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
    submission(attempt=2, attempt_before_ended_at=time.time() - 300, confirmation_time=300.0).run()
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
    """By this machine's clock the attempt before ended two hours ago; by the service's it was just now."""
    with pytest.raises(SubmissionPaused):
        submission(
            attempt=2,
            attempt_before_ended_at=time.time() - 1.0,
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


def test_a_lost_response_and_a_refused_list_leave_the_outcome_unknown(submission, service):
    service.add_fault("lost", method="POST", path="/v2/movies")
    body = {"message": "account_suspended"}
    service.add_fault("answer", method="GET", path="/v2/movies", status=403, body=body, times=None)
    with pytest.raises(SubmissionUnconfirmed, match="account is suspended") as caught:
        submission(until=time.time() + 0.1, hard_until=time.time() + 0.1).run()
    assert caught.value.billing is Billing.UNKNOWN
    assert TASK.submission_key in str(caught.value)


def test_a_retry_confirms_a_lost_response_after_an_outage_of_the_list(submission, service):
    service.add_fault("lost", method="POST", path="/v2/movies")
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=None)
    with pytest.raises(SubmissionUnconfirmed, match="One submission was sent; nothing more was") as caught:
        submission(until=time.time() + 0.2, hard_until=time.time() + 0.2).run()
    assert caught.value.retryable
    service.clear_faults()
    assert submission(attempt=2).run().adopted


def test_on_lost_response_fail_stays_non_retryable(submission, service):
    service.add_fault("lost", method="POST", path="/v2/movies")
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=None)
    limit = time.time() + 0.2
    with pytest.raises(SubmissionUnconfirmed, match="could not be read") as caught:
        submission(until=limit, hard_until=limit, on_lost_response="fail").run()
    assert not caught.value.retryable


def test_a_refusal_after_a_confirmed_absence_is_not_billed(submission, service):
    service.add_fault("answer", method="POST", path="/v2/movies", status=500)
    service.settings.update({"credits": 0.0})
    with pytest.raises(QuotaExhausted) as caught:
        submission().run()
    assert caught.value.billing is Billing.NOT_CHARGED


def test_an_unresolvable_host_fails_before_the_deadline_and_is_named(submission, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.undo()  # the pauses are to be real; the clock is not
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    task = submission()
    task.client = Json2VideoClient("key", host="https://api.json2vidoe.invalid/v2", retries=0)
    passed = Passing()
    task.clock, task.sleep, task.until = passed.clock, passed.sleep, passed.clock() + 3600
    task.__post_init__()
    with pytest.raises(HostNotResolved, match=r"json2vidoe\.invalid") as caught:
        task.run()
    assert caught.value.retryable
    assert "Nothing was submitted" in str(caught.value)
    assert passed.seconds == pytest.approx(120, abs=1)


def test_an_attempt_that_airflow_runs_again_reads_the_list_before_it_sends(submission, service):
    first = submission().run()
    again = submission(attempt=1, attempt_before=1)
    assert again.run().project == first.project
    assert service.posts == 1


def test_a_render_from_before_a_clear_is_adopted_until_it_has_been_delivered(submission, service):
    first = submission(attempt=1).run()
    assert service.wait_idle()
    cleared = replace(TASK, generation=TASK.generation + 1)
    assert submission(attempt=2, task=cleared).run().project == first.project
    assert submission(attempt=3, task=cleared, last_delivered_attempt=2).run().project != first.project


def test_only_the_first_check_reads_the_list_back_to_the_start_of_the_run(submission, client, monkeypatch):
    ranges, movies = [], client.movies

    def noted(**options):
        ranges.append(options["date_end"] - options["date_start"])
        return movies(**options)

    monkeypatch.setattr(client, "movies", noted)
    attempt = submission(attempt=2, since=time.time() - 10 * 86400)
    attempt.run()
    assert [span.days for span in ranges] == [11] + [2] * (len(ranges) - 1)
    assert len(ranges) > 1


def test_a_render_that_has_just_ended_without_a_file_yet_is_adopted(submission, client, monkeypatch):
    project = submission().run().project
    monkeypatch.setattr(client, "movies", partial(_without_urls, client.movies))
    again = submission(attempt=2).run()
    assert (again.project, again.adopted) == (project, True)


def test_a_render_whose_file_was_deleted_is_paid_for_again(submission, client, monkeypatch):
    project = submission().run().project
    monkeypatch.setattr(client, "movies", partial(_without_urls, client.movies, deleted_at=datetime.now(timezone.utc)))
    assert submission(attempt=2).run().project != project


@pytest.mark.parametrize("ended", [datetime.now(timezone.utc) - timedelta(hours=2), None], ids=["2 hours ago", "?"])
def test_a_missing_file_in_the_list_is_verified_by_a_request_for_the_render(submission, client, monkeypatch, ended):
    project = submission().run().project
    while client.execute(get_movie(project)).movie.status != "done":
        time.sleep(0.01)
    monkeypatch.setattr(client, "movies", partial(_without_urls, client.movies, ended_at=ended))
    again = submission(attempt=2).run()
    assert (again.project, again.adopted) == (project, True)


def test_nothing_is_submitted_while_the_file_of_a_paid_render_is_unknown(submission, client, service, monkeypatch):
    submission().run()
    ended = datetime.now(timezone.utc) - timedelta(hours=2)
    monkeypatch.setattr(client, "movies", partial(_without_urls, client.movies, ended_at=ended))
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=None)
    with pytest.raises(SubmissionUnconfirmed):
        submission(attempt=2, until=time.time() + 0.2, hard_until=time.time() + 0.2).run()
    assert service.posts == 1


def _without_urls(movies, *, deleted_at=None, ended_at=..., **options):
    for movie in movies(**options):
        ended = datetime.now(timezone.utc) if ended_at is ... else ended_at
        created = None if ended is None else movie.created_at
        yield movie.model_copy(
            update={"status": "done", "url": None, "ended_at": ended, "created_at": created, "deleted_at": deleted_at}
        )


class Store:
    """Airflow's own store for one task."""

    def __init__(self, **kept):
        self.kept = kept

    def get(self, key):
        return self.kept.get(key)

    def set(self, key, value):
        self.kept[key] = value


def test_the_project_in_the_task_store_is_adopted_without_reading_the_list(submission, client, monkeypatch):
    store = Store()
    first = submission(task_store=TaskStateStore(store)).run()
    monkeypatch.delattr(type(client), "movies")
    again = submission(attempt=2, task_store=TaskStateStore(store)).run()
    assert (again.project, again.adopted) == (first.project, True)


def test_a_task_store_with_the_render_of_another_task_is_ignored(submission, service):
    other = submission(task=replace(TASK, map_index=9)).run()
    store = Store(airflow_json2video={"submission_key": TASK.submission_key, "project": other.project})
    assert submission(attempt=2, task_store=TaskStateStore(store)).run().project != other.project
    assert service.posts == 2


@pytest.mark.parametrize("fault", ["lost", "answer"])
def test_a_lost_response_to_a_document_without_a_stamp_is_never_submitted_again(submission, service, fault):
    how = {} if fault == "lost" else {"status": 502}
    service.add_fault(fault, method="POST", path="/v2/movies", when="before", **how)
    task = submission()
    task.stamp = None
    with pytest.raises(SubmissionUnconfirmed, match="it is unknown whether a render was started") as caught:
        task.run()
    assert not caught.value.retryable
    assert "may pay twice" in str(caught.value)
    assert [r.method for r in service.requests] == ["POST"]


def _unreachable(task, monkeypatch, outages):
    """Let the service be out of reach of *task* where the next of *outages* is true."""
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
    passed = Passing()
    task = submission(until=passed.clock() + 3600, clock=passed.clock, sleep=passed.sleep)
    _unreachable(task, monkeypatch, [True] * 17)
    assert not task.run().adopted
    assert passed.pauses == [5, 10, 20] + [40] * 14
    assert service.posts == 1


def test_delays_start_small_again_after_an_outage(submission, service, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr("airflow_json2video.submission.submitter.random.random", lambda: 0.5)
    passed = Passing()
    task = submission(
        attempt=2, attempt_before_ended_at=passed.clock() - 900, clock=passed.clock, sleep=passed.sleep, until=4e9
    )
    _unreachable(task, monkeypatch, [True, True, True, False, True])  # three times the list, which answers then
    assert not task.run().adopted
    assert passed.pauses == [5, 10, 20, 5]


@pytest.mark.parametrize("skew", [0.0, 7200.0, -7200.0])
def test_an_attempt_may_submit_after_a_confirmation_that_outlasts_its_deadline(submission, service, skew):
    """Otherwise every attempt would wait anew, and none would submit."""
    passed = Passing()
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
    """Each failed response tells the service's time, while the moment of sending is still by this machine's clock."""
    monkeypatch.undo()
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=None)
    passed = Passing()
    with pytest.raises(SubmissionUnconfirmed, match="could not be read"):
        submission(
            attempt=2,
            until=passed.clock() + 10,
            confirmation_time=300.0,
            clock=passed.clock,
            sleep=passed.sleep,
            skew=lambda: skew if passed.pauses else 0.0,
        ).run()
    assert passed.seconds == pytest.approx(420, abs=1)
    assert service.posts == 0


def test_a_confirmation_ends_with_the_task(submission, service):
    passed = Passing()
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
    """Also if the account or the service cannot be asked for a moment just then."""
    for asked_for, submits in ((119.0, True), (121.0, False)):
        passed = Passing()

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
    passed = Passing()
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
    assert passed.pauses == pytest.approx([15.0])


def test_the_first_check_after_a_lost_response_comes_after_five_seconds(submission, service, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr("airflow_json2video.submission.submitter.random.random", lambda: 0.5)
    service.add_fault("lost", method="POST", path="/v2/movies")
    passed = Passing()
    assert submission(until=4e9, clock=passed.clock, sleep=passed.sleep).run().adopted
    assert passed.pauses == [5.0]


def test_after_a_lost_response_the_list_is_read_again_before_a_resubmission(submission, service):
    service.add_fault("lost", method="POST", path="/v2/movies")
    with pytest.raises(SubmissionPaused) as paused:
        submission(max_hold=0.0, until=4e9).run()
    assert not paused.value.state.on_service_clock  # it has not answered since: its time is not known for certain
    absent = replace(paused.value.state, unconfirmed=None)  # as a list that lags has said
    assert submission(state=absent, until=4e9).run().adopted
    assert (service.posts, len(service.renders())) == (1, 1)


def test_a_refusal_after_the_deadline_fails_retryably_without_a_charge(submission, service, monkeypatch):
    body = {"success": False, "message": OWN_WORDS[0]}
    service.add_fault("answer", method="POST", path="/v2/movies", status=500, body=body, times=None)
    passed = Passing()
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
