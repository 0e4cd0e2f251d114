"""The poller that all triggers of one account share, against a real service on this machine."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import math
import re
import threading
import time
from contextlib import contextmanager
from itertools import pairwise
from types import SimpleNamespace
from urllib.parse import parse_qs

import pytest

from airflow_json2video.api import AsyncJson2VideoClient
from airflow_json2video.core.poll_schedule import PollSchedule
from airflow_json2video.core.render_status import RenderTracker
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.local.store import Render
from airflow_json2video.polling import list_poller as sweeping
from airflow_json2video.polling import registry as accounts
from airflow_json2video.polling.async_wait import await_render
from airflow_json2video.polling.poller import Poller
from airflow_json2video.polling.registry import PollerRegistry
from tests.unit.api.conftest import Service, answer, drip
from tests.unit.conftest import connection_json

pytestmark = pytest.mark.usefixtures("connection")


class Log:
    """A task's log that remembers in whose context each line was written."""

    def __init__(self):
        self.lines = []
        self.contexts = []

    def info(self, text, *args):
        self.lines.append(text % args)
        self.contexts.append(whose.get(None))


whose = contextvars.ContextVar("whose")


def waiting(project, *, conn_id="json2video_default", interval=0.2, deadline=300.0, age=0.0, log=None):
    now = time.time()
    schedule = PollSchedule(interval=interval, floor=0.2)
    watch = RenderTracker(project, submitted_at=now - age, deadline=now + deadline, schedule=schedule)
    return await_render(Json2VideoHook(conn_id), watch, poll_interval=interval, log=log or Log())


async def all_of(waits):
    return await asyncio.gather(*waits)


@pytest.fixture
def renders(service):
    """Put renders into the service that end so many seconds after now."""
    made = iter(range(10**6))

    def make(count, *, ends_in=1.0, size=100, born=0.0):
        now = service.clock.now()
        document = json.dumps({"scenes": [{"comment": "x" * size}]})
        projects = [f"project{next(made):09d}" for _ in range(count)]
        for project in projects:
            service.backend.store.add(
                Render(
                    project=project,
                    created_at=now + born,
                    document=document,
                    phase="finished",
                    outcome="done",
                    started_at=now + born,
                    finished_at=now + ends_in,
                    render_seconds=ends_in - born,
                    duration=2.0,
                )
            )
        return projects

    return make


def singles(service, project=None):
    asked = [parse_qs(entry.query).get("project", [None])[0] for entry in service.requests]
    return [one for one in asked if one and (project is None or one == project)]


def pages(service):
    return [entry for entry in service.requests if "limit=" in entry.query]


async def poller_at_work():
    for _ in range(1000):
        await asyncio.sleep(0.01)
        if pollers := PollerRegistry.current().pollers:
            return pollers[0]
    raise AssertionError("no poller was started")


# --- shared ---------------------------------------------------------------------------------------


def test_all_renders_of_an_account_share_one_look_up_one_client_and_one_poller(renders, monkeypatch):
    look_ups, clients = [], []
    look_up, execute = Json2VideoHook.look_up, AsyncJson2VideoClient.execute

    async def counted_look_up(hook):
        look_ups.append(hook.json2video_conn_id)
        return await look_up(hook)

    async def counted_execute(client, call):
        clients.append(client)
        return await execute(client, call)

    monkeypatch.setattr(Json2VideoHook, "look_up", counted_look_up)
    monkeypatch.setattr(AsyncJson2VideoClient, "execute", counted_execute)

    async def main():
        waits = asyncio.ensure_future(all_of(waiting(project) for project in renders(20)))
        poller = await poller_at_work()
        assert len(PollerRegistry.current().pollers) == 1
        assert all(ended.movie for ended in await waits)
        return poller

    poller = asyncio.run(main())
    assert len(look_ups) == 1
    assert set(clients) == {poller.client}


def test_after_the_last_render_nothing_is_left_behind(renders):
    async def main():
        before = asyncio.all_tasks()
        await all_of(waiting(project) for project in renders(3, ends_in=0.1))
        assert asyncio.all_tasks() == before
        assert PollerRegistry.current().pollers == []
        assert PollerRegistry.current()._connections == {}

    with no_resource_warning():
        asyncio.run(main())
        gc.collect()


