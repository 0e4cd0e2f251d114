"""A task pays for nothing that its author has not allowed, and waits for credits without a slot if it may."""

from __future__ import annotations

import json
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_json2video.api.client import Json2VideoClient
from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.operators.render import Json2VideoRenderOperator
from tests.unit.attempts import Attempt

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2}]}
UNKNOWN = {"scenes": [{"elements": [{"type": "video", "src": "https://example.com/a.mp4"}]}]}
TEMPLATE = "abc123def456ghi789jk"


class Died(BaseException):
    """The process ends here, as by a kill."""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("airflow_json2video.submission.submitter.backoff", lambda failures, jitter: 0.01)
    monkeypatch.setattr("airflow_json2video.triggers.credits._FIRST_DELAY", 0.05)


@pytest.fixture
def render(connection):
    def make(**arguments):
        arguments = {"task_id": "render", "movie": MOVIE, "poll_interval": 0.3, "retries": 2, **arguments}
        if "template" in arguments:
            arguments.pop("movie")
        return Json2VideoRenderOperator(**arguments)

    return make


@pytest.fixture
def patient(render):
    """A task that waits for credits."""

    def make(**arguments):
        waits = {"wait_for_credits": timedelta(hours=1)}
        return render(**{**waits, **arguments})

    return make


def calls_of(service):
    return [(call.method, call.path) for call in service.requests]


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_cost_is_an_xcom_before_and_after(render, service, times_logged, deferrable):
    attempt = Attempt(render(deferrable=deferrable))
    result = attempt.run()
    assert attempt.xcoms["json2video_cost"] == {
        "project": result["project"],
        "estimated_credits": 2,
        "charged_seconds": 2.0,
        "charged_credits": 2,
        "remaining_credits": 598.0,
    }
    assert times_logged("2 credits for 2 s of video") == 1


def test_without_waiting_the_cost_is_the_estimate(render):
    attempt = Attempt(render(wait_for_completion=False))
    attempt.run()
    assert attempt.xcoms["json2video_cost"]["estimated_credits"] == 2
    assert attempt.xcoms["json2video_cost"]["charged_seconds"] is None


def test_a_movie_that_costs_more_than_it_may_is_never_sent(render, service):
    with pytest.raises(AirflowFailException, match="about 2 credits, and max_credits is 1"):
        Attempt(render(max_credits=1)).run()
    assert service.posts == 0
    Attempt(render(max_credits=2)).run()
    assert service.posts == 1


def test_a_movie_that_cannot_be_estimated_is_never_sent_under_a_limit(render, service):
    with pytest.raises(AirflowFailException, match="Add the missing durations"):
        Attempt(render(movie=UNKNOWN, max_credits=1000)).run()
    assert service.posts == 0


def test_under_a_limit_the_movie_of_a_stored_template_is_read_and_estimated(render, service):
    movie = {"scenes": [{"duration": "{{ seconds }}"}], "variables": {"seconds": 3}}
    service.add_template(movie, id=TEMPLATE)
    with pytest.raises(AirflowFailException, match="about 3 credits, and max_credits is 2"):
        Attempt(render(template=TEMPLATE, max_credits=2)).run()
    with pytest.raises(AirflowFailException, match="about 9 credits, and max_credits is 4"):
        Attempt(render(template=TEMPLATE, variables={"seconds": 9}, max_credits=4)).run()
    assert service.posts == 0
    attempt = Attempt(render(template=TEMPLATE, max_credits=3))
    attempt.run()
    assert attempt.xcoms["json2video_cost"]["estimated_credits"] == 3


def test_without_a_limit_no_request_is_made_for_it(render, service):
    Attempt(render(wait_for_completion=False)).run()
    assert calls_of(service) == [("POST", "/v2/movies")]


def test_a_lowered_limit_does_not_lose_a_paid_render(render, service):
    first = Attempt(render())
    first.start()
    result = Attempt(render(max_credits=1, min_remaining_credits=10_000), try_number=2, before=first).run()
    assert result["project"] == first.xcoms["json2video_project"]
    assert service.posts == 1


