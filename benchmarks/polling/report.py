"""Markdown tables from the raw numbers, written into the documentation between markers.

No figure is typed by hand. A page has ``<!-- bench:NAME -->`` and ``<!-- /bench:NAME -->``, and what is between them
is replaced by the block of that name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.pages import put_between
from benchmarks.polling.contenders import CONTENDERS, OURS

__all__ = ["BLOCKS", "blocks", "crowd_in_words", "put_into", "steadiness"]

Results = Mapping[str, Any]
Run = Mapping[str, Any]

_PLOTS = "benchmarks/results"
"""Folder of the plots, from the root; a page gets the path relative to itself."""
_KEEPS_UP = 0.9
"""Share of its polls that a trigger must deliver to count as keeping pace."""


def blocks(results: Results) -> dict[str, str]:
    """Return every block for which there are results."""
    return {name: text for name, write in BLOCKS.items() if (text := write(results))}


def put_into(page: Path, results: Results, *, plots: Path) -> list[str]:
    """Replace the text between the markers of *page*, and return the names of the written blocks.

    :param plots: the folder with the plots, for the page to link to.
    :raises ValueError: a marker has no block, or is not closed.
    """
    there = Path(os.path.relpath(plots, page.parent)).as_posix()
    written = {name: block.replace(_PLOTS, there) for name, block in blocks(results).items()}
    return put_between(page, "bench", written, known=BLOCKS)


def steadiness(several: Sequence[Results]) -> str:
    """Return the range of each figure over several measurements."""

    def span(runs: Sequence[Run], name: str, *, scale: float = 1.0) -> str:
        found = [run[name] * scale for run in runs if run[name] is not None]
        return f"{_number(min(found))} to {_number(max(found))}" if len(found) == len(runs) else "-"

    columns = ("trigger", "waiting", "CPU ms per status", "CPU s per minute", "requests per minute", "median delay, s")
    rows = []
    for size in _sizes(several[0]):
        for key in _keys(several[0]):
            runs = [run for results in several if (run := _find(results, key, size))]
            if len(runs) == len(several):
                rows.append(
                    (
                        _title(runs[0]),
                        f"{size:,}",
                        span(runs, "cpu_per_status_ms"),
                        span(runs, "cpu_per_minute_ms", scale=0.001),
                        span(runs, "requests_per_minute"),
                        span(runs, "delay_median"),
                    )
                )
    return _table(columns, rows)


# --- the blocks -------------------------------------------------------------------------------


def _conditions(results: Results) -> str:
    settings = results["settings"]
    return (
        f"Measured {results['when'][:10]} on {results['machine']}; "
        f"Airflow {results['versions']['apache-airflow-core']}. "
        f"TLS, {settings['latency_ms']:.0f} ms for each response, a poll every {settings['interval']} s, windows of "
        f"{settings['seconds']:g} s. Render times: {settings['mix']['median']:g} s median, "
        f"{settings['mix']['mean']:g} s mean, one in twenty over {settings['mix']['p95']:g} s."
    )


def _full(results: Results) -> str:
    """Return one table for each size."""
    parts = []
    for size in _sizes(results):
        rows = [_row(run) for run in results["runs"] if run["size"] == size]
        parts.append(f"**{size:,} renders waiting**\n\n" + _table(_COLUMNS, rows))
    return "\n\n".join(parts)


_COLUMNS = (
    "trigger",
    "CPU ms per status",
    "CPU s per minute",
    "requests per minute",
    "connections",
    "worst stall, ms (without GC)",
    "KB per trigger",
    "delay, s: median / p95",
    "polls delivered",
    "completions noticed within 15 s",
)


def _row(run: Run) -> Sequence[str]:
    if "error" in run:
        return (_title(run), f"not measured: {run['error']}", *[""] * (len(_COLUMNS) - 2))
    return (
        _title(run),
        _number(run["cpu_per_status_ms"]),
        _number(run["cpu_per_minute_ms"] / 1000),
        _number(run["requests_per_minute"]),
        f"{run['connections']:,}",
        _stall(run),
        _number(run["kb_per_trigger"]),
        f"{_delay(run, 'delay_median')} / {_delay(run, 'delay_p95')}",
        "planned" if run["polls"] is None else _percent(run["polls"]),
        _percent(run["soon"]),
    )


def _summary(results: Results) -> str:
    """Return one table: the cost at 500 renders and at the largest size."""
    sizes = _sizes(results)
    if not sizes:
        return ""
    small, large = (500 if 500 in sizes else sizes[0]), sizes[-1]
    columns = (
        "trigger",
        f"CPU ms per status, {small:,} waiting",
        f"{large:,} waiting: CPU s per minute",
        "requests per minute",
        "connections",
        "worst stall, ms (without GC)",
        "KB per trigger",
        "median delay, s",
        "completions noticed within 15 s",
    )
    rows = []
    for key in _keys(results):
        first, last = _find(results, key, small), _find(results, key, large)
        if first is None or last is None:
            continue
        rows.append(
            (
                _title(last),
                _number(first["cpu_per_status_ms"]),
                _number(last["cpu_per_minute_ms"] / 1000),
                _number(last["requests_per_minute"]),
                f"{last['connections']:,}",
                _stall(last),
                _number(last["kb_per_trigger"]),
                _delay(last, "delay_median"),
                _percent(last["soon"]),
            )
        )
    return _table(columns, rows)


def _planned(results: Results) -> str:
    """Return the table of scheduled polls and a fixed interval."""
    runs = results.get("planned")
    if not runs:
        return ""
    rows = [
        (
            CONTENDERS[run["contender"]].title,
            f"{run['ends']:,}",
            f"{_delay(run, 'delay_median')} / {_delay(run, 'delay_p95')}",
            _number(run["requests_per_render"]),
            _number(run["cpu_ms"] / max(run["ends"], 1)),
        )
        for run in runs
    ]
    columns = ("trigger", "completions", "delay, s: median / p95", "requests per render", "CPU ms per render")
    return _table(columns, rows)


def crowd_in_words(run: Run) -> str:
    """Return the text about triggers that all start at the same time."""
    return (
        f"{run['size']:,} triggers that start at the same time are waiting after {run['started_seconds']:.1f} s, with "
        f"{_number(run['kb_per_trigger'])} KB each. Their renders end evenly within 30 s: {run['seen']:,} notice it, "
        f"{run['failed']:,} fail, the last {run['last_seconds']:.1f} s after its end, for {run['requests']:,} requests "
        f"over {run['connections']:,} connections. Worst stall {_stall(run)} ms (without GC); during the start "
        f"{run['start_stall_ms']:,.0f} ms."
    )


def _crowd(results: Results) -> str:
    return crowd_in_words(results["crowd"]) if results.get("crowd") else ""


def _triggerer(results: Results) -> str:
    """Return the table of the real triggerer."""
    run = results.get("triggerer")
    if not run:
        return ""
    rows = [
        ("triggers waiting", f"{run['alive']:,}"),
        ("CPU of the triggerer with all its processes, s per minute", _number(run["cpu_per_minute_ms"] / 1000)),
        ("of this, the process that runs the triggers", _number(run["runner_cpu_per_minute_ms"] / 1000)),
        ("the same with no trigger, s per minute", _number(run["idle_cpu_per_minute_ms"] / 1000)),
        ("requests per minute", _number(run["requests_per_minute"])),
        ("connections", f"{run['connections']:,}"),
        ("KB per trigger", _number(run["kb_per_trigger"])),
        ("warnings of an event loop blocked for 0.2 s", f"{run['blocked']:,}"),
        ("delay from done to the event, s: median / p95", _pair(run, "delay")),
        ("delay from done to the task's resumption, s: median / p95", _pair(run, "resumed")),
        ("seconds of worker slot per render, median: submit", _number(run["slot_submit"])),
        ("seconds of worker slot per render, median: resume", _number(run["slot_resume"])),
    ]
    return _table((f"a real triggerer, {run['size']:,} renders", ""), rows)


def _goals(results: Results) -> str:
    """Return the goals and whether they were reached."""
    lines: list[str] = []

    def goal(what: str, found: float | None, limit: float, *, most: bool, unit: str = "") -> None:
        if found is None:
            return
        reached = found <= limit if most else found >= limit
        bound = "at most" if most else "at least"
        verdict = "reached" if reached else "missed"
        lines.append(f"- {what}: {_number(found)}{unit} ({bound} {_number(limit)}{unit}): **{verdict}**")

    small, single = _find(results, "ours-list", 500), _find(results, "ours-single", 500)
    if small:
        goal("CPU per status at 500 renders, list", small["cpu_per_status_ms"], 0.12, most=True, unit=" ms")
        goal("connections at 500 renders, list", small["connections"], 3, most=True)
    if single:
        goal("CPU per status at 500 renders, one by one", single["cpu_per_status_ms"], 0.5, most=True, unit=" ms")
        if best := _best_peer(results, 500):
            limit = best["cpu_per_status_ms"]
            goal(
                f"the same, compared with the best other provider ({_title(best)})",
                single["cpu_per_status_ms"],
                limit,
                most=True,
                unit=" ms",
            )
    large, best = _find(results, "ours-list", 10000), _best_peer(results, 10000)
    if large and best:
        name = _title(best)
        needed = 10000 * 60 / results["settings"]["interval"]  # statuses a minute, for a trigger that keeps pace
        requests = best["requests_per_minute"] * best["seconds"] / 60 / best["statuses"]
        goal(
            f"CPU per minute at 10,000 renders, {name} at the same rate of polls, relative to ours",
            best["cpu_per_status_ms"] * needed / large["cpu_per_minute_ms"],
            30,
            most=False,
            unit="x",
        )
        goal(
            f"requests per minute at 10,000 renders, {name} at the same rate of polls, relative to ours",
            requests * needed / large["requests_per_minute"],
            50,
            most=False,
            unit="x",
        )
        goal("worst stall at 10,000 renders, list", large["stall_ms"], 50, most=True, unit=" ms")
        goal("the same without garbage collections", large["own_stall_ms"], 50, most=True, unit=" ms")
    if large:
        goal("memory per trigger at 10,000 renders, list", large["kb_per_trigger"], 20, most=True, unit=" KB")
    return "\n".join(lines)


def _cost_plots(results: Results) -> str:
    return _images(results, "polling-cpu.png", "polling-requests.png")


def _delay_plot(results: Results) -> str:
    return _images(results, "polling-delay.png")


def _images(results: Results, *names: str) -> str:
    return "\n\n".join(f"![{results['plots'][name]}]({_PLOTS}/{name})" for name in names if name in results["plots"])


BLOCKS: dict[str, Callable[[Results], str]] = {
    "conditions": _conditions,
    "summary": _summary,
    "cost-plots": _cost_plots,
    "full": _full,
    "delay-plot": _delay_plot,
    "planned": _planned,
    "crowd": _crowd,
    "triggerer": _triggerer,
    "goals": _goals,
}


# --- pieces -----------------------------------------------------------------------------------


def _best_peer(results: Results, size: int) -> Run | None:
    """Return the run of another provider with the least CPU per status, among those that keep pace if any does."""
    peers = [
        run
        for key in _keys(results)
        if key not in (*OURS, "bare") and (run := _find(results, key, size)) and run["cpu_per_status_ms"]
    ]
    peers = [run for run in peers if run["polls"] >= _KEEPS_UP] or peers
    return min(peers, key=lambda run: run["cpu_per_status_ms"], default=None)


def _find(results: Results, key: str, size: int) -> Run | None:
    found = [run for run in results["runs"] if run["contender"] == key and run["size"] == size and "error" not in run]
    return found[0] if found else None


def _sizes(results: Results) -> list[int]:
    return sorted({run["size"] for run in results["runs"]})


def _keys(results: Results) -> list[str]:
    present = {run["contender"] for run in results["runs"]}
    return [key for key in CONTENDERS if key in present]


def _title(run: Run) -> str:
    title = CONTENDERS[run["contender"]].title
    return f"**{title}**" if run["contender"] in OURS else title


def _delay(run: Run, name: str) -> str:
    if run["ends"] == 0:
        return "-"
    return f"> {run['seconds']:.0f}" if run[name] is None else f"{run[name]:.1f}"


def _stall(run: Run) -> str:
    return f"{run['stall_ms']:,.0f} ({run['own_stall_ms']:,.0f})"


def _pair(run: Run, name: str) -> str:
    return " / ".join("-" if (d := run[f"{name}_{which}"]) is None else f"{d:.1f}" for which in ("median", "p95"))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def _number(value: float | None) -> str:
    """Return a number with the digits that matter."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "| " + " | ".join(columns) + " |"
    rule = "|---|" + "---:|" * (len(columns) - 1)
    return "\n".join([head, rule, *("| " + " | ".join(row) + " |" for row in rows)])
