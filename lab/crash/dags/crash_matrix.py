"""The DAGs that the crash matrix runs: one render and the task that stores its file, in a few variants."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

if os.environ.get("JSON2VIDEO_LAB_OPERATOR") == "naive":
    from benchmarks.naive_operator import NaiveRenderOperator as RenderOperator
else:
    from airflow_json2video.operators.render import Json2VideoRenderOperator as RenderOperator

UNITS = int(os.environ.get("JSON2VIDEO_LAB_UNITS", "3"))
RETRIES = int(os.environ.get("JSON2VIDEO_LAB_RETRIES", "3"))


def movie(unit: str) -> dict[str, Any]:
    """Give a movie of one second that says in its client-data which render of the matrix it is."""
    return {
        "width": 128,
        "height": 72,
        "client-data": {"unit": unit},
        "scenes": [{"duration": 1, "background-color": "#204060"}],
    }


@task
def store(video: dict[str, Any]) -> str:
    """Download the file as a DAG would, and say whose it is."""
    import requests

    answer = requests.get(video["url"], timeout=30)
    answer.raise_for_status()
    if not answer.content:
        raise RuntimeError(f"{video['url']} is empty")
    return str(video["project"])


def dag(name: str, *, mapped: bool = False, **options: Any) -> DAG:
    """Make one variant."""
    settings: dict[str, Any] = {
        "task_id": "render",
        "json2video_conn_id": "{{ dag_run.conf['connection'] }}",
        "poll_interval": 1,
        "render_timeout": 900,
        **options,
    }
    with DAG(
        name,
        schedule=None,
        start_date=datetime(2026, 1, 1),
        catchup=False,
        max_active_runs=200,
        max_active_tasks=400,
        default_args={"retries": RETRIES, "retry_delay": timedelta(seconds=2)},
    ) as made:
        unit = "{{ dag_run.conf['unit'] }}"
        if mapped:
            render = RenderOperator.partial(**settings).expand(movie=[movie(f"{unit}.{n}") for n in range(UNITS)])
            store.expand(video=render.output)
        else:
            store(RenderOperator(movie=movie(unit), **settings).output)
    return made


crash = dag("crash")
crash_reuse = dag("crash_reuse", on_clear="reuse")
crash_sync = dag("crash_sync", deferrable=False)
crash_mapped = dag("crash_mapped", mapped=True)