def test_a_render_that_would_use_the_reserve_is_never_sent(render, service):
    service.settings.update({"credits": 101})
    with pytest.raises(AirflowFailException, match="The account has 101 credits left") as failure:
        Attempt(render(min_remaining_credits=100)).run()
    assert "Nothing was submitted" in str(failure.value)
    assert service.posts == 0
    service.settings.update({"credits": 102})
    Attempt(render(min_remaining_credits=100)).run()
    assert service.posts == 1


def test_the_account_is_asked_right_before_the_submission(render, service):
    Attempt(render(min_remaining_credits=1, wait_for_completion=False)).run()
    assert calls_of(service) == [("GET", "/v2/movies"), ("POST", "/v2/movies")]


def test_if_the_balance_cannot_be_read_nothing_is_submitted(render, service):
    service.add_fault("answer", method="GET", path="/v2/movies", status=403, body={"message": "No"}, times=None)
    with pytest.raises(AirflowFailException):
        Attempt(render(min_remaining_credits=1)).run()
    assert service.posts == 0


def test_scenes_next_to_a_template_are_ignored_by_the_service_and_do_not_lower_the_price(render, service):
    template = service.add_template({"resolution": "sd", "scenes": [{"duration": 60}]}, id="abc123def456ghi789jk")
    movie = {"template": template, "scenes": [{"duration": 1}]}
    with pytest.raises(AirflowFailException, match="would cost about 60 credits"):
        Attempt(render(movie=movie, max_credits=10)).run()
    assert service.posts == 0


def test_an_account_without_credits_fails_the_task_immediately_by_default(render, service):
    service.settings.update({"credits": 0})
    with pytest.raises(AirflowFailException, match="cannot pay for this render"):
        Attempt(render()).run()


def test_a_task_waits_for_credits_in_the_triggerer_and_then_submits_once(patient, service):
    service.settings.update({"credits": 0})
    attempt = Attempt(patient())
    assert attempt.start() is attempt.deferred
    assert attempt.deferred.method_name == "resume_submission"
    assert attempt.deferred.trigger.min_credits == 2
    service.settings.update({"credits": 50})
    assert attempt.fire().resume() is attempt.deferred  # now for the render
    assert attempt.fire().resume()["url"]
    assert len(service.submitted) == 1


def test_a_task_waits_for_the_reserve_in_the_same_way_and_sends_nothing_meanwhile(patient, service):
    service.settings.update({"credits": 50})
    attempt = Attempt(patient(min_remaining_credits=100))
    attempt.start()
    assert attempt.deferred.trigger.min_credits == 102
    assert service.posts == 0
    service.settings.update({"credits": 102})
    attempt.fire().resume()
    assert service.posts == 1


def test_a_task_that_resumes_with_only_the_event_waits_until_the_same_time(patient, service):
    service.settings.update({"credits": 0})
    attempt = Attempt(patient())
    attempt.start()
    until = attempt.deferred.trigger.deadline
    for waited in (1, 2):
        before = attempt.deferred.trigger
        attempt.event = {"requests": 1, "min_credits": 2, "deadline": until, "attempt": before.attempt}
        attempt.deferred.kwargs = {}
        attempt.resume()
        assert attempt.deferred.trigger is not before
        assert (attempt.deferred.trigger.deadline, attempt.deferred.trigger.attempt) == (until, waited)
    assert service.submitted == []


def test_the_trigger_only_reads(patient, service):
    service.settings.update({"credits": 0})
    attempt = Attempt(patient())
    attempt.start()
    before = len(service.requests)
    service.settings.update({"credits": 50})
    attempt.fire()
    trigger = attempt.deferred.trigger
    assert attempt.event == {"requests": 1, "min_credits": 2, "deadline": trigger.deadline, "attempt": 0}
    assert calls_of(service)[before:] == [("GET", "/v2/movies")]
    assert "a-key-of-the-tests" not in json.dumps(attempt.deferred.trigger.serialize())


def test_the_trigger_waits_while_there_is_too_little_and_over_an_outage(patient, service):
    service.settings.update({"credits": 0})
    attempt = Attempt(patient())
    attempt.start()
    service.settings.update({"credits": 1})
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=2)
    threading.Timer(1.0, lambda: service.settings.update({"credits": 2})).start()
    began = time.monotonic()
    attempt.fire()
    assert time.monotonic() - began >= 0.9
    assert attempt.event["requests"] > 2


