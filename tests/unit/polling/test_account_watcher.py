"""Watching an account on the service's own clock, so that hours and the end of a month take no time."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager

import pytest

from airflow_json2video.core.finished_renders import RenderFilter
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.polling.account_watcher import watch_account

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2}]}
MINUTE = 60.0


@pytest.fixture
def watching(connection, service):
    """``async with watching() as (events, poll)``: *poll* waits for one more poll, at the service's time."""

    @asynccontextmanager
    async def watching():
        events = []
        watcher = watch_account(
            Json2VideoHook(),
            RenderFilter(),
            interval=0.2,
            store=None,
            log=logging.getLogger(),
            clock=service.clock.now,
        )

        async def run():
            async for movie in watcher:
                _record(events, movie)

        async def poll():
            before = len(_lists(service))
            await _until(lambda: len(_lists(service)) >= before + 2)  # the first may have been in progress

        task = asyncio.create_task(run())
        await _until(lambda: _lists(service))
        try:
            yield events, poll
        finally:
            assert not task.done(), task.exception()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return watching


def _record(events, movie):
    """Record it."""
    events.append(movie["project"])


def _lists(service):
    return [r for r in service.requests if r.method == "GET" and "date_start" in r.query]


def _single_polls(service):
    return [r for r in service.requests if r.method == "GET" and "project=" in r.query]


async def _until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "timed out"
        await asyncio.sleep(0.02)


async def _submit():
    return (await asyncio.to_thread(Json2VideoHook().submit_movie, MOVIE)).project


async def test_a_render_of_last_month_that_ends_in_this_one_is_reported(watching, service):
    service.clock.freeze()
    service.clock.move_to("2026-05-31T23:58:00Z")
    service.settings.update({"render_seconds": 5 * MINUTE})
    async with watching() as (events, poll):
        project = await _submit()
        await poll()
        service.clock.move_to("2026-06-01T00:01:00Z")
        await poll()
        assert events == []
        service.clock.move_to("2026-06-01T00:04:00Z")
        await _until(lambda: events)
        await poll()
    assert events == [project]


async def test_a_render_of_hours_is_polled_by_itself_and_reported_once(watching, service):
    service.clock.freeze()
    service.settings.update({"render_seconds": 180 * MINUTE})
    async with watching() as (events, poll):
        project = await _submit()
        await poll()
        assert not _single_polls(service)
        for _ in range(8):
            service.clock.advance(20 * MINUTE)
            await poll()
        asked = len(_single_polls(service))
        assert 5 < asked < 20
        service.clock.advance(40 * MINUTE)
        await _until(lambda: events)
        await poll()
    assert events == [project]
    assert all("date_start" not in r.query for r in _single_polls(service))


async def test_a_render_that_the_service_no_longer_knows_is_not_polled_again(watching, service):
    service.clock.freeze()
    service.settings.update({"render_seconds": 180 * MINUTE})
    async with watching() as (events, poll):
        await _submit()
        await poll()
        service.clock.advance(30 * MINUTE)
        await poll()
        service.backend.reset()
        service.clock.advance(30 * MINUTE)
        await poll()
        asked = len(_single_polls(service))
        service.clock.advance(30 * MINUTE)
        await poll()
        assert len(_single_polls(service)) == asked
        service.settings.update({"render_seconds": 0.0})
        project = await _submit()
        service.clock.advance(1)
        await _until(lambda: events)
    assert events == [project]
