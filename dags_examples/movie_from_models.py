"""Build a movie from Python models, with completion and an error at the wrong line."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, task

from airflow_json2video.operators.render import Json2VideoRenderOperator

with DAG(
    "json2video_movie_from_models",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["json2video", "example"],
) as dag:
    # [START movie_from_models]
    @task
    def write_movie(headline: str) -> dict:
        """Build the movie in a task, so that the models are not imported when the DAG file is parsed."""
        from airflow_json2video.movie import Movie, Scene, TextElement, Transition

        movie = Movie(
            resolution="squared",
            scenes=[
                Scene(duration=2, background_color="#22223B", elements=[TextElement(text=headline)]),
                Scene(
                    duration=2,
                    background_color="#9A8C98",
                    transition=Transition(style="fade", duration=0.5),
                    elements=[TextElement(text="Now open", settings={"font-size": "10vw"})],
                ),
            ],
        )
        return movie.to_document()

    render = Json2VideoRenderOperator(task_id="render", movie=write_movie("A new gallery"))
    # [END movie_from_models]
