"""Adoption and submission with a realistic list: other users' documents, many pages, any order, last month, late."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial

import pytest

from airflow_json2video.api.calls import get_movie
from airflow_json2video.core.submission_state import SubmissionPaused, SubmissionState
from airflow_json2video.exceptions import (
    AuthenticationFailed,
    Billing,
    QuotaExhausted,
    SubmissionUnconfirmed,
)
from airflow_json2video.submission.task_state_store import TaskStateStore
from tests.unit.submission.support import NOT_STARTED, TASK, FakeClock

pytestmark = pytest.mark.usefixtures("no_backoff")


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
    """401 for a second, from a gateway, while the previous attempt may have paid."""
    first = submission().run()
    service.add_fault("answer", method="GET", path="/v2/movies", status=401, body={"message": "Invalid API Key"})
    waited = []
    again = submission(attempt=2, until=time.time() + 900, sleep=waited.append).run()
    assert (again.project, waited) == (first.project, [60.0])
    assert service.posts == 1


def test_a_list_that_is_refused_for_five_minutes_fails_the_attempt_retryably(submission, service):
    service.settings.update({"api_keys": ("another",)})
    passed = FakeClock()
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
    """The absence was confirmed before; the list shows the render later than it should."""
    late = submission().run()
    again = submission(state=SubmissionState(sent=True)).run()
    assert (again.project, again.adopted, service.posts) == (late.project, True, 1)


@pytest.mark.parametrize("words", NOT_STARTED)
def test_a_refusal_before_the_start_is_retried_after_one_reading_of_the_list(submission, service, words):
    body = {"success": False, "message": words}
    service.add_fault("answer", method="POST", path="/v2/movies", status=500, body=body, times=3)
    assert not submission().run().adopted
    assert [r.method for r in service.requests] == ["POST", "GET"] * 3 + ["POST"]
    assert len(service.renders()) == 1


def test_a_render_that_was_started_despite_a_refusal_is_adopted(submission, service):
    body = {"success": False, "message": NOT_STARTED[0]}
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


def test_an_attempt_that_airflow_runs_again_reads_the_list_before_it_sends(submission, service):
    first = submission().run()
    again = submission(attempt=1, previous_attempt=1)
    assert again.run().project == first.project
    assert service.posts == 1


def test_a_render_from_before_a_clear_is_adopted_until_it_has_been_returned(submission, service):
    first = submission(attempt=1).run()
    assert service.wait_idle()
    cleared = replace(TASK, generation=TASK.generation + 1)
    assert submission(attempt=2, task=cleared).run().project == first.project
    assert submission(attempt=3, task=cleared, last_returned_attempt=2).run().project != first.project


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
    """Airflow's task state store of one task."""

    def __init__(self, **kept):
        self.kept = kept

    def get(self, key):
        return self.kept.get(key)

    def set(self, key, value):
        self.kept[key] = value


def test_the_project_in_the_task_state_store_is_adopted_without_reading_the_list(submission, client, monkeypatch):
    store = Store()
    first = submission(task_state_store=TaskStateStore(store)).run()
    monkeypatch.delattr(type(client), "movies")
    again = submission(attempt=2, task_state_store=TaskStateStore(store)).run()
    assert (again.project, again.adopted) == (first.project, True)


def test_a_task_state_store_with_the_render_of_another_task_is_ignored(submission, service):
    other = submission(task=replace(TASK, map_index=9)).run()
    store = Store(airflow_json2video={"submission_key": TASK.submission_key, "project": other.project})
    assert submission(attempt=2, task_state_store=TaskStateStore(store)).run().project != other.project
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


def test_after_a_lost_response_the_list_is_read_again_before_a_resubmission(submission, service):
    service.add_fault("lost", method="POST", path="/v2/movies")
    with pytest.raises(SubmissionPaused) as paused:
        submission(max_hold=0.0, until=4e9).run()
    assert not paused.value.state.on_service_clock  # it has not answered since: its time is not known for certain
    absent = replace(paused.value.state, unconfirmed=None)  # as a list that lags has said
    assert submission(state=absent, until=4e9).run().adopted
    assert (service.posts, len(service.renders())) == (1, 1)
