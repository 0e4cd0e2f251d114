"""Render without a triggerer: the task waits on its worker."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.sensors.render import Json2VideoRenderSensor

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2, "elements": [{"type": "text", "text": "Hello"}]}]}

with DAG(
    "json2video_synchronous",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["json2video", "example"],
) as dag:
    # [START synchronous]
    render = Json2VideoRenderOperator(task_id="render", movie=MOVIE, deferrable=False)
    # [END synchronous]

    # [START sensor]
    submit = Json2VideoRenderOperator(task_id="submit", movie=MOVIE, wait_for_completion=False)
    wait = Json2VideoRenderSensor(task_id="wait", project="{{ ti.xcom_pull(task_ids='submit')['project'] }}")
    render >> submit >> wait
    # [END sensor]
