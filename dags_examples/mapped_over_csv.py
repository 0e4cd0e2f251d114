"""One movie, a CSV of cities: one mapped render for each row, each paid for once."""

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
            # Declared, so that the braces below are JSON2Video's and not Airflow's.
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
        # Many small renders, and nothing left to do on a worker: a worker slot is needed for the submission only.
        end_from_trigger=True,
    ).expand(variables=rows())

    @task
    def report(videos: list[dict]) -> float:
        """Add up what was rendered, in seconds of video."""
        return sum(video["duration"] for video in videos)

    report(render.output)
    # [END mapped_over_csv]