@contextmanager
def no_resource_warning():
    import warnings

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        yield
    assert [str(w.message) for w in caught if "client" in str(w.message).lower()] == []


def test_two_connections_of_one_account_share_a_poller_and_another_key_has_its_own(renders, monkeypatch, service):
    monkeypatch.setenv("AIRFLOW_CONN_TWIN", connection_json(host=f"{service.url}/v2/", read_timeout=7))
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", connection_json(host=service.url, key="another-key-of-the-tests"))

    async def main():
        one, two, three = renders(3)
        waits = asyncio.ensure_future(
            all_of([waiting(one), waiting(two, conn_id="twin"), waiting(three, conn_id="other")])
        )
        await asyncio.sleep(0.3)
        assert sorted(len(poller) for poller in PollerRegistry.current().pollers) == [1, 2]
        assert all(ended.movie for ended in await waits)

    asyncio.run(main())


def test_two_event_loops_have_a_poller_each(renders):
    projects, seen, ended = renders(2), [], []

    async def main(project):
        wait = asyncio.ensure_future(waiting(project))
        seen.append(await poller_at_work())
        ended.append(await wait)

    threads = [threading.Thread(target=asyncio.run, args=(main(project),)) for project in projects]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 2
    assert all(one.movie for one in ended)


def test_cancelling_one_disturbs_no_other(renders):
    async def main():
        tasks = [asyncio.ensure_future(waiting(project)) for project in renders(10)]
        await asyncio.sleep(0.4)
        for task in tasks[:5]:
            task.cancel()
        gone = await asyncio.gather(*tasks[:5], return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in gone)
        assert len(PollerRegistry.current().pollers[0]) == 5
        assert all(ended.movie for ended in await all_of(tasks[5:]))

    asyncio.run(main())


def test_cancelling_the_first_during_the_look_up_leaves_the_look_up_to_the_others(renders, monkeypatch):
    look_up = Json2VideoHook.look_up

    async def slow(hook):
        await asyncio.sleep(0.3)
        return await look_up(hook)

    monkeypatch.setattr(Json2VideoHook, "look_up", slow)

    async def main():
        first, *rest = (asyncio.ensure_future(waiting(project)) for project in renders(3))
        await asyncio.sleep(0.1)
        first.cancel()
        assert all(ended.movie for ended in await all_of(rest))

    asyncio.run(main())


def test_two_who_wait_for_the_same_render_are_both_told(renders):
    async def main():
        [project] = renders(1)
        first, second = await all_of([waiting(project), waiting(project)])
        assert first.movie == second.movie
        assert first.movie

    asyncio.run(main())


def test_lines_for_a_task_are_written_in_its_own_context_and_requests_in_none(renders, monkeypatch):
    asked_in = []
    execute = AsyncJson2VideoClient.execute

    async def spied(client, call):
        asked_in.append(whose.get(None))
        return await execute(client, call)

    monkeypatch.setattr(AsyncJson2VideoClient, "execute", spied)

    async def one(name, project, log):
        whose.set(name)
        return await waiting(project, log=log)

    async def main():
        logs = {name: Log() for name in "abc"}
        await all_of(one(name, project, logs[name]) for name, project in zip("abc", renders(3), strict=True))
        return logs

    logs = asyncio.run(main())
    for name, log in logs.items():
        assert log.lines
        assert set(log.contexts) == {name}
    assert set(asked_in) == {None}


# --- the key changes ------------------------------------------------------------------------------


def test_a_key_that_is_changed_while_renders_wait_is_picked_up(renders, service, monkeypatch):
    log = Log()

    async def main():
        waits = asyncio.ensure_future(all_of(waiting(project, log=log) for project in renders(4, ends_in=2.0)))
        await asyncio.sleep(0.5)
        monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=service.url, key="the-new-key"))
        service.settings.update({"api_keys": ("the-new-key",)})
        ended = await waits
        assert [one.error for one in ended] == [None] * 4
        assert PollerRegistry.current().pollers == []

    asyncio.run(main())
    assert sum("has changed" in line for line in log.lines) == 4
    assert not any("the-new-key" in line for line in log.lines)


