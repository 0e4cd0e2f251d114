"""The registry of pollers: which are shared, and how they are closed. No request is sent."""

from __future__ import annotations

import asyncio

import pytest

from airflow_json2video.core.poll_schedule import PollSchedule
from airflow_json2video.core.render_status import RenderTracker
from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.polling import registry
from airflow_json2video.polling.poller import Poller
from airflow_json2video.polling.registry import PollerRegistry
from airflow_json2video.polling.subscription import Subscription
from tests.unit.conftest import connection_json

HOST = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _connections(monkeypatch):
    for name in ("a", "b"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", connection_json(host=HOST, key=f"key-of-{name}"))
    monkeypatch.setenv("AIRFLOW_CONN_TWIN_OF_A", connection_json(host=HOST, key="key-of-a", read_timeout=7))


async def subscribed(conn_id):
    """Subscribe to a render whose first poll is an hour away."""
    tracker = RenderTracker("x" * 16, submitted_at=2e9, deadline=4e9, schedule=PollSchedule())
    subscription = Subscription(tracker, conn_id=conn_id, interval=3600.0)
    PollerRegistry.current().acquire(Json2VideoHook(conn_id))
    await PollerRegistry.current().subscribe(subscription)
    return subscription


def test_pollers_that_become_idle_at_the_same_time_are_each_closed_once():
    async def main():
        before = asyncio.all_tasks()
        pollers = PollerRegistry.current()
        subscriptions = [await subscribed(conn_id) for conn_id in ("a", "b")]
        clients = [poller.client for poller in pollers.pollers]
        assert len(clients) == 2
        await asyncio.gather(*(pollers.release(each) for each in subscriptions))
        assert pollers.pollers == []
        assert asyncio.all_tasks() == before

    asyncio.run(main())


def test_a_poller_that_starts_while_another_is_closed_is_not_closed(monkeypatch):
    async def main():
        pollers = PollerRegistry.current()
        first, second = [await subscribed(conn_id) for conn_id in ("a", "b")]
        closing, may_close = asyncio.Event(), asyncio.Event()
        aclose = Poller.aclose

        async def slow(poller):
            closing.set()
            await may_close.wait()
            await aclose(poller)

        monkeypatch.setattr(Poller, "aclose", slow)
        releases = [asyncio.ensure_future(pollers.release(each)) for each in (first, second)]
        await closing.wait()
        third = await subscribed("b")
        may_close.set()
        await asyncio.gather(*releases)
        assert [len(poller) for poller in pollers.pollers] == [1]
        assert not pollers.pollers[0].is_closed
        await pollers.release(third)

    asyncio.run(main())


def test_a_lookup_that_its_last_user_abandons_ends_no_poller_of_another_connection(monkeypatch):
    async def main():
        pollers = PollerRegistry.current()
        leaving, staying = [await subscribed(conn_id) for conn_id in ("a", "twin_of_a")]
        [poller] = pollers.pollers
        started = asyncio.Event()
        look_up = Json2VideoHook.aget_settings

        async def never(hook):
            started.set()
            await asyncio.sleep(3600) if hook.json2video_conn_id == "a" else None
            return await look_up(hook)

        monkeypatch.setattr(Json2VideoHook, "aget_settings", never)
        poller.spawn(poller._failures.recheck_all())
        await started.wait()
        await pollers.release(leaving)
        await asyncio.sleep(0.05)
        assert pollers.pollers == [poller]
        assert not poller.is_closed
        assert len(poller) == 1
        await pollers.release(staying)

    asyncio.run(main())


def test_the_end_of_the_event_loop_ends_a_subscription_whose_connection_is_being_looked_up(monkeypatch):
    async def never(hook):
        await asyncio.sleep(3600)

    monkeypatch.setattr(Json2VideoHook, "aget_settings", never)
    ended = []

    async def subscribe():
        try:
            await subscribed("a")
        except BaseException as error:
            ended.append(type(error))
            raise

    async def main():
        task = asyncio.ensure_future(subscribe())
        await asyncio.sleep(0.01)
        # As asyncio.run() does, in the worse of the two orders.
        for each in sorted(asyncio.all_tasks() - {asyncio.current_task()}, key=lambda each: each is task):
            each.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    assert ended == [asyncio.CancelledError]


def test_a_connection_that_leads_to_another_account_takes_its_subscriptions_with_it(monkeypatch):
    async def main():
        pollers = PollerRegistry.current()
        moving, staying = [await subscribed(conn_id) for conn_id in ("a", "twin_of_a")]
        [old] = pollers.pollers
        monkeypatch.setenv("AIRFLOW_CONN_A", connection_json(host=HOST, key="the-new-key"))
        await old._failures.recheck_all()
        new = next(poller for poller in pollers.pollers if poller is not old)
        assert old.subscriptions() == [staying]
        assert new.subscriptions() == [moving]
        for each in (moving, staying):
            await pollers.release(each)
        assert pollers.pollers == []

    asyncio.run(main())


def test_a_failed_lookup_leaves_nothing_behind(monkeypatch):
    async def missing(hook):
        raise ConfigurationError("Connection 'a' does not exist.")

    monkeypatch.setattr(Json2VideoHook, "aget_settings", missing)

    async def main():
        pollers = PollerRegistry.current()
        tracker = RenderTracker("x" * 16, submitted_at=2e9, deadline=4e9, schedule=PollSchedule())
        subscription = Subscription(tracker, conn_id="a", interval=3600.0)
        pollers.acquire(Json2VideoHook("a"))
        with pytest.raises(ConfigurationError):
            await pollers.subscribe(subscription)
        await pollers.release(subscription)
        assert pollers._connections == {}
        assert pollers.pollers == []

    asyncio.run(main())


def test_registries_of_closed_event_loops_are_forgotten():
    async def current():
        return PollerRegistry.current()

    found = {asyncio.run(current()) for _ in range(3)}
    assert len(found) == 3
    assert len([loop for loop in registry._registries if loop.is_closed()]) <= 1
