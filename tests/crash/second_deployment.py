"""A second deployment with the same account: its own home and database, the same DAGs, and runs with the same ids.

It runs without a scheduler: ``dag.test()`` runs each DAG run to its end, in a separate process.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.processes import ProcessSet

__all__ = ["SecondDeployment", "main"]


class SecondDeployment:
    """The deployment whose renders the row's own deployment must not touch.

    :param home: its folder. :param environment: of the deployment that it resembles.
    """

    def __init__(self, home: Path, *, environment: Mapping[str, str]) -> None:
        self.processes = ProcessSet(home / "output", grace=2.0)
        self._home = home
        self._lock = threading.Lock()
        self._environment = {
            **environment,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=30",
        }
        self._environment.pop("JSON2VIDEO_CRASH_MARKERS", None)  # nothing is injected here

    def start_run(self, dag_id: str, *, run_id: str, conf: Mapping[str, Any]) -> None:
        """Start the run with this id, without waiting for it."""
        with self._lock:
            if not (self._home / "airflow.db").exists():
                command = [sys.executable, "-m", "airflow", "db", "migrate"]
                self.processes.run("db-migrate", command, env=self._environment, timeout=180)
        command = [sys.executable, "-m", "tests.crash.second_deployment", dag_id, run_id, json.dumps(conf)]
        self.processes.start(run_id, command, env=self._environment)

    def wait_for_run(self, run_id: str, *, timeout: float = 180.0) -> None:
        """Wait for the end of a run.

        :raises ChildEnded: it failed, or took too long.
        """
        self.processes.wait(run_id, timeout=timeout)


def main(dag_id: str, run_id: str, conf: str) -> int:
    """Run a DAG run with this id to its end in this process, and return 0 if it succeeded."""
    from airflow.models.dagrun import DagRun

    sys.path.insert(0, os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    import crash_matrix

    DagRun.generate_run_id = staticmethod(lambda *_, **__: run_id)  # dag.test() generates one otherwise
    dag = getattr(crash_matrix, dag_id)
    run = dag.test(run_conf=json.loads(conf))
    return 0 if run.state == "success" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
