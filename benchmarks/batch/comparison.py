"""Render the same rows as a batch and with ``.expand()``, and measure what each way costs Airflow."""

from __future__ import annotations

from pathlib import Path

from benchmarks.batch.faulty_run import RunCost, airflow_for, run_once, write_rows
from tests.support.service import ServiceProcess

__all__ = ["compare"]


def compare(home: Path, *, sizes: list[int]) -> int:
    """Measure both ways in one Airflow, smallest size first; print a table and return the exit code."""
    settings = {"mode": "instant", "queue_seconds": 0.5, "render_seconds": 3.0, "credits": 1e6}
    found: list[tuple[int, str, RunCost]] = []
    with ServiceProcess(home / "service", settings=settings) as service, airflow_for(home, service) as airflow:
        warm = write_rows(home / "warm.jsonl", 3)
        for dag_id in ("bench_batch", "bench_mapped"):
            run_once(airflow, service, dag_id, run_id=f"warm-{dag_id}", rows=warm, timeout=300)
        for size in sizes:
            rows = write_rows(home / f"rows-{size}.jsonl", size)
            for name in ("batch", "mapped"):
                dag_id, run_id = f"bench_{name}", f"{name}-{size}"
                cost = run_once(airflow, service, dag_id, run_id=run_id, rows=rows, timeout=1800)
                found.append((size, name, cost))
                print(_row(size, name, cost), flush=True)
    print("\n| rows | way | wall s | worker-slot s | a row | processor s | a row | requests |")
    print("|---|---|---|---|---|---|---|---|")
    for size, name, cost in found:
        print(_row(size, name, cost))
    return 0 if all(cost.state == "success" for _, _, cost in found) else 1


def _row(size: int, name: str, cost: RunCost) -> str:
    cells = (
        *(size, name, f"{cost.seconds:.1f}", f"{cost.slots:.1f}", f"{cost.slots / size:.2f}"),
        *(f"{cost.usage.processor:.1f}", f"{cost.usage.processor / size:.2f}", sum(cost.requests.values())),
    )
    return f"| {' | '.join(map(str, cells))} |"
