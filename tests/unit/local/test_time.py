"""Pending, running, done, and what the clock does to them."""

from __future__ import annotations

import time

import pytest

from airflow_json2video.local import Clock, LocalService
from airflow_json2video.local.clock import from_iso, iso


def test_a_render_is_pending_then_running_then_done_at_the_times_set(client, service):
    service.clock.freeze()
    service.settings.update({"queue_seconds": 10, "render_seconds": 20})
    project = client.submit()
    assert service.wait_idle(10)
    seen = []
    for _ in range(4):
        movie = client.movie(project)
        seen.append((movie["status"], movie["url"] is None, movie["success"]))
        service.clock.advance(10)
    assert seen == [("pending", True, True), ("running", True, True), ("running", True, True), ("done", False, True)]
    assert client.movie(project)["rendering_time"] == 20
    assert service.credits_left == 598


def test_credits_are_charged_when_the_render_shows_as_done(client, service):
    service.clock.freeze()
    service.settings.render_seconds = 10
    client.submit()
    assert service.wait_idle(10)
    assert service.credits_left == 600
    service.clock.advance(11)
    assert service.credits_left == 598


def test_a_scaled_clock_shortens_simulated_waits(client, service):
    service.clock.set_scale(1000)
    service.settings.render_seconds = 200
    project = client.submit()
    assert client.status(project) in ("pending", "running")
    deadline = time.monotonic() + 5
    while client.status(project) != "done":
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_running_for_too_long_is_reported_as_timeout_and_may_still_finish(client, service):
    service.clock.freeze()
    service.settings.update({"render_seconds": 100, "timeout_after": 30})
    project = client.submit()
    service.wait_idle(10)
    seen = []
    for seconds in (20, 20, 70):
        service.clock.advance(seconds)
        seen.append(client.status(project))
    assert seen == ["running", "timeout", "done"]


def test_after_seven_days_the_file_is_gone_and_the_entry_stays(client, service):
    movie = client.finished()
    service.clock.advance(7 * 86400 - 60)
    assert client.movie(movie["project"])["url"] == movie["url"]
    service.clock.advance(120)
    after = client.movie(movie["project"])
    assert (after["status"], after["url"], after["duration"]) == ("done", None, 2)
    assert client.session.get(movie["url"]).status_code == 404
    assert client.delete(project=movie["project"]).status_code == 200


def test_moving_the_clock_does_not_change_the_video(client, service):
    service.clock.set_scale(3600)
    assert client.finished()["duration"] == 2


def test_the_clock_is_steered_over_http(client, service):
    client.control("POST", "clock", json={"freeze": True, "move_to": "2026-05-12T10:00:00Z", "advance": 90})
    assert client.control("GET", "clock").json()["now"] == "2026-05-12T10:01:30.000Z"
    assert client.post({"x": 1}).json()["timestamp"] == "2026-05-12T10:01:30.000Z"
    assert client.control("POST", "clock", json={"sideways": 1}).status_code == 400


def test_a_frozen_clock_moves_only_when_it_is_advanced():
    clock = Clock(start=1000)
    clock.freeze()
    before = clock.now()
    time.sleep(0.01)
    assert clock.now() == before
    assert clock.advance(5) == before + 5
    with pytest.raises(ValueError, match="scale"):
        clock.set_scale(-1)


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-12T07:41:41.946Z",
        "2026-05-12T09:41:41.946+02:00",
        "2026-05-12T09:41:41.946 02:00",
        "2026-05-12T07:41:41.946",
    ],
)
def test_dates_are_read_in_every_common_form(text):
    assert iso(from_iso(text)) == "2026-05-12T07:41:41.946Z"


@pytest.mark.timed
def test_renders_of_twenty_minutes_are_over_in_a_second(tmp_path, make_client):
    began = time.monotonic()
    with LocalService(mode="instant", home=tmp_path, clock=Clock(scale=3600), render_seconds=1200) as service:
        client = make_client(service)
        projects = [client.submit() for _ in range(3)]
        assert client.status(projects[-1]) in ("pending", "running")
        while not all(client.status(project) == "done" for project in projects):
            assert time.monotonic() - began < 5
            time.sleep(0.01)
        taken = {client.movie(project)["rendering_time"] for project in projects}
        assert all(1200 <= seconds < 1300 for seconds in taken)
        assert {client.movie(project)["duration"] for project in projects} == {2}
    assert time.monotonic() - began < 3


@pytest.mark.timed
def test_a_file_expires_in_a_millisecond(client, service):
    movie = client.finished()
    service.clock.freeze()
    render = service.backend.store.get(movie["project"])

    def expiry():
        began = time.perf_counter()
        service.clock.advance(7 * 86400)
        seen = service.backend.state_at(render)
        taken = time.perf_counter() - began
        assert (seen.status, seen.available) == ("done", False)
        service.clock.advance(-7 * 86400)
        return taken

    assert service.backend.state_at(render).available
    assert min(expiry() for _ in range(5)) < 0.001
    service.clock.advance(7 * 86400)
    assert client.session.get(movie["url"]).status_code == 404


def test_setting_the_clock_back_restores_an_expired_file(client, service):
    movie = client.finished()
    service.clock.advance(8 * 86400)
    assert client.movie(movie["project"])["url"] is None
    service.clock.advance(-8 * 86400)
    assert client.session.get(client.movie(movie["project"])["url"]).status_code == 200


@pytest.mark.parametrize("scale", [0, 0.001, 100_000])
def test_the_picture_and_its_length_are_the_same_whatever_the_clock_does(tmp_path, make_client, scale):
    movie = {
        "width": 64, "height": 64,
        "scenes": [{"duration": 1, "elements": [{"type": "text", "text": "a", "fade-in": 0.5}]}],
    }  # fmt: skip
    bodies = set()
    for clock in (Clock(), Clock(scale=scale, start=1_000_000_000)):
        with LocalService(mode="preview", home=tmp_path / f"{clock.scale}", clock=clock) as service:
            seen = make_client(service).finished(movie=movie)
            clock.advance(60)
            assert seen["duration"] == 1
            bodies.add((tmp_path / f"{clock.scale}" / "jobs" / seen["project"] / "out.mp4").read_bytes())
    assert len(bodies) == 1


@pytest.mark.parametrize(
    "order",
    [
        {"advance": 1e300},
        {"advance": -1e12},
        {"advance": "nan"},
        {"move_to": 1e18},
        {"move_to": "9999-12-31"},
        {"move_to": -5},
        {"scale": "inf"},
        {"scale": "nan"},
        {"scale": -1},
        {"move_to": "yesterday"},
    ],
)
def test_a_time_that_cannot_be_written_is_refused_and_the_service_still_answers(client, service, order):
    assert client.control("POST", "clock", json=order).status_code == 400
    assert client.get().status_code == 200
    assert client.finished()["status"] == "done"


def test_a_clock_that_runs_away_stops_where_dates_end(client, service):
    service.clock.set_scale(1e300)
    time.sleep(0.01)
    assert client.control("GET", "clock").json()["now"] == "9000-01-01T00:00:00.000Z"
    assert client.finished()["status"] == "done"
    assert client.get().status_code == 200
