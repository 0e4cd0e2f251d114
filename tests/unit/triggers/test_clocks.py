"""Workers and triggerers whose clocks are wrong by hours, against a service whose clock is right."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
from datetime import timedelta
from hashlib import sha256

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_json2video.api import clock
from airflow_json2video.batch import recovery as batch_finding
from airflow_json2video.batch import submitter as batch
from airflow_json2video.core.finished_renders import FinishedRenders, RenderFilter
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.operators._deferral import ResumeState
from airflow_json2video.operators.batch import Json2VideoBatchRenderOperator
from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.polling import registry as accounts
from airflow_json2video.polling.account_watcher import watch_account
from airflow_json2video.sensors.render import Json2VideoRenderSensor
from airflow_json2video.submission import submitter as submission
from airflow_json2video.triggers.batch import Json2VideoBatchTrigger
from airflow_json2video.triggers.credits import Json2VideoCreditsTrigger
from tests.unit.attempts import Attempt
from tests.unit.conftest import connection_json

MOVIE = {"width": 128, "height": 72, "scenes": [{"duration": 1}]}
TWO_HOURS = 7200.0

SERVICE = """
import sys
from airflow_json2video.local import LocalService
with LocalService(mode="instant", home=sys.argv[1]) as service:
    service.settings.update({"render_seconds": 1.0})
    print(service.url, flush=True)
    sys.stdin.read()
