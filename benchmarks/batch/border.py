"""The same rows as a batch and mapped over the operator for one render: what each way costs Airflow."""

from __future__ import annotations

from pathlib import Path

from benchmarks.batch.show import Told, airflow_for, run_once, write_rows
from tests.support.service import ServiceProcess

__all__ = ["border"]


def border(home: Path, *, sizes: list[int]) -> int:
    """Measure both, smallest first, in one Airflow; print a table, and give the exit code."""
    settings = {"mode": "instant", "queue_seconds": 0.5, "render_seconds": 3.0, "credits": 1e6}
    found: list[tuple[int, str, Told]] = []
    with ServiceProcess(home / "service", settings=settings) as service, airflow_for(home, service) as airflow:
        warm = write_rows(home / "warm.jsonl", 3)
        for dag_id in ("bench_batch", "bench_mapped"):
            run_once(airflow, service, dag_id, run_id=f"warm-{dag_id}", rows=warm, timeout=300)
        for size in sizes:
            rows = write_rows(home / f"rows-{size}.jsonl", size)
            for name in ("batch", "mapped"):
                dag_id, run_id = f"bench_{name}", f"{name}-{size}"
                told = run_once(airflow, service, dag_id, run_id=run_id, rows=rows, timeout=1800)
                found.append((size, name, told))
                print(_row(size, name, told), flush=True)
    print("\n| rows | way | wall s | worker-slot s | a row | processor s | a row | requests |")
    print("|---|---|---|---|---|---|---|---|")
    for size, name, told in found:
        print(_row(size, name, told))
    return 0 if all(told.state == "success" for _, _, told in found) else 1


def _row(size: int, name: str, told: Told) -> str:
    cells = (
        *(size, name, f"{told.seconds:.1f}", f"{told.slots:.1f}", f"{told.slots / size:.2f}"),
        *(f"{told.usage.processor:.1f}", f"{told.usage.processor / size:.2f}", sum(told.requests.values())),
    )
    return f"| {' | '.join(map(str, cells))} |"
