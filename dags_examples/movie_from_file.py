"""A movie file becomes a video, and the video is stored before it expires. ``make demo`` runs this DAG."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, task

from airflow_json2video.operators.render import Json2VideoRenderOperator

with DAG(
    "json2video_movie_from_file",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"shop": "North Wharf Roastery", "output_dir": "videos"},
    tags=["json2video", "example"],
) as dag:
    # [START movie_from_file]
    render = Json2VideoRenderOperator(
        task_id="render",
        movie="movies/weekly_report.json",
        poll_interval=5,
        render_timeout=1800,
        retries=2,
    )
    # [END movie_from_file]

    # [START store]
    @task
    def store(video: dict, output_dir: str) -> str:
        """Download the file; the service deletes it after seven days."""
        import requests

        target = Path(output_dir) / f"{video['project']}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        with requests.get(video["url"], stream=True, timeout=60) as answer, part.open("wb") as file:
            answer.raise_for_status()
            for block in answer.iter_content(1024 * 1024):
                file.write(block)
        if part.stat().st_size != video["size"]:
            raise RuntimeError(f"{video['url']} was cut short: {part.stat().st_size} of {video['size']} bytes")
        return str(part.rename(target))

    store(render.output, "{{ params.output_dir }}")
    # [END store]
