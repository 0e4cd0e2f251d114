from __future__ import annotations

import copy
import json
import time
from datetime import timedelta
from importlib.util import find_spec

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_json2video.core.identity import STAMP_KEY
from airflow_json2video.exceptions import (
    ConfigurationError,
    Json2VideoError,
    RenderDeadlineExceeded,
    RenderFailed,
    ServiceUnreachable,
    SubmissionUnconfirmed,
    find_error,
)
from airflow_json2video.operators._render import RenderAttempt
from airflow_json2video.operators.render import Json2VideoRenderOperator
from tests.unit.attempts import Attempt
from tests.unit.conftest import connection_json

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2, "elements": [{"type": "text", "text": "Hi"}]}]}


@pytest.fixture
def quick(monkeypatch):
    """Poll the list without delays; these tests are not about the delays."""
    monkeypatch.setattr("airflow_json2video.submission.submitter.backoff", lambda failures, jitter: 0.01)


@pytest.fixture
def render(connection, quick):
    def make(**arguments):
        arguments = {"task_id": "render", "movie": MOVIE, "poll_interval": 0.3, **arguments}
        if "template" in arguments:
            arguments.pop("movie")
        return Json2VideoRenderOperator(**arguments)

    return make


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_movie_becomes_a_video_in_one_submission(render, service, deferrable):
    attempt = Attempt(render(deferrable=deferrable))
    result = attempt.run()
    assert (attempt.deferred is not None) == deferrable
    assert service.posts == 1
    assert (result["width"], result["height"], result["duration"]) == (640, 360, 2.0)
    assert result["url"].endswith(".mp4")
    assert result["size"] > 0
    assert result["remaining_quota"]["time"] > 0
    assert result["submission_key"].startswith("a_dag.render-")
    assert json.loads(json.dumps(result)) == result


def test_both_ways_of_waiting_give_the_same_result(render):
    results = [Attempt(render(deferrable=d), run_id=f"run{d}").run() for d in (True, False)]
    for result in results:
        for own in ("project", "url", "created_at", "ended_at", "submission_key", "remaining_quota", "rendering_time"):
            assert result.pop(own) is not None
    assert results[0] == results[1]


def test_the_project_and_the_link_are_there_while_the_render_still_runs(render, service):
    attempt = Attempt(render())
    attempt.start()
    assert attempt.xcoms["json2video_project"] == service.renders()[0]["project"]
    assert attempt.xcoms["json2video_link"].startswith(service.url)
    result = attempt.fire().resume()
    assert attempt.xcoms["json2video_link"] == result["url"]


def test_no_secret_is_in_the_triggers_arguments_or_the_event(render):
    attempt = Attempt(render())
    attempt.run()
    assert "a-key-of-the-tests" not in json.dumps(attempt.deferred.trigger.serialize()) + json.dumps(attempt.event)


def test_the_sent_document_is_the_authors_with_only_a_stamp_in_client_data(render, service):
    movie = {"client-data": {"order": 7}, **MOVIE}
    Attempt(render(movie=movie)).run()
    sent = json.loads(service.backend.store.all()[0].document)
    assert sent["client-data"].pop(STAMP_KEY)["generation"] == 2
    assert sent == movie
    assert list(sent) == list(movie)


def test_a_movie_that_is_not_durable_is_sent_unchanged(render, service):
    result = Attempt(render(durable=False)).run()
    assert json.loads(service.backend.store.all()[0].document) == MOVIE
    assert result["submission_key"] is None


def test_without_waiting_the_task_ends_immediately_with_the_project(render, service):
    service.settings.update({"render_seconds": 600})
    result = Attempt(render(wait_for_completion=False)).run()
    assert result["project"] == service.renders()[0]["project"]
    assert result["url"] is None


def test_a_retry_reattaches_to_the_render_of_the_attempt_before(render, service):
    service.settings.update({"render_seconds": 1})
    first = Attempt(render())
    first.start()  # and the worker dies here
    result = Attempt(render(), try_number=2).run()
    assert result["project"] == first.xcoms["json2video_project"]
    assert service.posts == 1


