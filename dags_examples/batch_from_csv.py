"""Render all rows of a CSV file in one task, with a report of every item."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, task

from airflow_json2video.operators.batch import Json2VideoBatchRenderOperator

with DAG(
    "json2video_batch_from_csv",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"report_dir": "/tmp/json2video"},  # noqa: S108 - default of an example
    tags=["json2video", "example"],
) as dag:
    # [START batch_from_csv]
    batch = Json2VideoBatchRenderOperator(
        task_id="batch",
        # Any object storage, such as s3://bucket/rooms/{{ run_id }}.csv; also .jsonl and .parquet.
        # A relative path is searched next to this file.
        source="data/rooms.csv",
        item_key="city",
        movie={
            "resolution": "sd",
            "variables": {"color": "#000000"},  # has a value, so it is optional in a row
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
        max_in_flight=50,
        max_failures=0.01,
        report_path="{{ params.report_dir }}/{{ run_id }}.jsonl",
        retries=2,
    )

    @task
    def summarize(summary: dict) -> str:
        """Return one line about the batch; the report lists every item."""
        return f"{summary['done']} of {summary['items']} for {summary['credits']} credits: {summary['report_path']}"

    summarize(batch.output)
    # [END batch_from_csv]
