"""The worker of a batch is killed at every step that is visible outside its process, one step after the other."""

from __future__ import annotations

import itertools

import pytest

from airflow_json2video.api.client import Json2VideoClient
from tests.unit.conftest import connection_json
from tests.unit.operators.test_batch import BatchAttempt, batch, shorten_delays

__all__ = ["batch"]

ROWS = [{"city": name, "sku": name} for name in ("a", "b", "c")]


class Killed(BaseException):
    """Ends the process: no code of this package catches it, as none can catch SIGKILL."""


@pytest.fixture
def fast(monkeypatch, service):
    """Remove the waits that only a real service needs: these tests run a batch some thirty times."""
    shorten_delays(monkeypatch)
    monkeypatch.setattr("airflow_json2video.core.poll_schedule._LOCAL_FLOOR", 0.01)
    monkeypatch.setattr("airflow_json2video.polling.poller._LOCAL_TICK", 0.005)
    monkeypatch.setattr("airflow_json2video.triggers.batch._MAX_RESUME_DELAY_S", 0.05)
    connection = connection_json(host=service.url, confirmation_time=0.02)
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection)


def kill_at(patch, attempt, number):
    """Kill the process after its *number*-th step: an API call or an XCom.

    To be killed before the next step is the same: what the process has in memory is lost in either case.
    """
    steps = itertools.count(1)

    def step():
        if next(steps) == number:
            raise Killed

    execute = Json2VideoClient.execute

    def execute_or_die(self, call):
        result = execute(self, call)
        step()
        return result

    push = attempt.context["ti"].xcom_push

    def push_or_die(key, value):
        push(key, value)
        step()

    patch.setattr(Json2VideoClient, "execute", execute_or_die)
    attempt.context["ti"].xcom_push = push_or_die


def kill_at_every_step(make, run, rerun, service, rows):
    """Kill one run after the other, each at its next step, until a run survives; return the number of kills.

    :param make: makes the operator for a run id. :param run: runs the first attempt; is called with the number of
        renders before it. :param rerun: is called with it before the second attempt.
    """
    for number in itertools.count(1):
        run_id = f"killed-at-{number}"
        before = service.posts
        first = BatchAttempt(lambda run_id=run_id: make(run_id), run_id=run_id)
        with pytest.MonkeyPatch.context() as patch:
            kill_at(patch, first, number)
            try:
                run(first, before)
            except Killed:
                pass
            else:
                return number - 1
        rerun(before)
        result = BatchAttempt(first.make, run_id=run_id, try_number=2, before=first).run()
        submitted = service.submitted[before:]
        assert (result["done"], len(submitted), service.posts - before) == (rows, rows, rows), number
        assert len({document["variables"]["sku"] for document in submitted}) == rows, number
    return None


@pytest.mark.usefixtures("fast")
def test_a_retry_after_a_kill_at_any_step_pays_for_one_render_of_each_row(service, batch, tmp_path):
    def make(run_id):
        path = str(tmp_path / run_id / "{item}.mp4")
        return batch(items=ROWS, max_in_flight=2, poll_interval=0.02, output_path=path)

    kills = kill_at_every_step(make, lambda first, before: first.run(), lambda before: None, service, len(ROWS))
    assert kills > 10
    assert len(list(tmp_path.glob("killed-at-*/*.mp4"))) == len(ROWS) * (kills + 1)
