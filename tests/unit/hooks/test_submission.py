"""Adoption as the account's list really is: other people's documents, many pages, any order, last month, late."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timezone
from functools import partial

import pytest

from airflow_json2video.api.client import Json2VideoClient
from airflow_json2video.exceptions import (
    AuthenticationFailed,
    Money,
    QuotaExhausted,
    RateLimited,
    SubmissionAmbiguous,
)
from airflow_json2video.hooks.submission import Submission
from airflow_json2video.rendering.identity import Stamp, TaskIdentity, fingerprint

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2}], "client-data": {"order": 7}}
TASK = TaskIdentity(deployment="id:here", dag_id="news", run_id="run", task_id="render", map_index=3, generation=2)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("airflow_json2video.hooks.submission.settle_pause", lambda looks: 0.01)


@pytest.fixture
def client(service):
    with Json2VideoClient("key", host=service.host, retries=1, sleep=lambda s: None) as client:
        yield client


@pytest.fixture
def submission(client):
    def make(*, attempt=1, movie=MOVIE, task=TASK, **more):
        mark = Stamp.of(task, fingerprint(movie), attempt=attempt)
        return Submission(
            client=client,
            document=movie,
            mark=mark,
            attempt_before=attempt - 1 if attempt > 1 else None,
            log=logging.getLogger(__name__),
            **{"patience": 5.0, **more},
        )

    return make


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


def test_an_adopted_render_counts_from_when_the_service_created_it(submission, service):
    first = submission().run()
    again = submission(attempt=2, clock=lambda: first.submitted_at + 500).run()
    assert again.submitted_at == pytest.approx(first.submitted_at, abs=2)


def test_mapped_tasks_and_other_runs_never_adopt_each_other(submission, service):
    from dataclasses import replace

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


def test_a_list_that_cannot_be_read_stops_a_later_attempt_and_may_be_retried(submission, service):
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=None)
    with pytest.raises(SubmissionAmbiguous, match="could not be read") as caught:
        submission(attempt=2, patience=0.2).run()
    assert caught.value.retryable
    assert caught.value.money is Money.UNKNOWN
    assert service.posts == 0


def test_a_list_that_is_back_after_a_moment_stops_nothing(submission, service):
    first = submission().run()
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=3)
    assert submission(attempt=2).run().project == first.project


def test_a_key_that_is_refused_while_looking_fails_fast(submission, service):
    service.settings.update({"api_keys": ("another",)})
    with pytest.raises(AuthenticationFailed):
        submission(attempt=2).run()


def test_no_credits_is_a_clear_no_and_nothing_is_looked_for(submission, service):
    service.settings.update({"credits": 0.0})
    with pytest.raises(QuotaExhausted) as caught:
        submission().run()
    assert caught.value.money is Money.NOT_SPENT
    assert [r.method for r in service.requests] == ["POST"]


def test_too_many_requests_is_a_no_once_the_list_confirms_it(submission, service):
    service.add_fault("answer", method="POST", path="/v2/movies", status=429, retry_after=7)
    with pytest.raises(RateLimited) as caught:
        submission().run()
    assert caught.value.money is Money.NOT_SPENT
    assert caught.value.retry_after == 7
    assert service.renders() == []


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("created", [True, False], ids=["project created", "no project"])
def test_a_server_error_on_the_submission_is_looked_up_and_never_repeated(submission, service, status, created):
    service.add_fault("answer", method="POST", path="/v2/movies", status=status, when="after" if created else "before")
    if created:
        assert submission().run().adopted
    else:
        with pytest.raises(SubmissionAmbiguous) as caught:
            submission().run()
        assert not caught.value.retryable
        assert TASK.submission_key in str(caught.value)
    assert [r.method for r in service.requests].count("POST") == 1
    assert len(service.renders()) == created


def test_an_outage_shorter_than_the_deadline_stops_no_later_attempt(submission, service):
    first = submission().run()
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=20)
    assert submission(attempt=2).run().project == first.project


def test_a_service_that_cannot_be_reached_for_a_moment_is_tried_again_since_nothing_was_sent(
    submission, service, monkeypatch
):
    from airflow_json2video.exceptions import ServiceUnreachable

    task = submission()
    execute, refusals = task.client.execute, iter([True, True, False, False])

    def unreachable_at_first(call):
        if next(refusals):
            raise ServiceUnreachable("no connection")
        return execute(call)

    monkeypatch.setattr(task.client, "execute", unreachable_at_first)
    assert task.run().project
    assert service.posts == 1


def test_a_lost_answer_and_a_list_that_refuses_stay_a_matter_for_a_person(submission, service):
    service.add_fault("lost", method="POST", path="/v2/movies")
    service.add_fault("answer", method="GET", path="/v2/movies", status=403, body={"message": "account_suspended"})
    with pytest.raises(SubmissionAmbiguous, match="account is suspended") as caught:
        submission().run()
    assert caught.value.money is Money.UNKNOWN
    assert not caught.value.retryable
    assert TASK.submission_key in str(caught.value)


def test_a_lost_answer_and_a_list_that_stays_down_are_not_forgotten_by_a_retry(submission, service):
    service.add_fault("lost", method="POST", path="/v2/movies")
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=None)
    with pytest.raises(SubmissionAmbiguous, match="One submission was sent; nothing more was") as caught:
        submission(patience_after_sending=0.2).run()
    assert not caught.value.retryable


def test_a_second_submission_that_fails_does_not_hide_the_first(submission, service):
    service.add_fault("answer", method="POST", path="/v2/movies", status=500)
    service.settings.update({"credits": 0.0})
    with pytest.raises(SubmissionAmbiguous, match="second one failed too") as caught:
        submission(on_ambiguous="resubmit").run()
    assert caught.value.money is Money.UNKNOWN


def test_an_attempt_that_airflow_runs_anew_looks_before_it_sends(submission, service):
    first = submission().run()
    again = submission(attempt=1)
    again.attempt_before = 1
    assert again.run().project == first.project
    assert service.posts == 1


def test_a_render_from_before_a_clear_is_adopted_until_it_has_been_delivered(submission, service):
    from dataclasses import replace

    first = submission(attempt=1).run()
    assert service.wait_idle()
    cleared = replace(TASK, generation=TASK.generation + 1)
    assert submission(attempt=2, task=cleared).run().project == first.project
    assert submission(attempt=3, task=cleared, delivered_before=2).run().project != first.project


def test_only_the_first_look_reads_the_list_back_to_the_start_of_the_run(submission, client, monkeypatch):
    ranges, movies = [], client.movies

    def noted(**options):
        ranges.append(options["date_end"] - options["date_start"])
        return movies(**options)

    monkeypatch.setattr(client, "movies", noted)
    attempt = submission(attempt=2, since=time.time() - 10 * 86400)
    attempt.run()
    assert [span.days for span in ranges] == [11] + [1] * (len(ranges) - 1)
    assert len(ranges) > 1


def test_a_render_that_ended_a_moment_ago_and_names_no_file_yet_is_taken_and_not_paid_for_again(
    submission, client, monkeypatch
):
    project = submission().run().project
    monkeypatch.setattr(client, "movies", partial(_without_urls, client.movies))
    again = submission(attempt=2).run()
    assert (again.project, again.adopted) == (project, True)


def test_a_render_whose_file_was_deleted_is_paid_for_again(submission, client, monkeypatch):
    project = submission().run().project
    monkeypatch.setattr(client, "movies", partial(_without_urls, client.movies, deleted_at=datetime.now(timezone.utc)))
    assert submission(attempt=2).run().project != project


def _without_urls(movies, *, deleted_at=None, **options):
    for movie in movies(**options):
        ended = datetime.now(timezone.utc)
        yield movie.model_copy(update={"status": "done", "url": None, "ended_at": ended, "deleted_at": deleted_at})