def test_a_retry_reuses_a_render_that_has_finished_meanwhile(render, service):
    first = Attempt(render())
    first.start()
    first.fire()  # the worker dies before it resumes
    assert Attempt(render(), try_number=2).run()["project"] == first.event["project"]
    assert service.posts == 1


def test_a_reattached_render_that_has_ended_is_returned_without_deferring(render, service):
    first = Attempt(render())
    first.start()
    first.fire()
    second = Attempt(render(), try_number=2)
    assert second.start()["project"] == first.event["project"]
    assert second.deferred is None


def test_a_reattached_render_in_progress_is_waited_for_in_the_triggerer(render, service):
    service.settings.update({"render_seconds": 60})
    Attempt(render()).start()
    second = Attempt(render(), try_number=2)
    second.start()
    assert second.deferred.trigger.project == service.renders()[0]["project"]


def test_a_reattached_render_that_cannot_be_polled_now_is_waited_for_in_the_triggerer(render, service):
    service.settings.update({"render_seconds": 60})
    Attempt(render()).start()
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, nth=[2, 3, 4, 5, 6, 7, 8], times=None)
    second = Attempt(render(), try_number=2)
    second.start()
    assert second.deferred is not None
    assert service.posts == 1


def test_a_worker_that_dies_right_after_the_submission_leaves_a_render_that_the_retry_finds(
    render, service, monkeypatch
):
    operator = render()
    attempt = Attempt(operator)
    attempt.context["ti"].xcom_push = lambda **_: (_ for _ in ()).throw(SystemExit("killed"))
    with pytest.raises(SystemExit):
        attempt.start()
    Attempt(render(), try_number=2).run()
    assert service.posts == 1


def test_an_attempt_whose_response_was_lost_reads_the_list_and_reattaches(render, service):
    service.add_fault("lost", method="POST", path="/v2/movies")
    result = Attempt(render()).run()
    assert service.posts == 1
    assert result["url"]


def test_a_500_after_the_project_was_created_is_reattached_to(render, service):
    service.add_fault("answer", method="POST", path="/v2/movies", status=500, when="after")
    Attempt(render()).run()
    assert service.posts == 1
    assert len(service.renders()) == 1


def test_a_500_without_a_project_is_submitted_again_once_its_absence_is_confirmed(render, service):
    service.add_fault("answer", method="POST", path="/v2/movies", status=500)
    assert Attempt(render()).run()["url"]
    assert len(service.renders()) == 1


def test_with_on_lost_response_fail_the_error_says_how_to_find_the_render(render, service):
    service.add_fault("answer", method="POST", path="/v2/movies", status=500)
    with pytest.raises(AirflowFailException) as caught:
        Attempt(render(on_lost_response="fail")).run()
    assert isinstance(find_error(caught.value), SubmissionUnconfirmed)
    assert "a_dag.render-" in str(caught.value)
    assert "Then clear the task" in str(caught.value)
    assert service.renders() == []


def test_a_brief_refusal_that_started_nothing_does_not_fail_a_task(render, service):
    """The service's own page says of these: retry with exponential backoff."""
    for words in ("Error creating movie: no capacity", "Error starting subprocess"):
        body = {"success": False, "message": words}
        service.add_fault("answer", method="POST", path="/v2/movies", status=500, body=body)
    assert Attempt(render()).run()["url"]
    assert len(service.renders()) == 1


def test_a_failed_render_fails_the_task_with_the_services_words_the_place_the_project_and_the_cost(render, service):
    service.add_fault(
        "render", status="error", message="Scene #1, element #1: Failed to download 'https://x/a.png' (404)"
    )
    with pytest.raises(RenderFailed) as caught:
        Attempt(render()).run()
    text = str(caught.value)
    assert "Scene #1, element #1: Failed to download 'https://x/a.png' (404)" in text
    assert "scenes[0].elements[0]" in text
    assert service.renders()[0]["project"] in text
    assert "not charged" in text


