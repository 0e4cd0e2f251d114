"""Random histories of a batch on simulated clocks: kills, lost responses, lost ledgers, a list that lags, outages.

In every history, no item is paid for twice, every wait ends, and every item is done once the faults are over.
"""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from contextlib import suppress
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_json2video.api.responses import MovieStatus
from airflow_json2video.batch.recovery import BatchRecovery
from airflow_json2video.core.batch import encode
from airflow_json2video.core.render_status import RenderOutcome
from airflow_json2video.exceptions import (
    AuthenticationFailed,
    Billing,
    Json2VideoError,
    RateLimited,
    RenderFailed,
    RenderNotStarted,
    ResponseLost,
    ServerError,
    ServiceUnreachable,
)
from airflow_json2video.operators.batch import Json2VideoBatchRenderOperator
from airflow_json2video.triggers.render import event_from_outcome
from tests.unit.attempts import Attempt

MAX_LAG = 270.0
LAST_FAULTY_ATTEMPT = 4
HISTORIES = 100
STAMP = "airflow_json2video"
KINDS = ("unreachable", "refused", "too many", "key", *("lost before", "lost after", "gateway") * 3)


class Killed(BaseException):
    """Ends the process."""


class World:
    """The service, its clock, which is the correct one, and the faults."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.now = 1_800_000_000.0
        self.renders = {}
        self.lag = self.rng.choice((0.0, 20.0, MAX_LAG, MAX_LAG))
        self.fault_rate = self.rng.choice((0.1, 0.3, 0.5))
        self.failing = self.rng.choice((0.0, 0.3, 0.6))
        self.killing = self.rng.choice((0.0, 0.002, 0.01))
        self.forgetting = self.rng.choice((0.0, 0.0, 0.1))

    def chance(self, probability):
        return self.rng.random() < probability

    def pass_time(self, seconds):
        assert 0.0 <= seconds < 20_000.0
        self.now += seconds

    def end_faults(self):
        self.fault_rate = self.failing = self.killing = self.forgetting = 0.0

    def accept(self, document):
        project = f"{len(self.renders):016}"
        self.renders[project] = SimpleNamespace(
            project=project,
            client_data=document["client-data"],
            item=document["client-data"][STAMP]["task_key"],
            created=self.now,
            shown_at=self.now + self.rng.uniform(0.0, self.lag),
            ends_at=self.now + self.rng.uniform(5.0, 400.0),
            fails=self.chance(self.failing),
        )
        return project

    def paid(self):
        """Return how often each item was paid for; a failed render is free."""
        return Counter(render.item for render in self.renders.values() if not render.fails)

    def movie(self, render):
        ended = render.ends_at <= self.now
        status = ("error" if render.fails else "done") if ended else "running"
        return {
            "success": True,
            "project": render.project,
            "status": status,
            "message": "Failed to download x" if status == "error" else None,
            "url": f"https://x/{render.project}.mp4" if status == "done" else None,
            "duration": 1.0,
            "client-data": render.client_data,
            "created_at": datetime.fromtimestamp(render.created, timezone.utc).isoformat(),
        }


class Process:
    """One process on a machine whose clock is wrong by up to two hours; also its client and its service clock."""

    def __init__(self, world):
        self.world = world
        self.error = world.rng.choice((0.0, 0.0, 0.0, 7200.0, -7200.0))
        self.is_known = False
        self.config = SimpleNamespace(host="http://127.0.0.1")

    def clock(self):
        return self.world.now + self.error

    def now(self):
        return self.world.now if self.is_known else self.clock()

    def may_die(self):
        if self.world.chance(self.world.killing):
            raise Killed

    def sleep(self, seconds):
        self.may_die()
        self.world.pass_time(seconds)

    def execute(self, call):
        assert call.name == "movies.submit"
        self.may_die()
        project = self._post(call.body)
        self.is_known = True
        self.may_die()
        return SimpleNamespace(project=project)

    def _post(self, document):
        world = self.world
        if not world.chance(world.fault_rate):
            return world.accept(document)
        kind = world.rng.choice(KINDS)
        if kind == "unreachable":
            raise ServiceUnreachable("no connection")
        self.is_known = kind in ("refused", "too many", "key")
        if kind == "refused":
            raise RenderNotStarted("Error creating movie: out of memory")
        if kind == "too many":
            raise RateLimited("slow down", retry_after=3.0)
        if kind == "key" and world.paid():
            raise AuthenticationFailed("Invalid API Key")
        world.pass_time(world.rng.uniform(0.0, 10.0))
        if kind != "lost before" and world.chance(0.7):
            world.accept(document)
        world.pass_time(world.rng.uniform(0.0, 30.0))
        self.may_die()
        if kind == "gateway":
            raise ServerError("bad gateway", billing=Billing.UNKNOWN)
        raise ResponseLost("the connection broke", billing=Billing.UNKNOWN)

    def movies(self, **_):
        world = self.world
        self.may_die()
        shown = [render for render in world.renders.values() if render.shown_at <= world.now]
        world.pass_time(world.rng.uniform(0.0, 2.0))
        if world.chance(world.fault_rate):
            raise AuthenticationFailed("Invalid API Key") if world.chance(0.2) else ServerError("maintenance")
        self.is_known = True
        self.may_die()
        return [MovieStatus.model_validate(world.movie(render)) for render in shown]


class Hook:
    """The connection, in one process."""

    def __init__(self, process, settings):
        self.client = self.clock = process
        self.settings = settings

    def get_synchronized_clock(self):
        """Learn the service's time, which may fail."""
        with suppress(Json2VideoError):
            self.client.movies()


