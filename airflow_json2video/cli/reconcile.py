"""``reconcile``: compare the tasks of this deployment with the renders of the account."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_json2video._command_line import JSON, Argument, Command, ExitCode
from airflow_json2video.cli._common import ACCOUNT, connect
from airflow_json2video.cli.status import parse_time, print_table
from airflow_json2video.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_json2video.core.reconciliation import KnownTask, Reconciled, StampedRender
    from airflow_json2video.hooks.json2video import Json2VideoHook

__all__ = ["COMMAND"]


def _run(options: argparse.Namespace) -> ExitCode:
    from airflow_json2video.core.identity import format_deployment
    from airflow_json2video.core.reconciliation import Verdict, reconcile
    from airflow_json2video.deployment import get_deployment

    now = datetime.now(timezone.utc)
    since = parse_time(options.since, now=now)
    hook = connect(options)
    deployment = get_deployment(hook.settings.namespace)
    tasks, batches = _known_tasks(deployment, since=since - timedelta(days=1))  # a retry may reuse an earlier render
    found = reconcile(_stamped_renders(hook, since, now), tasks, deployment=deployment, tasks_by_name=batches)
    wasted = found.of(Verdict.ORPHAN) + found.of(Verdict.DUPLICATE)
    code = ExitCode.FAILED if wasted else ExitCode.OK
    if options.json:
        print(json.dumps(_as_json(found), ensure_ascii=False, indent=2), file=options.out)
        return code
    counts = Counter(found.verdicts.values())
    counted = [f"{counts[verdict]} {verdict.value}" for verdict in Verdict]
    print(", ".join([*counted, f"{len(found.of_unknown_tasks)} unknown"]), file=options.out)
    print_table(
        [_row(found, render) for render in wasted],
        ("verdict", "project", "status", "created_at", "credits", "task"),
        out=options.out,
    )
    if found.of_unknown_tasks:
        names = Counter(render.stamp.submission_key.rpartition("-")[0] for render in found.of_unknown_tasks)
        listed = ", ".join(f"{name} ({number})" for name, number in names.most_common(10))
        print(f"Renders of this deployment whose run was deleted: {listed}", file=options.out)
    for deployment, number in Counter(render.stamp.deployment for render in found.of_other_deployments).most_common():
        name = format_deployment(deployment)
        print(f"Renders of another deployment, not compared: {number} ({name})", file=options.out)
    print(f"Credits of videos that no task used: {found.wasted_credits}", file=options.out)
    return code


def _stamped_renders(hook: Json2VideoHook, since: datetime, now: datetime) -> list[StampedRender]:
    from airflow_json2video.core.identity import read_stamp
    from airflow_json2video.core.reconciliation import StampedRender

    found = []
    for movie in hook.iter_movies(date_start=since, date_end=now + timedelta(days=1)):
        stamp = read_stamp(movie.client_data, movie.json_text)
        if stamp is not None:
            found.append(
                StampedRender(
                    project=movie.project,
                    status=movie.status,
                    stamp=stamp,
                    created_at=movie.created_at.isoformat() if movie.created_at else "",
                    duration=movie.duration,
                    width=movie.width,
                    height=movie.height,
                )
            )
    return found


def _row(found: Reconciled, render: StampedRender) -> dict[str, Any]:
    return {
        "verdict": found.verdicts[render.project].value,
        "project": render.project,
        "status": render.status,
        "created_at": render.created_at,
        "credits": render.credits,
        "submission_key": render.stamp.submission_key,
        "task": found.labels[render.project],
    }


def _as_json(found: Reconciled) -> dict[str, Any]:
    from airflow_json2video.core.reconciliation import Verdict

    return {
        "renders": [_row(found, render) for verdict in Verdict for render in found.of(verdict)],
        "unknown": [
            {"project": r.project, "status": r.status, "credits": r.credits, "submission_key": r.stamp.submission_key}
            for r in found.of_unknown_tasks
        ],
        "other_deployments": dict(Counter(r.stamp.deployment for r in found.of_other_deployments)),
        "wasted_credits": found.wasted_credits,
    }


def _known_tasks(deployment: str | None, *, since: datetime) -> tuple[dict[str, KnownTask], dict[str, KnownTask]]:
    """Return the task instances that started since then or wait for a retry, from Airflow's database.

    :param deployment: of this Airflow; None if it is unknown, so that no render belongs to it.
    :returns: by task key; and those of batches by the name in their items' keys, since each item has its own key.
    :raises ConfigurationError: the database cannot be read from here.
    """
    from airflow_json2video.core.identity import NO_DEPLOYMENT, TaskIdentity
    from airflow_json2video.core.reconciliation import KnownTask

    by_key: dict[str, KnownTask] = {}
    by_name: dict[str, KnownTask] = {}
    try:
        for row in _task_instances(since):
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
            f"Could not read Airflow's database: {type(error).__name__}: {error}",
            advice="Run this where Airflow's own commands work, for example on the scheduler's machine.",
        ) from error
    return by_key, by_name


def _task_instances(since: datetime) -> Iterator[Any]:
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


COMMAND = Command(
    name="reconcile",
    help="compare the tasks of this deployment with the renders of the account",
    run=_run,
    arguments=(
        Argument.of("--since", default="8d", metavar="TIME", help="12h, 8d, or an ISO 8601 time (default: 8d)"),
        *ACCOUNT,
        JSON,
    ),
    description="Compare the tasks of this deployment with the renders of the account: videos that no task used "
    "(orphan), renders that were billed twice (duplicate), and the credits they cost. Renders of other deployments "
    "are counted and not compared. Free; changes nothing. Exit code 1 if there are orphans or duplicates.",
)