def test_a_retry_of_a_failed_render_submits_again(render, service):
    service.add_fault("render", status="error", message="Scene #1, element #1: Failed to download 'x'")
    with pytest.raises(RenderFailed):
        Attempt(render()).run()
    assert Attempt(render(), try_number=2).run()["url"]
    assert service.posts == 2


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_deadline_fails_the_task_and_a_retry_can_reattach_to_the_render(render, service, deferrable):
    service.settings.update({"render_seconds": 600})
    attempt = Attempt(render(deferrable=deferrable, render_timeout=timedelta(seconds=1)))
    with pytest.raises(RenderDeadlineExceeded, match="will be billed, and a retry of this task reattaches to it"):
        attempt.run()
    service.clock.advance(600)
    time.sleep(0.6)
    assert Attempt(render(), try_number=2).run()["project"] == service.renders()[0]["project"]
    assert service.posts == 1


def test_the_deadline_of_a_reattached_render_counts_from_its_submission(render, service):
    service.settings.update({"render_seconds": 600})
    Attempt(render()).start()
    time.sleep(1.1)
    with pytest.raises(RenderDeadlineExceeded, match="still running after 1s"):
        Attempt(render(render_timeout=1), try_number=2).start()


def test_the_execution_timeout_is_honored_while_deferred(render, service):
    service.settings.update({"render_seconds": 600})
    attempt = Attempt(render(execution_timeout=timedelta(seconds=1)))
    with pytest.raises(RenderDeadlineExceeded):
        attempt.run()


def test_airflows_own_timeout_of_the_deferral_falls_later_than_ours(render):
    attempt = Attempt(render(render_timeout=60))
    attempt.start()
    assert attempt.deferred.timeout > timedelta(seconds=300)


def test_an_invalid_document_is_refused_with_its_path_and_nothing_is_sent(render, service):
    with pytest.raises(AirflowFailException, match=r"scenes\[0\]\.elements\[0\]\.src"):
        Attempt(render(movie={"scenes": [{"duration": 3, "elements": [{"type": "video"}]}]})).run()
    assert service.requests == []


@pytest.mark.parametrize(
    ("movie", "words"),
    [
        ('{"scenes": [}', "line 1"),
        ("", "empty"),
        ("null", "null"),
        ("[]", "array"),
        (7, "int"),
    ],
)
def test_a_movie_that_is_not_a_json_object_is_named_and_nothing_is_sent(render, service, movie, words):
    operator = render()
    operator.movie = movie
    with pytest.raises(AirflowFailException, match=words):
        Attempt(operator).run()
    assert service.requests == []


def test_a_stored_template_is_rendered_with_its_variables(render, service):
    service.add_template({"variables": {"name": ""}, **MOVIE}, id="abc123def456ghi789jk")
    assert Attempt(render(template="abc123def456ghi789jk", variables={"name": "Ada"})).run()["url"]


def test_a_template_that_does_not_exist_fails_without_a_retry(render):
    with pytest.raises(AirflowFailException, match="Template"):
        Attempt(render(template="x" * 20, variables={"a": 1})).run()


def test_a_wrong_key_fails_without_a_retry_and_is_not_shown(render, service, monkeypatch, caplog):
    key = "invalid-key-for-this-test"
    monkeypatch.setenv(
        "AIRFLOW_CONN_JSON2VIDEO_DEFAULT",
        json.dumps({"conn_type": "json2video", "password": key, "host": service.url}),
    )
    with pytest.raises(AirflowFailException, match="API key") as caught:
        Attempt(render()).run()
    assert key not in str(caught.value) + caplog.text


