"""The DAGs that the crash matrix runs: one render and the task that stores its file, in a few variants."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

NAIVE = os.environ.get("JSON2VIDEO_CRASH_OPERATOR") == "naive"
if NAIVE:
    from benchmarks.naive_operator import NaiveRenderOperator as RenderOperator
else:
    from airflow_json2video.operators.render import Json2VideoRenderOperator as RenderOperator

SOAK = int(os.environ.get("JSON2VIDEO_CRASH_SOAK", "1"))
VIDEOS = os.environ.get("JSON2VIDEO_CRASH_VIDEOS", "/nowhere")
RETRIES = int(os.environ.get("JSON2VIDEO_CRASH_RETRIES", "3"))


def movie(unit: str) -> dict[str, Any]:
    """Return a movie of one second whose client-data says which render of the matrix it is."""
    return {
        "width": 128,
        "height": 72,
        "client-data": {"unit": unit},
        "scenes": [{"duration": 1, "background-color": "#204060"}],
    }


@task
def store(video: dict[str, Any]) -> str:
    """Download the file as a DAG would, and return the project."""
    import requests

    if video.get("stored_path"):  # and deleted at the service
        if not Path(video["stored_path"]).stat().st_size:
            raise RuntimeError(f"{video['stored_path']} is empty")
        return str(video["project"])
    answer = requests.get(video["url"], timeout=30)
    answer.raise_for_status()
    if not answer.content:
        raise RuntimeError(f"{video['url']} is empty")
    return str(video["project"])


def dag(name: str, *, mapped: int = 0, stored: bool = True, **options: Any) -> DAG:
    """Return one variant.

    :param mapped: number of mapped renders; 0 for a single one that is not mapped.
    :param stored: whether a downstream task stores the file.
    """
    settings: dict[str, Any] = {
        "task_id": "render",
        "json2video_conn_id": "{{ dag_run.conf['connection'] }}",
        "poll_interval": 1,
        "on_clear": "resubmit",  # the harder one: a clear orders a new render, and only where a result was returned
        **options,
    }
    if NAIVE:  # it does not have this option
        settings.pop("on_clear", None)
    else:
        settings["render_timeout"] = 900
    with DAG(
        name,
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
        catchup=False,
        max_active_runs=200,
        max_active_tasks=400,
        default_args={"retries": RETRIES, "retry_delay": timedelta(seconds=2)},
    ) as variant:
        unit = "{{ dag_run.conf['unit'] }}"
        if mapped:
            render = RenderOperator.partial(**settings).expand(movie=[movie(f"{unit}.{n}") for n in range(mapped)])
            if stored:
                store.expand(video=render.output)
        else:
            store(RenderOperator(movie=movie(unit), **settings).output)
    return variant


crash = dag("crash")
crash_reuse = dag("crash_reuse", on_clear="reuse")
crash_sync = dag("crash_sync", deferrable=False)
crash_mapped = dag("crash_mapped", mapped=3)
crash_delete = dag(
    "crash_delete",
    **({} if NAIVE else {"output_path": f"{VIDEOS}/{{project}}.mp4", "delete_remote": True}),
)
crash_soak = dag("crash_soak", mapped=SOAK, stored=False)
