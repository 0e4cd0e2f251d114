"""What the service says over HTTP, one behavior a test."""

from __future__ import annotations

import json
import re

import pytest
import requests

SHORT = {"resolution": "sd", "scenes": [{"duration": 2, "background-color": "#4392F1"}]}
TYPE_ERROR = "TypeError: Cannot read properties of null (reading 'success')"


def refused(answer):
    assert answer.json()["success"] is False
    return answer.status_code, answer.json()["message"]


@pytest.mark.parametrize("path", ["movies", "templates", "media", "movies?project=x"])
def test_a_call_without_a_key_is_refused_with_400_on_every_path(service, path):
    assert refused(requests.get(f"{service.host}/{path}")) == (400, "Error: API Key not provided")


@pytest.mark.parametrize("path", ["movies", "templates", "media"])
def test_a_key_that_starts_with_invalid_is_refused_with_400(service, path):
    answer = requests.get(f"{service.host}/{path}", headers={"x-api-key": "invalid-key"})
    assert refused(answer) == (400, "Error: Invalid API Key")


def test_fixed_keys_rule_out_all_others(service, client):
    service.settings.api_keys = ("the-key",)
    assert refused(client.get()) == (400, "Error: Invalid API Key")
    assert requests.get(f"{service.host}/movies", headers={"x-api-key": "the-key"}).status_code == 200


def test_a_submission_answers_exactly_three_keys_and_an_id_of_16_letters_and_digits(client):
    answer = client.post(SHORT).json()
    assert set(answer) == {"success", "project", "timestamp"}
    assert re.fullmatch(r"[A-Za-z0-9]{16}", answer["project"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer["timestamp"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "No movie JSON received"),
        ("{", "Error parsing movie JSON or the movie was empty"),
        ("{}", "Error parsing movie JSON or the movie was empty"),
        ("null", "No valid movie JSON received"),
        ("[]", "No valid movie JSON received"),
        ('"text"', "No valid movie JSON received"),
    ],
)
def test_a_body_that_is_not_an_object_is_refused(service, body, message):
    answer = requests.post(f"{service.host}/movies", data=body, headers={"x-api-key": "k"})
    assert refused(answer) == (400, message)
    assert service.renders() == []


@pytest.mark.parametrize(
    ("movie", "message"),
    [
        ({"x": 1}, "Movie duration cannot be zero"),
        (
            {"scenes": [{"elements": [{"type": "image", "src": "https://a.example/a.png"}]}]},
            "Movie duration cannot be zero",
        ),
        (
            {
                "scenes": [
                    {"duration": 1},
                    {"elements": [{"type": "text", "text": "a"}, {"type": "video", "duration": 2}]},
                ]
            },
            "Scene #2, element #2: The element type 'video' requires a 'src' property.",
        ),
        (
            {"scenes": [{"elements": [{"type": "template", "duration": 2}]}]},
            "Scene #1, element #1: Unknown element type 'template'",
        ),
        ({"scenes": ["?"]}, "Scene #1: the scene is not an object"),
    ],
)
def test_a_bad_movie_is_accepted_and_fails_in_the_render_with_an_outer_success(client, service, movie, message):
    project = client.submit(movie={"comment": "bad"}, **movie)
    assert service.wait_idle(10)
    answer = client.get(project=project)
    assert answer.status_code == 200
    assert answer.json()["success"] is True
    seen = answer.json()["movie"]
    assert (seen["success"], seen["status"], seen["message"]) == (False, "error", message)
    assert (seen["url"], seen["ass"], seen["ended_at"], seen["rendering_time"]) == (None, False, None, None)


def test_a_frame_above_the_plan_is_refused_with_401(client, service):
    answer = client.post({**SHORT, "resolution": "custom", "width": 7680, "height": 4320})
    assert refused(answer) == (401, "Movie is larger (7680x4320) than your plan allowance (3840x3840)")
    assert service.renders() == []


@pytest.mark.parametrize("project", ["A" * 16, "short"])
def test_an_unknown_project_answers_400_with_a_leaked_type_error(client, project):
    assert refused(client.get(project=project)) == (400, TYPE_ERROR)


@pytest.mark.parametrize("status", [400, 404])
def test_a_missing_template_is_refused_with_the_status_set(client, service, status):
    service.settings.missing_status = status
    answer = client.session.get(f"{service.host}/templates", params={"id": "nope"})
    assert refused(answer) == (status, "Template nope not found")


def test_a_submission_that_names_a_missing_template_answers_404_unless_it_is_to_answer_as_other_calls_do(
    client, service
):
    unknown = {"template": "abc123def456ghi789jk"}
    assert refused(client.post(unknown)) == (404, "Template not found")
    service.settings.submit_missing_status = 400
    assert refused(client.post(unknown)) == (400, "Template abc123def456ghi789jk not found")


def test_a_template_renders_with_the_variables_of_the_request_and_lists_the_short_body(client, service):
    movie = {**SHORT, "variables": {"n": 1, "m": 2}, "scenes": [{"duration": "{{ n + m }}"}]}
    service.add_template(movie, id="abc123def456ghi789jk")
    body = {"template": "abc123def456ghi789jk", "variables": {"n": 3}, "scenes": [{"duration": 50}]}
    seen = client.finished(movie=body)
    assert (seen["status"], seen["duration"]) == ("done", 5)
    assert json.loads(seen["json"]).keys() >= {"template", "variables"}


