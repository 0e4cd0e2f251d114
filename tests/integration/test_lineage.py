"""What Airflow's OpenLineage provider sends of a render, in a real Airflow: to a file, as its own transport does."""

from __future__ import annotations

import json
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.airflow import Airflow
from tests.support.service import ServiceProcess

pytestmark = [
    pytest.mark.integration,
    pytest.mark.long,
    pytest.mark.skipif(find_spec("openlineage") is None, reason="OpenLineage is not installed"),
]

DAG_FILE = """
from datetime import datetime
from airflow.providers.common.compat.sdk import DAG
from airflow_json2video.assets import create_asset
from airflow_json2video.operators.render import Json2VideoRenderOperator

photo = {"type": "image", "src": "https://user:SECRET@cdn.example.com/photos/1.png?X-Signature=SECRET"}
with DAG("lineage", schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
    Json2VideoRenderOperator(
        task_id="render",
        movie={"resolution": "sd", "scenes": [{"duration": 2, "elements": [photo]}]},
        outlets=[create_asset(name="with-a-photo")],
    )
"""


def test_the_event_of_a_finished_render_has_its_files_its_video_and_its_facts(service: ServiceProcess, tmp_path: Path):
    dags, sent = tmp_path / "dags", tmp_path / "sent.jsonl"
    dags.mkdir()
    (dags / "lineage.py").write_text(DAG_FILE)
    transport = {"type": "file", "log_file_path": str(sent), "append": True}
    with Airflow(
        tmp_path / "airflow",
        dags_folder=dags,
        connections={"json2video_default": service.connection},
        environment={"AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport)},
    ) as airflow:
        run_id = airflow.trigger("lineage")
        assert airflow.wait_for_run("lineage", run_id)[-1].state == "success"
        result = airflow.xcom("lineage", run_id, "render")
        event = _completed(sent)

    assert [(each["namespace"], each["name"]) for each in event["inputs"]] == [
        ("https://cdn.example.com", "photos/1.png")
    ]
    outputs = {f"{each['namespace']}/{each['name']}": each for each in event["outputs"]}
    assert outputs[result["url"]]["outputFacets"]["outputStatistics"]["size"] == result["size"]
    facet = event["run"]["facets"]["json2video_render"]
    assert (facet["project"], facet["duration"], facet["credits"]) == (result["project"], result["duration"], 2)
    assert "SECRET" not in json.dumps([event["inputs"], event["outputs"], facet])


def _completed(sent: Path) -> dict:
    """The event of the task's end. Another process writes it, after the task has ended."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for line in sent.read_text().splitlines() if sent.exists() else ():
            event = json.loads(line)
            if event["eventType"] == "COMPLETE" and event["job"]["name"] == "lineage.render":
                return event
        time.sleep(0.5)
    raise AssertionError("no event of the task's end was sent")
