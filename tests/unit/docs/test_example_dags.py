"""Each file of dags_examples loads; tests/integration runs them in a real Airflow."""

from __future__ import annotations

import runpy
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted(path.stem for path in (ROOT / "dags_examples").glob("*.py"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_loads(name):
    if name == "any_render" and find_spec("airflow.sdk") is None:
        pytest.skip("an asset can be watched from Airflow 3 on")
    runpy.run_path(str(ROOT / "dags_examples" / f"{name}.py"))


def test_every_example_is_run_in_a_real_airflow():
    source = (ROOT / "tests" / "integration" / "test_example_dags.py").read_text()
    assert [name for name in EXAMPLES if f"def test_{name}(" not in source] == []
