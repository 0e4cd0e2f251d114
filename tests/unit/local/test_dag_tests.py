"""``dag.test()``: the documented tests of a DAG, and an outage, in one pytest of their own.

It hands a task that resumes the trigger's event and nothing else.
"""

from __future__ import annotations

import re
import shutil
from importlib.metadata import version

import pytest

from tests.unit.test_testing import ROOT, pytest_in

AIRFLOW = tuple(int(part) for part in version("apache-airflow").split(".")[:2])
pytestmark = pytest.mark.timed
DOCUMENTED = ROOT / "docs" / "snippets" / "dag_tests"
OWN = ("outage", "outputs", "retries")

OUTAGE = """
import contextlib
import json
import socket

from region_report import dag

from airflow_json2video.local import LocalService
from airflow_json2video.operators import _deferral as pausing, _render as render
from airflow_json2video.triggers import availability as outage


def test_outage(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    host = f"http://127.0.0.1:{port}"
    connection = {"conn_type": "json2video", "host": host, "password": "k", "extra": {"retries": 0}}
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", json.dumps(connection))
    monkeypatch.setattr(render, "_MAX_HOLD", 0.005)
    monkeypatch.setattr(outage, "_FIRST_DELAY", 0.1)
    defer, services = pausing.defer_until_answering, []
    with contextlib.ExitStack() as stack:

        def defer_and_end_the_outage(operator, **arguments):
            service = LocalService(mode="instant", port=port, home=tmp_path / "service")
            services.append(stack.enter_context(service))
            defer(operator, **arguments)

        monkeypatch.setattr(pausing, "defer_until_answering", defer_and_end_the_outage)
        assert dag.test().state == "success"
        (service,) = services
        assert service.posts == 1
"""

OUTPUTS_DAG = """
from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, task

from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.sensors.render import Json2VideoRenderSensor

MOVIE = {"resolution": "sd", "scenes": [{"duration": 1}]}

with DAG("outputs", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    render = Json2VideoRenderOperator(task_id="render", movie=MOVIE, multiple_outputs=True)
    sensor = Json2VideoRenderSensor(task_id="sensor", project=render.output["project"], multiple_outputs=True)

    @task
    def publish(url, subtitles, again):
        assert url == again
        assert subtitles is None

    publish(render.output["url"], render.output["subtitles"], sensor.output["url"])
"""
OUTPUTS = """
from outputs import dag


def test_outputs(json2video_service, json2video_connection):
    assert dag.test().state == "success"
    assert json2video_service.posts == 1
"""
RETRIES_DAG = """
from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_json2video.operators.render import Json2VideoRenderOperator

MOVIE = {"resolution": "sd", "scenes": [{"duration": 1}]}

with DAG("retries", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    Json2VideoRenderOperator(task_id="render", movie=MOVIE, retries=2)
"""
RETRIES = """
import time

import pytest
from retries import dag


@pytest.mark.json2video(scenario={"faults": [{"kind": "render", "status": "error", "message": "Out of paint"}]})
def test_retries(json2video_service, json2video_connection):
    began = time.monotonic()
    assert dag.test().state == "success"
    assert json2video_service.posts == 2
    assert time.monotonic() - began < 120
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, airflow_db):
    """The run, and the seconds of each test that passed: one run, since what ``dag.test()`` imports is slow."""
    folder = tmp_path_factory.mktemp("dag_tests") / "tests"
    shutil.copytree(DOCUMENTED, folder)
    for name, text in (("outputs", OUTPUTS_DAG), ("retries", RETRIES_DAG)):
        (folder / "dags" / f"{name}.py").write_text(text)
    for name, text in (("outage", OUTAGE), ("outputs", OUTPUTS), ("retries", RETRIES)):
        (folder / f"test_{name}.py").write_text(text)
    ran, seconds = pytest_in(folder, cwd=folder)
    failed = re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)", ran.stdout, re.MULTILINE)
    return ran, {name: taken for name, taken in seconds.items() if name not in failed}


def test_the_documented_tests_of_a_dag_pass_and_take_less_than_five_seconds(run):
    ran, seconds = run
    documented = [taken for name, taken in seconds.items() if name.removeprefix("test_") not in OWN]
    assert len(documented) == 4, ran.stdout
    # Setting up includes Airflow's database, and the first test what dag.test() imports.
    if (
        not (3, 0) <= AIRFLOW < (3, 3)
    ):  # these build their API again for every task under dag.test(), which takes seconds
        assert sum(documented[1:]) < 5, seconds


def test_an_outage_is_waited_out_and_the_movie_submitted_once(run):
    ran, seconds = run
    assert "test_outage" in seconds, ran.stdout


def test_an_output_of_none_does_not_fail_a_task_with_multiple_outputs(run):
    """Airflow 3.0 refuses such an XCom, after the render was paid for."""
    ran, seconds = run
    assert "test_outputs" in seconds, ran.stdout


@pytest.mark.skipif(AIRFLOW == (3, 0), reason="dag.test() of 3.0 fails the task after its first attempt")
def test_a_retry_under_dag_test_is_immediate_with_the_fixture(run):
    ran, seconds = run
    assert "test_retries" in seconds, ran.stdout