def test_a_key_that_is_refused_until_the_deadline_costs_a_few_requests_and_fails_retryably(renders, service):
    async def main():
        waits = asyncio.ensure_future(all_of(waiting(project, deadline=6.0) for project in renders(50, ends_in=600)))
        await poller_at_work()
        service.settings.update({"api_keys": ("another",)})
        return await waits

    ended = asyncio.run(main())
    assert {type(one.error).__name__ for one in ended} == {"RenderDeadlineExceeded"}
    assert len({one.error.project for one in ended}) == 50
    for one in ended:
        assert one.error.retryable
        assert "API key" in str(one.error)
        assert str(one.error).count("The render keeps running and will be billed.") == 1
        assert set(re.findall(r"project\d{9}", str(one.error))) == {one.error.project}
    assert len(service.requests) <= 60


def test_a_refused_key_that_cannot_be_checked_for_now_is_no_reason_to_give_up(renders, service, monkeypatch):
    look_up = Json2VideoHook.look_up

    async def away(hook):
        raise OSError("the database is away")

    async def main():
        waits = asyncio.ensure_future(all_of(waiting(project) for project in renders(4, ends_in=2.0)))
        await asyncio.sleep(0.3)
        monkeypatch.setattr(Json2VideoHook, "look_up", away)
        service.settings.update({"api_keys": ("the-new-key",)})
        await asyncio.sleep(0.6)
        monkeypatch.setattr(Json2VideoHook, "look_up", look_up)
        monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=service.url, key="the-new-key"))
        assert [one.error for one in await waits] == [None] * 4

    asyncio.run(main())


def test_the_connection_is_looked_up_anew_now_and_then(renders, service, monkeypatch):
    monkeypatch.setattr("airflow_json2video.polling.poller._RECHECK_EVERY", 0.3)
    log = Log()

    async def main():
        wait = asyncio.ensure_future(waiting(renders(1, ends_in=1.5)[0], log=log))
        before = await poller_at_work()
        monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=service.url, key="the-new-key"))
        await asyncio.sleep(0.8)
        assert PollerRegistry.current().pollers != [before]
        assert (await wait).movie

    asyncio.run(main())
    assert sum("has changed" in line for line in log.lines) == 1


def test_a_connection_that_cannot_be_looked_up_for_now_is_waited_for(renders, monkeypatch):
    look_up, failures = Json2VideoHook.look_up, [OSError("the database is away")] * 2

    async def flaky(hook):
        if failures:
            raise failures.pop()
        return await look_up(hook)

    monkeypatch.setattr(Json2VideoHook, "look_up", flaky)
    log = Log()
    assert asyncio.run(waiting(renders(1)[0], log=log)).movie
    assert "the database is away" in log.lines[0]


# --- faults of ours -------------------------------------------------------------------------------


def test_a_bug_in_the_poller_ends_every_waiter_with_a_clear_error(renders, monkeypatch):
    def broken(poller):
        raise ZeroDivisionError("a bug")

    async def main():
        waits = asyncio.ensure_future(all_of(waiting(project) for project in renders(5, ends_in=600)))
        await poller_at_work()
        with monkeypatch.context() as patch:
            patch.setattr(Poller, "_work", broken)
            ended = await waits
        for one in ended:
            assert "ZeroDivisionError: a bug" in str(one.error)
            assert one.error.retryable
        # And the next one gets a poller that works.
        assert (await waiting(renders(1)[0])).movie

    asyncio.run(main())


def test_a_bug_in_a_look_ends_every_waiter_too(renders, monkeypatch):
    async def broken(client, call):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(AsyncJson2VideoClient, "execute", broken)
    ended = asyncio.run(all_of(waiting(project) for project in renders(5)))
    assert all("ZeroDivisionError" in str(one.error) for one in ended)


def test_a_poller_that_is_cancelled_leaves_nobody_waiting(renders):
    async def main():
        waits = asyncio.ensure_future(all_of(waiting(project) for project in renders(5, ends_in=600)))
        (await poller_at_work())._task.cancel()
        return await waits

    assert all("CancelledError" in str(one.error) for one in asyncio.run(main()))


