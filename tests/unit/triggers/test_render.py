from __future__ import annotations

import asyncio
import json
import time

import pytest

from airflow_json2video.core.render_status import RenderOutcome
from airflow_json2video.exceptions import QuotaExhausted, RenderDeadlineExceeded, RenderFailed
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.triggers.render import Json2VideoRenderTrigger, event_from_outcome, outcome_from_event

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2}]}
PROJECT = "Qk3vT9zLm2XcB7wA"


@pytest.fixture
def trigger(connection):
    project = Json2VideoHook().submit_movie(MOVIE).project

    def make(**arguments):
        return Json2VideoRenderTrigger(project, poll_interval=0.2, **arguments)

    return make


async def events_of(trigger):
    return [event.payload async for event in trigger.run()]


def test_the_event_describes_the_video(trigger):
    [event] = asyncio.run(events_of(trigger()))
    assert event["error"] is None
    assert event["movie"]["status"] == "done"
    assert event["movie"]["url"]
    assert json.loads(json.dumps(event)) == event


def test_a_trigger_can_be_rebuilt_from_its_arguments(trigger):
    path, arguments = trigger(submitted_at=10.0, deadline=20.0).serialize()
    assert path == f"{Json2VideoRenderTrigger.__module__}.Json2VideoRenderTrigger"
    again = Json2VideoRenderTrigger(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)


def test_an_argument_that_older_versions_do_not_know_is_serialized_only_if_it_is_set(trigger):
    assert "submission_time_known" not in trigger().serialize()[1]
    assert Json2VideoRenderTrigger(**trigger(submission_time_known=False).serialize()[1]).submission_time_known is False


def test_a_trigger_accepts_the_arguments_of_older_and_newer_versions(trigger, connection):
    older = Json2VideoRenderTrigger(project=PROJECT)
    assert older.deadline == older.submitted_at + 3600
    newer = trigger(an_argument_of_next_year=1)
    assert "an_argument_of_next_year" not in newer.serialize()[1]
    assert asyncio.run(events_of(newer))[0]["movie"]


def test_after_a_restart_polling_starts_immediately_and_the_deadline_is_the_same(trigger, service):
    service.settings.update({"render_seconds": 600})
    project = Json2VideoHook().submit_movie(MOVIE).project
    now = time.time()
    late = Json2VideoRenderTrigger(project, submitted_at=now - 100, deadline=now - 1, poll_interval=60)
    [event] = asyncio.run(events_of(late))
    assert time.time() - now < 30  # less than the 60 s of an interval, and than the 99 s until a new deadline
    assert event["error"]["error"] == "RenderDeadlineExceeded"
    assert [r.method for r in service.requests if project in r.query] == ["GET"]


def test_a_finished_render_is_a_success_although_the_deadline_is_in_the_past(trigger, service):
    assert service.wait_idle()
    [event] = asyncio.run(events_of(trigger(submitted_at=1.0, deadline=2.0)))
    assert event["movie"]["url"]


def test_the_event_for_a_project_of_another_account_says_that_it_was_not_found(connection):
    stranger = Json2VideoRenderTrigger(PROJECT, submitted_at=1.0, deadline=time.time() + 1, poll_interval=0.2)
    [event] = asyncio.run(events_of(stranger))
    assert event["error"]["error"] == "RenderDeadlineExceeded"
    assert f"Render '{PROJECT}' was not found in this account." in event["error"]["message"]
    assert event["error"]["retryable"]


def test_the_event_for_an_invalid_project_id_contains_the_error(connection):
    short = Json2VideoRenderTrigger("short", poll_interval=0.2, deadline=time.time() + 1)
    [event] = asyncio.run(events_of(short))
    assert "16" in event["error"]["message"]


def test_the_event_for_a_missing_connection_names_the_connection(monkeypatch):
    monkeypatch.setattr("airflow_json2video.core.render_status._POLLS_AT_DEADLINE", 1)
    nowhere = Json2VideoRenderTrigger(PROJECT, json2video_conn_id="nowhere", poll_interval=0.2, deadline=0.0)
    [event] = asyncio.run(events_of(nowhere))
    assert "nowhere" in event["error"]["message"]


def test_an_unexpected_error_fires_an_event(trigger, monkeypatch):
    async def broken(*_, **__):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("airflow_json2video.polling.async_wait.await_render", broken)
    [event] = asyncio.run(events_of(trigger()))
    assert "ZeroDivisionError: a bug" in event["error"]["message"]
    assert event["error"]["retryable"]


def test_cancelling_the_trigger_does_not_touch_the_render(trigger, service):
    service.settings.update({"render_seconds": 600})
    project = Json2VideoHook().submit_movie(MOVIE).project

    async def cancel():
        task = asyncio.ensure_future(events_of(Json2VideoRenderTrigger(project, poll_interval=0.2)))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert {r.method for r in service.requests if project in str(r.query)} == {"GET"}


@pytest.mark.timed
def test_a_trigger_does_not_block_the_event_loop(trigger, service):
    service.settings.update({"render_seconds": 1.5})
    service.add_fault("delay", method="GET", path="/v2/movies", seconds=0.5, times=3)
    Json2VideoHook().submit_movie(MOVIE)

    async def longest_gap():
        waiting = asyncio.ensure_future(events_of(trigger()))
        gaps, last = [], time.perf_counter()
        while not waiting.done():
            await asyncio.sleep(0.01)
            gaps.append(time.perf_counter() - last)
            last = time.perf_counter()
        return gaps

    gaps = asyncio.run(longest_gap())
    # The first look loads aiohttp and looks the connection up; after that nothing may hold the loop.
    assert sorted(gaps)[-3] < 0.3


def test_errors_survive_an_event():
    failed = RenderFailed("Render failed", path="scenes[1].elements[0]", project=PROJECT)
    for error in (
        QuotaExhausted("no credits", http_status=400),
        RenderDeadlineExceeded("late", project=PROJECT),
        failed,
    ):
        event = json.loads(json.dumps(event_from_outcome(RenderOutcome(error=error), project=PROJECT)))
        again = outcome_from_event(event, project=PROJECT).error
        assert type(again) is type(error)
        assert again.to_dict() == error.to_dict()
    assert again.path == "scenes[1].elements[0]"


def test_an_event_about_another_render_is_a_failure():
    event = event_from_outcome(RenderOutcome(movie={"project": PROJECT, "url": "u"}), project=PROJECT)
    assert outcome_from_event(event, project=PROJECT).movie
    assert outcome_from_event(event, project="x" * 16).error
