"""The command: ``python -m benchmarks.polling`` measures, prints and writes; ``report`` puts tables into pages,
``steady`` compares measurements.

::

    make bench
    make bench ARGS="--sizes 100,500 --only ours-list,databricks --seconds 15 --parts sizes"
    python -m benchmarks.polling report --into docs/performance.md
    python -m benchmarks.polling steady FOLDER FOLDER FOLDER
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.polling import machine, mix, report
from benchmarks.polling.bench import SIZES, run_all, run_crowd, run_planned, running_server
from benchmarks.polling.contenders import CONTENDERS, DEFAULT, INTERVAL
from benchmarks.polling.server import LATENCY
from tests.support.processes import ROOT, raise_on_signals

FOLDER = ROOT / "benchmarks" / "results"
RESULTS, TABLES = "polling.json", "polling.md"
PARTS = ("sizes", "planned", "crowd", "triggerer")


def measure(options: argparse.Namespace) -> int:
    """Measure, print, and write the raw numbers, the tables and the plots: after each part, so that no part is lost."""
    results: dict[str, Any] = {"runs": [], "plots": {}}
    if options.keep:
        results = json.loads((options.into / RESULTS).read_text())
    if not options.keep:
        results |= {
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": machine.describe(),
            "versions": machine.versions(
                [
                    "apache-airflow-core",
                    "aiohttp",
                    "openai",
                    *filter(None, (c.distribution for c in CONTENDERS.values())),
                ]
            ),
            "settings": {
                "seconds": options.seconds,
                "interval": INTERVAL,
                "latency_ms": LATENCY * 1000,
                "mix": mix.facts(),
            },
        }
    began = time.monotonic()
    with raise_on_signals():
        for part in options.parts:
            _add(results, _measured(part, options, began))
            _write(results, options.into, anew=part == "sizes")
    written = (options.into / TABLES).read_text()
    print(f"\n{written}\n")
    print(
        f"Raw numbers, tables and plots are in {options.into}. It took {(time.monotonic() - began) / 60:.0f} minutes."
    )
    return 0


def _add(results: dict[str, Any], measured: dict[str, Any]) -> None:
    """Replace the earlier results with what was measured; of the runs, only those of the same name."""
    runs = measured.get("runs", [])
    anew = {(run["contender"], run["size"]) for run in runs}
    kept = [run for run in results["runs"] if (run["contender"], run["size"]) not in anew]
    order = list(CONTENDERS)
    results |= measured | {"runs": sorted(kept + runs, key=lambda run: (run["size"], order.index(run["contender"])))}


def _measured(part: str, options: argparse.Namespace, began: float) -> dict[str, Any]:
    if part == "triggerer":
        from benchmarks.polling import triggerer

        return {part: triggerer.measure(options.triggers, say=lambda words: _progress(words, began))}
    with running_server() as server:
        if part == "crowd":
            crowd = run_crowd(server, size=max(SIZES))
            _progress(report.crowd_in_words(crowd), began)
            return {part: crowd}
        runs = []
        for run in (
            run_planned(server)
            if part == "planned"
            else run_all(server, keys=options.only, sizes=options.sizes, seconds=options.seconds)
        ):
            runs.append(run)
            _say(run, began)
        return {"planned" if part == "planned" else "runs": runs}


def _write(results: dict[str, Any], folder: Path, *, anew: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if anew:
        from benchmarks.polling import plots

        results["plots"] = plots.draw(results, folder)
    (folder / RESULTS).write_text(json.dumps(results, indent=1) + "\n")
    blocks = (text for name, text in report.blocks(results).items() if "plot" not in name)
    (folder / TABLES).write_text("\n\n".join(blocks) + "\n")


def fill(options: argparse.Namespace) -> int:
    """Put the tables of the last measurement into pages."""
    results = json.loads((options.results / RESULTS).read_text())
    for page in options.into:
        blocks = report.put_into(page, results, plots=options.results)
        print(f"{page}: {', '.join(blocks) or 'no marker'}")
    return 0


def compare(options: argparse.Namespace) -> int:
    """Print the range of each figure over several measurements."""
    print(report.steadiness([json.loads((folder / RESULTS).read_text()) for folder in options.folders]))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["report"]:
        parser = argparse.ArgumentParser(prog="python -m benchmarks.polling report", description=fill.__doc__)
        parser.add_argument("--into", nargs="+", type=Path, required=True, metavar="PAGE")
        parser.add_argument("--results", type=Path, default=FOLDER, metavar="FOLDER", help="where polling.json is")
        return fill(parser.parse_args(arguments[1:]))
    if arguments[:1] == ["steady"]:
        parser = argparse.ArgumentParser(prog="python -m benchmarks.polling steady", description=compare.__doc__)
        parser.add_argument("folders", nargs="+", type=Path, help="each with a polling.json")
        return compare(parser.parse_args(arguments[1:]))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.polling", description=measure.__doc__)
    parser.add_argument("--sizes", type=_numbers, default=list(SIZES), help="renders waiting, as 100,500")
    parser.add_argument("--only", type=_keys, default=list(DEFAULT), help=f"of {','.join(CONTENDERS)}")
    parser.add_argument("--seconds", type=float, default=12.0, help="length of each window (default 12)")
    parser.add_argument("--parts", type=_parts, default=list(PARTS), help=f"of {','.join(PARTS)}")
    parser.add_argument("--keep", action="store_true", help="keep earlier results that are not measured now")
    parser.add_argument("--triggers", type=int, default=2000, help="renders of the real triggerer (default 2000)")
    parser.add_argument("--into", type=Path, default=FOLDER, metavar="FOLDER", help="default benchmarks/results")
    return measure(parser.parse_args(arguments))


def _say(run: dict[str, Any], began: float) -> None:
    name = f"{run['size']:>6,}  {CONTENDERS[run['contender']].title:<36}"
    if "error" in run:
        _progress(f"{name} {run['error']}", began)
        return
    status = "-" if run["cpu_per_status_ms"] is None else f"{run['cpu_per_status_ms']:.3f}"
    delay = "-" if run["delay_median"] is None else f"{run['delay_median']:.1f}"
    polls = "planned" if run["polls"] is None else f"{100 * run['polls']:.0f} % of polls"
    _progress(
        f"{name} {status:>8} ms/status {run['requests_per_minute']:>8,.0f} req/min {run['connections']:>6,} conns "
        f"{run['stall_ms']:>7,.0f} ms stall {run['kb_per_trigger']:>6.1f} KB {delay:>5} s late  {polls}"
        + (f"  {run['failed']} FAILED: {run['complaint'][:80]}" if run["failed"] else ""),
        began,
    )


def _progress(words: str, began: float) -> None:
    print(f"{(time.monotonic() - began) / 60:5.1f} min  {words}", flush=True)


def _numbers(text: str) -> list[int]:
    return sorted({int(part) for part in text.split(",")})


def _chosen(text: str, known: Sequence[str]) -> list[str]:
    wanted = text.split(",")
    if unknown := set(wanted) - set(known):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [name for name in known if name in wanted]


def _keys(text: str) -> list[str]:
    return _chosen(text, list(CONTENDERS))


def _parts(text: str) -> list[str]:
    return _chosen(text, PARTS)


if __name__ == "__main__":
    sys.exit(main())