def test_what_is_odd_about_one_render_ends_that_one_only(renders, monkeypatch):
    odd, *rest = renders(4)
    on_status = RenderTracker.on_status

    def judge(watch, movie, **facts):
        if watch.project == odd:
            raise KeyError("odd")
        return on_status(watch, movie, **facts)

    monkeypatch.setattr(RenderTracker, "on_status", judge)
    first, *others = asyncio.run(all_of(waiting(project) for project in [odd, *rest]))
    assert "KeyError" in str(first.error)
    assert all(one.movie for one in others)


# --- one by one, or the list ----------------------------------------------------------------------


def test_many_renders_are_looked_at_by_reading_the_list(renders, service):
    ended = asyncio.run(all_of(waiting(project) for project in renders(150, ends_in=3.0)))
    assert all(one.movie for one in ended)
    assert pages(service)
    assert len(service.requests) < 6 * 150  # each by itself would be asked for a dozen times


def test_the_list_and_a_single_look_give_the_same_facts(renders, service):
    def facts(ended):
        return {k: v for k, v in ended.movie.items() if k != "project"}, ended.remaining_quota

    alone = asyncio.run(waiting(renders(1, ends_in=0.5)[0]))
    many = asyncio.run(all_of(waiting(project) for project in renders(100, ends_in=2.0)))
    assert pages(service)
    keys = {tuple(sorted(facts(one)[0])) for one in many}
    assert keys == {tuple(sorted(facts(alone)[0]))}
    kinds = {tuple(type(value).__name__ for _, value in sorted(one.movie.items())) for one in many}
    assert kinds == {tuple(type(value).__name__ for _, value in sorted(alone.movie.items()))}
    assert {type(value) for one in many for value in one.remaining_quota.values()} == {float}


def test_a_few_renders_are_asked_for_one_by_one(renders, service):
    assert all(one.movie for one in asyncio.run(all_of(waiting(project) for project in renders(3))))
    assert pages(service) == []


@pytest.mark.parametrize("order", ["newest", "oldest", "shuffled"])
def test_all_pages_are_read_in_whatever_order_they_come(renders, service, order, monkeypatch):
    monkeypatch.setattr("airflow_json2video.core.list_cost._LARGEST_PAGE", 20)
    service.settings.update({"list_order": order})
    assert all(one.movie for one in asyncio.run(all_of(waiting(project) for project in renders(100, ends_in=2.0))))
    assert any("next_token" in entry.query for entry in pages(service))


@pytest.mark.parametrize("order", ["oldest", "shuffled"])
def test_an_account_crowded_with_other_peoples_renders_costs_hardly_more_than_single_looks(renders, service, order):
    service.settings.update({"list_order": order})
    renders(4000, born=-1.0)
    ended = asyncio.run(all_of(waiting(project) for project in renders(40, ends_in=4.0)))
    assert all(one.movie for one in ended)
    assert 1 <= len(pages(service)) <= 15


def test_where_the_newest_come_first_a_crowd_does_no_harm(renders, service):
    renders(4000, born=-1.0)
    ended = asyncio.run(all_of(waiting(project) for project in renders(100, ends_in=3.0)))
    assert all(one.movie for one in ended)
    assert len(service.requests) < 6 * 100  # each by itself would be asked for a dozen times


def test_an_account_of_huge_documents_costs_one_probe(renders, service):
    ended = asyncio.run(all_of(waiting(project) for project in renders(60, ends_in=3.0, size=300_000)))
    assert all(one.movie for one in ended)
    assert len(pages(service)) == 1
    assert "limit=10&" in f"{pages(service)[0].query}&"


def test_a_render_that_the_list_never_shows_is_asked_for_by_itself(renders, service):
    service.settings.update({"list_delay": 1e9})
    assert all(one.movie for one in asyncio.run(all_of(waiting(project) for project in renders(80, ends_in=2.0))))
    # A probe and a try; then after ten single looks, after twenty more, after forty more, and so on.
    assert len(pages(service)) <= 2 + math.log2(1 + len(service.requests) / 10)


def test_renders_that_show_late_in_the_list_are_found_all_the_same(renders, service):
    service.settings.update({"list_delay": 1.0})
    assert all(one.movie for one in asyncio.run(all_of(waiting(project) for project in renders(80, ends_in=3.0))))


