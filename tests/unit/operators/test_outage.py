"""A service that is away while nothing was sent yet: the task waits in the triggerer and fails only at its deadline."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_json2video.core.submission import backoff
from airflow_json2video.exceptions import HostNotResolved, ServiceUnreachable, SubmissionUnconfirmed
from airflow_json2video.local import LocalService
from airflow_json2video.operators._deferral import ResumeState
from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.triggers.availability import Json2VideoAvailabilityTrigger
from tests.unit.attempts import Attempt
from tests.unit.conftest import connection_json

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2}]}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("airflow_json2video.submission.submitter.backoff", lambda failures, jitter: 0.01)
    monkeypatch.setattr("airflow_json2video.operators._render._MAX_HOLD", 0.005)
    monkeypatch.setattr("airflow_json2video.triggers.availability._FIRST_DELAY", 0.1)


@pytest.fixture
def connection(monkeypatch, service):
    """One try a call: how the client repeats a call by itself is not what these tests are about."""
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=service.url, retries=0))


@pytest.fixture
def port(monkeypatch):
    """A port without a listener yet, and a connection to it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    host = f"http://127.0.0.1:{free}"
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=host, retries=0))
    return free


def render(**arguments):
    return Json2VideoRenderOperator(**{"task_id": "render", "movie": MOVIE, "poll_interval": 0.3, **arguments})


def test_a_first_attempt_waits_in_the_triggerer_until_the_service_responds_and_then_submits_once(port, tmp_path):
    attempt = Attempt(render())
    assert attempt.start() is attempt.deferred
    assert attempt.deferred.method_name == "resume_submission"
    with LocalService(mode="instant", port=port, home=tmp_path) as service:
        assert attempt.fire().resume() is attempt.deferred  # now for the render
        assert attempt.fire().resume()["url"]
        assert service.posts == 1


def test_a_retry_whose_list_cannot_be_read_waits_in_the_triggerer_and_reattaches(connection, service):
    first = Attempt(render())
    first.start()
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=None)
    second = Attempt(render(), try_number=2, before=first)
    assert second.start() is second.deferred
    assert second.deferred.method_name == "resume_submission"
    service.clear_faults()
    assert second.fire().resume()["project"] == service.renders()[0]["project"]
    assert service.posts == 1


def test_an_outage_does_not_change_what_a_clear_means(connection, service):
    first = Attempt(render(on_clear="resubmit"))
    old = first.run()
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=None)
    again = Attempt(render(on_clear="resubmit"), try_number=2, max_tries=3, before=first)
    again.start()
    service.clear_faults()
    # As Airflow has it for a task that resumes.
    again.context["ti"]._ti_context_from_server.xcom_keys_to_clear = []
    again.context["ti"]._ti_context_from_server.next_method = "resume_submission"
    assert again.fire().resume() is again.deferred
    assert again.fire().resume()["project"] != old["project"]


def test_an_outage_that_outlasts_the_deadline_fails_the_task_and_says_that_nothing_was_submitted(port):
    attempt = Attempt(render(render_timeout=0.5))
    attempt.start()
    with pytest.raises(ServiceUnreachable, match="Nothing was submitted"):
        attempt.fire().resume()


def test_an_execution_timeout_ends_the_wait_and_nothing_is_submitted_after_it(port, tmp_path):
    attempt = Attempt(render(execution_timeout=timedelta(seconds=1)))
    attempt.context["ti"].start_date = datetime.now(timezone.utc)
    attempt.start()
    assert attempt.deferred.trigger.deadline < time.time() + 1
    attempt.fire()
    with LocalService(mode="instant", port=port, home=tmp_path) as service:
        with pytest.raises(ServiceUnreachable, match="Nothing was submitted"):
            attempt.resume()
        assert service.posts == 0


def test_a_task_that_resumes_with_only_the_event_has_its_deadline_and_state(connection, service):
    """``dag.test()`` loses the arguments of the method to resume."""
    service.add_fault("lost", method="POST", path="/v2/movies", when="before")
    attempt = Attempt(render(on_lost_response="fail"))
    attempt.start()
    deadline = attempt.deferred.trigger.deadline
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, nth=[2, 4], times=None)
    for waited in (2, 3):
        attempt.fire()
        attempt.deferred.kwargs = {}
        assert attempt.resume() is attempt.deferred
        assert attempt.event["repeat"]["waits"] == waited - 1
        assert attempt.deferred.trigger.deadline == pytest.approx(deadline, abs=1)
    service.clear_faults()
    # Only now a list was read, and this machine's clock is known to be the service's: the time counts from here.
    attempt.deferred.kwargs = {}
    assert attempt.fire().resume() is attempt.deferred
    time.sleep(0.2)
    attempt.deferred.kwargs = {}
    with pytest.raises(AirflowFailException, match="The response to the submission was lost"):
        attempt.fire().resume()
    assert service.posts == 0


