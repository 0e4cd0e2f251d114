"""What clearing a task does in a real Airflow, whose own records show whether the task had returned its result."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.integration.test_example_dags import failure_logs
from tests.support.airflow import Airflow
from tests.support.service import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.long]

DAG_ID = "json2video_movie_from_models"


def wait_for(ready: Callable[[], object], what: str, *, timeout: float = 90) -> None:
    deadline = time.monotonic() + timeout
    while not ready():
        assert time.monotonic() < deadline, f"waited {timeout:.0f} s for {what}"
        time.sleep(0.2)


def render_is(airflow: Airflow, run_id: str, *states: str, attempt: int = 1) -> Callable[[], bool]:
    def reached() -> bool:
        found = [ti for ti in airflow.task_instances(DAG_ID, run_id) if ti.task_id == "render"]
        return bool(found) and found[0].state in states and found[0].try_number >= attempt

    return reached


def cleared(airflow: Airflow, run_id: str) -> str:
    """Clear the task, wait until it has succeeded once more, and return the project of its result."""
    airflow.clear(DAG_ID, run_id, "render")
    try:
        wait_for(render_is(airflow, run_id, "success", attempt=2), "success after the clear")
    except AssertionError as late:
        raise AssertionError(f"{late}\n{failure_logs(airflow, DAG_ID, run_id)}") from None
    project: str = airflow.xcom(DAG_ID, run_id, "render")["project"]
    return project


def test_clearing_a_task_that_returned_its_result_pays_for_nothing(airflow: Airflow, service: ServiceProcess):
    run_id = airflow.trigger(DAG_ID, conf={})
    airflow.wait_for_run(DAG_ID, run_id)  # a clear just as the scheduler ends the run leaves the task without a state
    before = airflow.xcom(DAG_ID, run_id, "render")["project"]
    assert cleared(airflow, run_id) == before
    assert service.submissions() == 1


@pytest.mark.parametrize("mark", ["failed", "success"])
def test_a_task_marked_by_hand_while_it_waited_reattaches_to_its_render_after_a_clear(
    airflow: Airflow, service: ServiceProcess, mark: str
):
    service.set(render_seconds=8.0)
    run_id = airflow.trigger(DAG_ID, conf={})
    wait_for(render_is(airflow, run_id, "deferred"), "the task to be deferred")
    airflow.mark(DAG_ID, run_id, "render", mark)
    wait_for(lambda: [r["status"] for r in service.renders()] == ["done"], "the render's end")
    assert cleared(airflow, run_id) == service.renders()[0]["project"]
    assert service.submissions() == 1
