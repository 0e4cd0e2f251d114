"""The cost of importing the operators and the sensor in a DAG file, counted in modules, not in seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_MODULES = 15
# A name includes everything below it.
LOADED_WHEN_USED = (
    "airflow_json2video.api",
    "airflow_json2video.batch",
    "airflow_json2video.core",
    "airflow_json2video.hooks",
    "airflow_json2video.local",
    "airflow_json2video.movie",
    "airflow_json2video.polling",
    "airflow_json2video.results",
    "airflow_json2video.storage",
    "airflow_json2video.submission",
    "airflow_json2video.templates",
    "airflow_json2video.triggers",
    "PIL",
    "aiohttp",
    "av",
    "numpy",
    "pydantic",
    "requests",
    "starlette",
    "uvicorn",
)
FLOOR = """
import json
import sys
try:
    from airflow.sdk import DAG, BaseOperator
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.models.baseoperator import BaseOperator
with DAG("floor"):
    BaseOperator(task_id="floor")
before = set(sys.modules)
"""
DAG_FILE = """
from airflow_json2video.operators.batch import Json2VideoBatchRenderOperator
from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.sensors.render import Json2VideoRenderSensor
from airflow_json2video.transfers.json2video_to_object_storage import Json2VideoToObjectStorageOperator
with DAG("measured"):
    render = Json2VideoRenderOperator(task_id="render", movie={"scenes": [{"duration": 2}]})
    wait = Json2VideoRenderSensor(task_id="wait", project="abcdefghijklmnop")
    Json2VideoBatchRenderOperator(task_id="batch", items=[{"scenes": [{"duration": 2}]}])
    render >> wait >> Json2VideoToObjectStorageOperator(task_id="store", project="abcdefghijklmnop", output_path="/v/")
"""
ANSWER = """
print("\\n" + json.dumps({"added": sorted(set(sys.modules) - before), "airflow3": "airflow.sdk" in before}))
"""


def in_fresh_interpreter(code: str, *, home: Path) -> dict[str, object]:
    """Run *code* and return the JSON of its last line."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    child = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"AIRFLOW_HOME": str(home), "PYTHONPATH": str(ROOT)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    return json.loads(child.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def parsed(tmp_path_factory):
    """Return the modules that a DAG file with our tasks loads, beyond those of a BaseOperator task."""
    pytest.importorskip("airflow")
    return in_fresh_interpreter(FLOOR + DAG_FILE + ANSWER, home=tmp_path_factory.mktemp("airflow"))


def test_a_dag_file_with_our_operators_loads_at_most_fifteen_more_modules(parsed):
    if not parsed["airflow3"]:
        pytest.skip("Airflow 2 has no light SDK: the sensor's base alone loads much of Airflow")
    assert len(parsed["added"]) <= MAX_MODULES, parsed["added"]


def test_the_count_includes_the_operator_and_the_sensor(parsed):
    assert {"airflow_json2video.operators.render", "airflow_json2video.sensors.render"} <= set(parsed["added"])


@pytest.mark.parametrize("name", LOADED_WHEN_USED)
def test_a_dag_file_does_not_load_what_only_a_running_task_needs(parsed, name):
    assert [module for module in parsed["added"] if f"{module}.".startswith(f"{name}.")] == []


def test_the_provider_metadata_imports_only_the_standard_library(tmp_path):
    code = """
import json
import sys
before = set(sys.modules)
from airflow_json2video.get_provider_info import get_provider_info
get_provider_info()
foreign = {name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names
print(json.dumps({"foreign": sorted(foreign), "ours": sorted(m for m in sys.modules if "json2video" in m)}))
"""
    found = in_fresh_interpreter(code, home=tmp_path)
    assert found == {
        "foreign": ["airflow_json2video"],
        "ours": ["airflow_json2video", "airflow_json2video.get_provider_info"],
    }
