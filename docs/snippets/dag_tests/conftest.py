"""An Airflow of the tests' own, set before anything imports it. You may have this already."""

from __future__ import annotations

import os
import tempfile

import pytest

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-tests-"))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")


@pytest.fixture(scope="session", autouse=True)
def airflow_db():
    """Make Airflow's database once; dag.test() writes the runs into it."""
    from airflow.utils.db import initdb

    initdb()
