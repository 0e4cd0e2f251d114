"""Every way of breaking the service, by rule."""

from __future__ import annotations

import time

import pytest
import requests
import uvicorn

from airflow_json2video.local import LocalService

SHORT = {"resolution": "sd", "scenes": [{"duration": 2}]}


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 502, 503])
def test_a_status_before_the_app_creates_no_project_and_applies_once(client, service, status):
    service.add_fault("answer", status=status, message="no", method="POST", path="/movies")
    answer = client.post(SHORT)
    assert (answer.status_code, answer.json()["message"]) == (status, "no")
    assert (service.posts, service.renders()) == (0, [])
    assert client.post(SHORT).status_code == 200


def test_429_has_an_optional_retry_after(client, service):
    service.add_fault("answer", status=429, retry_after=7)
    service.add_fault("answer", status=429, nth=2)
    assert client.get().headers["retry-after"] == "7"
    answer = client.get()
    assert answer.status_code == 429
    assert "retry-after" not in answer.headers


def test_a_500_after_the_app_leaves_a_project_behind(client, service):
    service.add_fault("answer", status=500, when="after", method="POST")
    assert client.post(SHORT).status_code == 500
    assert service.posts == 1
    assert client.get().json()["count"] == 1


def test_an_accepted_submission_whose_reply_is_lost_has_a_project(client, service):
    service.add_fault("lost", method="POST")
    with pytest.raises(requests.ConnectionError):
        client.post(SHORT)
    assert service.posts == 1
    assert len(service.renders()) == 1
    assert client.post(SHORT).status_code == 200


@pytest.mark.parametrize(
    "protocol",
    ["uvicorn.protocols.http.h11_impl:H11Protocol", "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol"],
)
@pytest.mark.parametrize(
    ("kind", "seen"), [("lost", requests.ConnectionError), ("cut", requests.exceptions.ChunkedEncodingError)]
)
def test_a_reply_is_lost_or_cut_whichever_parser_the_server_has(
    tmp_path, monkeypatch, make_client, protocol, kind, seen
):
    pytest.importorskip("httptools" if "httptools" in protocol else "h11")
    monkeypatch.setitem(uvicorn.config.HTTP_PROTOCOLS, "auto", protocol)
    with LocalService(mode="instant", home=tmp_path) as service:
        client = make_client(service)
        service.add_fault(kind, method="POST", bytes=5)
        with pytest.raises(seen) as raised:
            client.post(SHORT)
        assert type(raised.value) is seen
        assert client.get().json()["count"] == 1


def test_a_request_lost_before_the_app_has_none(client, service):
    service.add_fault("lost", method="POST", when="before")
    with pytest.raises(requests.ConnectionError):
        client.post(SHORT)
    assert service.posts == 0
    assert service.renders() == []


def test_a_reply_cut_short_ends_in_the_middle(client, service):
    service.add_fault("cut", method="POST", bytes=5)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.post(SHORT)
    assert len(service.renders()) == 1


@pytest.mark.parametrize(
    ("body", "content_type"),
    [("<html>Bad gateway</html>", "text/html"), ("", "application/json"), ('{"succ', "application/json")],
)
def test_a_body_that_is_not_json_can_be_sent(client, service, body, content_type):
    service.add_fault("answer", body=body, status=200)
    answer = client.get()
    assert (answer.text, answer.headers["content-type"]) == (body, content_type)


def test_a_body_of_another_shape_can_be_sent_once_the_app_has_run(client, service):
    service.add_fault("answer", body={"success": True}, when="after", method="POST")
    answer = client.post(SHORT)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert len(service.renders()) == 1


@pytest.mark.timed
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_answer_can_be_delayed_and_the_app_has_run_or_not(client, service, when):
    service.add_fault("delay", seconds=0.5, when=when, method="POST")
    started = time.monotonic()
    with pytest.raises(requests.Timeout):
        client.session.post(f"{service.host}/movies", json=SHORT, timeout=0.2)
    assert len(service.renders()) == (1 if when == "after" else 0)
    assert time.monotonic() - started < 0.5