class Life:
    """The attempts of one task, each with its processes."""

    def __init__(self, world, patch, *, end_is_known):
        self.world = world
        self.end_is_known = end_is_known
        self.process = None
        rng = world.rng
        self.rules = {
            "max_in_flight": rng.choice((1, 2, 5)),
            "max_failures": rng.choice(
                (0, 0.1)
            ),  # the first failure fails the attempt, either immediately or when all items are resolved
        }
        self.rows = [{"id": name, "scenes": [{"duration": 1}]} for name in "abcd"[: rng.choice((1, 2, 4))]]
        patch.setattr(time, "time", lambda: self.process.clock())
        patch.setattr(time, "monotonic", lambda: self.world.now)
        patch.setattr(time, "sleep", lambda seconds: self.process.sleep(seconds))
        patch.setattr("airflow_json2video.version_compat.previous_attempt_ended_at", lambda ti: self.ended_at)
        settings = SimpleNamespace(host="http://127.0.0.1", namespace="here", confirmation_time=300.0)
        hook = property(lambda operator: Hook(self.process, settings))
        patch.setattr(Json2VideoBatchRenderOperator, "hook", hook, raising=False)
        self.ended_at = None

    def operator(self):
        self.process = Process(self.world)
        arguments = {"task_id": "batch", "items": self.rows, "item_key": "id", "render_timeout": 3600, **self.rules}
        return Json2VideoBatchRenderOperator(**{k: v for k, v in arguments.items() if v is not None})

    def live(self):
        before, began = None, self.world.now
        for number in range(1, 12):
            if number > LAST_FAULTY_ATTEMPT:
                self.world.end_faults()
            attempt = Attempt(self.operator(), try_number=number, max_tries=20, before=before)
            result = self.run(attempt)
            if result is not None:
                assert self.world.now - began < 60 * 3600.0
                return result
            before, ended = attempt, self.world.now
            self.ended_at = ended if self.end_is_known else None
            self.world.pass_time(self.world.rng.choice((0.0, 5.0, 300.0)))
        return None

    def run(self, attempt):
        """Run one attempt to its end; return its result, or None if it failed or died."""
        ti, push = attempt.context["ti"], attempt.context["ti"].xcom_push

        def pushed(key, value):
            self.process.may_die()
            push(key, value)
            self.process.may_die()

        ti.xcom_push = pushed
        method, event = "execute", None
        for _ in range(500):
            attempt.operator = self.operator()
            try:
                resume = getattr(attempt.operator, method)
                return resume(attempt.context) if method == "execute" else resume(attempt.context, event=event)
            except TaskDeferred as deferred:
                method, event = deferred.method_name, self.fire(deferred.trigger)
                if self.world.chance(self.world.forgetting):
                    attempt.xcoms.pop("json2video_batch", None)  # the ledger is lost
            except Killed:
                if method == "execute" or self.world.chance(0.7):
                    return None
                event = None  # Airflow runs the same attempt again
            except Json2VideoError:  # an error without a retry would be an exception of Airflow
                return None
            finally:
                paid = self.world.paid()
                assert not paid or max(paid.values()) == 1, f"paid twice: {paid}"
        raise AssertionError("endless wait")

    def fire(self, trigger):
        """Do what a triggerer does until the trigger fires; return the event."""
        world = self.world
        arguments = trigger.serialize()[1]
        if "renders" not in arguments:  # an outage
            world.pass_time((arguments.get("after") or 5.0) + world.rng.uniform(5.0, 60.0))
            return None
        waiting = [world.renders[project] for project, _ in arguments["renders"]]
        moments = [render.ends_at for render in waiting]
        until = max(moments, default=world.now)
        if arguments["resume_at"] is not None:
            resume_at = arguments["resume_at"] + (0.0 if self.process.is_known else -self.process.error)
            until = min(until, resume_at) if moments else resume_at
        world.pass_time(max(until - world.now, 0.0) + world.rng.uniform(5.0, 20.0))
        ended = [
            event_from_outcome(self.end(render), project=render.project)
            for render in waiting
            if render.ends_at <= world.now
        ]
        return {"ended": encode(ended), "count": len(ended)}

    def end(self, render):
        if render.fails:
            return RenderOutcome(error=RenderFailed("Failed to download x", project=render.project, retryable=True))
        return RenderOutcome(movie=self.world.movie(render))


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def live(seed, *, end_is_known):
    world = World(seed)
    with pytest.MonkeyPatch.context() as patch:
        life = Life(world, patch, end_is_known=end_is_known)
        result = life.live()
    assert result is not None, f"seed {seed}: not done"
    assert (result["done"], len(world.paid())) == (len(life.rows), len(life.rows)), f"seed {seed}"
    return world


