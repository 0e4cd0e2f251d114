"""The poller over real sockets: what the simulated account of the other tests cannot show."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
import warnings
from urllib.parse import parse_qs

import pytest

from airflow_json2video.core.poll_schedule import PollSchedule
from airflow_json2video.core.render_status import RenderTracker
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.local.store import Render
from airflow_json2video.polling import list_poller
from airflow_json2video.polling.async_wait import await_render
from airflow_json2video.polling.registry import PollerRegistry
from tests.unit.api.conftest import Service, answer, drip
from tests.unit.conftest import connection_json
from tests.unit.polling.conftest import Log

PROJECTS = [f"Qk3vT9zLm2Xc{number:04d}" for number in range(60)]


def wait(project, *, conn_id="json2video_default", interval=0.2, log=None):
    now = time.time()
    schedule = PollSchedule(interval=interval, floor=0.2)
    tracker = RenderTracker(project, submitted_at=now, deadline=now + 300, schedule=schedule)
    return await_render(Json2VideoHook(conn_id), tracker, poll_interval=interval, log=log or Log())


async def wait_for_all(projects, **arguments):
    return await asyncio.gather(*(wait(project, **arguments) for project in projects))


@pytest.fixture
def renders(connection, service):
    """Put renders into the local service that end so many seconds from now."""

    def add(count, *, ends_in):
        now = service.clock.now()
        projects = [f"project{number:09d}" for number in range(count)]
        for project in projects:
            service.backend.store.add(
                Render(
                    project=project,
                    created_at=now,
                    document=json.dumps({"scenes": [{}]}),
                    phase="finished",
                    outcome="done",
                    started_at=now,
                    finished_at=now + ends_in,
                    render_seconds=ends_in,
                    duration=2.0,
                )
            )
        return projects

    return add


def test_the_list_and_a_single_poll_return_the_same_facts(renders, service):
    [alone, *many] = asyncio.run(_one_then_all(renders(61, ends_in=1.0)))
    assert any("limit=" in request.query for request in service.requests)
    for outcome in many:
        assert outcome.movie.keys() == alone.movie.keys()
        assert [type(value) for value in outcome.movie.values()] == [type(value) for value in alone.movie.values()]
        assert {type(value) for value in outcome.remaining_quota.values()} == {float}


async def _one_then_all(projects):
    outcomes = await wait_for_all(projects[1:])
    return [await wait(projects[0]), *outcomes]


def test_each_event_loop_has_a_poller_of_its_own_and_leaves_no_connection_open(renders):
    pollers, outcomes = [], []

    async def main(project):
        waiting = asyncio.ensure_future(wait(project))
        while not PollerRegistry.current().pollers:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        pollers.extend(PollerRegistry.current().pollers)
        outcomes.append(await waiting)
        assert PollerRegistry.current().pollers == []

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        threads = [threading.Thread(target=asyncio.run, args=(main(one),)) for one in renders(2, ends_in=0.3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        gc.collect()
    assert len(set(pollers)) == 2
    assert all(outcome.movie for outcome in outcomes)
    assert [str(one.message) for one in caught if "client" in str(one.message).lower()] == []


class Server:
    """A scripted server whose renders are done after a second, and whose list behaves as a test says."""

    def __init__(self, on_list):
        self.on_list = on_list
        self.started = time.monotonic()
        self.lists = 0
        self.service = Service().then(self._act)

    def _act(self, connection, seen):
        query = parse_qs(seen.path.partition("?")[2])
        if "project" not in query:
            self.lists += 1
            return self.on_list(connection, seen)
        status = "done" if time.monotonic() - self.started > 1.0 else "running"
        movie = {"project": query["project"][0], "status": status, "url": "u" if status == "done" else None}
        return answer(body={"success": True, "movie": movie})(connection, seen)


@pytest.mark.parametrize(
    "on_list",
    [answer(body={"movies": [], "padding": "x" * 17_000_000}), drip],
    ids=["too large", "a byte now and then"],
)
def test_a_list_whose_body_does_not_end_well_delays_no_render(monkeypatch, on_list):
    monkeypatch.setattr(list_poller, "_MAX_PAGE_SECONDS", 0.3)
    server = Server(on_list)
    monkeypatch.setenv("AIRFLOW_CONN_ODD", connection_json(host=server.service.url))
    try:
        outcomes = asyncio.run(wait_for_all(PROJECTS, conn_id="odd", interval=0.4))
    finally:
        server.service.close()
    assert all(outcome.movie for outcome in outcomes), [outcome.error for outcome in outcomes if outcome.error]
    assert 1 <= server.lists <= 8


def test_a_response_of_fifty_megabytes_is_an_error_of_that_poll(monkeypatch):
    bodies = [b'{"movie": "' + b"x" * 52_500_000]
    movie = {"project": PROJECTS[0], "status": "done", "url": "u"}

    def large_at_first(connection, seen):
        content = {"raw": bodies.pop()} if bodies else {"body": {"success": True, "movie": movie}}
        answer(**content)(connection, seen)

    server = Service().then(large_at_first)
    monkeypatch.setenv("AIRFLOW_CONN_LARGE", connection_json(host=server.url))
    log = Log()
    try:
        outcome = asyncio.run(wait(PROJECTS[0], conn_id="large", log=log))
    finally:
        server.close()
    assert outcome.movie
    assert "larger than 16777216 bytes" in log.lines[0]
