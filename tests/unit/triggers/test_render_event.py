"""The event trigger, against the local service over HTTP."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import pytest

pytest.importorskip("airflow.sdk", reason="assets are watched from Airflow 3 on")

from airflow_json2video.core.finished_renders import FinishedRenders
from airflow_json2video.core.identity import Stamp, TaskIdentity, add_stamp
from airflow_json2video.exceptions import Json2VideoError
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.polling.watcher_store import WatcherStateStore
from airflow_json2video.triggers.render_event import Json2VideoRenderEventTrigger
from tests.unit.conftest import connection_json

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2}]}


class Store:
    """An asset's state store as in the triggerer of Airflow 3.3; its content survives a restart."""

    def __init__(self):
        self.values = {}
        self.is_broken = False

    async def aget(self, key):
        self._check()
        return json.loads(self.values.get(key, "null"))

    async def aset(self, key, value):
        self._check()
        self.values[key] = json.dumps(value)

    def _check(self):
        if self.is_broken:
            raise RuntimeError("the API server is gone")


@pytest.fixture
def quick(monkeypatch):
    """Shorten the time that Airflow needs to store an event, and the interval of slow polls."""
    monkeypatch.setattr("airflow_json2video.polling.account_watcher._EVENT_STORED_AFTER", 0.05)
    monkeypatch.setattr("airflow_json2video.polling.account_watcher._SLOW_INTERVAL", 0.3)


@pytest.fixture
def lists(service):
    """How often the list has been read."""
    return lambda: sum(
        r.method == "GET" and r.path == "/v2/movies" and "project" not in r.query for r in service.requests
    )


@pytest.fixture
def watching(connection, quick, monkeypatch):
    """A running trigger: ``async with watching(...) as events``, after its first poll."""
    on_list, polls = FinishedRenders.on_list, []

    def counted(renders, movies, **times):
        polls.append(renders)
        return on_list(renders, movies, **times)

    monkeypatch.setattr(FinishedRenders, "on_list", counted)

    @asynccontextmanager
    async def watching(store=None, **arguments):
        trigger = _rebuilt(Json2VideoRenderEventTrigger(poll_interval=0.2, **arguments))
        trigger.asset_state_store = store
        before, events = len(polls), []

        async def run():
            async for event in trigger.run():
                _record(events, event)

        task = asyncio.create_task(run())
        await _until(lambda: len(polls) > before or task.done())
        try:
            yield events
        finally:
            assert not task.done(), task.exception()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return watching


def _rebuilt(trigger):
    """Return the trigger as the triggerer rebuilds it: from its serialized arguments, through JSON."""
    path, arguments = trigger.serialize()
    assert path == f"{Json2VideoRenderEventTrigger.__module__}.Json2VideoRenderEventTrigger"
    return Json2VideoRenderEventTrigger(**json.loads(json.dumps(arguments)))


def _record(events, event):
    """Record an event, through JSON as Airflow does."""
    events.append(json.loads(json.dumps(event.payload)))


async def _until(condition, timeout=60.0):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "timed out"
        await asyncio.sleep(0.02)


async def _polls(lists, count=3):
    """Wait for so many more polls."""
    before = lists()
    await _until(lambda: lists() >= before + count)


async def _submit(document=MOVIE):
    return (await asyncio.to_thread(Json2VideoHook().submit_movie, document)).project


def projects(events):
    return [event["project"] for event in events]


async def test_a_render_that_ends_fires_one_event(watching, lists, service):
    async with watching() as events:
        project = await _submit()
        await _until(lambda: events)
        await _polls(lists)
    [event] = events
    assert event["project"] == project
    assert event["status"] == "done"
    assert event["url"].endswith(".mp4")
    assert (event["duration"], event["width"], event["height"], event["credits"]) == (2.0, 640, 360, 2)
    assert event["size"] > 0


