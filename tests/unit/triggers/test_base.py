from __future__ import annotations

import asyncio
import pkgutil
import time
from importlib import import_module

import pytest
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_json2video import triggers
from airflow_json2video.triggers.base import Json2VideoTrigger
from airflow_json2video.triggers.batch import Json2VideoBatchTrigger
from airflow_json2video.triggers.render import Json2VideoRenderTrigger
from airflow_json2video.version_compat import shortest_deferral

MOVIE = {"width": 128, "height": 72, "scenes": [{"duration": 1}]}
HELD = 1.5


class Immediate(Json2VideoTrigger):
    """Fires the event that it was created with."""

    def __init__(self, event):
        super().__init__()
        self.event = event

    def serialize(self):
        raise NotImplementedError

    async def wait(self):
        return self.event


@pytest.fixture
def in_triggerer(monkeypatch):
    """Mark a trigger as a triggerer does, and set the minimum deferral to a second and a half."""
    monkeypatch.setattr("airflow_json2video.triggers.base.shortest_deferral", lambda: HELD)

    def mark(trigger):
        trigger.trigger_id = 7
        return trigger

    return mark


def seconds_to_fire(trigger):
    async def first():
        return [event async for event in trigger.run()]

    began = time.monotonic()
    (event,) = asyncio.run(first())
    return time.monotonic() - began, event


def deferred_to():
    for module in pkgutil.iter_modules(triggers.__path__, f"{triggers.__name__}."):
        try:
            found = vars(import_module(module.name)).values()
        except ImportError:  # event triggers, which no task defers to, need Airflow 3
            continue
        for each in found:
            if isinstance(each, type) and issubclass(each, BaseTrigger) and each.__module__ == module.name:
                yield each


def test_every_trigger_that_a_task_defers_to_uses_the_base_class_to_hold_its_event_back():
    tasks = [each for each in deferred_to() if each.__name__ != "Json2VideoRenderEventTrigger"]
    assert len(tasks) >= 5
    assert [each.__name__ for each in tasks if not issubclass(each, Json2VideoTrigger)] == []
    assert [each.__name__ for each in tasks if each.run is not Json2VideoTrigger.run] == []


def test_no_task_resumes_before_the_scheduler_has_read_the_end_of_its_process(in_triggerer):
    seconds, _ = seconds_to_fire(in_triggerer(Immediate(TriggerEvent(1))))
    assert seconds >= HELD - 0.01


def test_polling_starts_immediately_and_only_the_event_is_held_back(in_triggerer, connection, service, monkeypatch):
    hold_back, polls = Json2VideoTrigger.hold_back, []

    async def counted(trigger):
        polls.append(gets(service))
        await hold_back(trigger)
        polls.append(gets(service))

    monkeypatch.setattr(Json2VideoTrigger, "hold_back", counted)
    trigger = Json2VideoRenderTrigger(submit(connection), submitted_at=time.time(), poll_interval=0.2)
    seconds, event = seconds_to_fire(in_triggerer(trigger))
    assert event.payload["movie"]["status"] == "done"
    assert seconds >= HELD - 0.01
    assert polls[0] == polls[1] > 0, "its end was seen before the event was held back"


def test_a_batch_collects_renders_that_end_while_its_event_is_held_back(in_triggerer, connection, service):
    service.add_fault("render", status="running", nth=[2], times=None)
    renders = [(submit(connection), time.time()) for _ in range(2)]
    more = {"render_timeout": 1.0, "poll_interval": 0.2, "more_to_submit": True}
    trigger = in_triggerer(Json2VideoBatchTrigger(renders, json2video_conn_id=connection, **more))
    seconds, event = seconds_to_fire(trigger)
    assert seconds >= HELD - 0.01
    assert event.payload["count"] == 2, "one was done immediately, and the deadline of the other passed a second later"


def test_an_event_that_ends_the_task_itself_is_not_held_back(in_triggerer):
    seconds, _ = seconds_to_fire(in_triggerer(Immediate(TaskSuccessEvent())))
    assert seconds < HELD


def test_outside_of_a_triggerer_no_event_is_held_back(in_triggerer):
    trigger = Immediate(TriggerEvent(1))
    assert seconds_to_fire(trigger)[0] < HELD


@pytest.mark.parametrize(("load", "seconds"), [(0.0, 17.0), (10.0, 20.0), (1000.0, 32.0)])
def test_the_shortest_deferral_covers_the_sleep_of_airflows_supervisor_and_a_busy_scheduler(monkeypatch, load, seconds):
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "12")
    monkeypatch.setattr("os.getloadavg", lambda: (load, load, load))
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    try:
        import_module("airflow.sdk")
    except ImportError:
        assert shortest_deferral() == 0.0, "Airflow 2 guards itself"
    else:
        assert shortest_deferral() == pytest.approx(seconds)


def submit(connection):
    from airflow_json2video.api.calls import submit_movie
    from airflow_json2video.hooks.json2video import Json2VideoHook

    return Json2VideoHook(connection).client.execute(submit_movie(MOVIE)).project


def gets(service):
    return sum(call.method == "GET" for call in service.requests)