def test_a_service_that_responds_to_the_trigger_but_not_to_the_task_is_asked_less_and_less_often(
    connection, service, monkeypatch
):
    monkeypatch.setattr("airflow_json2video.submission.submitter.backoff", backoff)
    Attempt(render()).start()
    second = Attempt(render(), try_number=2)
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=None)
    pauses = []
    outcome = second.start()
    for _ in range(3):
        pauses.append(outcome.trigger.after)
        second.event = {"requests": 1}
        outcome = second.resume()
    assert pauses == sorted(pauses)
    assert pauses[-1] > 14


def test_a_lost_response_is_confirmed_without_a_worker_slot_and_then_submitted_again(connection, service):
    service.add_fault("lost", method="POST", path="/v2/movies", when="before")
    attempt = Attempt(render())
    outcome = attempt.start()
    assert "json2video_waits_for" in attempt.xcoms  # the next attempt must know that this one may have sent something
    confirmations = 0
    while outcome is attempt.deferred and attempt.deferred.method_name == "resume_submission":
        confirmations += 1
        outcome = attempt.fire().resume()
    assert 1 <= confirmations <= 4
    assert attempt.fire().resume()["url"]
    assert service.posts == 1


def test_a_document_with_the_current_time_finds_its_own_render_after_a_lost_response(connection, service):
    """The task continues in another process, where the document is rendered again."""
    service.settings.update({"render_seconds": 60})
    service.add_fault("lost", method="POST", path="/v2/movies")
    attempt = Attempt(render(movie={**MOVIE, "comment": "12:00:00"}))
    assert attempt.start() is attempt.deferred
    attempt.operator.movie = {**MOVIE, "comment": "12:00:20"}
    assert attempt.fire().resume() is attempt.deferred
    assert attempt.deferred.method_name == "execute_complete"
    assert service.posts == 1


def test_the_next_attempt_continues_with_the_state_of_a_lost_response(connection, service):
    """The task is killed while it waits; nothing of what it knew is left."""
    service.add_fault("lost", method="POST", path="/v2/movies")
    first = Attempt(render())
    first.start()
    second = Attempt(render(), try_number=2, before=first)
    outcome = second.start()
    while outcome is second.deferred and second.deferred.method_name == "resume_submission":
        outcome = second.fire().resume()
    assert service.posts == 1


def test_a_mistyped_host_is_logged_immediately_and_named_in_the_final_error(monkeypatch, times_logged):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    host = "https://api.json2vidoe.invalid/v2"
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=host, retries=0))
    attempt = Attempt(render())
    attempt.start()
    assert times_logged("api.json2vidoe.invalid") >= 1
    assert attempt.deferred.trigger.deadline < time.time() + 121
    attempt.deferred.trigger.deadline = time.time() + 0.3
    monkeypatch.setattr("airflow_json2video.submission.submitter.HOST_RESOLUTION_TIMEOUT", 0.0)
    with pytest.raises(HostNotResolved, match=r"api\.json2vidoe\.invalid"):
        attempt.fire().resume()


def test_a_deadline_means_the_same_on_a_worker_whose_clock_is_hours_wrong(connection, service):
    service.add_fault("lost", method="POST", path="/v2/movies", when="before")
    attempt = Attempt(render(execution_timeout=timedelta(minutes=50)))
    attempt.context["ti"].start_date = datetime.now(timezone.utc)
    attempt.start()
    # The next worker's clock is two hours ahead.
    pause = ResumeState.from_json(attempt.deferred.kwargs["state"])
    hook = SimpleNamespace(get_synchronized_clock=lambda: SimpleNamespace(skew=-7200.0))
    there = pause.on_this_machine(hook)
    assert there.until == pytest.approx(pause.until + 7200)
    assert there.hard_until == pytest.approx(pause.hard_until + 7200)
    assert there.on_this_machine(hook) == there


def test_without_a_triggerer_the_worker_waits_for_the_end_of_an_outage_until_the_deadline(connection, service):
    Attempt(render()).start()
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=8)
    assert Attempt(render(deferrable=False), try_number=2).run()["url"]
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=None)
    timeout = timedelta(seconds=1)
    last = Attempt(render(deferrable=False, render_timeout=0.5, execution_timeout=timeout), try_number=3)
    last.context["ti"].start_date = datetime.now(timezone.utc)
    with pytest.raises(SubmissionUnconfirmed, match="Nothing was submitted"):
        last.run()


def test_a_refusal_is_a_response_and_ends_the_wait(connection, service):
    service.settings.update({"api_keys": ("another",)})
    trigger = Json2VideoAvailabilityTrigger(json2video_conn_id="json2video_default", deadline=4e9)
    assert fired(trigger) == [{"requests": 1, "deadline": 4e9, "attempt": 0}]


def test_its_arguments_recreate_the_trigger_and_contain_no_secret(connection):
    path, arguments = Json2VideoAvailabilityTrigger(json2video_conn_id="json2video_default", deadline=20.0).serialize()
    assert path.rpartition(".")[2] == "Json2VideoAvailabilityTrigger"
    assert Json2VideoAvailabilityTrigger(**json.loads(json.dumps(arguments)), of_next_year=1).serialize() == (
        path,
        arguments,
    )
    assert "a-key-of-the-tests" not in json.dumps(arguments)


def fired(trigger):
    async def run():
        return [event.payload async for event in trigger.run()]

    return asyncio.run(run())