async def test_a_render_of_another_deployment_fires_nothing(watching, lists, monkeypatch):
    theirs = TaskIdentity(deployment="id:there", dag_id="d", run_id="r", task_id="t", map_index=-1, generation=0)
    ours = dataclasses.replace(theirs, deployment="id:here")
    ids = {}  # the first task of a deployment creates its id, after the trigger began
    monkeypatch.setattr("airflow_json2video.deployment.read_variable", lambda key: ids.get("id"))
    async with watching() as events:
        await _submit(add_stamp(MOVIE, Stamp.of(theirs, "f", attempt=1)))
        await _polls(lists, 4)
        assert events == []
        ids["id"] = "here"
        project = await _submit(add_stamp(MOVIE, Stamp.of(ours, "f", attempt=1)))
        await _until(lambda: events)
        await _polls(lists)
    assert projects(events) == [project]


async def test_while_the_deployment_is_unknown_nothing_is_fired_and_nothing_is_missed(watching, lists, monkeypatch):
    monkeypatch.setattr("airflow_json2video.polling.account_watcher._RECHECK_EVERY", 0.0)
    async with watching() as events:
        find = _broken_for(3)
        monkeypatch.setattr("airflow_json2video.polling.account_watcher.aget_deployment", find)
        project = await _submit()
        await _until(lambda: events, timeout=20)
    assert find.asked > 3
    assert projects(events) == [project]


def _broken_for(times):
    async def find(namespace):
        find.asked += 1
        if find.asked <= times:
            raise Json2VideoError("The database is away.", retryable=True)
        return "id:here"

    find.asked = 0
    return find


async def test_only_renders_that_end_after_the_start_fire(watching, lists, service):
    await _submit()
    assert await asyncio.to_thread(service.wait_idle)
    service.settings.update({"render_seconds": 1.0})
    running = await _submit()
    async with watching() as events:
        await _until(lambda: events)
        await _polls(lists)
    assert projects(events) == [running]


async def test_each_of_many_renders_fires_once(watching, lists, service):
    async with watching() as events:
        submitted = [await _submit() for _ in range(30)]
        await _until(lambda: len(events) >= 30)
        await _polls(lists)
    assert sorted(projects(events)) == sorted(submitted)


async def test_neither_key_nor_client_data_is_in_an_event(watching, service):
    async with watching() as events:
        await _submit({**MOVIE, "client-data": {"token": "SECRET"}})
        await _until(lambda: events)
    assert "SECRET" not in json.dumps(events)
    assert "a-key-of-the-tests" not in json.dumps(events)


@pytest.mark.parametrize(
    ("outcome", "expected"), [("done", {"done"}), ("failed", {"error"}), ("any", {"done", "error"})]
)
async def test_the_outcome_filters_the_renders(watching, lists, service, outcome, expected):
    async with watching(outcome=outcome) as events:
        service.add_fault("render", status="error", message="no such font")
        await _submit()
        await asyncio.to_thread(service.wait_idle)
        await _submit()
        await asyncio.to_thread(service.wait_idle)
        await _polls(lists)
    assert {event["status"] for event in events} == expected
    assert len(events) == len(expected)
    for event in events:
        assert (event["message"] == "no such font") == (event["status"] == "error")
        assert (event["url"] is None) == (event["status"] == "error")


async def test_client_data_filters_the_renders(watching, lists, service):
    async with watching(client_data={"campaign": "spring"}) as events:
        await _submit({**MOVIE, "client-data": {"campaign": "autumn"}})
        wanted = await _submit({**MOVIE, "client-data": {"campaign": "spring", "lot": 1}})
        await _until(lambda: events)
        await _polls(lists)
    assert projects(events) == [wanted]


async def test_a_template_filters_the_renders(watching, lists, service):
    template = service.add_template(MOVIE, id="abc123def456ghi789jk")
    async with watching(template=template) as events:
        await _submit()
        wanted = await _submit({"template": template})
        await _until(lambda: events)
        await _polls(lists)
    assert projects(events) == [wanted]


