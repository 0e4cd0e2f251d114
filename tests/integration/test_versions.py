"""What differs between versions of Airflow and needs a real one to be seen; ``make test-matrix`` runs it on all."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.airflow import Airflow, airflow_version
from tests.support.processes import ROOT
from tests.support.service import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.long]

DAG_ID = "json2video_movie_from_file"


@pytest.mark.skipif(airflow_version() < (3, 0), reason="Airflow 2 asks its database")
def test_a_task_with_a_supervisor_asks_it_before_it_submits(airflow: Airflow, service: ServiceProcess, tmp_path):
    """A new name of ``SUPERVISOR_COMMS``, or of the question, shows here."""
    asked = "/validate-inlets-and-outlets"
    before = airflow.processes.log_path("api-server").read_text().count(asked)
    run_id = airflow.trigger(DAG_ID, conf={"output_dir": str(tmp_path)})
    changes = airflow.wait_for_run(DAG_ID, run_id, timeout=120)
    assert changes[-1].state == "success"
    assert service.submissions() == 1
    assert airflow.processes.log_path("api-server").read_text().count(asked) > before


def test_dags_test_finds_a_connection_of_the_database_in_its_trigger_too(
    airflow: Airflow, service: ServiceProcess, tmp_path
):
    environment = {k: v for k, v in airflow.environment.items() if k != "AIRFLOW_CONN_JSON2VIDEO_DEFAULT"}
    conf = f'{{"output_dir": "{tmp_path}"}}'

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    assert command("connections", "add", "json2video_default", "--conn-json", service.connection).returncode == 0
    try:
        done = command("dags", "test", DAG_ID, "--conf", conf)
    finally:
        command("connections", "delete", "json2video_default")
    assert service.submissions() == 1, done.stdout[-3000:] + done.stderr[-3000:]
    assert list(tmp_path.glob("*.mp4")), done.stdout[-3000:] + done.stderr[-3000:]
