"""Render two thousand rows with one response in twenty broken and two workers killed, and check what was paid for."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from airflow_json2video.api.client import Json2VideoClient
from benchmarks.batch.usage import Usage, UsageMonitor
from tests.crash.markers import Injection, Markers
from tests.crash.testbed import AIRFLOW_SETTINGS
from tests.support.airflow import Airflow, StateChange
from tests.support.processes import ROOT
from tests.support.service import ServiceProcess

__all__ = ["RunCost", "airflow_for", "run_once", "run_with_faults", "write_rows"]

INJECTIONS = (
    Injection(point="post.answered", whom="worker", attempt=1, after=0.1),
    Injection(point="post.answered", whom="worker", attempt=2),
)
"""The first worker is killed in the middle of its submissions, the second right after the response to its first one."""

_BROKEN: tuple[tuple[float, Mapping[str, Any]], ...] = (
    (0.020, {"kind": "lost"}),
    (0.010, {"kind": "answer", "status": 500, "when": "after"}),
    (0.005, {"kind": "answer", "status": 500}),
)
_FAILING = 0.015
"""Shares of the submissions: a lost response, a 500 with and without a new render, a failing render."""


@dataclass(frozen=True)
class RunCost:
    """The cost of one run.

    :ivar seconds: from the trigger of the run to its end. :ivar slots: worker-slot seconds of the render tasks.
    """

    state: str
    attempts: int
    seconds: float
    slots: float
    usage: Usage
    requests: Mapping[str, int]


def write_rows(path: Path, count: int) -> Path:
    """Write *count* rows as JSON Lines."""
    rows = ({"number": number, "color": f"#{number:06x}"} for number in range(1, count + 1))
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def airflow_for(home: Path, service: ServiceProcess, *, markers: Path | None = None, stored: bool = False) -> Airflow:
    """Build an Airflow with the DAGs of this benchmark; with *markers*, its processes can be killed.

    :param stored: whether the batch stores its videos.
    """
    path = [str(ROOT / "tests" / "crash" / "inject")] if markers else []
    return Airflow(
        home / "airflow",
        dags_folder=Path(__file__).parent / "dags",
        connections={"json2video_default": service.connection},
        environment={
            **(AIRFLOW_SETTINGS if markers else {"AIRFLOW__API__MAXIMUM_PAGE_LIMIT": "1000"}),
            "PYTHONPATH": ":".join([*path, str(ROOT)]),
            "JSON2VIDEO_BENCH_FOLDER": str(home),
            "JSON2VIDEO_BENCH_STORED": "yes" if stored else "no",
            **({"JSON2VIDEO_CRASH_MARKERS": str(markers)} if markers else {}),
        },
    )


def run_once(
    airflow: Airflow, service: ServiceProcess, dag_id: str, *, run_id: str, rows: Path, timeout: float
) -> RunCost:
    """Run a DAG to its end and return what it cost."""
    airflow.wait_for_dag(dag_id)
    before = len(service.requests())
    began = time.time()
    with UsageMonitor(airflow) as monitor:
        airflow.trigger(dag_id, run_id=run_id, conf={"rows": str(rows)})
        changes: list[StateChange] = []
        for change in airflow.follow(dag_id, run_id, timeout=timeout, interval=0.2):
            changes.append(change)
            if change.task_id == "render" and change.map_index < 0:
                print(f"  {time.time() - began:6.1f} s  attempt {change.try_number}: {change.state}", flush=True)
    renders = [change for change in changes if change.task_id == "render"]
    return RunCost(
        state=str(changes[-1].state),
        attempts=max(c.try_number for c in renders),
        seconds=time.time() - began,
        slots=_on_workers(renders),
        usage=monitor.usage,
        requests=Counter(_kind(r) for r in service.requests()[before:]),
    )


def _on_workers(changes: list[StateChange]) -> float:
    """Return the total seconds from each change to running to the next change of the same task."""
    since: dict[int, float] = {}
    total = 0.0
    for change in changes:
        begun = since.pop(change.map_index, None)
        if begun is not None:
            total += change.seconds - begun
        if change.state == "running":
            since[change.map_index] = change.seconds
    return total


def run_with_faults(home: Path, *, rows: int, seed: int, quiet: bool = False) -> int:
    """Run the batch, print its cost and the mistakes found, and return the exit code.

    :param quiet: break no response and kill no worker.
    """
    run_id = f"batch-{rows}"
    source = write_rows(home / "rows.jsonl", rows)
    settings = {"mode": "instant", "queue_seconds": 0.5, "render_seconds": 3.0, "credits": 1e6, "seed": seed}
    with ServiceProcess(home / "service", settings=settings) as service:
        markers = Markers(home / "markers")
        (markers.folder / "calendar").write_text("{}")
        if not quiet:
            _break(service, rows, seed=seed)
            for injection in INJECTIONS:
                markers.place(run_id, injection)
        with airflow_for(home, service, markers=markers.folder, stored=True) as airflow:
            cost = run_once(airflow, service, "bench_batch", run_id=run_id, rows=source, timeout=3600)
            killed = sum(markers.hit(run_id, injection) is not None for injection in INJECTIONS)
            injected = sum(f["applied"] for f in service.control("GET", "faults")["faults"])
            wrong = _wrong(service, home / "report.jsonl", rows) if cost.state == "success" else ["the run failed"]
    if not quiet and killed != len(INJECTIONS):
        wrong.append(f"{killed} of {len(INJECTIONS)} workers were killed")
    _print_cost(cost, rows=rows, killed=killed, injected=injected)
    for problem in wrong:
        print(f"WRONG: {problem}")
    return 1 if wrong else 0


def _break(service: ServiceProcess, rows: int, *, seed: int) -> None:
    rng = random.Random(seed)
    numbers = rng.sample(range(1, rows + 1), round(rows * (sum(share for share, _ in _BROKEN) + _FAILING)))
    rules: list[dict[str, Any]] = []
    for share, rule in _BROKEN:
        injected, numbers = numbers[: round(rows * share)], numbers[round(rows * share) :]
        rules.append({"method": "POST", "path": "/movies", "nth": injected, "times": None, **rule})
    rules.append(
        {"kind": "render", "status": "error", "message": "Failed to download x", "nth": numbers, "times": None}
    )
    service.control("POST", "faults", rules)


def _wrong(service: ServiceProcess, report: Path, rows: int) -> list[str]:
    """Compare the renders of the service with the report."""
    done: dict[int, list[str]] = {}
    now = datetime.now(timezone.utc)
    with Json2VideoClient("any-key-will-do", host=service.host) as client:
        for movie in client.movies(date_start=now - timedelta(days=1), date_end=now + timedelta(days=1)):
            if movie.status == "done":
                number = json.loads(movie.json_text or "")["variables"]["number"]
                done.setdefault(number, []).append(movie.project)
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    problems = [f"row {number} has renders {found}" for number, found in done.items() if len(found) > 1]
    problems += [f"row {number} has no render" for number in range(1, rows + 1) if number not in done]
    for line in lines:
        if line["status"] != "done" or not line.get("url") or [line["project"]] != done.get(int(line["key"])):
            problems.append(f"the report says {line}")
    if len({line.get("url") for line in lines}) != rows:
        problems.append(f"the report has {len(lines)} lines, expected {rows} different URLs")
    stored = {path: path.stat().st_size for path in (report.parent / "videos").iterdir()}
    if len(stored) != rows:
        problems.append(f"{len(stored)} files are stored, expected {rows}")
    problems += [f"{line['stored_path']} is not complete" for line in lines if not _is_complete(line, stored)]
    return problems[:10]


def _is_complete(line: Mapping[str, Any], stored: Mapping[Path, int]) -> bool:
    return bool(line.get("stored_path")) and stored.get(Path(line["stored_path"])) == line["size"]


def _kind(request: Mapping[str, Any]) -> str:
    if request["method"] == "POST":
        return "submissions"
    if not request["path"].startswith("/v2/"):
        return "downloads"
    return "polls of one render" if "project=" in request["query"] else "pages of the list"


def _print_cost(cost: RunCost, *, rows: int, killed: int, injected: int) -> None:
    print(
        f"\n{rows:,} rows, {injected} responses and renders broken, {killed} workers killed: {cost.state} in attempt "
        f"{cost.attempts}\n"
        f"  wall time            {cost.seconds:8.1f} s\n"
        f"  worker-slot seconds  {cost.slots:8.1f}\n"
        f"  processor seconds    {cost.usage.processor:8.1f}  (all of Airflow)\n"
        f"  peak of a worker     {cost.usage.worker / 2**20:8.1f} MiB\n"
        f"  peak of the triggerer{cost.usage.triggerer / 2**20:8.1f} MiB"
    )
    for kind, count in sorted(cost.requests.items()):
        print(f"  {kind:<20} {count:8,}")