async def test_each_poll_reads_one_page_and_no_single_render(watching, lists, service):
    service.settings.update({"render_seconds": 600})
    async with watching():
        for _ in range(5):
            await _submit()
        await _polls(lists, 5)
    asked = [r for r in service.requests if r.method == "GET" and r.query != "limit=1"]  # asks for the time
    assert len([r for r in service.requests if r.query == "limit=1"]) <= 1
    assert all("project" not in r.query for r in asked)
    assert all("date_start=" in r.query and "date_end=" in r.query for r in asked), "not from the first of the month"
    assert not any("next_token" in r.query for r in asked)


async def test_pages_of_large_documents_are_small_enough_not_to_block_the_event_loop(watching, lists, service):
    large = {**MOVIE, "comment": "x" * 200_000}
    async with watching() as events:
        for _ in range(30):
            await _submit(large)
        await _until(lambda: len(events) >= 30)
        await _polls(lists, 20)
    sizes = [int(size) for r in service.requests for size in parse_qs(r.query).get("limit", ())]
    assert sizes[-1] <= 10
    assert len(set(projects(events))) == len(events) == 30


async def test_an_outage_is_logged_at_its_beginning_and_at_its_end(watching, lists, service, times_logged):
    async with watching() as events:
        fault = service.add_fault("answer", method="GET", path="/movies", status=503, times=None)
        project = await _submit()
        await _polls(lists, 4)
        assert not events
        assert times_logged("No events can be fired meanwhile") == 1
        service.clear_faults()
        await _until(lambda: events)
        await _polls(lists)
        assert times_logged("can be read again") == 1
    assert fault
    assert projects(events) == [project]


async def test_a_replaced_key_is_used_after_a_refusal(watching, lists, service, times_logged, monkeypatch):
    async with watching() as events:
        service.settings.update({"api_keys": ["another-key"]})
        await _polls(lists, 3)
        lines = times_logged("No events can be fired meanwhile")
        assert lines == 1
        monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(key="another-key", host=service.url))
        project = await _submit()
        await _until(lambda: events)
    assert projects(events) == [project]


async def test_a_connection_that_does_not_exist_yet_is_looked_up_again(
    connection, quick, service, monkeypatch, times_logged
):
    trigger = Json2VideoRenderEventTrigger(json2video_conn_id="later", poll_interval=0.2)
    events = []

    async def run():
        async for event in trigger.run():
            _record(events, event)

    task = asyncio.create_task(run())
    await asyncio.sleep(0.5)
    assert not task.done()
    assert times_logged("Connection 'later' does not exist") == 1
    monkeypatch.setenv("AIRFLOW_CONN_LATER", connection_json(host=service.url))
    await _until(lambda: service.requests)
    await asyncio.sleep(0.3)
    await _submit()
    await _until(lambda: events)
    task.cancel()


async def test_an_unexpected_error_does_not_end_the_trigger(watching, lists, service, monkeypatch, times_logged):
    async with watching() as events:
        on_list = FinishedRenders.on_list
        monkeypatch.setattr(FinishedRenders, "on_list", lambda *_, **__: 1 / 0)
        await _polls(lists, 2)
        assert times_logged("ZeroDivisionError") == 1
        monkeypatch.setattr(FinishedRenders, "on_list", on_list)
        await _polls(lists, 2)
        await _submit()
        await _until(lambda: events)


async def test_after_a_restart_with_a_store_nothing_fires_twice_and_nothing_is_missed(watching, lists, service):
    store = Store()
    async with watching(store) as events:
        first = await _submit()
        await _until(lambda: events)
        await _polls(lists)
    missed = await _submit()
    assert await asyncio.to_thread(service.wait_idle)
    async with watching(store) as events:
        await _until(lambda: events)
        await _polls(lists)
    assert projects(events) == [missed] != [first]


