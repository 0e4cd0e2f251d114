"""Start a DAG when another DAG has rendered a video: two DAGs connected by an asset."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_json2video.assets import create_asset, triggering_videos
from airflow_json2video.operators.render import Json2VideoRenderOperator

# [START asset]
WEEKLY_REPORT = create_asset(name="weekly-report")  # json2video://json2video_default/weekly-report
# [END asset]

with DAG(
    "json2video_make_weekly_report",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["json2video", "example"],
):
    # [START producer]
    Json2VideoRenderOperator(
        task_id="render",
        movie={"resolution": "sd", "scenes": [{"duration": 2, "elements": [{"type": "text", "text": "Week 23"}]}]},
        outlets=[WEEKLY_REPORT],
    )
    # [END producer]

with DAG(
    "json2video_publish_weekly_report",
    schedule=[WEEKLY_REPORT],
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["json2video", "example"],
):
    # [START consumer]
    @task
    def publish(**context: Any) -> list[dict]:
        """Print the videos that started this run."""
        videos = triggering_videos(context)
        for video in videos:
            print(f"{video['duration']} s, {video['credits']} credits: {video['stored_path'] or video['url']}")
        return videos

    publish()
    # [END consumer]

    # [START inlet]
    @task(inlets=[WEEKLY_REPORT])
    def latest(inlet_events: Any = None) -> str:
        """Return the address of the newest video, however this run was started."""
        return inlet_events[WEEKLY_REPORT][-1].extra["url"]

    latest()
    # [END inlet]