def test_a_rule_applies_at_the_nth_call_and_at_most_times(client, service):
    service.add_fault("answer", status=503, nth=[2, 3], times=2, method="GET")
    assert [client.get().status_code for _ in range(4)] == [200, 503, 503, 200]
    service.add_fault("answer", status=502, times=None, method="GET")
    assert [client.get().status_code for _ in range(3)] == [502] * 3
    service.clear_faults()
    assert client.get().status_code == 200


def test_a_rule_is_bound_to_a_project(client, service):
    one, two = client.submit(), client.submit()
    service.add_fault("answer", status=500, project=two, times=None)
    assert client.get(project=one).status_code == 200
    assert client.get(project=two).status_code == 500


def test_a_rule_can_require_a_marker_in_client_data_of_submissions_and_polls(client, service):
    service.add_fault("answer", status=500, marker="bad-one", times=None)
    assert client.post({**SHORT, "client-data": {"key": "good-one"}}).status_code == 200
    assert client.post({**SHORT, "client-data": {"key": "bad-one"}}).status_code == 500
    service.clear_faults()
    project = client.submit(**{"client-data": {"key": "bad-one"}})
    service.add_fault("answer", status=500, marker="bad-one")
    assert client.get(project=project).status_code == 500


def test_a_rule_can_fail_a_render_which_then_costs_nothing(client, service):
    service.add_fault("render", status="error", message="Scene #1, element #1: broken", marker="this")
    assert client.finished(**{"client-data": "that"})["status"] == "done"
    seen = client.finished(**{"client-data": "this"})
    assert (seen["status"], seen["message"]) == ("error", "Scene #1, element #1: broken")
    assert service.credits_left == 598


@pytest.mark.parametrize("status", ["pending", "running", "timeout"])
def test_a_render_can_be_held_in_a_status_until_the_rule_is_cleared(client, service, status):
    service.add_fault("render", status=status)
    assert client.finished()["status"] == status
    service.clock.advance(3600)
    held = client.get().json()["movies"][0]
    assert held["status"] == status
    service.clear_faults()
    assert client.status(held["project"]) == "done"


def test_a_rule_can_fail_a_running_render(client, service):
    service.settings.render_seconds = 0
    project = client.submit()
    service.wait_idle(10)
    service.add_fault("render", project=project, status="error", message="late")
    assert client.movie(project)["message"] == "late"


@pytest.mark.parametrize(
    ("canned", "status"),
    [("invalid-json", 200), ("html", 502), ("empty", 200), ("no-movie", 200), ("quota", 401), ("no-credits", 400)],
)
def test_a_fault_selects_a_canned_response_by_name(client, service, canned, status):
    project = client.submit()
    service.add_fault("answer", canned=canned, method="GET")
    answer = client.get(project=project)
    assert answer.status_code == status
    expected = {
        "html": lambda: answer.headers["content-type"] == "text/html" and answer.text.startswith("<html>"),
        "empty": lambda: answer.content == b"",
        "no-movie": lambda: answer.json() == {"success": True},
        "quota": lambda: answer.json()["message"].startswith("You exceeded the quota of movies in your plan."),
        "no-credits": lambda: answer.json()["message"] == "Insufficient credits",
    }
    if canned == "invalid-json":
        with pytest.raises(ValueError, match=r"JSON|Unterminated"):
            answer.json()
    else:
        assert expected[canned]()
    assert client.get(project=project).status_code == 200


@pytest.mark.timed
def test_a_body_can_trickle_in(client, service):
    project = client.submit()
    service.add_fault("slow", seconds=0.4, method="GET")
    started = time.monotonic()
    with client.session.get(f"{service.host}/movies", params={"project": project}, stream=True, timeout=5) as answer:
        first = answer.raw.read(1)
        begun = time.monotonic() - started
        rest = answer.raw.read()
    assert begun < 0.3 < time.monotonic() - started < 2
    assert project.encode() in first + rest


