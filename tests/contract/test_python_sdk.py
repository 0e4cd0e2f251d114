"""The vendor's published SDK for Python against the local service; only the address is changed."""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import json
import os
from types import SimpleNamespace

import pytest
import requests

if os.environ.get("CI"):  # there, a pin that went missing is a failure and no reason to skip
    import json2video
else:
    json2video = pytest.importorskip("json2video", reason="json2video is not installed: make install brings it")


@pytest.fixture
def movie(service):
    movie = json2video.Movie()
    movie.api_url = f"{service.host}/movies"
    movie.set_api_key("a-key")
    return movie


def scene(seconds, color="#4392F1"):
    scene = json2video.Scene()
    scene.set("duration", seconds)
    scene.set("background_color", color)
    return scene


@pytest.fixture
def polls(service, monkeypatch):
    """Make the SDK wait on the service's clock, and return the times that it waited."""
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        service.clock.advance(seconds)

    module = importlib.import_module(json2video.Movie.__module__)
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=sleep))
    return waited


def test_it_is_the_published_version():
    assert importlib.metadata.version("json2video") == "2.0.0"


def test_a_movie_is_built_rendered_waited_for_and_downloaded(service, movie, polls):
    service.clock.freeze()
    service.settings.update({"queue_seconds": 6, "render_seconds": 8})
    movie.set("resolution", "sd")
    movie.set("quality", "high")
    movie.set("id", "my-movie")
    first = scene(3)
    first.set_transition("fade", 1)
    movie.add_scene(first)
    movie.add_scene(scene(2, "#202020"))
    first.add_element({"type": "text", "text": "Hello"})
    started = asyncio.run(movie.render())
    assert set(started) == {"success", "project", "timestamp"}
    assert service.wait_idle(10)
    statuses = []
    finished = movie.wait_to_finish(lambda answer: statuses.append(answer["movie"]["status"]))
    assert statuses == ["pending", "pending", "running", "done"]
    assert polls == [5, 5, 5]
    seen = finished["movie"]
    assert (seen["project"], seen["width"], seen["height"]) == (started["project"], 640, 360)
    assert requests.get(seen["url"], timeout=10).content[4:8] == b"ftyp"
    (submitted,) = service.submitted
    assert submitted == {k: v for k, v in json.loads(movie.get_json()).items() if k != "project"}
    assert service.posts == 1


def test_a_template_is_rendered_with_variables(service, movie, polls):
    stored = {"resolution": "sd", "variables": {"n": 1}, "scenes": [{"duration": "{{ n }}"}]}
    service.add_template(stored, id="t" * 20)
    movie.set("template", "t" * 20)
    movie.set("variables", {"n": 4})
    assert asyncio.run(movie.render())["success"] is True
    assert service.wait_idle(10)
    assert movie.wait_to_finish()["movie"]["duration"] == 4


def test_a_status_can_be_polled_by_project(service, movie):
    movie.add_scene(scene(1))
    project = asyncio.run(movie.render())["project"]
    other = json2video.Movie()
    other.api_url = movie.api_url
    other.set_api_key("a-key")
    assert service.wait_idle(10)
    assert other.get_status(project)["movie"]["status"] == "done"
    assert other.get_status(project)["remaining_quota"] == {"time": 599}


@pytest.mark.parametrize(
    ("key", "project"), [("invalid-key", None), ("a-key", "A" * 16)], ids=["bad key", "unknown project"]
)
def test_refusals_reach_it_as_its_own_error(service, movie, key, project):
    movie.set_api_key(key)
    movie.add_scene(scene(1))
    answer = movie.get_status(project) if project else asyncio.run(movie.render())
    assert (answer["status"], answer["success"], answer["message"]) == (500, False, "Unknown SDK error")
    assert "400" in answer["error"]
    assert service.submitted == []


def test_a_failed_render_is_reported_in_the_movie(service, movie):
    movie.set("resolution", "sd")
    asyncio.run(movie.render())
    assert service.wait_idle(10)
    answer = movie.get_status()
    assert (answer["success"], answer["movie"]["status"]) == (True, "error")
    assert answer["movie"]["message"] == "Movie duration cannot be zero"
