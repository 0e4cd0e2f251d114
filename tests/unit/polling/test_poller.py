"""The poller that all triggers of one account share, in simulated time."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from airflow_json2video.api import AsyncJson2VideoClient
from airflow_json2video.core.render_status import RenderTracker
from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.polling.poller import Poller
from airflow_json2video.polling.registry import PollerRegistry
from tests.unit.conftest import connection_json
from tests.unit.polling.conftest import HOST, KEY, Log, task_of_log

# --- what is shared -------------------------------------------------------------------------------


def test_all_renders_of_an_account_share_one_lookup_one_client_and_one_poller(account):
    async def main():
        waits = asyncio.ensure_future(account.wait_for_all(account.add(20)))
        poller = await account.poller()
        assert PollerRegistry.current().pollers == [poller]
        assert all(outcome.movie for outcome in await waits)
        return poller

    poller = account.run(main())
    assert account.look_ups.total() == 1
    assert account.clients == {poller.client}


def test_after_the_last_render_no_task_poller_or_connection_is_left(account):
    async def main():
        before = asyncio.all_tasks()
        await account.wait_for_all(account.add(3))
        assert asyncio.all_tasks() == before
        assert PollerRegistry.current().pollers == []
        assert PollerRegistry.current()._connections == {}

    account.run(main())


def test_two_connections_of_one_account_share_a_poller_and_another_key_has_its_own(account, monkeypatch):
    account.keys.add("another-key")
    monkeypatch.setenv("AIRFLOW_CONN_TWIN", connection_json(host=f"{HOST}/", read_timeout=7))
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", connection_json(host=HOST, key="another-key"))

    async def main():
        one, two, three = account.add(3)
        waits = [account.wait(one), account.wait(two, conn_id="twin"), account.wait(three, conn_id="other")]
        waiting = asyncio.gather(*waits)
        await asyncio.sleep(1)
        assert sorted(len(poller) for poller in PollerRegistry.current().pollers) == [1, 2]
        assert all(outcome.movie for outcome in await waiting)

    account.run(main())


def test_canceling_some_waits_leaves_the_others(account):
    async def main():
        tasks = [asyncio.ensure_future(account.wait(project)) for project in account.add(10)]
        await asyncio.sleep(20)
        for task in tasks[:5]:
            task.cancel()
        cancelled = await asyncio.gather(*tasks[:5], return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in cancelled)
        assert len(PollerRegistry.current().pollers[0]) == 5
        assert all(outcome.movie for outcome in await asyncio.gather(*tasks[5:]))

    account.run(main())


def test_canceling_the_first_wait_during_the_lookup_leaves_the_lookup_to_the_others(account, monkeypatch):
    look_up = Json2VideoHook.aget_settings

    async def slow(hook):
        await asyncio.sleep(3)
        return await look_up(hook)

    monkeypatch.setattr(Json2VideoHook, "aget_settings", slow)

    async def main():
        first, *rest = (asyncio.ensure_future(account.wait(project)) for project in account.add(3))
        await asyncio.sleep(1)
        first.cancel()
        assert all(outcome.movie for outcome in await asyncio.gather(*rest))

    account.run(main())
    assert account.look_ups.total() == 1


def test_two_waits_for_one_render_both_get_its_outcome(account):
    [project] = account.add(1)
    first, second = account.run(account.wait_for_all([project, project]))
    assert first.movie == second.movie
    assert first.movie


def test_lines_for_a_task_are_written_in_its_own_context_and_requests_in_none(account, monkeypatch):
    sent_in = []
    execute = AsyncJson2VideoClient.execute

    async def recorded(client, call):
        sent_in.append(task_of_log.get(None))
        return await execute(client, call)

    monkeypatch.setattr(AsyncJson2VideoClient, "execute", recorded)
    logs = {name: Log() for name in "abc"}

    async def one(name, project):
        task_of_log.set(name)
        return await account.wait(project, log=logs[name])

    async def main():
        await asyncio.gather(*(one(name, project) for name, project in zip(logs, account.add(3), strict=True)))

    account.run(main())
    for name, log in logs.items():
        assert log.lines
        assert set(log.tasks) == {name}
    assert set(sent_in) == {None}


# --- connections ----------------------------------------------------------------------------------


def test_a_key_that_is_replaced_while_renders_are_waited_for_is_used_after_the_first_refusal(account, monkeypatch):
    log = Log()

    async def main():
        waits = asyncio.ensure_future(account.wait_for_all(account.add(4), log=log))
        await asyncio.sleep(20)
        monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=HOST, key="the-new-key"))
        account.keys = {"the-new-key"}
        assert all(outcome.movie for outcome in await waits)
        assert PollerRegistry.current().pollers == []

    account.run(main())
    assert sum("has changed" in line for line in log.lines) == 4
    assert not any("the-new-key" in line for line in log.lines)
    assert account.loop.time() < 120


def test_a_key_that_is_refused_while_the_connection_cannot_be_read_ends_nothing(account, monkeypatch):
    look_up = Json2VideoHook.aget_settings

    async def fail(hook):
        raise OSError("the database is down")

    async def main():
        waits = asyncio.ensure_future(account.wait_for_all(account.add(4)))
        await asyncio.sleep(15)
        monkeypatch.setattr(Json2VideoHook, "aget_settings", fail)
        account.keys = {"the-new-key"}
        await asyncio.sleep(60)
        monkeypatch.setattr(Json2VideoHook, "aget_settings", look_up)
        monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=HOST, key="the-new-key"))
        assert all(outcome.movie for outcome in await waits)

    account.run(main())


def test_connections_are_read_again_every_five_minutes(account, monkeypatch):
    account.keys.add("the-new-key")
    log = Log()

    async def main():
        wait = asyncio.ensure_future(account.wait(account.add(1, ends_in=400.0)[0], log=log))
        before = await account.poller()
        monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=HOST, key="the-new-key"))
        await asyncio.sleep(299)
        assert PollerRegistry.current().pollers == [before]
        await asyncio.sleep(2)
        assert PollerRegistry.current().pollers != [before]
        assert (await wait).movie

    account.run(main())
    assert sum("has changed" in line for line in log.lines) == 1


@pytest.mark.parametrize(
    "error", [OSError("the database is down"), ConfigurationError("Connection 'json2video_default' does not exist.")]
)
def test_a_connection_that_cannot_be_read_for_a_moment_ends_nothing(account, monkeypatch, error):
    look_up, failures = Json2VideoHook.aget_settings, [error] * 2

    async def flaky(hook):
        if failures:
            raise failures.pop()
        return await look_up(hook)

    monkeypatch.setattr(Json2VideoHook, "aget_settings", flaky)
    log = Log()
    assert account.run(account.wait(account.add(1)[0], log=log)).movie
    assert str(error) in log.lines[0]


# --- unexpected errors ----------------------------------------------------------------------------


def test_an_unexpected_error_in_the_poller_ends_every_wait_and_the_next_wait_gets_a_new_poller(account, monkeypatch):
    def broken(poller):
        raise ZeroDivisionError("a bug")

    async def main():
        waits = asyncio.ensure_future(account.wait_for_all(account.add(5, ends_in=6000)))
        await account.poller()
        with monkeypatch.context() as patch:
            patch.setattr(Poller, "_work", broken)
            outcomes = await waits
        for outcome in outcomes:
            assert "ZeroDivisionError: a bug" in str(outcome.error)
            assert outcome.error.retryable
        assert (await account.wait(account.add(1)[0])).movie

    account.run(main())


def test_an_unexpected_error_in_a_poll_ends_every_wait(account, monkeypatch):
    async def broken(client, call):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(AsyncJson2VideoClient, "execute", broken)
    outcomes = account.run(account.wait_for_all(account.add(5)))
    assert all("ZeroDivisionError" in str(outcome.error) for outcome in outcomes)


def test_a_poller_that_is_canceled_ends_every_wait(account):
    async def main():
        waits = asyncio.ensure_future(account.wait_for_all(account.add(5, ends_in=6000)))
        (await account.poller())._task.cancel()
        return await waits

    assert all("CancelledError" in str(outcome.error) for outcome in account.run(main()))


def test_an_unexpected_error_about_one_render_ends_the_wait_for_that_render_only(account, monkeypatch):
    odd, *rest = account.add(4)
    on_status = RenderTracker.on_status

    def judge(tracker, movie, **facts):
        if tracker.project == odd:
            raise KeyError("odd")
        return on_status(tracker, movie, **facts)

    monkeypatch.setattr(RenderTracker, "on_status", judge)
    first, *others = account.run(account.wait_for_all([odd, *rest]))
    assert "KeyError" in str(first.error)
    assert all(outcome.movie for outcome in others)


# --- limits ---------------------------------------------------------------------------------------


def test_at_most_twenty_polls_are_in_flight_at_the_same_time(account):
    account.latency = 5.0
    account.run(account.wait_for_all(account.add(40, size=300_000)))
    assert 2 <= account.max_in_flight <= 21  # and a page of the list


def test_a_render_is_not_polled_more_often_than_its_minimum_interval(account):
    account.run(account.wait_for_all(account.add(4, ends_in=120.0), interval=20.0))
    for project in {one.project for one in account.single_polls()}:
        times = [one.time for one in account.single_polls(project)]
        assert len(times) > 2
        assert all(after - before > 9.0 for before, after in pairwise(times))


def test_the_queue_does_not_grow_with_polls_that_were_rescheduled(account):
    async def main():
        waits = asyncio.ensure_future(account.wait_for_all(account.add(400, ends_in=150.0)))
        poller = await account.poller()
        longest = 0
        while not waits.done():
            longest = max(longest, len(poller._queue._heap))
            await asyncio.sleep(1)
        return longest

    assert account.run(main()) <= 1300


def test_a_render_that_ends_just_before_its_deadline_is_not_missed(account):
    [project] = account.add(1, ends_in=70.0)
    assert account.run(account.wait(project, interval=3600.0, deadline=75.0)).movie
    assert len(account.single_polls()) <= 2


def test_the_key_is_sent_and_never_logged(account, caplog):
    log = Log()
    assert account.run(account.wait(account.add(1)[0], log=log)).movie
    assert KEY not in "".join(log.lines) + caplog.text
