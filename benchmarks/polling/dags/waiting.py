"""The DAGs of the second part: many renders to wait for, and a few that are rendered from beginning to end."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.sensors.render import Json2VideoRenderSensor
from benchmarks.polling.answers import project_of

SETTINGS: dict[str, Any] = {
    "schedule": None,
    "start_date": datetime(2026, 1, 1, tzinfo=timezone.utc),
    "catchup": False,
    "max_active_tasks": 64,
}

# No task of it starts by itself: its pool is made after the tasks have been put in the triggerer's hands.
with DAG("bench_waiting", **SETTINGS):
    Json2VideoRenderSensor.partial(task_id="wait", json2video_conn_id="bench", pool="bench", poke_interval=10).expand(
        project=[project_of(number) for number in range(int(os.environ["JSON2VIDEO_BENCH_TRIGGERS"]))]
    )

with DAG("bench_rendering", **SETTINGS):
    Json2VideoRenderOperator.partial(task_id="render", json2video_conn_id="bench").expand(
        movie=[{"comment": f"Movie {n}", "scenes": [{"duration": 2}]} for n in range(6)]
    )
