"""The operators for the account's renders, and the webhook argument, against the local service."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_json2video.exceptions import Json2VideoError
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.operators.renders import Json2VideoDeleteRenderOperator, Json2VideoListRendersOperator
from tests.unit.attempts import Attempt

MOVIE = {"resolution": "sd", "scenes": [{"duration": 1, "elements": [{"type": "text", "text": "Hi"}]}]}
YESTERDAY = datetime.now(timezone.utc) - timedelta(days=1)


@pytest.fixture
def hook(connection):
    return Json2VideoHook()


def render(**arguments):
    arguments = {"task_id": "render", "movie": MOVIE, "poll_interval": 0.3, **arguments}
    return Attempt(Json2VideoRenderOperator(**arguments)).render_templates().run()


def listed(**arguments):
    operator = Json2VideoListRendersOperator(task_id="list", date_start=YESTERDAY, **arguments)
    return Attempt(operator).run()


def test_a_list_has_the_facts_of_each_render_without_its_document(hook):
    project = render(movie={**MOVIE, "client-data": {"order": 7}})["project"]
    (movie,) = listed()
    assert (movie["project"], movie["status"], movie["duration"]) == (project, "done", 1.0)
    assert movie["client_data"]["order"] == 7
    assert "json" not in movie
    assert json.loads(json.dumps(movie)) == movie


def test_a_list_can_be_narrowed_to_statuses(hook, service):
    render()
    service.add_fault("render", status="error", message="no")
    with pytest.raises(Json2VideoError, match="no"):
        render(task_id="another")
    assert [movie["status"] for movie in listed(statuses=["error"])] == ["error"]
    assert len(listed()) == 2


def test_a_time_without_a_zone_is_refused_since_it_means_another_range_on_another_machine(hook, service):
    operator = Json2VideoListRendersOperator(task_id="list", date_start="2026-05-01T00:00:00")
    with pytest.raises(AirflowFailException, match="must have a time zone"):
        Attempt(operator).run()
    assert service.requests == []


def test_deleting_a_movie_removes_its_file_and_may_be_repeated(hook):
    project = render()["project"]
    for _ in range(2):
        Attempt(Json2VideoDeleteRenderOperator(task_id="delete", project=project)).run()
    movie = hook.get_movie(project).movie
    assert movie.url is None
    assert movie.deleted_at is not None


def test_deleting_an_unknown_render_fails_without_a_retry(hook):
    with pytest.raises(AirflowFailException, match="was not found in this account"):
        Attempt(Json2VideoDeleteRenderOperator(task_id="delete", project="x" * 16)).run()


# The webhook argument


def submitted(service):
    return json.loads(service.backend.store.all()[-1].document)


def test_a_webhook_is_put_into_the_movies_exports_and_its_address_is_templated(hook, service):
    operator = Json2VideoRenderOperator(
        task_id="render", movie=MOVIE, webhook="https://example.com/{{ ds }}", poll_interval=0.3
    )
    Attempt(operator, names={"ds": "2026-05-01"}).render_templates().run()
    assert submitted(service)["exports"] == [
        {"destinations": [{"type": "webhook", "endpoint": "https://example.com/2026-05-01"}]}
    ]


def test_a_webhook_comes_after_the_destinations_that_the_movie_has_and_a_template_can_have_one_too(hook, service):
    email = {"type": "email", "to": "a@example.com", "subject": "s", "message": "m"}
    render(movie={**MOVIE, "exports": [{"destinations": [email]}]}, webhook="https://example.com/hook")
    kinds = [destination["type"] for destination in submitted(service)["exports"][0]["destinations"]]
    assert kinds == ["email", "webhook"]
    template = hook.create_template("showcase", MOVIE)
    render(task_id="another", movie=None, template=template, webhook={"id": "my-connection"})
    assert submitted(service)["template"] == template
    assert submitted(service)["exports"] == [{"destinations": [{"id": "my-connection"}]}]


def test_a_url_that_the_movie_already_calls_is_not_called_twice(hook, service):
    exports = [{"destinations": [{"type": "webhook", "endpoint": "https://example.com/hook"}]}]
    render(movie={**MOVIE, "exports": exports}, webhook="https://example.com/hook")
    assert submitted(service)["exports"] == exports


@pytest.mark.parametrize(
    ("webhook", "words"),
    [
        ("http://example.com/hook", "must be a URL that begins with https://"),
        ("example.com/hook", "must be a URL that begins with https://"),
        ("", "must be a URL that begins with https://"),
        ("https://me:secret@example.com/hook", "has a user or a password in its URL"),
        ({"type": "ftp", "host": "x"}, "must be a destination of type 'webhook', got 'ftp'"),
        ({"url": "https://example.com"}, "needs an 'endpoint', or the 'id'"),
        (7, "must be an https URL or a destination object, got int"),
    ],
    ids=["http", "no scheme", "empty", "a login", "another type", "a misspelling", "a number"],
)
def test_a_webhook_that_cannot_work_fails_the_task_before_anything_is_paid_for(hook, service, webhook, words):
    with pytest.raises(AirflowFailException) as failed:
        render(webhook=webhook)
    assert words in str(failed.value)
    assert "secret" not in str(failed.value)
    assert service.posts == 0


def test_a_webhook_is_called_when_the_render_has_ended(hook, service):
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    called = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            called.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    result = render(webhook=f"http://127.0.0.1:{server.server_port}/hook")
    thread.join(timeout=20)
    server.server_close()
    assert [call["project"] for call in called] == [result["project"]]