"""

real_time = time.time
LOADED_BEFORE_THE_CLOCK_IS_CHANGED = (accounts, batch, batch_finding, submission)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Return the URL of a service in a process of its own, because its clock stays right."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(tmp_path_factory.mktemp("service"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()


@pytest.fixture(autouse=True)
def _connection(url, monkeypatch, request):
    """Set the default connection. With a namespace for each test, no test finds the renders of another."""
    namespace = sha256(request.node.name.encode()).hexdigest()[:16]
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=url, namespace=namespace))


@pytest.fixture
def machine(monkeypatch):
    """Continue as a new process on a machine whose clock is ahead by so many seconds."""

    def machine(ahead):
        monkeypatch.setattr(time, "time", lambda: real_time() + ahead)
        monkeypatch.setitem(submission.Submitter.__init__.__kwdefaults__, "clock", time.time)
        monkeypatch.setattr(clock, "_clocks", {})

    return machine


def elapsed(work):
    began = time.monotonic()
    result = work()
    return result, time.monotonic() - began


WRONG = [
    # Both are wrong and in opposite directions, so that two mistakes cannot cancel out.
    pytest.param(TWO_HOURS, -TWO_HOURS, id="worker-ahead"),
    pytest.param(-TWO_HOURS, TWO_HOURS, id="worker-behind"),
]


@pytest.mark.parametrize(("worker", "triggerer"), WRONG)
def test_a_wrong_clock_neither_delays_a_wait_nor_ends_it(machine, worker, triggerer):
    with DAG("a_dag", schedule=None):
        operator = Json2VideoRenderOperator(task_id="render", movie=MOVIE, poll_interval=0.2, render_timeout=60)
    attempt = Attempt(operator)
    machine(worker)
    attempt.start()
    trigger = attempt.deferred.trigger
    assert trigger.submitted_at == pytest.approx(real_time(), abs=5)
    assert trigger.deadline == pytest.approx(real_time() + 60, abs=5)
    assert attempt.deferred.timeout.total_seconds() == pytest.approx(360, abs=10)
    machine(triggerer)
    _, seconds = elapsed(attempt.fire)
    assert seconds < 20
    assert attempt.resume()["url"]


@pytest.mark.parametrize(("worker", "triggerer"), WRONG)
def test_a_wrong_clock_does_not_change_the_deadline_of_a_sensor(machine, worker, triggerer):
    with DAG("a_dag", schedule=None):
        submit = Json2VideoRenderOperator(task_id="render", movie=MOVIE, wait_for_completion=False)
    project = Attempt(submit).run()["project"]
    with DAG("a_dag", schedule=None):
        sensor = Json2VideoRenderSensor(task_id="wait", project=project, poke_interval=0.2, timeout=60)
    attempt = Attempt(sensor)
    machine(worker)
    attempt.start()
    assert attempt.deferred.trigger.deadline == pytest.approx(real_time() + 60, abs=5)
    machine(triggerer)
    assert attempt.fire().resume()["url"]


@pytest.mark.parametrize("ahead", [TWO_HOURS, -TWO_HOURS])
def test_a_wrong_clock_does_not_change_when_a_batch_resumes(machine, ahead):
    machine(ahead)
    trigger = Json2VideoBatchTrigger(
        [], json2video_conn_id="json2video_default", render_timeout=60.0, resume_at=real_time() + 3.0
    )
    attempt = Attempt(Json2VideoRenderOperator(task_id="render", movie=MOVIE))
    attempt.deferred = type("Deferred", (), {"trigger": trigger})
    _, seconds = elapsed(attempt.fire)
    assert 0.5 <= seconds < 15


@pytest.mark.parametrize(("worker", "triggerer"), WRONG)
def test_wrong_clocks_do_not_delay_a_batch(machine, worker, triggerer):
    with DAG("a_dag", schedule=None):
        operator = Json2VideoBatchRenderOperator(
            task_id="batch",
            movie={**MOVIE, "variables": {"n": 0}},
            items=[{"n": n} for n in range(3)],
            max_in_flight=2,
            poll_interval=0.2,
            render_timeout=60,
        )
    attempt = Attempt(operator)
    began = time.monotonic()
    machine(worker)
    outcome = attempt.start()
    for _ in range(10):
        if outcome is not attempt.deferred:
            break
        for _, at in attempt.deferred.trigger.renders:
            assert at == pytest.approx(real_time(), abs=30)
        machine(triggerer)
        attempt.fire()
        machine(worker)
        outcome = attempt.resume()
    assert outcome["done"] == 3, outcome
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("ahead", [TWO_HOURS, -TWO_HOURS])
def test_a_wrong_clock_hides_no_render_from_an_event_trigger(machine, monkeypatch, ahead):
    machine(ahead)
    on_list, has_polled = FinishedRenders.on_list, threading.Event()

    def recorded(renders, movies, **times):
        has_polled.set()
        return on_list(renders, movies, **times)

    monkeypatch.setattr(FinishedRenders, "on_list", recorded)

    async def first_event():
        hook = Json2VideoHook("json2video_default")
        log = logging.getLogger(__name__)
        watcher = watch_account(hook, RenderFilter(), interval=0.2, store=None, log=log)
        event = asyncio.ensure_future(anext(watcher))
        assert await asyncio.to_thread(has_polled.wait, 20)
        project = (await asyncio.to_thread(hook.submit_movie, MOVIE)).project
        found = await asyncio.wait_for(event, 20)
        await watcher.aclose()
        return project, found["project"]

    submitted, reported = asyncio.run(first_event())
    assert reported == submitted


@pytest.mark.parametrize("ahead", [TWO_HOURS, -TWO_HOURS])
def test_a_wrong_clock_does_not_change_the_deadline_of_a_wait_for_credits(machine, monkeypatch, ahead):
    monkeypatch.setattr("airflow_json2video.triggers.credits._FIRST_DELAY", 0.2)
    machine(ahead)
    trigger = Json2VideoCreditsTrigger(
        json2video_conn_id="json2video_default", min_credits=1e15, deadline=real_time() + 3.0
    )
    attempt = Attempt(Json2VideoRenderOperator(task_id="render", movie=MOVIE))
    attempt.deferred = type("Deferred", (), {"trigger": trigger})
    _, seconds = elapsed(attempt.fire)
    assert 0.5 <= seconds < 15


@pytest.mark.parametrize("ahead", [TWO_HOURS, -TWO_HOURS])
@pytest.mark.parametrize("is_batch", [False, True])
def test_the_deadline_of_a_wait_for_credits_means_the_same_on_every_machine(machine, ahead, is_batch):
    arguments = {
        "task_id": "render",
        "movie": MOVIE,
        "min_remaining_credits": 1e12,
        "render_timeout": 600,
    }
    with DAG("a_dag", schedule=None):
        if is_batch:
            operator = Json2VideoBatchRenderOperator(
                **arguments, items=[{"n": 1}], wait_for_credits=timedelta(seconds=60)
            )
        else:
            operator = Json2VideoRenderOperator(**arguments, wait_for_credits=timedelta(seconds=60))
    attempt = Attempt(operator)
    machine(ahead)
    attempt.start()
    assert attempt.deferred.trigger.deadline == pytest.approx(real_time() + 60, abs=10)
    assert attempt.deferred.timeout.total_seconds() == pytest.approx(360, abs=10)
    if not is_batch:
        kept = attempt.deferred.kwargs["state"]
        assert kept["credits_until"] == pytest.approx(real_time() + 60, abs=10)
        assert kept["until"] == pytest.approx(real_time() + 660, abs=10)
        machine(-ahead)
        here = ResumeState.from_json(kept).on_this_machine(Json2VideoHook("json2video_default"))
        assert here.credits_until == pytest.approx(time.time() + 60, abs=20)


def test_how_long_a_list_has_been_refused_means_the_same_on_every_machine(machine):
    machine(TWO_HOURS)
    hook = Json2VideoHook("json2video_default")
    skew = hook.get_synchronized_clock().skew
    refused = {"list_refused_since": time.time(), "host_unresolved_since": None, "first_read_at": real_time()}
    kept = ResumeState(until=time.time() + 60, last_returned_attempt=0, submission=refused).in_service_time(skew)
    machine(-TWO_HOURS)
    here = kept.on_this_machine(Json2VideoHook("json2video_default")).submission
    assert here["list_refused_since"] == pytest.approx(time.time(), abs=20)
    assert here["host_unresolved_since"] is None
    assert here["first_read_at"] == pytest.approx(real_time(), abs=20)