def test_a_key_that_is_revoked_while_the_task_waits_fails_it_retryably_at_the_deadline(render, service, monkeypatch):
    service.settings.update({"render_seconds": 600})
    attempt = Attempt(render(render_timeout=3))
    attempt.start()
    monkeypatch.setenv(
        "AIRFLOW_CONN_JSON2VIDEO_DEFAULT",
        json.dumps({"conn_type": "json2video", "password": "invalid-now", "host": service.url}),
    )
    with pytest.raises(RenderDeadlineExceeded, match=r"(?i)api key") as caught:
        attempt.fire().resume()
    assert caught.value.retryable
    assert caught.value.format_report().count("The render keeps running and will be billed.") == 1


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_brief_refusal_does_not_end_a_task_whose_render_is_paid_for(render, service, deferrable):
    service.settings.update({"render_seconds": 1.0})
    service.add_fault("answer", method="GET", status=401, times=2)
    assert Attempt(render(deferrable=deferrable)).run()["url"]
    assert service.posts == 1


def test_a_key_that_is_replaced_while_a_worker_waits_is_used(render, service, monkeypatch):
    service.settings.update({"render_seconds": 1.0})
    operator = render(deferrable=False)
    forget = type(operator.hook).forget_connection

    def rotated(hook):
        monkeypatch.setenv(
            "AIRFLOW_CONN_JSON2VIDEO_DEFAULT",
            json.dumps({"conn_type": "json2video", "password": "the-new-key", "host": service.url}),
        )
        forget(hook)

    monkeypatch.setattr(type(operator.hook), "forget_connection", rotated)
    submit = RenderAttempt._run

    def submitted(self, *arguments, **more):
        render = submit(self, *arguments, **more)
        service.settings.update({"api_keys": ("the-new-key",)})
        return render

    monkeypatch.setattr(RenderAttempt, "_run", submitted)
    assert Attempt(operator).run()["url"]


def test_the_first_poll_of_a_reattached_render_may_be_refused(render, service):
    service.settings.update({"render_seconds": 1.0})
    first = Attempt(render())
    first.start()
    service.add_fault("answer", method="GET", path="/v2/movies", status=403, nth=2)  # the list, then the render
    second = Attempt(render(), try_number=2, max_tries=3)
    assert second.run()["url"]
    assert service.posts == 1


def test_a_connection_that_is_missing_or_empty_is_named(render, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", json.dumps({"conn_type": "json2video"}))
    with pytest.raises(AirflowFailException, match="'json2video_default' does not contain an API key"):
        Attempt(render()).run()
    with pytest.raises(AirflowFailException, match=r"Connection 'no_such_connection' does not exist\. Create it"):
        Attempt(render(json2video_conn_id="no_such_connection")).run()


def test_an_unreachable_service_fails_retryably_and_the_error_says_that_nothing_was_sent(render, monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_JSON2VIDEO_DEFAULT",
        json.dumps({"conn_type": "json2video", "password": "k", "host": "http://127.0.0.1:9"}),
    )
    with pytest.raises(ServiceUnreachable, match="Nothing was submitted"):
        Attempt(render(render_timeout=0.2)).run()


ODD_ANSWERS = {
    "html": {"kind": "answer", "status": 200, "body": "<html>Welcome</html>", "when": "after"},
    "empty": {"kind": "answer", "status": 200, "body": "", "when": "after"},
    "another shape": {"kind": "answer", "status": 200, "body": {"success": True}, "when": "after"},
    "cut short": {"kind": "cut"},
}


@pytest.mark.parametrize("kind", ODD_ANSWERS)
def test_after_an_unreadable_response_the_render_is_looked_up_and_not_sent_again(render, service, kind):
    service.add_fault(method="POST", path="/v2/movies", **ODD_ANSWERS[kind])
    assert Attempt(render()).run()["url"]
    assert service.posts == 1


@pytest.mark.parametrize("kind", ODD_ANSWERS)
def test_a_status_that_cannot_be_read_is_requested_again(render, service, kind):
    attempt = Attempt(render())
    attempt.start()
    service.add_fault(method="GET", path="/v2/movies", times=2, **ODD_ANSWERS[kind])
    assert attempt.fire().resume()["url"]


def test_an_event_of_another_shape_is_never_mistaken_for_success(render):
    for event in (None, {}, {"status": "done"}, {"movie": {"project": "other", "url": "u"}}, "done"):
        attempt = Attempt(render())
        attempt.start()
        attempt.event = event
        with pytest.raises(Exception, match="does not say how render"):
            attempt.resume()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"movie": MOVIE, "template": "x" * 20}, "both"),
        ({}, "neither"),
        ({"movie": MOVIE, "render_timeout": 0}, "render_timeout"),
        ({"movie": MOVIE, "render_timeout": timedelta(seconds=-5)}, "render_timeout"),
        ({"movie": MOVIE, "poll_interval": "often"}, "poll_interval"),
        ({"movie": MOVIE, "on_lost_response": "retry"}, "on_lost_response.*'resubmit', 'fail'"),
        ({"movie": MOVIE, "on_clear": "again"}, "on_clear"),
        ({"movie": MOVIE, "wait_for_credits": 5}, "wait_for_credits must be a timedelta"),
        ({"movie": MOVIE, "output_path": "/v/", "store": "video"}, "store must be a tuple of 'video'"),
        ({"movie": MOVIE, "output_path": "/v/", "store": ["video", "poster"]}, "store must be a tuple of 'video'"),
        ({"movie": MOVIE, "output_path": "/v/", "store": ["subtitles"]}, "store must include 'video'"),
    ],
)
def test_wrong_arguments_are_refused_when_the_dag_is_parsed(arguments, words):
    with pytest.raises(ConfigurationError, match=words):
        Json2VideoRenderOperator(task_id="render", **arguments)


