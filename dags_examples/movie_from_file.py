"""Render a movie file and store the video. ``make demo`` runs this DAG."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_json2video.operators.render import Json2VideoRenderOperator

with DAG(
    "json2video_movie_from_file",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"shop": "North Wharf Roastery", "output_dir": "/tmp/videos"},  # noqa: S108 - or s3://my_connection@videos
    tags=["json2video", "example"],
) as dag:
    # [START movie_from_file]
    Json2VideoRenderOperator(
        task_id="render",
        movie="movies/weekly_report.json",
        output_path="{{ params.output_dir }}/{project}.mp4",
        retries=2,
    )
    # [END movie_from_file]
