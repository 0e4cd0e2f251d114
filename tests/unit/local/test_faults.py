"""Every way of breaking the service, by rule."""

from __future__ import annotations

import time

import pytest
import requests

SHORT = {"resolution": "sd", "scenes": [{"duration": 2}]}


@pytest.mark.parametrize("status", [401, 429, 500, 502, 503])
def test_a_status_before_the_app_makes_no_project_and_passes(client, service, status):
    service.add_fault("answer", status=status, message="no", method="POST", path="/movies")
    answer = client.post(SHORT)
    assert (answer.status_code, answer.json()["message"]) == (status, "no")
    assert (service.posts, service.renders()) == (0, [])
    assert client.post(SHORT).status_code == 200


def test_429_comes_with_retry_after_or_without(client, service):
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
def test_a_body_that_is_no_json_can_be_sent(client, service, body, content_type):
    service.add_fault("answer", body=body, status=200)
    answer = client.get()
    assert (answer.text, answer.headers["content-type"]) == (body, content_type)


def test_a_body_of_another_shape_can_be_sent_once_the_app_has_run(client, service):
    service.add_fault("answer", body={"success": True}, when="after", method="POST")
    answer = client.post(SHORT)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert len(service.renders()) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_answer_can_be_delayed_and_the_app_has_run_or_not(client, service, when):
    service.add_fault("delay", seconds=0.5, when=when, method="POST")
    started = time.monotonic()
    with pytest.raises(requests.Timeout):
        client.session.post(f"{service.host}/movies", json=SHORT, timeout=0.2)
    assert len(service.renders()) == (1 if when == "after" else 0)
    assert time.monotonic() - started < 0.5


def test_a_rule_strikes_at_the_nth_call_as_often_as_it_may(client, service):
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


def test_a_rule_is_bound_to_a_marker_in_client_data_of_submissions_and_of_looks(client, service):
    service.add_fault("answer", status=500, marker="bad-one", times=None)
    assert client.post({**SHORT, "client-data": {"key": "good-one"}}).status_code == 200
    assert client.post({**SHORT, "client-data": {"key": "bad-one"}}).status_code == 500
    service.clear_faults()
    project = client.submit(**{"client-data": {"key": "bad-one"}})
    service.add_fault("answer", status=500, marker="bad-one")
    assert client.get(project=project).status_code == 500


def test_a_render_can_be_made_to_end_in_an_error_and_costs_nothing(client, service):
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


def test_a_render_under_way_can_be_made_to_fail(client, service):
    service.settings.render_seconds = 0
    project = client.submit()
    service.wait_idle(10)
    service.add_fault("render", project=project, status="error", message="late")
    assert client.movie(project)["message"] == "late"


def test_rules_are_set_listed_and_cleared_over_http(client, service):
    made = client.control("POST", "faults", json={"kind": "answer", "status": 503, "method": "GET"}).json()["faults"]
    assert client.get().status_code == 503
    listed = client.control("GET", "faults").json()["faults"]
    assert (listed[0]["id"], listed[0]["struck"]) == (made[0]["id"], 1)
    assert client.control("DELETE", "faults").json() == {"faults": []}


@pytest.mark.parametrize(
    "rule",
    [{"kind": "nonsense"}, {"kind": "answer", "colour": 1}, {"kind": "render", "status": "done"}, {"status": 500}],
)
def test_a_rule_that_makes_no_sense_is_refused_with_the_reason(client, rule):
    answer = client.control("POST", "faults", json=rule)
    assert answer.status_code == 400
    assert answer.json()["message"]
