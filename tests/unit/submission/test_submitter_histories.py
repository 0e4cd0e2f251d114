"""Thousands of random histories of one submission, on simulated clocks: kills, lost responses, lag, outages.

Whatever happens, the account never holds two renders of one task, every wait ends, and once the faults
are over the render exists.
"""

from __future__ import annotations

import json
import logging
import random
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest

from airflow_json2video.core.identity import Stamp, TaskIdentity, fingerprint
from airflow_json2video.core.submission_state import SubmissionPaused, SubmissionState
from airflow_json2video.exceptions import (
    AuthenticationFailed,
    Billing,
    Json2VideoError,
    ProjectNotFound,
    RateLimited,
    RenderNotStarted,
    ResponseLost,
    ServerError,
    ServiceUnreachable,
)
from airflow_json2video.submission.submitter import Submitter

MOVIE = {"scenes": [{"duration": 2}]}
TASK = TaskIdentity(deployment="id:one", dag_id="news", run_id="run", task_id="render", map_index=-1, generation=0)
LONGEST_LAG = 270.0
LAST_BAD_ATTEMPT = 4
HISTORIES = 6000


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


class Killed(BaseException):
    """The process was killed."""


class World:
    """The service, its clock (the correct one), and the faults."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.now = 1_800_000_000.0
        self.renders = []
        self.lag = self.rng.choice((0.0, 5.0, 60.0, LONGEST_LAG))
        self.may_kill = True
        self.fault_rate = self.rng.choice((0.0, 0.2, 0.5))
        self.renders_fail = self.rng.choice((0.0, 0.5))
        self.failed = set()

    def happens(self, chance):
        return self.rng.random() < chance

    def pass_time(self, seconds):
        self.now += seconds

    def accept(self, document):
        project = f"{len(self.renders):016}"
        shown_at = self.now + self.rng.uniform(0.0, self.lag)
        if self.happens(self.renders_fail):  # which is free, so that the task may order another
            self.failed.add(project)
        self.renders.append((project, document["client-data"], self.now, shown_at))
        return project


class Client:
    """The account as one process of Airflow sees it; each call may be the process's last."""

    def __init__(self, world, process):
        self.world = world
        self.process = process

    def execute(self, call):
        self.process.may_die()
        answer = self._post(call.body) if call.name == "movies.submit" else self._get(call.subject)
        self.process.has_heard = True
        self.process.may_die()
        return answer

    def _post(self, document):
        world = self.world
        if world.happens(world.fault_rate):
            kind = world.rng.choice(("unreachable", "refused", "too many", "lost before", "lost after", "gateway"))
            if kind == "unreachable":
                raise ServiceUnreachable("no connection")
            if kind == "refused":
                raise RenderNotStarted("Error creating movie: out of memory")
            if kind == "too many":
                raise RateLimited("slow down", retry_after=3.0)
            world.pass_time(world.rng.uniform(0.0, 10.0))
            if kind != "lost before" and world.happens(0.7):
                world.accept(document)
            world.pass_time(world.rng.uniform(0.0, 30.0))
            self.process.may_die()
            if kind == "gateway":
                raise ServerError("bad gateway", billing=Billing.UNKNOWN)
            raise ResponseLost("the connection broke", billing=Billing.UNKNOWN)
        project = world.accept(document)
        return SimpleNamespace(project=project)

    def _get(self, project):
        if self.world.happens(self.world.fault_rate / 4):
            raise AuthenticationFailed("Invalid API Key")
        for render in self.world.renders:
            if render[0] == project:
                return SimpleNamespace(movie=as_movie(render, self.world))
        raise ProjectNotFound("no such project")

    def movies(self, **_):
        world = self.world
        self.process.may_die()
        world.pass_time(world.rng.uniform(0.0, 2.0))
        if world.happens(world.fault_rate):
            if world.happens(0.2):
                raise AuthenticationFailed("Invalid API Key")
            raise ServerError("maintenance")
        # What the list shows is what it was when it was asked, or later.
        shown = [render for render in world.renders if render[3] <= world.now]
        self.process.has_heard = True
        self.process.may_die()
        return [as_movie(render, world) for render in shown]


def as_movie(render, world):
    project, client_data, created, _ = render
    return SimpleNamespace(
        project=project,
        status="error" if project in world.failed else "running",
        url=None,
        client_data=client_data,
        json_text=None,
        created_at=datetime.fromtimestamp(created, timezone.utc),
    )