def test_a_render_older_than_the_longest_range_is_asked_for_by_itself(renders, service):
    [old] = renders(1, born=-100 * 86400.0, ends_in=-1.0)

    async def main():
        return await all_of([waiting(old, age=100 * 86400.0), *(waiting(one) for one in renders(80, ends_in=2.0))])

    assert all(one.movie for one in asyncio.run(main()))
    assert singles(service, old)
    assert pages(service)


def test_the_dates_of_a_list_reach_from_before_the_oldest_to_after_now(renders, service):
    asyncio.run(all_of(waiting(project) for project in renders(80, ends_in=2.0)))
    query = parse_qs(pages(service)[-1].query)
    assert query["date_start"][0] < query["date_end"][0]
    assert set(query) >= {"date_start", "date_end", "limit"}


# --- a list that misbehaves -----------------------------------------------------------------------


def movie(project, status="running"):
    return {"project": project, "status": status, "url": "u" if status == "done" else None, "json": "{}"}


class Misbehaving:
    """Answers single looks well, and the list as a test says; every render is done after 2.5 seconds."""

    def __init__(self, on_list):
        self.on_list = on_list
        self.started = time.monotonic()
        self.lists = 0
        self.service = Service().then(self._act)

    def status(self):
        return "done" if time.monotonic() - self.started > 2.5 else "running"

    def _act(self, connection, seen):
        query = parse_qs(seen.path.partition("?")[2])
        if "project" in query:
            answer(body={"success": True, "movie": movie(query["project"][0], self.status())})(connection, seen)
        else:
            self.lists += 1
            self.on_list(self, query)(connection, seen)


def page(projects, status="running", **more):
    return {"success": True, "movies": [movie(project, status) for project in projects], "has_next": False, **more}


NAMES = [f"Qk3vT9zLm2Xc{number:04d}" for number in range(60)]

MISBEHAVIOURS = {
    "a cursor that repeats": lambda self, query: answer(body=page(["x" * 16], has_next=True, next_token="again")),
    "no cursor": lambda self, query: answer(body=page(["x" * 16], has_next=True)),
    "another shape": lambda self, query: answer(body={"success": True, "movies": {"not": "a list"}}),
    "entries of another shape": lambda self, query: answer(
        body={"success": True, "movies": [{"project": 5}, {"status": "done"}, {}], "has_next": False}
    ),
    "an entry that is no object": lambda self, query: answer(body={"success": True, "movies": [7], "has_next": False}),
    "HTML": lambda self, query: answer(raw=b"<html>sorry</html>"),
    "a refusal in a success": lambda self, query: answer(body={"success": False, "message": "no", "movies": []}),
    "a server error": lambda self, query: answer(500, {"message": "Internal server error"}),
    "a refusal": lambda self, query: answer(400, {"success": False, "message": "Invalid limit"}),
    "more than is read": lambda self, query: answer(body=page(NAMES, padding="x" * 17_000_000)),
    "nothing for too long": lambda self, query: lambda connection, seen: time.sleep(3),
    "a byte now and then": lambda self, query: drip,
}


@pytest.mark.parametrize("kind", MISBEHAVIOURS)
def test_a_list_that_misbehaves_holds_up_nobody_and_is_left_alone(kind, monkeypatch):
    monkeypatch.setattr(sweeping, "_MAX_PAGE_SECONDS", 0.5)
    odd = Misbehaving(MISBEHAVIOURS[kind])
    monkeypatch.setenv("AIRFLOW_CONN_ODD", connection_json(host=odd.service.url))
    logs = [Log() for _ in NAMES]

    async def main():
        return await all_of(
            waiting(project, conn_id="odd", interval=1.0, log=log) for project, log in zip(NAMES, logs, strict=True)
        )

    try:
        ended = asyncio.run(main())
    finally:
        odd.service.close()
    assert all(one.movie and one.movie["status"] == "done" for one in ended), [one.error for one in ended if one.error]
    assert 1 <= odd.lists <= 8