def test_a_movie_of_the_models_is_stored_as_its_document():
    from airflow_json2video.movie import Movie, Scene, TextElement

    operator = Json2VideoRenderOperator(
        task_id="t", movie=Movie(scenes=[Scene(duration=2, elements=[TextElement(text="Hi")])])
    )
    assert operator.movie == {"scenes": [{"duration": 2, "elements": [{"type": "text", "text": "Hi"}]}]}


def test_a_paid_video_is_returned_even_if_the_connection_was_deleted_meanwhile(render, monkeypatch):
    attempt = Attempt(render())
    attempt.start()
    attempt.fire()
    monkeypatch.delenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT")
    assert attempt.resume()["url"]


def test_a_failure_says_which_attempt_it_was_and_whether_another_follows(render, service):
    service.add_fault("render", status="error", message="Failed to download x", times=None)
    with pytest.raises(RenderFailed, match=r"attempt 1 of 3\. Airflow will retry"):
        Attempt(render(), max_tries=2).run()
    with pytest.raises(RenderFailed, match=r"attempt 3 of 3\. No retries left"):
        Attempt(render(), try_number=3, max_tries=2).run()


def confirming(monkeypatch, service, *, seconds):
    extra = {"confirmation_time": seconds}
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=service.url, **extra))


def test_a_lost_response_after_an_earlier_failed_render_is_not_mistaken_for_that_failure(render, service, monkeypatch):
    service.add_fault("render", status="error", message="Failed to download x")
    with pytest.raises(RenderFailed):
        Attempt(render()).run()
    # The second attempt's answer is lost, and its project shows in the list only after some looks.
    confirming(monkeypatch, service, seconds=3.0)
    service.settings.update({"list_delay": 1.0, "render_seconds": 3})
    service.add_fault("lost", method="POST", path="/v2/movies")
    result = Attempt(render(), try_number=2).run()
    assert service.posts == 2
    assert result["project"] == service.renders()[-1]["project"]


def test_a_later_attempt_waits_for_a_list_that_shows_a_new_project_late(render, service, monkeypatch):
    confirming(monkeypatch, service, seconds=3.0)
    service.settings.update({"list_delay": 1.0})
    Attempt(render()).start()  # the worker dies right after the POST
    assert Attempt(render(), try_number=2).run()["url"]
    assert service.posts == 1


