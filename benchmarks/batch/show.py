"""Two thousand rows, one answer in twenty broken, two workers killed: what was paid for, and what it cost."""

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
from benchmarks.batch.watch import Usage, Watch
from tests.crash.markers import Markers, Strike
from tests.crash.stage import AIRFLOW_SETTINGS
from tests.support.airflow import Airflow, StateChange
from tests.support.processes import ROOT
from tests.support.service import ServiceProcess

__all__ = ["Told", "airflow_for", "run_once", "show", "write_rows"]

STRIKES = (
    Strike(point="post.answered", whom="worker", attempt=1, after=0.1),
    Strike(point="post.answered", whom="worker", attempt=2),
)
"""The first worker dies in the middle of its submissions, the second right after its first one was answered."""

_BROKEN: tuple[tuple[float, Mapping[str, Any]], ...] = (
    (0.020, {"kind": "lost"}),
    (0.010, {"kind": "answer", "status": 500, "when": "after"}),
    (0.005, {"kind": "answer", "status": 500}),
)
_FAILING = 0.015
"""Shares of the submissions: an answer that is lost, a 500 with a render made and without, a render that fails."""


@dataclass(frozen=True)
class Told:
    """What one run cost.

    :ivar seconds: from the trigger of the run to its end. :ivar slots: worker-slot seconds of the render tasks.
    """

    state: str
    attempts: int
    seconds: float
    slots: float
    usage: Usage
    requests: Mapping[str, int]


def write_rows(path: Path, count: int) -> Path:
    """Write so many rows as JSON Lines."""
    rows = ({"number": number, "color": f"#{number:06x}"} for number in range(1, count + 1))
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def airflow_for(home: Path, service: ServiceProcess, *, markers: Path | None = None, stored: bool = False) -> Airflow:
    """Give an Airflow with the DAGs of this benchmark; with *markers*, one whose processes can be struck.

    :param stored: the batch keeps its videos.
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
            **({"JSON2VIDEO_LAB_MARKERS": str(markers)} if markers else {}),
        },
    )


def run_once(
    airflow: Airflow, service: ServiceProcess, dag_id: str, *, run_id: str, rows: Path, timeout: float
) -> Told:
    """Run a DAG to its end and say what it cost."""
    airflow.wait_for_dag(dag_id)
    before = len(service.requests())
    began = time.time()
    with Watch(airflow) as watch:
        airflow.trigger(dag_id, run_id=run_id, conf={"rows": str(rows)})
        changes: list[StateChange] = []
        for change in airflow.follow(dag_id, run_id, timeout=timeout, interval=0.2):
            changes.append(change)
            if change.task_id == "render" and change.map_index < 0:
                print(f"  {time.time() - began:6.1f} s  attempt {change.try_number}: {change.state}", flush=True)
    renders = [change for change in changes if change.task_id == "render"]
    return Told(
        state=str(changes[-1].state),
        attempts=max(c.try_number for c in renders),
        seconds=time.time() - began,
        slots=_on_workers(renders),
        usage=watch.usage,
        requests=Counter(_kind(r) for r in service.requests()[before:]),
    )


def _on_workers(changes: list[StateChange]) -> float:
    """Add up the seconds from each time that a task is seen running to its next state."""
    since: dict[int, float] = {}
    total = 0.0
    for change in changes:
        begun = since.pop(change.map_index, None)
        if begun is not None:
            total += change.seconds - begun
        if change.state == "running":
            since[change.map_index] = change.seconds
    return total


def show(home: Path, *, rows: int, seed: int, quiet: bool = False) -> int:
    """Do it, print what came of it, and give the exit code.

    :param quiet: break nothing and kill nobody.
    """
    run_id = f"batch-{rows}"
    source = write_rows(home / "rows.jsonl", rows)
    settings = {"mode": "instant", "queue_seconds": 0.5, "render_seconds": 3.0, "credits": 1e6, "seed": seed}
    with ServiceProcess(home / "service", settings=settings) as service:
        markers = Markers(home / "markers")
        (markers.folder / "calendar").write_text("{}")
        if not quiet:
            _break(service, rows, seed=seed)
            for strike in STRIKES:
                markers.place(run_id, strike)
        with airflow_for(home, service, markers=markers.folder, stored=True) as airflow:
            told = run_once(airflow, service, "bench_batch", run_id=run_id, rows=source, timeout=3600)
            killed = sum(markers.hit(run_id, strike) is not None for strike in STRIKES)
            struck = sum(f["struck"] for f in service.control("GET", "faults")["faults"])
            wrong = _wrong(service, home / "report.jsonl", rows) if told.state == "success" else ["the run failed"]
    if not quiet and killed != len(STRIKES):
        wrong.append(f"{killed} of {len(STRIKES)} workers were killed")
    _tell(told, rows=rows, killed=killed, struck=struck)
    for problem in wrong:
        print(f"WRONG: {problem}")
    return 1 if wrong else 0


def _break(service: ServiceProcess, rows: int, *, seed: int) -> None:
    rng = random.Random(seed)
    numbers = rng.sample(range(1, rows + 1), round(rows * (sum(share for share, _ in _BROKEN) + _FAILING)))
    rules: list[dict[str, Any]] = []
    for share, rule in _BROKEN:
        struck, numbers = numbers[: round(rows * share)], numbers[round(rows * share) :]
        rules.append({"method": "POST", "path": "/movies", "nth": struck, "times": None, **rule})
    rules.append(
        {"kind": "render", "status": "error", "message": "Failed to download x", "nth": numbers, "times": None}
    )
    service.control("POST", "faults", rules)


def _wrong(service: ServiceProcess, report: Path, rows: int) -> list[str]:
    """Compare what the service has with what the report says."""
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
        problems.append(f"the report has {len(lines)} lines and not {rows} addresses")
    stored = {path: path.stat().st_size for path in (report.parent / "videos").iterdir()}
    if len(stored) != rows:
        problems.append(f"{len(stored)} files are stored and not {rows}")
    problems += [f"{line['stored_path']} is not whole" for line in lines if not _is_whole(line, stored)]
    return problems[:10]


def _is_whole(line: Mapping[str, Any], stored: Mapping[Path, int]) -> bool:
    return bool(line.get("stored_path")) and stored.get(Path(line["stored_path"])) == line["size"]


def _kind(request: Mapping[str, Any]) -> str:
    if request["method"] == "POST":
        return "submissions"
    if not request["path"].startswith("/v2/"):
        return "downloads"
    return "polls of one render" if "project=" in request["query"] else "pages of the list"


def _tell(told: Told, *, rows: int, killed: int, struck: int) -> None:
    print(
        f"\n{rows:,} rows, {struck} answers and renders broken, {killed} workers killed: {told.state} in attempt "
        f"{told.attempts}\n"
        f"  wall time            {told.seconds:8.1f} s\n"
        f"  worker-slot seconds  {told.slots:8.1f}\n"
        f"  processor seconds    {told.usage.processor:8.1f}  (all of Airflow)\n"
        f"  peak of a worker     {told.usage.worker / 2**20:8.1f} MiB\n"
        f"  peak of the triggerer{told.usage.triggerer / 2**20:8.1f} MiB"
    )
    for kind, count in sorted(told.requests.items()):
        print(f"  {kind:<20} {count:8,}")
