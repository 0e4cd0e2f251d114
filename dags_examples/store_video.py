"""Store videos before JSON2Video deletes them: in the task that renders, and in a transfer."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.sensors.render import Json2VideoRenderSensor
from airflow_json2video.transfers.json2video_to_object_storage import Json2VideoToObjectStorageOperator

MOVIE = {
    "resolution": "sd",
    "scenes": [{"duration": 2, "elements": [{"type": "text", "text": "Stored", "duration": -2}]}],
    "elements": [{"type": "subtitles", "captions": "1\n00:00:00,000 --> 00:00:02,000\nStored\n"}],
}

with DAG(
    "json2video_store_video",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"output_dir": "/tmp/videos"},  # noqa: S108 - any path: s3://my_connection@videos
    tags=["json2video", "example"],
) as dag:
    # [START store_video]
    Json2VideoRenderOperator(
        task_id="render",
        movie=MOVIE,
        output_path="{{ params.output_dir }}/{project}.mp4",
        store=("video", "subtitles"),
        delete_remote=True,
        max_credits=10,
        min_remaining_credits=50,
        retries=2,
    )
    # [END store_video]

    # [START transfer]
    submit = Json2VideoRenderOperator(task_id="submit", movie=MOVIE, wait_for_completion=False)
    wait = Json2VideoRenderSensor(task_id="wait", project="{{ ti.xcom_pull('submit')['project'] }}", poke_interval=5)
    store = Json2VideoToObjectStorageOperator(
        task_id="store",
        project=wait.output,
        output_path="{{ params.output_dir }}/elsewhere/{project}.mp4",
        retries=2,
    )
    submit >> wait >> store
    # [END transfer]
