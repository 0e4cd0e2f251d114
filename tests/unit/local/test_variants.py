"""Where the sources contradict each other, both answers can be had; and who may do what."""

from __future__ import annotations

import pytest
import requests

SHORT = {"resolution": "sd", "scenes": [{"duration": 2}]}
LARGE = {"resolution": "custom", "width": 2560, "height": 1440, "scenes": [{"duration": 2}]}


def call(service, method, path, key, **options):
    return requests.request(method, f"{service.host}/{path}", headers={"x-api-key": key}, timeout=10, **options)


CALLS = {
    "submit": ("POST", "movies", {"json": SHORT}),
    "list": ("GET", "movies", {}),
    "drive": ("GET", "media", {}),
    "read templates": ("GET", "templates", {}),
    "library": ("GET", "templates/library", {}),
    "create template": ("POST", "templates", {"json": {"name": "x"}}),
}


@pytest.mark.parametrize(
    ("role", "refused"),
    [
        ("none", set(CALLS)),
        ("render", {"create template"}),
        ("editor", set()),
        ("manager", set()),
        ("admin", set()),
    ],
)
def test_each_role_is_limited_to_its_calls(service, role, refused):
    service.settings.roles = {"k": role}
    answers = {name: call(service, m, path, "k", **options) for name, (m, path, options) in CALLS.items()}
    assert {name for name, answer in answers.items() if answer.status_code == 403} == refused
    assert {a.json()["message"] for a in answers.values() if a.status_code == 403} <= {"Insufficient permissions"}
    assert all(a.status_code == 200 for name, a in answers.items() if name not in refused)


def test_an_insufficient_role_can_be_a_400(service):
    service.settings.update({"roles": {"k": "none"}, "role_status": 400})
    answer = call(service, "DELETE", "movies?project=" + "A" * 16, "k")
    assert (answer.status_code, answer.json()["message"]) == (400, "Insufficient permissions")


def test_a_key_without_a_role_is_an_admin_and_named_keys_are_valid(service):
    service.settings.update({"roles": {"invalid-looking": "render"}})
    assert call(service, "POST", "templates", "other", json={"name": "x"}).status_code == 200
    assert call(service, "GET", "movies", "invalid-looking").status_code == 200
    service.settings.api_keys = ("one",)
    assert call(service, "GET", "movies", "invalid-looking").status_code == 200
    assert call(service, "GET", "movies", "other").status_code == 400


def test_roles_are_set_over_http_and_their_keys_are_not_shown(client, service):
    answer = client.control("POST", "settings", json={"roles": {"secret-key": "editor"}})
    assert answer.json()["roles"] == ["editor"]
    assert "secret-key" not in answer.text
    assert client.control("POST", "settings", json={"roles": {"k": "king"}}).status_code == 400


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_bad_key_answers_the_status_set(service, status):
    service.settings.key_status = status
    answer = call(service, "GET", "movies", "invalid")
    assert (answer.status_code, answer.json()["message"]) == (status, "Error: Invalid API Key")


def test_a_suspended_account_is_refused_everywhere(service):
    service.settings.suspended = True
    for method, path, options in CALLS.values():
        answer = call(service, method, path, "k", **options)
        assert (answer.status_code, answer.json()["message"]) == (403, "account_suspended")


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        ("usual", {"success": False, "message": "Insufficient credits"}),
        ("message", {"message": "Insufficient credits"}),
        ("error", {"error": "Insufficient credits"}),
    ],
)
def test_a_refusal_can_have_each_of_the_three_shapes(client, service, shape, body):
    service.settings.update({"error_shape": shape, "credits": 0})
    answer = client.post(SHORT)
    assert (answer.status_code, answer.json()) == (400, body)


def test_a_legacy_plan_runs_out_of_movies_with_401(client, service):
    service.settings.update({"quota_shape": "movies", "movie_quota": 1})
    project = client.submit()
    assert client.get(project=project).json()["remaining_quota"]["movies"] == 0
    answer = client.post(SHORT)
    assert answer.status_code == 401
    assert answer.json()["message"] == (
        "You exceeded the quota of movies in your plan. Please upgrade your plan to continue."
    )