def test_a_polled_status_can_go_backwards_while_the_list_is_correct(client, service):
    project = client.finished()["project"]
    service.add_fault("poll", status="running", nth=2)
    assert client.status(project) == "done"
    back = client.movie(project)
    assert (back["status"], back["url"], "duration" in back) == ("running", None, False)
    assert client.get().json()["movies"][0]["status"] == "done"
    assert client.status(project) == "done"


def test_a_project_can_vanish_from_its_status_and_stay_in_the_list(client, service):
    project, other = client.finished()["project"], client.finished()["project"]
    service.add_fault("poll", status="unknown", project=project, times=None)
    answer = client.get(project=project)
    assert (answer.status_code, answer.json()["message"]) == (
        400, "TypeError: Cannot read properties of null (reading 'success')",
    )  # fmt: skip
    assert client.status(other) == "done"
    assert project in [m["project"] for m in client.get().json()["movies"]]
    service.clear_faults()
    assert client.status(project) == "done"


def test_a_status_can_lag_behind_the_list(client, service):
    service.clock.freeze()
    service.settings.render_seconds = 10
    service.add_fault("poll", status="late", seconds=60, times=None)
    project = client.submit()
    assert service.wait_idle(10)
    service.clock.advance(11)
    assert client.get().json()["movies"][0]["status"] == "done"
    assert client.status(project) in ("pending", "running")
    service.clock.advance(60)
    assert client.status(project) == "done"


def test_a_video_can_be_missing_although_its_render_is_done(client, service):
    movie = client.finished()
    service.add_fault("file", status="missing")
    assert requests.get(movie["url"]).status_code == 404
    assert client.movie(movie["project"])["url"] == movie["url"]
    assert len(requests.get(movie["url"]).content) == movie["size"]


def test_a_video_can_be_truncated_as_if_that_were_all(client, service):
    movie = client.finished()
    service.add_fault("file", status="truncated", project=movie["project"], times=2)
    assert requests.head(movie["url"]).headers["content-length"] == str(movie["size"] // 2)
    answer = requests.get(movie["url"])
    assert (answer.status_code, len(answer.content)) == (200, movie["size"] // 2)


def test_a_video_can_end_before_its_announced_length(client, service):
    movie = client.finished()
    service.add_fault("file", status="wrong-length")
    with requests.get(movie["url"], stream=True) as answer:
        assert answer.headers["content-length"] == str(movie["size"])
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            b"".join(answer.iter_content(1024))


def test_a_rule_about_calls_leaves_videos_alone_unless_its_path_names_them(client, service):
    movie = client.finished()
    service.add_fault("answer", status=500, times=None)
    assert requests.get(movie["url"]).status_code == 200
    service.add_fault("answer", status=503, path="/renders/*")
    assert requests.get(movie["url"]).status_code == 503
    assert all(not entry.path.startswith("/renders") for entry in service.requests)


def test_rules_are_set_listed_and_cleared_over_http(client, service):
    made = client.control("POST", "faults", json={"kind": "answer", "status": 503, "method": "GET"}).json()["faults"]
    assert client.get().status_code == 503
    listed = client.control("GET", "faults").json()["faults"]
    assert (listed[0]["id"], listed[0]["applied"]) == (made[0]["id"], 1)
    assert client.control("DELETE", "faults").json() == {"faults": []}


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "nonsense"},
        {"kind": "answer", "color": 1},
        {"kind": "render", "status": "done"},
        {"status": 500},
        {"kind": "poll", "status": "done"},
        {"kind": "file", "status": 404},
        {"kind": "webhook"},
        {"kind": "answer", "canned": "nonsense"},
    ],
)
def test_an_invalid_rule_is_refused_with_the_reason(client, rule):
    answer = client.control("POST", "faults", json=rule)
    assert answer.status_code == 400
    assert answer.json()["message"]
