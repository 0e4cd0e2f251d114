"""``make test-matrix``: the unit tests and the example DAGs on every line of Airflow, as a table.

Each row gets a virtual environment under ``.matrix/``, with the pins of ``constraints/``. It is
reused until the pins or the package's requirements change.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import os
import platform
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET  # reads only reports of our own pytest
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import ROOT, ChildEnded, ProcessSet, raise_on_signals

__all__ = ["main"]

FOLDER = ROOT / ".matrix"
PINNED = {"2.11": "2.11.2", "3.0": "3.0.6", "3.1": "3.1.8", "3.2": "3.2.2", "3.3": "3.3.2"}
UNIT = ("tests/unit",)
INTEGRATION = tuple(f"tests/integration/test_{name}.py" for name in ("example_dags", "clear", "versions"))
INSTALL_TIMEOUT = 1800.0  # seconds
TEST_TIMEOUT = 1800.0


@dataclass(frozen=True)
class Row:
    """A line of Airflow on a Python.

    :param interpreter: a Python with everything installed; None to create an environment.
    """

    airflow: str
    python: str
    interpreter: str | None = None

    def __str__(self) -> str:
        return f"airflow-{self.airflow}-py{self.python}"


ROWS = (
    Row("2.11", "3.10"),
    Row("3.0", "3.11"),
    Row("3.1", "3.12"),
    Row("3.2", "3.13"),
    Row("3.3", "3.10"),
    Row("3.3", "3.11"),
    Row("3.3", "3.13"),
)


@dataclass(frozen=True)
class Outcome:
    """The counts of a run of pytest, or the *problem* that prevented them."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    problem: str | None = None

    @property
    def ok(self) -> bool:
        """Return whether something passed and nothing failed."""
        return self.problem is None and self.failed == 0 and self.passed > 0

    def __str__(self) -> str:
        if self.problem:
            return self.problem
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


