"""The id of a deployment in a real Airflow: one, however many tasks create it, and the same in every process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.test_example_dags import failure_logs
from tests.support.airflow import Airflow
from tests.support.processes import ROOT
from tests.support.service import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.long]


def test_a_new_deployment_has_one_id_in_its_workers_its_triggerer_and_its_command_line(
    service: ServiceProcess, tmp_path: Path
):
    with Airflow(
        tmp_path / "airflow",
        dags_folder=Path(__file__).parent / "dags",
        connections={"json2video_default": service.connection},
        environment={"PYTHONPATH": str(ROOT)},
    ) as airflow:
        run_id = airflow.trigger("deployment_id")
        *_, end = airflow.wait_for_run("deployment_id", run_id, timeout=240)
        assert end.state == "success", failure_logs(airflow, "deployment_id", run_id)
        stamps = [render["client-data"]["airflow_json2video"] for render in service.renders()]
        (deployment,) = {stamp["deployment"] for stamp in stamps}
        assert len(stamps) == 4
        assert airflow.xcom("deployment_id", run_id, "ask") == [deployment, deployment]
        code = "from airflow_json2video.deployment import get_deployment; print(get_deployment(None))"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=airflow.environment,
            cwd=airflow.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert deployment in done.stdout.split(), done.stderr
