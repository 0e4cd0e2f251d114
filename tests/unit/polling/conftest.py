"""An account and an event loop whose time is simulated: an hour of polling takes no time, and the same every time.

Everything but the socket is real: the poller and its registry, the client with its parsing and its errors. What only a
socket can show is in ``test_poller_over_http.py``.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import random
import selectors
from collections import Counter
from datetime import datetime, timezone
from http import HTTPStatus
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_json2video.api import AsyncJson2VideoClient
from airflow_json2video.api.base_client import Response
from airflow_json2video.core.poll_schedule import PollSchedule
from airflow_json2video.core.render_status import RenderTracker
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.polling.async_wait import await_render
from airflow_json2video.polling.registry import PollerRegistry
from tests.unit.conftest import connection_json

KEY = "a-key-of-the-tests"
HOST = "https://api.example.com/v2"
START = 1_800_000_000.0
"""Epoch seconds at which the simulated time begins."""

MAX_SECONDS = 20_000.0
"""Simulated seconds after which a test fails."""

task_of_log = contextvars.ContextVar("task_of_log")


class SimulatedTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to its next timer whenever nothing else is left to do."""

    def __init__(self):
        super().__init__(_JumpingSelector(self))
        self.now = 0.0

    def time(self):
        return self.now


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop):
        super().__init__()
        self._loop = loop

    def select(self, timeout=None):
        assert timeout is not None, "everything waits, and no timer is set"
        events = super().select(0)
        if not events and timeout > 0:
            # A step of at least a microsecond, as rounding must not bring a timer no nearer.
            self._loop.now += max(timeout, 1e-6)
            assert self._loop.now < MAX_SECONDS, "the test does not end"
        return events


class Log:
    """A task's log that records in whose context each line was written."""

    def __init__(self):
        self.lines = []
        self.tasks = []

    def info(self, text, *args):
        self.lines.append(text % args)
        self.tasks.append(task_of_log.get(None))


class Account:
    """A simulated account with its renders.

    :ivar requests: all that arrived: ``time``, ``project`` (None for a page of the list) and ``query``.
    :ivar keys: API keys that are accepted.
    :ivar respond: called with the project and the query before anything else; a response or error that it returns is
        sent instead.
    """

    def __init__(self):
        self.loop = SimulatedTimeLoop()
        self.requests = []
        self.keys = {KEY}
        self.respond = lambda project, query: None
        self.order = "newest"
        self.list_delay = 0.0
        self.latency = 0.05
        self.max_in_flight = self._in_flight = 0
        self.look_ups = Counter()
        self.clients = set()
        self._renders = {}

    # --- for the tests --------------------------------------------------------------------------

    def now(self):
        return START + self.loop.time()

    def add(self, count, *, ends_in=60.0, age=0.0, size=100):
        """Add renders that end so many seconds from now, and return their projects."""
        projects = [f"project{len(self._renders) + number:09d}" for number in range(count)]
        for project in projects:
            self._renders[project] = SimpleNamespace(
                submitted_at=self.now() - age,
                ends_at=self.now() + ends_in,
                document=json.dumps({"comment": "x" * size}),
            )
        return projects

    def wait(self, project, *, conn_id="json2video_default", interval=10.0, deadline=3600.0, age=0.0, log=None):
        """Wait for a render, as its trigger does."""
        now = self.now()
        schedule = PollSchedule(interval=interval)
        tracker = RenderTracker(project, submitted_at=now - age, deadline=now + deadline, schedule=schedule)
        return await_render(Json2VideoHook(conn_id), tracker, poll_interval=interval, log=log or Log(), clock=self.now)

    async def wait_for_all(self, projects, **arguments):
        return await asyncio.gather(*(self.wait(project, **arguments) for project in projects))

    def run(self, main):
        """Run a coroutine in the simulated time."""
        try:
            return self.loop.run_until_complete(main)
        finally:
            tasks = asyncio.all_tasks(self.loop)
            for task in tasks:
                task.cancel()
            if tasks:
                self.loop.run_until_complete(asyncio.wait(tasks))

    def single_polls(self, project=None):
        return [one for one in self.requests if one.project and project in (None, one.project)]

    def pages(self):
        return [one for one in self.requests if "limit" in one.query]

    @staticmethod
    async def poller():
        """Return the first poller, as soon as there is one."""
        while not PollerRegistry.current().pollers:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return PollerRegistry.current().pollers[0]

    # --- for the client -------------------------------------------------------------------------

    async def send(self, client, call, request):
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
        project = query.get("project")
        self.requests.append(SimpleNamespace(time=self.loop.time(), project=project, query=query))
        self.clients.add(client)
        self._in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self._in_flight)
        await asyncio.sleep(self.latency)
        self._in_flight -= 1
        if (response := self.respond(project, query)) is not None:
            return await response(client, call) if callable(response) else response
        if request.headers["x-api-key"] not in self.keys:
            return json_response({"message": "Error: Invalid API Key"}, status=400)
        if project is None:
            return json_response(self._page(query))
        if project not in self._renders:
            message = "TypeError: Cannot read properties of undefined (reading 'json')"
            return json_response({"success": False, "message": message}, status=400)
        return json_response({"success": True, "movie": self._movie(project), "remaining_quota": {"time": 60}})

    def _movie(self, project):
        render, now = self._renders[project], self.now()
        movie = {
            "project": project,
            "status": "running",
            "created_at": moment(render.submitted_at),
            "json": render.document,
        }
        if now >= render.ends_at:
            movie |= {
                "status": "done",
                "url": f"https://assets.example.com/{project}.mp4",
                "ended_at": moment(render.ends_at),
            }
        return movie

    def _page(self, query):
        first, last = (
            datetime.fromisoformat(query[name].replace("Z", "+00:00")).timestamp()
            for name in ("date_start", "date_end")
        )
        shown = [
            project
            for project, render in self._renders.items()
            if first <= render.submitted_at <= last and self.now() - render.submitted_at >= self.list_delay
        ]
        if self.order == "newest":
            shown.sort(key=lambda project: (-self._renders[project].submitted_at, project))
        elif self.order == "oldest":
            shown.sort(key=lambda project: (self._renders[project].submitted_at, project))
        else:
            random.Random(1).shuffle(shown)
        start, limit = int(query.get("next_token", "0").removeprefix("from")), int(query["limit"])
        has_next = start + limit < len(shown)
        movies = [self._movie(project) for project in shown[start : start + limit]]
        page = {"success": True, "movies": movies, "has_next": has_next, "remaining_quota": {"time": 60}}
        return page | ({"next_token": f"from{start + limit}"} if has_next else {})


def moment(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def json_response(document, *, status=200, headers=None):
    return raw_response(json.dumps(document).encode(), status=status, headers=headers)


def raw_response(body, *, status=200, headers=None):
    return Response(status=status, reason=HTTPStatus(status).phrase, headers=headers or {}, body=body)


@pytest.fixture
def account(monkeypatch):
    """A simulated account; the default connection leads to it."""
    account = Account()

    async def aget_settings(hook):
        account.look_ups[hook.json2video_conn_id] += 1
        hook.forget_connection()
        return hook.settings

    async def send(client, call, request):
        return await account.send(client, call, request)

    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=HOST))
    monkeypatch.setattr(Json2VideoHook, "aget_settings", aget_settings)
    monkeypatch.setattr(AsyncJson2VideoClient, "_send", send)
    monkeypatch.setattr("airflow_json2video.polling.registry.get_clock", lambda host: SimpleNamespace(now=account.now))
    yield account
    account.loop.close()