@dataclass(frozen=True)
class Result:
    """One line of the table."""

    row: Row
    unit: Outcome
    integration: Outcome
    seconds: float

    @property
    def ok(self) -> bool:
        """Return whether both suites passed."""
        return self.unit.ok and self.integration.ok


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the matrix; the exit code is 0 if at least one row ran and all that ran passed."""
    options = _parser().parse_args(arguments)
    rows = [_row_of(path) for path in options.python] or [
        row for row in ROWS if not options.only or row.airflow in options.only
    ]
    results, missing = [], []
    with raise_on_signals():
        for row in rows:
            base = row.interpreter or find_python(row.python)
            if base is None:
                missing.append(row)
                print(f"{row}: no Python {row.python} on this machine", flush=True)
                continue
            result = _run(row, base)
            results.append(result)
            print(f"{row}: {'ok' if result.ok else 'FAILED'} after {result.seconds:.0f} s", flush=True)
    print("\n" + _table(results, missing))
    return 0 if results and all(r.ok for r in results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.matrix", description=__doc__)
    parser.add_argument("--only", action="append", choices=sorted(PINNED), help="this line of Airflow (repeatable)")
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="PATH",
        help="a row with this interpreter, which has Airflow and the tools installed already (repeatable)",
    )
    return parser


def find_python(version: str) -> str | None:
    """Return an interpreter of *version* (such as ``3.12``) that can create virtual environments, or None.

    A name on the path may be a version manager's shim that fails when it is run, so each is tried,
    and so are the versions that pyenv and uv installed.
    """
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    roots = [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"]
    roots.append(Path.home() / ".local" / "share" / "uv" / "python")
    candidates = itertools.chain(
        (folder / f"python{version}" for folder in folders),
        (found for folder in roots for found in sorted(folder.glob(f"*{version}.*/bin/python{version}"), reverse=True)),
    )
    check = f"import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != ({version.replace('.', ', ')}))"
    for candidate in candidates:
        if candidate.is_file() and subprocess.run([candidate, "-c", check], capture_output=True).returncode == 0:
            return str(candidate)
    return None


def _row_of(interpreter: str) -> Row:
    ask = (
        "import sys; from importlib.metadata import version; "
        "print('.'.join(version('apache-airflow').split('.')[:2]), '%d.%d' % sys.version_info[:2])"
    )
    versions = subprocess.run([interpreter, "-c", ask], capture_output=True, text=True, check=True).stdout.split()
    return Row(versions[0], versions[1], interpreter)


def _run(row: Row, base: str) -> Result:
    began = time.monotonic()
    with _processes(row) as processes:
        try:
            interpreter = row.interpreter or _environment(row, base, processes)
        except ChildEnded as error:
            print(error)
            broken = Outcome(problem="not installed")
            return Result(row, broken, broken, time.monotonic() - began)
        unit = _pytest(row, interpreter, "unit", UNIT, processes)
        integration = _pytest(row, interpreter, "integration", INTEGRATION, processes)
    return Result(row, unit, integration, time.monotonic() - began)


@contextlib.contextmanager
def _processes(row: Row) -> Iterator[ProcessSet]:
    logs = FOLDER / "logs" / str(row)
    shutil.rmtree(logs, ignore_errors=True)
    with ProcessSet(logs) as processes:
        yield processes


def _environment(row: Row, base: str, processes: ProcessSet) -> str:
    """Create the row's virtual environment unless it is up to date, and return its interpreter."""
    folder = FOLDER / str(row)
    pins = ROOT / "constraints" / f"airflow-{row.airflow}.txt"
    wanted = hashlib.sha256(pins.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamp, interpreter = folder / "installed", str(folder / "bin" / "python")
    if stamp.is_file() and stamp.read_text() == wanted:
        return interpreter
    print(f"{row}: installing", flush=True)
    pip = (interpreter, "-m", "pip", "--disable-pip-version-check")
    steps = (
        (base, "-m", "venv", "--clear", str(folder)),
        (*pip, "install", "-qq", "--no-deps", "-r", str(pins)),
        (*pip, "install", "-qq", "--no-deps", "--no-build-isolation", "-e", str(ROOT)),
        (*pip, "check"),
    )
    for step in steps:
        processes.run("install", step, env=_plain_environment(), timeout=INSTALL_TIMEOUT, cwd=ROOT)
    stamp.write_text(wanted)
    return interpreter


def _pytest(row: Row, interpreter: str, name: str, paths: Sequence[str], processes: ProcessSet) -> Outcome:
    report = processes.logs / f"{name}.xml"
    command = (interpreter, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={report}", *paths)
    print(f"{row}: {name} tests", flush=True)
    try:
        processes.run(name, command, env=_plain_environment(), timeout=TEST_TIMEOUT, cwd=ROOT)
    except ChildEnded as error:
        print(error)
    try:
        suite = ET.parse(report).getroot().find("testsuite")  # noqa: S314 - our own pytest wrote it
    except (OSError, ET.ParseError):
        return Outcome(problem="no report")
    if suite is None:
        return Outcome(problem="no report")
    counts = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
    failed = counts["failures"] + counts["errors"]
    return Outcome(counts["tests"] - failed - counts["skipped"], failed, counts["skipped"])


def _plain_environment() -> dict[str, str]:
    dropped = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIRTUAL_ENV", "JSON2VIDEO_API_KEY"}
    return {k: v for k, v in os.environ.items() if k not in dropped}


def _table(results: Sequence[Result], missing: Sequence[Row]) -> str:
    head = ("Airflow", "Python", "unit", "example DAGs", "seconds", "")
    lines = [head]
    for r in results:
        version = PINNED.get(r.row.airflow, r.row.airflow)
        mark = "ok" if r.ok else "FAILED"
        lines.append((version, r.row.python, str(r.unit), str(r.integration), f"{r.seconds:.0f}", mark))
    lines += [(PINNED[m.airflow], m.python, "no such Python here", "", "", "not run") for m in missing]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    rule = tuple("-" * width for width in widths)
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, rule, *lines[1:])
    ]
    return "\n".join([*text, "", f"on {platform.platform()}, {os.cpu_count()} cores"])


if __name__ == "__main__":
    sys.exit(main())