def test_an_attempt_that_wakes_after_its_successor_has_started_sends_nothing(render, service, monkeypatch):
    exits = []
    monkeypatch.setattr("airflow_json2video.operators._render.attempt_is_current", lambda ti: False)
    monkeypatch.setattr("airflow_json2video.version_compat.os._exit", exits.append)
    monkeypatch.setattr("airflow_json2video.version_compat.logging.shutdown", lambda: None)
    with pytest.raises(AirflowFailException, match="no longer the running one"):
        Attempt(render()).run()
    assert service.posts == 0
    # Airflow 2 has one row for all attempts: failing this one would fail the one that runs.
    assert exits == ([] if find_spec("airflow.sdk") else [0])


def test_an_outage_of_airflows_database_of_seconds_costs_no_attempt(render, service, monkeypatch):
    monkeypatch.setattr("airflow_json2video.submission.attempt._RETRY_DELAYS", (0.01,) * 6)
    answers = iter([OSError("the database is gone")] * 5)

    def current(ti):
        if (error := next(answers, None)) is not None:
            raise error
        return True

    monkeypatch.setattr("airflow_json2video.operators._render.attempt_is_current", current)
    assert Attempt(render()).run()["url"]
    assert service.posts == 1


def test_airflow_is_asked_for_a_minute_before_an_attempt_is_given_up():
    from airflow_json2video.submission.attempt import _RETRY_DELAYS

    assert sum(_RETRY_DELAYS) == 60


def test_an_attempt_that_cannot_ask_airflow_sends_nothing_and_may_be_retried(render, service, monkeypatch):
    def unreachable(ti):
        raise ConnectionError("the API server is gone")

    monkeypatch.setattr("airflow_json2video.submission.attempt._RETRY_DELAYS", (0.01, 0.01))
    monkeypatch.setattr("airflow_json2video.operators._render.attempt_is_current", unreachable)
    with pytest.raises(Json2VideoError, match=r"the API server is gone.*Nothing was submitted") as caught:
        Attempt(render()).run()
    assert caught.value.retryable
    assert service.posts == 0


class Store(dict):
    """Airflow's task state, as a task sees it."""

    def set(self, key, value):
        self[key] = value


def test_a_retry_with_airflows_task_state_store_asks_for_one_project_and_lists_nothing(render, service):
    store = Store()
    Attempt(render(), names={"task_state_store": store}).start()
    before = len(service.requests)
    Attempt(render(), try_number=2, names={"task_state_store": store}).run()
    assert all("project" in r.query for r in service.requests[before:])
    assert service.posts == 1


@pytest.mark.parametrize(
    "kept",
    [
        None,
        "text",
        {"submission_key": "of another", "project": "x" * 16},
        {"submission_key": "SAME", "project": "x" * 16},
        {"submission_key": "SAME", "project": 7},
    ],
)
def test_a_wrong_or_missing_task_state_store_changes_only_the_number_of_requests(render, service, kept):
    first = Attempt(render())
    first.start()
    store = Store()
    if kept is not None:
        if isinstance(kept, dict) and kept["submission_key"] == "SAME":
            kept = {**kept, "submission_key": first.deferred.kwargs["submission_key"]}
        store.set("airflow_json2video", kept)
    assert Attempt(render(), try_number=2, names={"task_state_store": store}).run()["url"]
    assert service.posts == 1


def test_a_store_that_fails_changes_only_the_number_of_requests(render, service):
    class Broken:
        def get(self, key):
            raise RuntimeError("down")

        set = get

    Attempt(render(), names={"task_state_store": Broken()}).start()
    assert Attempt(render(), try_number=2, names={"task_state_store": Broken()}).run()["url"]
    assert service.posts == 1


def test_an_attempt_that_airflow_reschedules_under_the_same_number_reattaches(render, service):
    Attempt(render()).start()
    Attempt(render(), names={"task_reschedule_count": 1}).run()
    assert service.posts == 1