def test_what_became_of_a_list_that_cannot_be_read_is_said_once(monkeypatch):
    def on_list(self, query):
        if query["limit"] == ["10"]:
            return answer(body=page(NAMES[:10]))
        return answer(raw=b"<html>sorry</html>")

    odd = Misbehaving(on_list)
    monkeypatch.setenv("AIRFLOW_CONN_ODD", connection_json(host=odd.service.url))
    logs = [Log() for _ in NAMES]

    async def main():
        return await all_of(
            waiting(project, conn_id="odd", interval=1.0, log=log) for project, log in zip(NAMES, logs, strict=True)
        )

    try:
        asyncio.run(main())
    finally:
        odd.service.close()
    said = [line for log in logs for line in log.lines if "could not be read" in line]
    assert said
    assert "HTML" in said[0]
    assert "is polled by itself" in said[0]
    assert max(sum("could not be read" in line for line in log.lines) for log in logs) == 1


# --- refusals -------------------------------------------------------------------------------------

REFUSALS = {
    "401": {"status": 401},
    "401, a quota": {"canned": "quota"},
    "403": {"status": 403, "body": {"message": "Forbidden"}},
    "400": {"status": 400},
    "404": {"status": 404},
    "410": {"status": 410},
    "a key that is not valid": {"status": 400, "message": "Invalid API Key"},
    "suspended": {"canned": "suspended"},
    "success: false": {"status": 200, "body": {"success": False, "message": "no"}},
    "no such project": {"status": 400, "message": "TypeError: Cannot read properties of undefined (reading 'json')"},
    "a redirect": {"status": 302, "headers": {"location": "https://login.example.com/"}, "body": {}},
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_of_a_moment_ends_nothing_that_is_paid_for(renders, service, kind):
    count = 300 if kind == "401" else 40

    async def main():
        waits = asyncio.ensure_future(all_of(waiting(project) for project in renders(count, ends_in=2.0)))
        await poller_at_work()
        await asyncio.sleep(0.5)
        service.add_fault("answer", times=None, **REFUSALS[kind])
        for _ in range(100):
            await asyncio.sleep(0.05)
            if any(entry.faults for entry in service.requests):
                break
        await asyncio.sleep(1.0)
        service.clear_faults()
        return await waits

    ended = asyncio.run(main())
    assert any(entry.faults for entry in service.requests)
    assert sum(one.movie is not None for one in ended) == count


def test_a_list_that_is_refused_for_a_moment_ends_nothing(renders, service):
    async def main():
        waits = asyncio.ensure_future(all_of(waiting(project) for project in renders(100, ends_in=3.0)))
        await poller_at_work()
        for _ in range(100):
            await asyncio.sleep(0.02)
            if pages(service):
                break
        service.settings.update({"api_keys": ("another",)})
        await asyncio.sleep(1.0)
        service.settings.update({"api_keys": ()})
        return await waits

    assert all(one.movie for one in asyncio.run(main()))


def test_a_render_that_the_service_does_not_know_for_a_moment_is_waited_for(renders, service):
    [project] = renders(1, ends_in=1.0)
    service.add_fault("poll", status="unknown", times=2)
    log = Log()
    assert asyncio.run(waiting(project, log=log)).movie
    assert any("was not found in this account" in line for line in log.lines)


def test_a_connection_that_is_gone_for_a_moment_ends_nothing(renders, monkeypatch):
    from airflow_json2video.exceptions import ConfigurationError

    look_up, failures = Json2VideoHook.look_up, [ConfigurationError("There is no connection 'json2video_default'.")] * 2

    async def flaky(hook):
        if failures:
            raise failures.pop()
        return await look_up(hook)

    monkeypatch.setattr(Json2VideoHook, "look_up", flaky)
    assert asyncio.run(waiting(renders(1)[0])).movie


# --- outages --------------------------------------------------------------------------------------


def test_an_outage_costs_a_few_requests_and_its_end_is_noticed_by_all(renders, service):
    async def main():
        waits = asyncio.ensure_future(all_of(waiting(project) for project in renders(100, ends_in=0.5)))
        await poller_at_work()
        service.add_fault("answer", status=503, times=None)
        await asyncio.sleep(2.5)
        during = len(service.requests)
        service.clear_faults()
        ended = await waits
        assert all(one.movie for one in ended)
        return during

    assert asyncio.run(main()) <= 40


def test_a_wish_to_wait_holds_for_all(renders, service):
    async def main():
        waits = asyncio.ensure_future(all_of(waiting(project) for project in renders(30, ends_in=0.5)))
        await poller_at_work()
        service.add_fault("answer", status=429, retry_after=1.5, times=None)
        await asyncio.sleep(1.2)
        during = len(service.requests)
        service.clear_faults()
        assert all(one.movie for one in await waits)
        return during

    assert asyncio.run(main()) <= 11


def test_one_render_that_always_fails_holds_up_no_other(renders, service):
    odd, *rest = renders(6, ends_in=2.0)
    service.add_fault("answer", status=500, project=odd, times=None)

    async def main():
        task = asyncio.ensure_future(waiting(odd))
        others = await all_of(waiting(project) for project in rest)
        assert not task.done()
        task.cancel()
        return others

    assert all(one.movie for one in asyncio.run(main()))


def test_deadlines_hold_in_an_outage(renders, service):
    service.add_fault("answer", status=503, times=None)

    async def main():
        begun = time.monotonic()
        ended = await all_of(waiting(project, deadline=1.5) for project in renders(20))
        return ended, time.monotonic() - begun

    ended, seconds = asyncio.run(main())
    assert {type(one.error).__name__ for one in ended} == {"RenderDeadlineExceeded"}
    assert all("polls failed" in str(one.error) for one in ended)
    assert seconds < 10


def test_a_render_that_ends_just_before_its_deadline_is_not_missed(renders, service):
    [project] = renders(1, ends_in=1.0)
    ended = asyncio.run(waiting(project, interval=100.0, deadline=1.5))
    assert ended.movie
    assert len(singles(service)) <= 2


def test_an_answer_of_fifty_megabytes_is_an_error_of_that_look(monkeypatch):
    seen = SimpleNamespace(large=0)

    def large_at_first(connection, request):
        if seen.large:
            answer(body={"success": True, "movie": movie(NAMES[0], "done")})(connection, request)
            return
        seen.large += 1
        answer(raw=b'{"movie": "' + b"x" * 52_500_000)(connection, request)

    server = Service().then(large_at_first)
    monkeypatch.setenv("AIRFLOW_CONN_LARGE", connection_json(host=server.url))
    log = Log()
    try:
        ended = asyncio.run(waiting(NAMES[0], conn_id="large", log=log))
    finally:
        server.close()
    assert ended.movie
    assert "larger than 16777216 bytes" in log.lines[0]


# --- bounds ---------------------------------------------------------------------------------------


def test_no_more_than_twenty_looks_are_under_way_together(renders, service):
    service.add_fault("delay", seconds=0.2, times=None)
    most = 0

    async def main():
        nonlocal most
        waits = asyncio.ensure_future(all_of(waiting(project) for project in renders(40, size=300_000)))
        poller = await poller_at_work()
        while not waits.done():
            most = max(most, poller._in_flight)
            await asyncio.sleep(0.01)

    asyncio.run(main())
    assert 2 <= most <= 20


def test_a_render_is_not_asked_for_more_often_than_its_floor(renders, service):
    asyncio.run(all_of(waiting(project, interval=2.0) for project in renders(5, ends_in=4.0)))
    for project in set(singles(service)):
        asked = [entry.time for entry in service.requests if entry.project == project]
        assert all(later - earlier > 0.9 for earlier, later in pairwise(asked))


def test_a_heap_of_looks_that_were_replaced_does_not_grow(renders):
    async def main():
        waits = asyncio.ensure_future(all_of(waiting(project) for project in renders(400, ends_in=3.0)))
        poller = await poller_at_work()
        most = 0
        while not waits.done():
            most = max(most, len(poller._queue._heap))
            await asyncio.sleep(0.01)
        return most

    assert asyncio.run(main()) <= 1300


def test_loops_that_are_gone_leave_nothing_behind(renders):
    for project in renders(3, ends_in=0.1):
        asyncio.run(waiting(project))
    gc.collect()
    asyncio.run(waiting(renders(1, ends_in=0.1)[0]))
    assert len([loop for loop in accounts._registries if loop.is_closed()]) <= 1
