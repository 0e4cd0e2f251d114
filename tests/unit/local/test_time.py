"""Pending, running, done, and what the clock does to them."""

from __future__ import annotations

import time

import pytest

from airflow_json2video.local import Clock
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


def test_credits_are_not_taken_before_the_render_is_seen_to_be_done(client, service):
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


def test_a_frozen_clock_moves_only_when_told():
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
