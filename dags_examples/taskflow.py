"""Render what a function returns: one movie, and one for each city."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, task

with DAG(
    "json2video_taskflow",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"name": "Lisbon"},
    tags=["json2video", "example"],
) as dag:
    # [START taskflow]
    @task.json2video(poll_interval=5, retries=2)
    def greeting(headline: str, params: dict | None = None) -> dict:
        """Return the movie; the task's result is the video."""
        return {
            "resolution": "sd",
            "scenes": [{"duration": 2, "elements": [{"type": "text", "text": f"{headline}, {params['name']}"}]}],
        }

    @task
    def announce(video: dict) -> str:
        """Use the video."""
        return f"{video['duration']} s at {video['url']}"

    announce(greeting("Good morning"))
    # [END taskflow]

    # [START taskflow_mapped]
    @task
    def cities() -> list[str]:
        """Return the cities of this run."""
        return ["Lisbon", "Oslo"]

    @task.json2video(retries=2, max_active_tis_per_dagrun=3)
    def postcard(city: str, color: str):  # noqa: ANN201 - a Movie, whose module is not loaded at parse time
        """Build the movie from the models."""
        from airflow_json2video.movie import Movie, Scene, TextElement

        scene = Scene(duration=2, background_color=color, elements=[TextElement(text=f"Greetings from {city}")])
        return Movie(resolution="squared", scenes=[scene])

    postcard.partial(color="#22223B").expand(city=cities())
    # [END taskflow_mapped]
