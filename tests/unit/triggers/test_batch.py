from __future__ import annotations

import asyncio
import json
import time

import pytest

from airflow_json2video.core.batch import decode, encode
from airflow_json2video.triggers.batch import Json2VideoBatchTrigger, outcomes_from_event

MOVIE = {"width": 128, "height": 72, "scenes": [{"duration": 1}]}


@pytest.fixture
def submit(connection, service):
    from airflow_json2video.api.calls import submit_movie
    from airflow_json2video.hooks.json2video import Json2VideoHook

    client = Json2VideoHook(connection).client
    return lambda: (client.execute(submit_movie(MOVIE)).project, time.time())


def trigger(renders, **more):
    arguments = {"json2video_conn_id": "json2video_default", "render_timeout": 60.0, "poll_interval": 0.3}
    return Json2VideoBatchTrigger(renders, **{**arguments, **more})


def fire(made):
    async def first():
        return [event.payload async for event in made.run()]

    (payload,) = asyncio.run(first())
    return json.loads(json.dumps(payload))


def test_without_more_to_submit_the_trigger_fires_when_all_renders_ended(submit):
    renders = [submit() for _ in range(3)]
    payload = fire(trigger(renders))
    assert {project for project, ended in outcomes_from_event(payload) if ended.movie} == {
        project for project, _ in renders
    }


def test_with_more_to_submit_it_fires_when_half_of_the_renders_ended(submit, service):
    service.add_fault("render", status="running", nth=[3, 4], times=None)
    payload = fire(trigger([submit() for _ in range(4)], more_to_submit=True))
    assert payload["count"] == 2


def test_a_render_that_ended_waits_for_others_for_a_limited_time(submit, service, monkeypatch):
    monkeypatch.setattr("airflow_json2video.triggers.batch._MAX_RESUME_DELAY_S", 0.5)
    service.add_fault("render", status="running", nth=[2, 3, 4], times=None)
    payload = fire(trigger([submit() for _ in range(4)], more_to_submit=True))
    assert payload["count"] == 1


def test_it_fires_at_resume_at(submit, service):
    service.add_fault("render", status="running", times=None)
    began = time.time()
    payload = fire(trigger([submit()], more_to_submit=True, resume_at=began + 1))
    assert payload["count"] == 0
    assert 1 <= time.time() - began < 5


def test_without_renders_it_waits_until_resume_at(connection):
    began = time.time()
    assert fire(trigger([], resume_at=began + 0.5))["count"] == 0
    assert time.time() - began >= 0.5


def test_a_failed_or_late_render_is_an_outcome_with_its_error(submit, service):
    service.add_fault("render", status="error", message="Failed to download x", nth=1)
    service.add_fault("render", status="running", nth=2, times=None)
    ended = dict(outcomes_from_event(fire(trigger([submit(), submit()], render_timeout=1.0))))
    assert sorted(type(end.error).__name__ for end in ended.values()) == ["RenderDeadlineExceeded", "RenderFailed"]


def test_an_earlier_deadline_of_the_attempt_ends_the_wait(submit, service):
    service.add_fault("render", status="running", times=None)
    (ended,) = outcomes_from_event(fire(trigger([submit()], deadline=time.time() + 0.5)))
    assert type(ended[1].error).__name__ == "RenderDeadlineExceeded"


def test_a_cancelled_trigger_leaves_no_task_behind(submit, service):
    service.add_fault("render", status="running", times=None)

    async def cancelled():
        task = asyncio.ensure_future(trigger([submit(), submit()])._wait())
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return [other for other in asyncio.all_tasks() if "Trigger._await" in repr(other)]

    assert asyncio.run(cancelled()) == []


def test_the_trigger_is_rebuilt_from_its_arguments_which_contain_no_secret(connection):
    path, arguments = trigger([("a" * 16, 12.5)], more_to_submit=True, resume_at=20.0, deadline=30.0).serialize()
    assert path == "airflow_json2video.triggers.batch.Json2VideoBatchTrigger"
    again = Json2VideoBatchTrigger(**json.loads(json.dumps(arguments)), of_next_year=1)
    assert again.serialize() == (path, arguments)
    assert "a-key-of-the-tests" not in json.dumps(arguments)


def test_the_event_of_a_hundred_renders_has_a_few_kilobytes(submit):
    project, _ = submit()
    payload = fire(trigger([(project, time.time())]))
    (one,) = decode(payload["ended"])
    assert len(encode([{**one, "project": f"{n:016}"} for n in range(100)])) < 5000


@pytest.mark.parametrize(
    "event", [None, {}, {"ended": 7}, {"ended": "nonsense"}, {"ended": encode([{"x": 1}])}, "text"]
)
def test_an_event_that_cannot_be_read_has_no_outcomes(event):
    assert outcomes_from_event(event) == []
