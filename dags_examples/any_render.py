"""Start a DAG when any render of the account is done. Requires Airflow 3.0 or later."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Asset, task
from airflow.sdk import AssetWatcher

from airflow_json2video.assets import triggering_videos
from airflow_json2video.triggers.render_event import Json2VideoRenderEventTrigger

# [START watcher]
SPRING = Asset(
    "json2video://json2video_default/spring",
    watchers=[
        AssetWatcher(
            name="json2video_spring",
            trigger=Json2VideoRenderEventTrigger(client_data={"campaign": "spring"}, poll_interval=10),
        )
    ],
)
# [END watcher]

with DAG(
    "json2video_any_render",
    schedule=[SPRING],
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["json2video", "example"],
):
    # [START watched]
    @task
    def list_videos(**context: Any) -> list[dict]:
        """Return the facts of the renders that started this run."""
        return triggering_videos(context)

    list_videos()
    # [END watched]
