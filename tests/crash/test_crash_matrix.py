"""The most important rows of the crash matrix, in a real Airflow. All rows: ``python -m tests.crash``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.rows import SHORT
from tests.crash.run_rows import run_rows
from tests.crash.table import as_table, problems
from tests.crash.testbed import SERVICES, Testbed
from tests.support.airflow import airflow_version
from tests.support.processes import raise_on_signals

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(airflow_version() < (3, 3), reason="the matrix injects faults into Airflow 3.3"),
]


def test_a_kill_at_any_point_neither_pays_twice_nor_loses_a_render(tmp_path: Path):
    needed = {row.service for row in SHORT}
    services = {name: SERVICES[name] for name in SERVICES if name in needed}
    with raise_on_signals(), Testbed(tmp_path / "crash", services=services) as testbed:
        outcomes = run_rows(testbed, SHORT, report=print)
    table = as_table(outcomes)
    print(table)
    assert len(outcomes) == len(SHORT)
    assert not any(problems(outcome) for outcome in outcomes), table
