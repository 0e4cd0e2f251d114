"""``python -m tests.crash``: the crash matrix, its short version, the soak, and the same for a naive operator."""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from tests.crash.rows import ROWS, SHORT, Row
from tests.crash.run_rows import run_rows
from tests.crash.table import Expected, as_table, problems
from tests.crash.testbed import SERVICES, Testbed
from tests.support.processes import ROOT, raise_on_signals

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the selected command and return the exit code: 0 if every row ended as expected."""
    options = _parser().parse_args(arguments)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    home = options.home or ROOT / ".crash" / time.strftime("%Y%m%d-%H%M%S")
    with raise_on_signals():
        if options.soak:
            from tests.crash.soak import soak

            return soak(home, renders=options.soak, seed=options.seed, naive=options.naive, database=options.postgres)
        return _matrix(options, home)


def _matrix(options: argparse.Namespace, home: Path) -> int:
    rows = _chosen(options)
    if options.naive:  # it sends again where the product stops, so only success is required of it
        rows = tuple(
            replace(row, expected=Expected(projects=row.expected.paid, paid=row.expected.paid)) for row in rows
        )
    if options.list:
        for row in rows:
            print(f"{row.name:45} {row.point} [{row.killed}]")
        return 0
    began = time.monotonic()
    operator = "the naive operator" if options.naive else "airflow_json2video"
    print(
        f"Crash matrix of {operator}: {len(rows)} rows, Airflow {metadata.version('apache-airflow')}, "
        f"Python {platform.python_version()}, {'PostgreSQL' if options.postgres else 'SQLite'}"
    )
    services = {row.service for row in rows}
    environment = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": options.postgres} if options.postgres else {}
    with Testbed(
        home,
        naive=options.naive,
        services={name: SERVICES[name] for name in SERVICES if name in services},
        environment=environment,
    ) as testbed:
        print(f"  {time.monotonic() - began:5.0f} s  Airflow is ready; {len(rows)} rows")

        def report(line: str) -> None:
            print(f"  {time.monotonic() - began:5.0f} s  {line}")

        outcomes = run_rows(testbed, rows, report=report)
    wrong = [outcome for outcome in outcomes if problems(outcome)]
    twice = sum(len(unit.paid) > outcome.expected.paid for outcome in outcomes for unit in outcome.units)
    print(f"\n{as_table(outcomes)}\n")
    print(
        f"{len(outcomes)} rows in {time.monotonic() - began:.0f} s: {len(wrong)} not as expected, "
        f"{twice} task instances paid for twice."
    )
    if wrong or options.keep:
        print(f"All logs are in {home}.")
    else:
        shutil.rmtree(home, ignore_errors=True)
    return 1 if wrong else 0


def _chosen(options: argparse.Namespace) -> tuple[Row, ...]:
    rows = SHORT if options.short else ROWS
    if not options.rows:
        return rows
    chosen = tuple(row for row in rows if any(word in row.name for word in options.rows))
    if not chosen:
        raise SystemExit(f"no row matches; the rows are: {', '.join(row.name for row in rows)}")
    return chosen


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("rows", nargs="*", help="only rows whose name contains one of these words")
    parser.add_argument("--short", action="store_true", help="only the most important rows")
    parser.add_argument(
        "--naive", action="store_true", help="run benchmarks/naive_operator.py instead, which must fail"
    )
    parser.add_argument("--list", action="store_true", help="list the rows and exit")
    parser.add_argument("--soak", type=int, metavar="N", help="N renders with random faults and kills instead")
    parser.add_argument("--seed", type=int, default=7, help="seed of the soak")
    parser.add_argument(
        "--postgres", metavar="URL", help="SQLAlchemy URL of an empty database to use instead of SQLite"
    )
    parser.add_argument("--home", type=Path, help="folder for all files (default: a folder in .crash)")
    parser.add_argument("--keep", action="store_true", help="keep that folder even if all rows ended as expected")
    return parser


if __name__ == "__main__":
    sys.exit(main())