def test_a_finished_movie_has_all_documented_fields(client, service):
    seen = client.finished(**{"client-data": {"key": "dag:run:task", "n": [1, None]}})
    assert seen["success"] is True
    assert seen["status"] == "done"
    assert seen["url"] == f"{service.url}/renders/{seen['project']}.mp4"
    assert (seen["width"], seen["height"], seen["duration"]) == (640, 360, 2)
    assert seen["size"] == len(requests.get(seen["url"]).content)
    assert seen["client-data"] == {"key": "dag:run:task", "n": [1, None]}
    assert seen["consumed_credits"] == []
    assert seen["rendering_time"] >= 1
    assert "deleted_at" not in seen


def test_the_document_is_returned_as_a_string_and_omitted_by_simple(client):
    project = client.submit(comment="Ünï", **{"client-data": {"a": 1}})
    assert json.loads(client.movie(project)["json"]) == {**SHORT, "comment": "Ünï", "client-data": {"a": 1}}
    simple = client.movie(project, format="simple")
    assert "json" not in simple
    assert simple["client-data"] == {"a": 1}


def test_simple_is_ignored_in_lists(client):
    client.submit()
    assert "json" in client.get(format="simple").json()["movies"][0]


def test_the_alias_id_works_for_project(client):
    project = client.submit()
    assert client.get(id=project).json()["movie"]["project"] == project
    assert client.delete(id=project).json()["project"] == project


def test_a_video_is_served_in_ranges_and_with_an_etag(client):
    url = client.finished()["url"]
    whole = requests.get(url)
    part = requests.get(url, headers={"Range": "bytes=4-11"})
    assert whole.status_code == 200
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["etag"]
    assert (part.status_code, part.content) == (206, whole.content[4:12])
    assert part.content.startswith(b"ftyp")


def test_credits_are_one_a_second_and_four_above_full_hd(client, service):
    client.finished()
    assert client.get(limit=1).json()["remaining_quota"] == {"time": 598}
    client.finished(resolution="custom", width=2560, height=1440)
    assert client.get(limit=1).json()["remaining_quota"] == {"time": 590}


def test_a_failed_render_costs_nothing(client):
    assert client.finished(movie={"x": 1})["status"] == "error"
    assert client.get(limit=1).json()["remaining_quota"] == {"time": 600}


def test_a_submission_without_credits_is_refused(client, service):
    service.settings.credits = 2
    client.finished()
    assert refused(client.post(SHORT)) == (400, "Insufficient credits")
    assert len(service.renders()) == 1


def test_the_quota_can_have_the_shape_of_a_legacy_plan(client, service):
    service.settings.quota_shape = "movies"
    project = client.submit()
    assert set(client.get(project=project).json()["remaining_quota"]) == {"movies", "drafts", "time"}


def test_deleting_removes_the_file_keeps_the_entry_and_can_be_repeated(client):
    seen = client.finished()
    first = client.delete(project=seen["project"]).json()
    again = client.delete(project=seen["project"]).json()
    assert first["success"] is again["success"] is True
    assert first["deleted_at"] == again["deleted_at"]
    after = client.movie(seen["project"])
    assert (after["status"], after["url"], after["deleted_at"]) == ("done", None, first["deleted_at"])
    assert requests.get(seen["url"]).status_code == 404
    assert client.get().json()["movies"][0]["deleted_at"] == first["deleted_at"]


def test_deleting_while_it_renders_leaves_no_file(client, service):
    service.settings.render_seconds = 60
    project = client.submit()
    client.delete(project=project)
    service.wait_idle(10)
    service.clock.advance(61)
    assert client.movie(project)["url"] is None
    assert not list(service.home.rglob("*.mp4"))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "A 16-character project ID must be provided in the 'project' query parameter"),
        ({"project": "short"}, "A 16-character project ID must be provided in the 'project' query parameter"),
        ({"project": "A" * 16}, TYPE_ERROR),
    ],
)
def test_every_failure_of_delete_is_400(client, params, message):
    assert refused(client.delete(**params)) == (400, message)


def test_templates_are_created_read_copied_changed_and_deleted(client, service):
    url = f"{service.host}/templates"
    made = client.session.post(
        url, json={"name": "One", "movie": {"variables": {"a": 1}, "scenes": []}, "tags": "x, y"}
    )
    id_ = made.json()["templateId"]
    assert len(id_) == 20
    assert client.session.get(url, params={"id": id_}).json()["template"]["tags"] == ["x", "y"]
    schema = client.session.get(url, params={"id": id_, "format": "jsonschema"}).json()["template"]
    assert schema["variables"]["properties"] == {"a": {"type": "number", "default": 1}}
    assert "movie" not in schema
    copy = client.session.post(url, params={"id": id_, "action": "duplicate"}, json={}).json()
    assert copy["name"] == "One (custom)"
    client.session.post(url, params={"id": id_}, json={"name": "Two"})
    assert {t["name"] for t in client.session.get(url).json()["templates"]} == {"Two", "One (custom)"}
    assert client.session.delete(url, params={"id": id_}).json()["success"] is True
    assert client.session.get(url, params={"id": id_}).status_code == 400
