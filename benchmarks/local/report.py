"""Tables of the drawing benchmark, written into pages between markers.

A page has ``<!-- bench-local:NAME -->`` and ``<!-- /bench-local:NAME -->``; no figure is typed by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.local.contenders import CONTENDERS
from benchmarks.pages import put_between

__all__ = ["BLOCKS", "blocks", "put_into"]

Results = Mapping[str, Any]
Run = Mapping[str, Any]


def blocks(results: Results) -> dict[str, str]:
    """Return every block for which there are results."""
    return {name: text for name, write in BLOCKS.items() if (text := write(results))}


def put_into(page: Path, results: Results) -> list[str]:
    """Replace the text between our markers in *page*, and return the names of the replaced blocks.

    :raises ValueError: a marker is without a block, or is not closed.
    """
    return put_between(page, "bench-local", blocks(results), known=BLOCKS)


def _conditions(results: Results) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return (
        f"Measured {results['when'][:10]} on {results['machine']}; {versions}. Each figure is the median of "
        f"{results['rounds']} run{'s' if results['rounds'] != 1 else ''}, start of the process included."
    )


def _speed(results: Results) -> str:
    return _matrix(results, lambda run: _figure(run["seconds"] / run["wall"]))


def _cpu(results: Results) -> str:
    return _matrix(results, lambda run: _figure(run["cpu"] / run["seconds"]))


def _memory(results: Results) -> str:
    return _matrix(results, lambda run: f"{run['memory'] / 2**20:.0f}")


BLOCKS: dict[str, Callable[[Results], str]] = {
    "conditions": _conditions,
    "speed": _speed,
    "cpu": _cpu,
    "memory": _memory,
}


def _matrix(results: Results, cell: Callable[[Run], str]) -> str:
    """One row for each movie, one column for each contender; a dash for what it cannot draw."""
    runs = {(run["movie"], run["contender"]): run for run in results["runs"]}
    keys = [key for key in CONTENDERS if any(run["contender"] == key for run in results["runs"])]
    if not keys:
        return ""
    rows = []
    for movie, title in results["movies"].items():
        cells = []
        for key in keys:
            run = runs.get((movie, key))
            cells.append("-" if run is None else "failed" if run.get("error") else cell(run))
        rows.append((title, *cells))
    return _table(("movie", *(CONTENDERS[key].title for key in keys)), rows)


def _figure(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "| " + " | ".join(columns) + " |"
    rule = "|---|" + "---:|" * (len(columns) - 1)
    return "\n".join([head, rule, *("| " + " | ".join(row) + " |" for row in rows)])