def test_the_wait_has_an_end_and_says_so(patient, service):
    service.settings.update({"credits": 0})
    attempt = Attempt(patient(wait_for_credits=timedelta(seconds=0.5)))
    attempt.start()
    with pytest.raises(AirflowFailException, match="The time of wait_for_credits is over"):
        attempt.fire().resume()
    assert not service.submitted


def test_the_deadline_of_a_wait_is_absolute_and_survives_a_second_one(patient, service):
    service.settings.update({"credits": 0})
    attempt = Attempt(patient())
    attempt.start()
    first = attempt.deferred.trigger
    attempt.event = {"requests": 1}
    assert attempt.resume() is attempt.deferred
    assert attempt.deferred.trigger is not first
    assert attempt.deferred.trigger.deadline == first.deadline
    assert (first.attempt, attempt.deferred.trigger.attempt) == (0, 1)


def test_a_long_wait_leaves_the_full_time_for_an_outage_that_follows(patient, service):
    service.settings.update({"credits": 0})
    attempt = Attempt(patient(render_timeout=60))
    attempt.start()
    assert attempt.deferred.kwargs["state"]["until"] == attempt.deferred.trigger.deadline + 60


def test_an_execution_timeout_ends_the_wait(patient, service):
    service.settings.update({"credits": 0})
    attempt = Attempt(patient(execution_timeout=timedelta(seconds=30)))
    attempt.context["ti"].start_date = datetime.now(timezone.utc)
    attempt.start()
    assert attempt.deferred.trigger.deadline <= time.time() + 30


def test_wait_for_credits_is_a_template_field(patient, service):
    service.settings.update({"credits": 0})
    attempt = Attempt(patient(wait_for_credits="{{ until }}"), names={"until": "2099-01-01T06:00:00Z"})
    attempt.render_templates().start()
    assert attempt.deferred.trigger.deadline == datetime(2099, 1, 1, 6, tzinfo=timezone.utc).timestamp()
    untouched = Attempt(patient(wait_for_credits=timedelta(hours=3))).render_templates()
    assert untouched.operator.wait_for_credits == timedelta(hours=3)


@pytest.mark.parametrize("sent", [False, True])
def test_a_crash_at_the_submission_after_the_wait_pays_at_most_once(patient, service, monkeypatch, sent):
    service.settings.update({"credits": 0})
    first = Attempt(patient())
    first.start()
    service.settings.update({"credits": 50})
    first.fire()
    execute = Json2VideoClient.execute

    def die(self, call):
        if call.name != "movies.submit":
            return execute(self, call)
        if sent:
            execute(self, call)
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(Json2VideoClient, "execute", die)
        with pytest.raises(Died):
            first.resume()
    assert len(service.submitted) == int(sent)
    Attempt(patient(), try_number=2, before=first).run()
    assert len(service.submitted) == 1


def test_a_crash_between_the_balance_and_the_submission_pays_for_nothing(render, service, monkeypatch):
    first = Attempt(render(min_remaining_credits=1))

    def die(ti):
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr("airflow_json2video.operators._render.attempt_is_current", die)
        with pytest.raises(Died):
            first.start()
    assert calls_of(service) == [("GET", "/v2/movies")]
    assert service.posts == 0
    Attempt(render(min_remaining_credits=1), try_number=2, before=first).run()
    assert service.posts == 1


def test_a_lost_response_is_never_mistaken_for_an_account_without_credits(patient, service):
    service.add_fault("lost", method="POST", path="/movies")
    attempt = Attempt(patient())
    assert attempt.run()["url"]
    assert service.posts == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"wait_for_credits": "06:00", "deferrable": False}, "deferrable=True"),
        ({"max_credits": -1}, "max_credits must be a number of credits"),
        ({"max_credits": True}, "max_credits must be a number of credits"),
        ({"min_remaining_credits": "ten"}, "min_remaining_credits must be a number of credits"),
    ],
)
def test_invalid_arguments_are_refused_when_the_dag_is_parsed(render, arguments, why):
    with pytest.raises(ConfigurationError, match=why):
        render(**arguments)


def test_an_invalid_time_fails_the_task_without_a_retry_before_anything_is_submitted(patient, service):
    with pytest.raises(AirflowFailException, match="is not a time"):
        Attempt(patient(wait_for_credits="tomorrow")).run()
    assert service.posts == 0
