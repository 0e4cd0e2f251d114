"""Render each row of a CSV file in a mapped task of its own."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, task

from airflow_json2video.operators.render import Json2VideoRenderOperator

with DAG(
    "json2video_mapped_over_csv",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["json2video", "example"],
) as dag:
    # [START mapped_over_csv]
    @task
    def rows() -> list[dict]:
        """Read the rows; each becomes the variables of one render."""
        with (Path(__file__).parent / "data" / "rooms.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    render = Json2VideoRenderOperator.partial(
        task_id="render",
        movie={
            "resolution": "sd",
            # Declared here, so the braces below are JSON2Video's, not Airflow's.
            "variables": {"city": "", "headline": "", "color": "#000000"},
            "scenes": [
                {
                    "duration": 2,
                    "background-color": "{{ color }}",
                    "elements": [
                        {"type": "text", "text": "{{ city }}"},
                        {"type": "text", "text": "{{ headline }}", "settings": {"vertical-position": "bottom"}},
                    ],
                }
            ],
        },
        max_active_tis_per_dagrun=3,
        # Many small renders: each needs a worker slot only for its submission.
        end_from_trigger=True,
    ).expand(variables=rows())

    @task
    def report(videos: list[dict]) -> float:
        """Return the total length of the videos in seconds."""
        return sum(video["duration"] for video in videos)

    report(render.output)
    # [END mapped_over_csv]