class Process:
    """One process of one attempt, on a machine whose clock is wrong by up to two hours."""

    def __init__(self, world):
        self.world = world
        self.error = world.rng.choice((0.0, 0.0, 7200.0, -7200.0))
        self.has_heard = False

    def clock(self):
        return self.world.now + self.error

    def skew(self):
        return -self.error if self.has_heard else 0.0

    def may_die(self):
        if self.world.may_kill and self.world.happens(0.05):
            raise Killed

    def sleep(self, seconds):
        assert 0.0 <= seconds < 4000.0
        self.may_die()
        self.world.pass_time(seconds)
        self.may_die()


class Store:
    """Airflow's task state, in the same database for all attempts."""

    def __init__(self):
        self.projects = {}

    def load(self, key):
        return self.projects.get(key)

    def save(self, key, project):
        self.projects[key] = project


def attempt(world, number, *, ended_at, task_state_store, max_hold):
    """Run one attempt through all its processes; return its render, or None if it ended without one."""
    state, until = None, None
    for _ in range(1000):
        process = Process(world)
        until = until or world.now + 3600.0
        run = Submitter(
            client=Client(world, process),
            document=MOVIE,
            stamp=Stamp.of(TASK, fingerprint(MOVIE), attempt=number),
            previous_attempt=number - 1 if number > 1 else None,
            previous_attempt_ended_at=ended_at,
            state=None if state is None else SubmissionState.from_json(json.loads(json.dumps(state))),
            log=logging.getLogger(__name__),
            until=until + process.error,
            max_hold=max_hold,
            task_state_store=task_state_store,
            still_current=lambda: True,
            sleep=process.sleep,
            clock=process.clock,
            skew=process.skew,
        )
        try:
            return run.run()
        except SubmissionPaused as paused:
            state = paused.state.to_json()
            world.pass_time(paused.seconds + world.rng.uniform(5.0, 60.0))
        except Killed:
            return None
        except Json2VideoError as error:
            if not error.retryable:
                raise AssertionError("an attempt that is not retried") from error
            return None
    raise AssertionError("a wait without an end")


@pytest.mark.parametrize("has_task_state_store", [False, True], ids=["no task state", "task state"])
@pytest.mark.parametrize("end_is_known", [False, True], ids=["end unknown", "end known"])
@pytest.mark.parametrize("max_hold", [15.0, float("inf")], ids=["deferrable", "on the worker"])
def test_no_history_pays_twice_and_each_ends_with_a_render(has_task_state_store, end_is_known, max_hold):
    posts = 0
    for seed in range(HISTORIES // 8):
        world = World(f"{seed} {has_task_state_store} {end_is_known} {max_hold}")
        task_state_store, ended_at, began = Store() if has_task_state_store else None, None, world.now
        for number in range(1, 9):
            if number > LAST_BAD_ATTEMPT:
                world.may_kill, world.fault_rate, world.renders_fail = False, 0.0, 0.0
            render = attempt(
                world,
                number,
                ended_at=ended_at if end_is_known else None,
                task_state_store=task_state_store,
                max_hold=max_hold,
            )
            paid = [each[0] for each in world.renders if each[0] not in world.failed]
            assert len(paid) <= 1, f"seed {seed}: paid for {len(paid)} renders"
            if render is not None and render.project in paid:
                break
            ended_at = world.now
            world.pass_time(world.rng.choice((0.0, 5.0, 300.0)))
        assert render is not None, f"seed {seed}: no render"
        assert [render.project] == paid, f"seed {seed}"
        assert world.now - began < 6 * 3600.0
        posts += len(paid)
    assert posts == HISTORIES // 8


@pytest.mark.parametrize("broken", ["confirmation", "end of the attempt before"])
def test_the_histories_detect_a_broken_rule(monkeypatch, broken):
    """Without one of the rules, some history pays twice."""
    if broken == "confirmation":
        monkeypatch.setattr(Submitter, "__init__", _with_less_confirmation(Submitter.__init__))
    else:
        monkeypatch.setattr(Submitter, "__post_init__", _with_an_end_that_is_too_early(Submitter.__post_init__))
    with pytest.raises(AssertionError, match="paid for 2"):
        test_no_history_pays_twice_and_each_ends_with_a_render(False, True, 15.0)


def _with_less_confirmation(original):
    def init(self, **arguments):
        original(self, **{"confirmation_time": 70.0, **arguments})

    return init


def _with_an_end_that_is_too_early(original):
    def post_init(self):
        original(self)
        if self.previous_attempt_ended_at is not None:
            self.previous_attempt_ended_at -= 400.0

    return post_init
