"""This Airflow's task instances, read from its database, by the key that their renders carry."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from airflow_json2video.core.identity import NO_DEPLOYMENT, TaskIdentity
from airflow_json2video.core.reconciliation import KnownTask
from airflow_json2video.exceptions import ConfigurationError

__all__ = ["known_tasks"]


def known_tasks(deployment: str | None, *, since: datetime) -> tuple[dict[str, KnownTask], dict[str, KnownTask]]:
    """Give the task instances that were started since then, or wait to be started again: by task key, and by name.

    The second mapping has those of batches, whose items have keys of their own.

    :param deployment: of this Airflow; None if it has none, so that no render is its own.
    :raises ConfigurationError: the database cannot be read from here.
    """
    by_key: dict[str, KnownTask] = {}
    by_name: dict[str, KnownTask] = {}
    try:
        for row in _rows(since):
            identity = TaskIdentity(
                deployment=deployment or NO_DEPLOYMENT,
                dag_id=row.dag_id,
                run_id=row.run_id,
                task_id=row.task_id,
                map_index=row.map_index,
                generation=0,
            )
            index = "" if row.map_index < 0 else f"[{row.map_index}]"
            task = KnownTask(f"{row.dag_id} / {row.run_id} / {row.task_id}{index}", row.state)
            by_key[identity.task_key] = task
            if "Batch" in (row.operator or ""):
                name = identity.submission_key.rpartition("-")[0]
                by_name[name] = KnownTask(f"{row.dag_id} / {row.task_id} (an item)", row.state)
    except Exception as error:
        raise ConfigurationError(
            f"Airflow's database cannot be read from here: {type(error).__name__}: {error}",
            advice="Run this where Airflow's own commands work, such as beside the scheduler.",
        ) from error
    return by_key, by_name


def _rows(since: datetime) -> Iterator[Any]:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import and_, or_, select

    columns = (
        TaskInstance.dag_id,
        TaskInstance.run_id,
        TaskInstance.task_id,
        TaskInstance.map_index,
        TaskInstance.state,
        TaskInstance.operator,
    )
    started = or_(
        TaskInstance.start_date >= since, and_(TaskInstance.start_date.is_(None), TaskInstance.try_number > 0)
    )
    with create_session() as session:
        yield from session.execute(select(*columns).where(started))