@pytest.mark.parametrize(("price", "left"), [(4, 592), (1, 598)])
def test_a_large_frame_costs_by_either_page(client, service, price, left):
    service.settings.large_frame_price = price
    client.finished(movie=LARGE)
    assert service.credits_left == left


def test_a_movie_longer_than_the_plan_is_refused_or_fails_when_its_length_is_known(client, service):
    service.settings.max_movie_seconds = 10
    assert client.post({"scenes": [{"duration": 10}]}).status_code == 200
    answer = client.post({"scenes": [{"duration": 10}, {"duration": 2.5}]})
    assert answer.status_code == 401
    assert answer.json()["message"] == "Movie is longer (12.5s) than your plan allowance (10s)"
    # The length of a voice is unknown before it is synthesized, so the submission is accepted.
    voice = {"type": "voice", "text": "word " * 50}
    movie = client.finished(movie={"scenes": [{"elements": [voice]}]})
    assert (movie["status"], movie["url"]) == ("error", None)
    assert movie["message"] == "Movie is longer (20s) than your plan allowance (10s)"
    assert service.credits_left == 590
    service.settings.max_movie_seconds = None
    assert client.post({"scenes": [{"duration": 60}]}).status_code == 200


@pytest.mark.parametrize(
    "odd", [{"scenes": 5}, {"scenes": [5, None]}, {"scenes": [{"duration": [1]}]}, {"elements": {}}]
)
def test_a_movie_of_unknown_length_is_not_refused(client, service, odd):
    service.settings.max_movie_seconds = 10
    assert client.post(odd).status_code == 200


@pytest.mark.parametrize(("size", "height"), [("640x360", 360), ("640x480", 480)])
def test_sd_has_either_size_and_the_document_stays_as_it_was(client, service, size, height):
    service.settings.sd_size = size
    movie = client.finished(movie=SHORT)
    assert (movie["width"], movie["height"]) == (640, height)
    assert '"resolution":"sd"' in movie["json"]


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "movies"), ("PATCH", "templates"), ("POST", "templates/library"), ("POST", "media")]
)
def test_an_unsupported_method_is_405(service, method, path):
    answer = call(service, method, path, "k")
    assert (answer.status_code, answer.json()["success"]) == (405, False)


def test_preloads_are_not_served_because_their_shape_is_unknown(service):
    assert call(service, "POST", "preloads", "k", json={}).status_code == 404


@pytest.mark.parametrize(
    ("switch", "value"), [("html", True), ("fetch_assets", False), ("allow_private", True), ("max_asset_bytes", 1000)]
)
def test_a_movie_is_drawn_again_after_a_setting_has_changed(tmp_path, make_client, switch, value):
    pytest.importorskip("av")
    from airflow_json2video.local import LocalService

    movie = {"width": 64, "height": 64, "fps": 5, "scenes": [{"duration": 1}]}
    with LocalService(mode="preview", home=tmp_path, cache=True) as service:
        client = make_client(service)
        first = client.finished(movie=movie)["project"]
        service.settings.update({switch: value})
        anew = client.finished(movie=movie)["project"]
        client.finished(movie=movie)
        assert {p.parent.name for p in tmp_path.rglob("job.json")} == {first, anew}


def test_a_movie_that_was_rendered_before_is_the_same_file_under_a_new_project(tmp_path, make_client):
    pytest.importorskip("av")
    from airflow_json2video.local import LocalService

    movie = {"width": 64, "height": 64, "fps": 5, "scenes": [{"duration": 1, "background-color": "#123456"}]}
    with LocalService(mode="preview", home=tmp_path, cache=True, seed=3) as service:
        client = make_client(service)
        first = client.finished(movie=movie)
        again = client.finished(movie={**movie, "client-data": {"other": 1}})
        anew = client.finished(movie={**movie, "cache": False})
        assert len({first["project"], again["project"], anew["project"]}) == 3
        assert requests.get(first["url"]).content == requests.get(again["url"]).content
        assert again["client-data"] == {"other": 1}
        made = [p.parent.name for p in tmp_path.rglob("job.json")]
        assert sorted(made) == sorted([first["project"], anew["project"]])
        assert service.credits_left == 597