def live_many(number):
    for seed in range(number):
        live(f"{seed}", end_is_known=True)


@pytest.mark.parametrize("end_is_known", [False, True], ids=["end unknown", "end known"])
def test_no_history_pays_twice_and_each_ends_with_every_item_done(end_is_known):
    renders = 0
    for seed in range(HISTORIES // 2):
        try:
            renders += len(live(f"{seed} {end_is_known}", end_is_known=end_is_known).renders)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    assert renders > HISTORIES // 2


@pytest.mark.parametrize("broken", ["lookup of earlier attempts", "lost responses"])
def test_the_histories_detect_a_wrong_decision(monkeypatch, broken):
    """If absence counts as confirmed immediately, some history pays twice."""
    if broken == "lost responses":
        resolve = BatchRecovery._resolve

        def resolve_immediately(self, index, read_at):
            record = self.batch.records[index]
            record.submitted_at = (record.submitted_at or read_at) - 300.0
            resolve(self, index, read_at)

        monkeypatch.setattr(BatchRecovery, "_resolve", resolve_immediately)
    else:
        decide = BatchRecovery._decide_all

        def decide_immediately(self, pending, read_at):
            self.batch.recovery.last_sent_at -= 300.0
            return decide(self, pending, read_at)

        monkeypatch.setattr(BatchRecovery, "_decide_all", decide_immediately)
    with pytest.raises(AssertionError, match="paid twice"):
        live_many(200)
