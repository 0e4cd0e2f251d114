"""``reconcile``: this deployment's tasks compared with the account's renders."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_json2video.cli._common import ACCOUNT, JSON, Argument, Command
from airflow_json2video.cli.status import instant_of, print_table

if TYPE_CHECKING:
    from airflow_json2video.core.reconciliation import Reconciled, StampedRender
    from airflow_json2video.hooks.json2video import Json2VideoHook

__all__ = ["COMMAND"]


def _run(options: argparse.Namespace) -> bool:
    from airflow_json2video.cli._account import connect
    from airflow_json2video.cli._known_tasks import known_tasks
    from airflow_json2video.core.identity import format_deployment
    from airflow_json2video.core.reconciliation import Verdict, reconcile
    from airflow_json2video.deployment import get_deployment

    now = datetime.now(timezone.utc)
    since = instant_of(options.since, now=now)
    hook = connect(options)
    deployment = get_deployment(hook.settings.namespace)
    tasks, batches = known_tasks(deployment, since=since - timedelta(days=1))  # a retry may be of a render from before
    found = reconcile(_stamped(hook, since, now), tasks, deployment=deployment, items_of=batches)
    wrong = found.of(Verdict.ORPHAN) + found.of(Verdict.DUPLICATE)
    if options.json:
        print(json.dumps(_as_json(found), ensure_ascii=False, indent=2), file=options.out)
        return not wrong
    counts = Counter(found.verdicts.values())
    counted = [f"{counts[verdict]} {verdict.value}" for verdict in Verdict]
    print(", ".join([*counted, f"{len(found.foreign)} unknown"]), file=options.out)
    print_table(
        [_row(found, render) for render in wrong],
        ("verdict", "project", "status", "created_at", "credits", "task"),
        out=options.out,
    )
    if found.foreign:
        names = Counter(render.stamp.submission_key.rpartition("-")[0] for render in found.foreign)
        listed = ", ".join(f"{name} ({number})" for name, number in names.most_common(10))
        print(f"Of this deployment, and of no run that it still has: {listed}", file=options.out)
    for whose, number in Counter(render.stamp.deployment for render in found.others).most_common():
        print(f"Not of this deployment, and not judged: {number} ({format_deployment(whose)})", file=options.out)
    print(f"Credits of videos that no task took: {found.wasted_credits}", file=options.out)
    return not wrong


def _stamped(hook: Json2VideoHook, since: datetime, now: datetime) -> list[StampedRender]:
    from airflow_json2video.core.identity import read_stamp
    from airflow_json2video.core.reconciliation import StampedRender

    found = []
    for movie in hook.iter_movies(date_start=since, date_end=now + timedelta(days=1)):
        mark = read_stamp(movie.client_data, movie.json_text)
        if mark is not None:
            found.append(
                StampedRender(
                    project=movie.project,
                    status=movie.status,
                    stamp=mark,
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
            for r in found.foreign
        ],
        "others": dict(Counter(r.stamp.deployment for r in found.others)),
        "wasted_credits": found.wasted_credits,
    }


COMMAND = Command(
    name="reconcile",
    help="compare this deployment's tasks with the account's renders",
    run=_run,
    arguments=(
        Argument.of("--since", default="8d", metavar="TIME", help="12h, 8d, or an ISO 8601 time (default: 8d)"),
        *ACCOUNT,
        JSON,
    ),
    description="Compares this deployment's tasks with the account's renders: what nobody took (orphan), what was paid "
    "for twice (duplicate), and the credits that went there. Renders of other deployments are counted and not judged. "
    "Free, and changes nothing. Exit code 1 if there are any orphans or duplicates.",
)
