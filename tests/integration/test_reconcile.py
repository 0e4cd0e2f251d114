"""``reconcile`` in a real Airflow, whose own database says how each task ended."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.airflow import Airflow, airflow_version
from tests.support.processes import ROOT
from tests.support.service import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.long]

DAG_ID = "json2video_movie_from_file"


def wait_for(ready: Callable[[], object], what: str, *, timeout: float = 90) -> None:
    deadline = time.monotonic() + timeout
    while not ready():
        assert time.monotonic() < deadline, f"waited {timeout:.0f} s for {what}"
        time.sleep(0.2)


def render_is(airflow: Airflow, run_id: str, state: str) -> bool:
    return any(ti.task_id == "render" and ti.state == state for ti in airflow.task_instances(DAG_ID, run_id))


def reconciled(airflow: Airflow, *module: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", *module, "reconcile", "--json"],
        env={**airflow.environment, "PYTHONPATH": str(ROOT)},
        cwd=airflow.home,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_unused_renders_and_renders_paid_for_twice_are_found(airflow: Airflow, service: ServiceProcess, tmp_path: Path):
    conf = {"output_dir": str(tmp_path)}
    taken = airflow.trigger(DAG_ID, conf=conf)
    wait_for(lambda: render_is(airflow, taken, "success"), "success")
    project = airflow.xcom(DAG_ID, taken, "render")["project"]

    service.set(render_seconds=8.0)
    dropped = airflow.trigger(DAG_ID, conf=conf)
    wait_for(lambda: render_is(airflow, dropped, "deferred"), "the task to be deferred")
    airflow.mark(DAG_ID, dropped, "render", "failed")
    service.set(render_seconds=0.1)

    document = json.loads(service.call("GET", f"movies?project={project}")["movie"]["json"])
    twin = service.call("POST", "movies", document)["project"]
    stranger = service.call("POST", "movies", {"scenes": [{"duration": 1}]})["project"]
    wait_for(lambda: all(render["status"] == "done" for render in service.renders()), "the renders to end")

    code, answer = reconciled(airflow, "airflow_json2video")
    verdicts = {render["project"]: render["verdict"] for render in answer["renders"]}
    (orphan,) = {render["project"] for render in service.renders()} - {project, twin, stranger}
    assert code == 1
    assert verdicts == {project: "used", orphan: "orphan", twin: "duplicate"}
    assert answer["wasted_credits"] == 20, "9.4 s each, begun seconds counting whole"
    assert answer["unknown"] == []
    tasks = {render["project"]: render["task"] for render in answer["renders"]}
    assert tasks[orphan] == f"{DAG_ID} / {dropped} / render"
    if airflow_version() >= (3, 2):
        assert reconciled(airflow, "airflow", "json2video") == (code, answer)
