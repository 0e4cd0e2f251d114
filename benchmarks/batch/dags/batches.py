"""The rows of a file, once as a batch and once mapped."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_json2video.operators.batch import Json2VideoBatchRenderOperator
from airflow_json2video.operators.render import Json2VideoRenderOperator

FOLDER = Path(os.environ["JSON2VIDEO_BENCH_FOLDER"])
STORED = os.environ.get("JSON2VIDEO_BENCH_STORED") == "yes"
MOVIE: dict[str, Any] = {
    "width": 128,
    "height": 72,
    "variables": {"number": 0, "color": ""},
    "scenes": [{"duration": 1, "background-color": "{{ color }}", "comment": "{{ number }}"}],
}
OPTIONS: dict[str, Any] = {"movie": MOVIE, "poll_interval": 2, "retries": 6, "retry_delay": timedelta(seconds=2)}
DAY = {"schedule": None, "start_date": datetime(2026, 1, 1, tzinfo=timezone.utc), "catchup": False}

with DAG("bench_batch", **DAY):
    Json2VideoBatchRenderOperator(
        task_id="render",
        source="{{ dag_run.conf['rows'] }}",
        item_key="number",
        max_in_flight=100,
        submissions_per_minute=6000,
        max_failures=0.0001,  # submit all rows, and fail if any of them failed
        on_lost_response="resubmit",
        output_path=str(FOLDER / "videos" / "{item}.mp4") if STORED else None,
        report_path=str(FOLDER / "report.jsonl"),
        **OPTIONS,
    )

with DAG("bench_mapped", max_active_tasks=400, **DAY):

    @task
    def rows(dag_run: Any = None) -> list[dict[str, Any]]:
        """Read the rows."""
        return [json.loads(line) for line in Path(dag_run.conf["rows"]).read_text().splitlines()]

    Json2VideoRenderOperator.partial(task_id="render", max_active_tis_per_dagrun=100, **OPTIONS).expand(
        variables=rows()
    )
