"""Exports after a render: webhooks are sent, the others are described in warnings."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest
import requests

from airflow_json2video.local import LocalService


class Receiver:
    """An HTTP server that records its requests."""

    def __init__(self):
        self.calls = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.calls.append((self.path, self.headers["Content-Type"], body))
                self.send_response(receiver.status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?token=secret"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def wait(self, count=1):
        deadline = time.monotonic() + 5
        while len(self.calls) < count:
            assert time.monotonic() < deadline, "no webhook came"
            time.sleep(0.01)
        return [json.loads(body) for _, _, body in self.calls]

    def stays_at(self, count, seconds=0.3):
        time.sleep(seconds)
        assert len(self.calls) == count


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


def exporting(*destinations, **more):
    movie = {"resolution": "sd", "scenes": [{"duration": 2}], "id": "my-movie", "client-data": {"key": "k1"}}
    return {**movie, "exports": [{"destinations": list(destinations)}], **more}


def hook(url, **more):
    return {"type": "webhook", "endpoint": url, **more}


def delivered(service):
    deadline = time.monotonic() + 5
    while not (found := service.renders()[-1]["deliveries"]):
        assert time.monotonic() < deadline, "nothing was delivered"
        time.sleep(0.01)
    return [d["outcome"] for d in found]


def test_a_webhook_fires_once_after_the_render_with_numbers_as_texts(client, service, receiver):
    movie = client.finished(movie=exporting(hook(receiver.url)))
    assert receiver.wait() == [
        {
            "width": "640", "height": "360", "duration": "2", "size": str(movie["size"]), "url": movie["url"],
            "project": movie["project"], "id": "my-movie", "client-data": {"key": "k1"},
        }
    ]  # fmt: skip
    path, content_type, _ = receiver.calls[0]
    assert (path, content_type) == ("/hook?token=secret", "application/json")
    receiver.stays_at(1)
    assert delivered(service) == ["answered 200"]


def test_a_failed_render_fires_too(client, service, receiver):
    client.finished(movie=exporting(hook(receiver.url), scenes=[]))
    (sent,) = receiver.wait()
    assert (sent["success"], sent["status"], sent["message"], sent["url"]) == (
        False, "error", "Movie duration cannot be zero", None,
    )  # fmt: skip


def test_it_fires_only_when_the_service_clock_sees_the_end(client, service, receiver):
    service.clock.freeze()
    service.settings.render_seconds = 600
    client.finished(movie=exporting(hook(receiver.url)))
    receiver.stays_at(0)
    service.clock.advance(601)
    receiver.wait()


@pytest.mark.parametrize("status", ["done", "error"])
def test_the_tutorials_shape_has_numbers_and_a_status(client, service, receiver, status):
    service.settings.webhook_shape = "tutorial"
    movie = client.finished(movie=exporting(hook(receiver.url), **({"scenes": []} if status == "error" else {})))
    (sent,) = receiver.wait()
    common = {"project": movie["project"], "status": status, "client-data": {"key": "k1"}}
    if status == "done":
        assert sent == {**common, "url": movie["url"], "duration": 2, "size": movie["size"]}
    else:
        assert sent == {**common, "message": "Movie duration cannot be zero"}


def test_the_shape_of_the_guide_is_that_of_polling(client, service, receiver):
    service.settings.webhook_shape = "envelope"
    movie = client.finished(movie=exporting(hook(receiver.url)))
    thumbnail = f"{service.url}/thumbnails/{movie['project']}"
    assert receiver.wait() == [{"success": True, "movie": {**movie, "thumbnail": thumbnail}}]
    picture = requests.get(thumbnail, timeout=10)
    assert (picture.status_code, picture.headers["content-type"].split("/")[0]) == (200, "image")
    failed = client.finished(movie=exporting(hook(receiver.url), scenes=[]))
    assert receiver.wait(2)[1] == {"success": True, "movie": failed}


@pytest.mark.parametrize(
    ("types", "asked", "form"),
    [
        ("both", "urlencoded", True),
        ("both", "application/x-www-form-urlencoded", True),
        ("both", "application/json", False),
        ("mime", "urlencoded", False),
        ("mime", "application/x-www-form-urlencoded", True),
        ("short", "urlencoded", True),
        ("short", "application/x-www-form-urlencoded", False),
    ],
)
def test_a_form_is_sent_for_a_supported_content_type(client, service, receiver, types, asked, form):
    service.settings.webhook_types = types
    project = client.submit(movie=exporting(hook(receiver.url, **{"content-type": asked})))
    deadline = time.monotonic() + 5
    while not receiver.calls and time.monotonic() < deadline:
        time.sleep(0.01)
    ((_, content_type, body),) = receiver.calls
    if form:
        assert content_type == "application/x-www-form-urlencoded"
        fields = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        assert (fields["project"], fields["duration"], fields["client-data"]) == (project, "2", '{"key": "k1"}')
    else:
        assert (content_type, json.loads(body)["project"]) == ("application/json", project)


def test_several_destinations_and_exports_run_in_order(client, receiver):
    movie = exporting(hook(receiver.url + "&n=1"), hook(receiver.url + "&n=2"))
    movie["exports"].append({"destinations": [hook(receiver.url + "&n=3")]})
    client.submit(movie=movie)
    receiver.wait(3)
    assert [path[-3:] for path, _, _ in receiver.calls] == ["n=1", "n=2", "n=3"]


def test_expressions_and_templates_reach_their_webhook(client, service, receiver):
    stored = {"resolution": "sd", "variables": {"to": "nowhere"}, "scenes": [{"duration": 1}]}
    stored["exports"] = [{"destinations": [hook("{{ to }}")]}]
    service.add_template(stored, id="t" * 20)
    client.submit(movie={"template": "t" * 20, "variables": {"to": receiver.url}})
    receiver.wait()


def test_ftp_sftp_and_email_are_described_and_never_sent(client, service, receiver):
    secret = {"username": "me", "password": "hunter2"}
    movie = exporting(
        {"type": "sftp", "host": "files.example", "port": 22, "remote-path": "/in", "file": "a.mp4", **secret},
        {"type": "ftp", "host": "old.example", "port": 21, **secret},
        {"type": "email", "to": "a@example.com", "subject": "Done", "message": "__video_url__"},
        {"id": "conn-1"},
        {"type": "s3"},
        hook(receiver.url),
    )
    client.finished(movie=movie)
    receiver.wait()
    warnings = service.renders()[0]["warnings"]
    assert [w.split(": ", 1)[1] for w in warnings] == [
        "would send the video by sftp to files.example:22 as /in/a.mp4",
        "would send the video by ftp to old.example:21 as ./(generated name)",
        "would send an email to a@example.com, subject 'Done'",
        "would use the connection 'conn-1' of the dashboard, which is unknown here",
        "unknown destination type 's3'; use webhook, ftp, sftp or email",
    ]
    assert warnings[0].startswith("exports[0].destinations[0]: ")
    assert "hunter2" not in json.dumps(service.renders()[0]["warnings"] + service.renders()[0]["deliveries"])


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://192.0.2.1/x", "is not this machine"),
        ("http://169.254.169.254/latest", "is not this machine"),
        ("ftp://127.0.0.1/x", "not an http or https address"),
        ("", "not an http or https address"),
    ],
)
def test_other_machines_are_not_called_unless_allowed(client, service, url, reason):
    client.finished(movie=exporting(hook(url)))
    (outcome,) = delivered(service)
    assert outcome.startswith("failed: ")
    assert reason in outcome
    if url.startswith("http"):
        assert "would call a webhook at" in service.renders()[0]["warnings"][0]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_movie_cannot_make_the_service_control_itself(client, service, host):
    port = service.url.rsplit(":", 1)[1]
    client.finished(movie=exporting(hook(f"http://{host}:{port}/_control/reset")))
    assert delivered(service) == ["failed: a webhook cannot call the service itself"]
    assert len(service.renders()) == 1


def test_an_unsuccessful_response_is_recorded_and_neither_followed_nor_repeated(client, service, receiver):
    receiver.status = 302
    client.finished(movie=exporting(hook(receiver.url)))
    assert delivered(service) == ["answered 302"]
    receiver.stays_at(1)


def test_a_webhook_can_be_lost(client, service, receiver):
    service.add_fault("webhook", status="missing")
    client.finished(movie=exporting(hook(receiver.url)))
    assert delivered(service) == ["not sent: suppressed by a fault rule"]
    receiver.stays_at(0, 0.1)


def test_a_webhook_can_come_twice(client, service, receiver):
    service.add_fault("webhook", status="twice", marker="k1")
    client.finished(movie=exporting(hook(receiver.url)))
    first, second = receiver.wait(2)
    assert first == second
    assert delivered(service) == ["answered 200", "answered 200"]


def test_a_webhook_can_come_late(client, service, receiver):
    service.clock.freeze()
    service.add_fault("webhook", status="late", seconds=300)
    client.finished(movie=exporting(hook(receiver.url)))
    service.clock.advance(290)
    receiver.stays_at(0)
    service.clock.advance(20)
    receiver.wait()
    receiver.stays_at(1, 0.1)


def test_a_restart_sends_only_unsent_webhooks(tmp_path, make_client, receiver):
    with LocalService(mode="instant", home=tmp_path) as service:
        client = make_client(service)
        client.finished(movie=exporting(hook(receiver.url + "&sent")))
        receiver.wait()
        service.settings.render_seconds = 600
        client.finished(movie=exporting(hook(receiver.url + "&unsent")))
    with LocalService(mode="instant", home=tmp_path) as service:
        service.clock.advance(601)
        receiver.wait(2)
        receiver.stays_at(2, 0.1)
    assert [path.rsplit("&", 1)[1] for path, _, _ in receiver.calls] == ["sent", "unsent"]
