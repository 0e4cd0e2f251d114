"""An Airflow of the tests' own, set before anything imports it. You may have this already."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

DAGS = Path(__file__).parent / "dags"

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-tests-"))
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(DAGS)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
sys.path.insert(0, str(DAGS))


@pytest.fixture(scope="session", autouse=True)
def airflow_db():
    """Make Airflow's database once; dag.test() writes the runs into it."""
    from airflow.utils.db import initdb

    initdb()
