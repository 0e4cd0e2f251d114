"""Makes the tasks of ``bench_waiting`` wait in the triggerer, as if each had run and deferred.

Starting two thousand tasks on workers only to defer would take half an hour on two cores before the measurement
begins. So their rows are written as Airflow's own API writes them for a task that defers. A process of its
own, with the environment of the Airflow whose database it is::

    python -m benchmarks.polling.deferred RUN_ID COUNT INTERVAL
"""

# mypy: ignore-errors
# Written against Airflow's own models, which promise nothing.

from __future__ import annotations

import sys
import time
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.models import TaskInstance
from airflow.models.pool import Pool
from airflow.models.trigger import Trigger
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState

from benchmarks.polling.answers import project_of

DAG_ID, POOL_SLOTS = "bench_waiting", 4
_MAX_WAIT = 120.0


def defer(run_id: str, count: int, interval: float) -> None:
    """Defer every task instance of the run, then create the pool that they need to resume."""
    deadline = time.monotonic() + _MAX_WAIT
    while True:
        with create_session() as session:
            instances = session.query(TaskInstance).filter_by(dag_id=DAG_ID, run_id=run_id).all()
            if len(instances) == count:
                _write(session, instances, interval)
                session.add(Pool(pool="bench", slots=POOL_SLOTS, include_deferred=False))
                return
        if time.monotonic() > deadline:
            raise SystemExit(f"{len(instances)} of {count} task instances are there after {_MAX_WAIT:.0f} s")
        time.sleep(1)


def _write(session: Any, instances: list[Any], interval: float) -> None:
    now = time.time()
    rows = {}
    for instance in instances:
        project = project_of(instance.map_index)
        row = Trigger(
            classpath="airflow_json2video.triggers.render.Json2VideoRenderTrigger",
            kwargs={
                "project": project,
                "json2video_conn_id": "bench",
                "submitted_at": now - 60,
                "deadline": now + 7200,
                "poll_interval": interval,
            },
        )
        session.add(row)
        rows[instance.map_index] = row
    session.flush()
    for instance in instances:
        instance.state = TaskInstanceState.DEFERRED
        instance.try_number = 1
        instance.start_date = datetime.now(timezone.utc)
        instance.trigger_id = rows[instance.map_index].id
        instance.next_method = "execute_complete"
        instance.next_kwargs = {"project": project_of(instance.map_index)}
        instance.trigger_timeout = datetime.now(timezone.utc) + timedelta(hours=3)


if __name__ == "__main__":
    defer(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
