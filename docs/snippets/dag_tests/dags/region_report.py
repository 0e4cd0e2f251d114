"""A DAG of yours: one movie for the region that a run asks for, and the address of its video."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, task

from airflow_json2video.operators.render import Json2VideoRenderOperator

with DAG(
    "region_report",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"region": "North"},
) as dag:
    render = Json2VideoRenderOperator(
        task_id="render",
        movie={
            "resolution": "full-hd",
            "variables": {"headline": "Sales, {{ params.region }}"},
            "scenes": [{"duration": 8, "elements": [{"type": "text", "text": "{{ headline }}"}]}],
        },
    )

    @task
    def publish(video: dict) -> str:
        """Hand the address on."""
        return video["url"]

    publish(render.output)