def test_the_last_attempts_failure_says_how_to_reuse_the_running_render(render, service):
    service.settings.update({"render_seconds": 600})
    with pytest.raises(RenderDeadlineExceeded, match="Clear the task to reuse this render"):
        Attempt(render(render_timeout=0.5), max_tries=0).run()


def test_without_a_stamp_no_failure_promises_a_reattach(render, service):
    service.settings.update({"render_seconds": 600})
    with pytest.raises(RenderDeadlineExceeded, match="With durable=False no later attempt reattaches to it") as caught:
        Attempt(render(render_timeout=0.5, durable=False)).run()
    assert "reattaches to it:" in str(caught.value)
    assert "retry of this task reattaches" not in str(caught.value)


def test_the_error_of_a_stalled_render_does_not_promise_a_free_clear(render, service):
    service.add_fault("render", status="timeout")
    error = Json2VideoError
    with pytest.raises(error) as caught:
        Attempt(render(render_timeout=0.5), max_tries=0).run()
    assert "no new one is paid for" not in str(caught.value)


def test_a_value_that_json_does_not_allow_is_named_with_its_path(render, service):
    with pytest.raises(AirflowFailException, match=r"scenes\[0\]\.comment"):
        Attempt(render(movie={"scenes": [{"duration": 2, "comment": {1, 2}}]})).run()
    assert service.posts == 0


STOOD_IN = {"scenes": [{"elements": [{"type": "video", "src": "https://media.example.com/a.mp4"}]}]}


@pytest.mark.parametrize("deferrable", [True, False])
def test_what_the_local_service_could_not_draw_as_written_is_logged_once(render, service, times_logged, deferrable):
    attempt = Attempt(render(movie=STOOD_IN, deferrable=deferrable))
    outcome = attempt.start()
    if deferrable:
        attempt.fire()
        assert times_logged("is unknown without the media file") == 0  # the task's own log says it, not the trigger's
        outcome = attempt.resume()
    (warning,) = service.renders()[0]["warnings"]
    assert times_logged(f"Render {outcome['project']}: {warning}") == 1
    assert "warnings" not in json.dumps([outcome, attempt.xcoms])


def test_a_task_that_dag_test_resumes_with_only_the_event_returns_the_same_result(render):
    attempt = Attempt(render())
    attempt.start()
    attempt.fire()
    whole = attempt.resume()
    attempt.deferred.kwargs = {}
    assert attempt.resume() == whole
    assert whole["submission_key"]


def test_an_unpaired_surrogate_in_the_services_message_is_in_no_event_and_no_error(connection, service):
    attempt = Attempt(Json2VideoRenderOperator(task_id="render", movie=MOVIE, poll_interval=0.3))
    attempt.start()
    project = service.renders()[0]["project"]
    ended = '{"success": true, "movie": {"project": "%s", "status": "error", "message": "Failed to download \\ud83d"}}'
    service.add_fault("answer", method="GET", path="/v2/movies", body=ended % project, times=None)
    attempt.fire()
    json.dumps(attempt.event, ensure_ascii=False).encode()
    with pytest.raises(RenderFailed, match="Failed to download \ufffd"):
        attempt.resume()


@pytest.mark.parametrize(("variable", "deferrable"), [(None, True), ("", True), ("False", False), ("True", True)])
def test_a_task_defers_unless_the_environment_says_no_whatever_airflow_writes_into_its_config(
    monkeypatch, variable, deferrable
):
    """Airflow writes ``default_deferrable = false`` into every new airflow.cfg."""
    from airflow.providers.common.compat.sdk import conf

    if not conf.has_section("operators"):
        conf.add_section("operators")
    monkeypatch.setitem(conf["operators"], "default_deferrable", "false")
    if variable is not None:
        monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", variable)
    assert Json2VideoRenderOperator(task_id="render", movie={}).deferrable is deferrable


def test_an_operator_that_has_begun_an_attempt_can_be_copied():
    operator = Json2VideoRenderOperator(task_id="render", movie={})
    operator._begin({"macros": copy})
    assert copy.deepcopy(operator)._attempt is None