async def test_after_a_restart_without_a_store_the_trigger_starts_from_now(watching, lists, service):
    async with watching() as events:
        await _submit()
        await _until(lambda: events)
    await _submit()
    assert await asyncio.to_thread(service.wait_idle)
    async with watching() as events:
        await _polls(lists)
        last = await _submit()
        await _until(lambda: events)
    assert projects(events) == [last]


async def test_an_event_fires_again_if_the_triggerer_died_before_airflow_stored_it(watching, service, monkeypatch):
    monkeypatch.setattr("airflow_json2video.polling.account_watcher._EVENT_STORED_AFTER", 60)
    store = Store()
    async with watching(store) as events:
        await _until(lambda: store.values)
        project = await _submit()
        await _until(lambda: events)
    async with watching(store) as events:
        await _until(lambda: events)
    assert projects(events) == [project]


async def test_a_store_that_fails_for_a_moment_loses_no_event(watching, service, monkeypatch):
    monkeypatch.setattr("airflow_json2video.polling.watcher_store._RETRY_DELAYS", (0.3,))
    store = Store()
    async with watching(store):
        await _until(lambda: store.values)
    missed = await _submit()
    assert await asyncio.to_thread(service.wait_idle)
    store.is_broken = True
    asyncio.get_running_loop().call_later(0.1, setattr, store, "is_broken", False)
    async with watching(store) as events:
        await _until(lambda: events)
    assert projects(events) == [missed]


async def test_a_store_that_fails_loses_no_event_while_the_triggerer_runs(
    watching, lists, service, times_logged, monkeypatch
):
    monkeypatch.setattr("airflow_json2video.polling.watcher_store._RETRY_DELAYS", (0.01, 0.01))
    store = Store()
    store.is_broken = True
    async with watching(store) as events:
        project = await _submit()
        await _until(lambda: events)
        await _polls(lists)
    assert projects(events) == [project]
    assert times_logged("the watcher's state (RuntimeError") >= 2  # could not be loaded, and could not be saved


async def test_two_watchers_of_one_asset_do_not_share_their_state(watching, lists, service):
    store = Store()
    async with watching(store) as done, watching(store, outcome="any") as everything:
        await _submit()
        await _until(lambda: done and everything)
        await _polls(lists, 6)
    assert len(store.values) == 2
    assert len(done) == len(everything) == 1


async def test_watching_does_not_block_the_event_loop(watching, lists, service):
    service.add_fault("delay", method="GET", path="/v2/movies", seconds=0.5, times=5)
    gaps = []

    async def beat():
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.01)
            gaps.append(time.perf_counter() - last)
            last = time.perf_counter()

    async with watching():
        beating = asyncio.create_task(beat())
        await _polls(lists, 4)
        beating.cancel()
    assert sorted(gaps)[-3] < 0.3


def test_triggers_are_equal_if_their_arguments_are():
    from airflow.triggers.base import BaseEventTrigger

    def identity(**arguments):
        return BaseEventTrigger.hash(*Json2VideoRenderEventTrigger(**arguments).serialize())

    assert identity(client_data={"a": 1}) == identity(client_data={"a": 1})
    assert len({identity(), identity(outcome="any"), identity(template="x"), identity(client_data={"a": 1})}) == 4


def test_invalid_arguments_are_rejected_in_the_dag_file():
    with pytest.raises(ValueError, match="'done', 'failed' or 'any'"):
        Json2VideoRenderEventTrigger(outcome="success")
    with pytest.raises(ValueError, match="above 0"):
        Json2VideoRenderEventTrigger(poll_interval=0)
    with pytest.raises(TypeError, match="clientdata"):
        Json2VideoRenderEventTrigger(clientdata={"a": 1})


def test_before_airflow_3_3_there_is_no_store():
    trigger = Json2VideoRenderEventTrigger()
    assert WatcherStateStore.of(trigger, identity=[]) is None
