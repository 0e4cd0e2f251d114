"""What our operator and sensor add to the parsing of a DAG file, next to other providers' operators.

Run it with the Python of an environment that has Airflow 3 and, for the comparison, ``benchmarks/peers.txt``::

    python benchmarks/parse_time.py [--runs N]

Each measurement is a fresh interpreter that first pays what every DAG file pays (``import airflow.sdk`` and a
DAG with one ``BaseOperator`` task), and only then imports the contender and builds its task in a DAG. Contenders
take turns, and each round begins with another one, so that a busy moment of the machine falls on all of them.
The first run of each is discarded, so that compiling byte code is not counted.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BUDGET_MS = 15
BUDGET_MODULES = 15
CHILD_TIMEOUT = 300
"""Seconds; the first start of a cold Airflow compiles all of it."""

# A separate file, so that the baseline contains nothing that this file imports. Its last line is the measurement.
CHILD = """\
import sys
import time

t0 = time.perf_counter()
import airflow.sdk

t1 = time.perf_counter()
bare = len(sys.modules)
t2 = time.perf_counter()
from airflow.sdk import DAG, BaseOperator

with DAG("floor"):
    BaseOperator(task_id="floor")
t3 = time.perf_counter()


def resident_bytes():
    try:
        with open("/proc/self/statm") as statm:
            pages = int(statm.read().split()[1])
    except OSError:  # not Linux
        return None
    import os

    return pages * os.sysconf("SC_PAGE_SIZE")


imports = compile(sys.argv[1], "imports", "exec")
tasks = compile("with DAG('measured'):\\n    " + sys.argv[2], "tasks", "exec")
rss = resident_bytes()
before = set(sys.modules)
cpu = time.process_time()
t4 = time.perf_counter()
exec(imports)
t5 = time.perf_counter()
exec(tasks)
t6 = time.perf_counter()
cpu = time.process_time() - cpu
added = sorted(set(sys.modules) - before)
rss_after = resident_bytes()

import json

result = {
    "import_ms": (t5 - t4) * 1e3,
    "total_ms": (t6 - t4) * 1e3,
    "cpu_ms": cpu * 1e3,
    "added": added,
    "rss": None if rss is None else rss_after - rss,
    "sdk_ms": (t1 - t0) * 1e3,
    "dag_ms": (t3 - t2) * 1e3,
    "dag_modules": len(before) - bare,
}
print("\\n" + json.dumps(result))
"""


@dataclass(frozen=True)
class Contender:
    """An import of a DAG file, and the shortest task that uses it."""

    name: str
    distribution: str | None
    """Its package; ``None`` for this checkout."""
    imports: str
    tasks: str

    def version(self) -> str | None:
        """Return the installed version, or ``None`` where the package is not installed."""
        if self.distribution is None:
            return "checkout"
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            return None


OURS = Contender(
    name="**JSON2Video render operator and sensor**",
    distribution=None,
    imports=(
        "from airflow_json2video.operators.render import Json2VideoRenderOperator\n"
        "from airflow_json2video.sensors.render import Json2VideoRenderSensor"
    ),
    tasks=(
        "Json2VideoRenderOperator(task_id='render', movie={'scenes': [{'duration': 2}]}); "
        "Json2VideoRenderSensor(task_id='wait', project='abcdefghijklmnop')"
    ),
)
CONTENDERS = (
    Contender(
        name="standard BashOperator (floor)",
        distribution="apache-airflow-providers-standard",
        imports="from airflow.providers.standard.operators.bash import BashOperator",
        tasks="BashOperator(task_id='task', bash_command='true')",
    ),
    Contender(
        name="JSON2Video render operator alone",
        distribution=None,
        imports="from airflow_json2video.operators.render import Json2VideoRenderOperator",
        tasks="Json2VideoRenderOperator(task_id='render', movie={'scenes': [{'duration': 2}]})",
    ),
    OURS,
    Contender(
        name="common-ai LLMBatchOperator",
        distribution="apache-airflow-providers-common-ai",
        imports="from airflow.providers.common.ai.operators.llm_batch import LLMBatchOperator",
        tasks="LLMBatchOperator(task_id='task', requests=['hello'], result_path='file:///nowhere', llm_conn_id='llm')",
    ),
    Contender(
        name="common-ai LLMOperator",
        distribution="apache-airflow-providers-common-ai",
        imports="from airflow.providers.common.ai.operators.llm import LLMOperator",
        tasks="LLMOperator(task_id='task', prompt='hello', llm_conn_id='llm')",
    ),
    Contender(
        name="HttpOperator",
        distribution="apache-airflow-providers-http",
        imports="from airflow.providers.http.operators.http import HttpOperator",
        tasks="HttpOperator(task_id='task', endpoint='hello', method='GET')",
    ),
    Contender(
        name="DbtCloudRunJobOperator",
        distribution="apache-airflow-providers-dbt-cloud",
        imports="from airflow.providers.dbt.cloud.operators.dbt import DbtCloudRunJobOperator",
        tasks="DbtCloudRunJobOperator(task_id='task', job_id=1)",
    ),
    Contender(
        name="DatabricksSubmitRunOperator",
        distribution="apache-airflow-providers-databricks",
        imports="from airflow.providers.databricks.operators.databricks import DatabricksSubmitRunOperator",
        tasks="DatabricksSubmitRunOperator(task_id='task', json={'run_name': 'hello'})",
    ),
)
HEAVY = ("aiohttp", "requests", "httpx", "pydantic", "pydantic_ai", "sqlalchemy", "pandas", "numpy", "av", "PIL")


class MeasurementFailed(Exception):
    """The child ended without a measurement; the message is the last line of its error output."""


def measure(contender: Contender, *, home: Path) -> dict[str, Any]:
    """Parse *contender* once in a fresh interpreter.

    :param home: a directory that holds the child's script and is its ``AIRFLOW_HOME``.
    :raises MeasurementFailed: with the child's own last words.
    """
    unwanted = ("PYTHONDONTWRITEBYTECODE", "PYTHONPROFILEIMPORTTIME", "PYTHONSTARTUP")
    environment = {
        name: value for name, value in os.environ.items() if name not in unwanted and not name.startswith("AIRFLOW_")
    }
    environment |= {"AIRFLOW_HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(home / "child.py"), contender.imports, contender.tasks]
    try:
        child = subprocess.run(
            command, env=environment, cwd=home, capture_output=True, text=True, timeout=CHILD_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise MeasurementFailed(f"no answer in {CHILD_TIMEOUT} s") from error
    if child.returncode != 0:
        raise MeasurementFailed((child.stderr.strip() or f"exit code {child.returncode}").splitlines()[-1])
    measurement: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return measurement


def rounds(contenders: Sequence[Contender], *, runs: int) -> Iterator[Contender]:
    """Run every contender *runs* times; each round begins with the next one."""
    for run in range(runs):
        start = run % len(contenders)
        yield from contenders[start:]
        yield from contenders[:start]


def row(contender: Contender, found: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]]) -> str:
    """Write one line of the table."""

    def middle(of: Sequence[Mapping[str, Any]], key: str) -> float:
        return float(statistics.median(run[key] for run in of))

    # Ratios are of the best runs, since other processes on the machine can only add to a time.
    def best(of: Sequence[Mapping[str, Any]]) -> float:
        return float(min(run["total_ms"] for run in of))

    def modules(of: Sequence[Mapping[str, Any]]) -> int:
        return max(len(run["added"]) for run in of)

    rss = "?" if found[0]["rss"] is None else f"{middle(found, 'rss') / 2**20:.1f}"
    loaded = [name for name in HEAVY if name in found[0]["added"]]
    return (
        f"| {contender.name} | {contender.version()} | {best(found):.1f} / {middle(found, 'total_ms'):.1f} "
        f"| {middle(found, 'import_ms'):.1f} | {middle(found, 'cpu_ms'):.1f} | {modules(found)} | {rss} "
        f"| {best(found) / best(ours):.1f} | {modules(found) / modules(ours):.1f} "
        f"| {', '.join(loaded) or '-'} |"
    )


def report(results: Mapping[Contender, Sequence[Mapping[str, Any]]], failures: Mapping[Contender, str]) -> str:
    """Return the table, with the contenders that could not be measured, and the comparison with our budget."""
    ours = results[OURS]
    every = [run for found in results.values() for run in found]
    sdk, dag = (statistics.median(run[key] for run in every) for key in ("sdk_ms", "dag_ms"))
    heading = (
        f"Airflow {importlib.metadata.version('apache-airflow-core')}, Python {platform.python_version()}, "
        f"{os.cpu_count()} CPUs, load {os.getloadavg()[1]:.1f}, {len(ours)} runs each. "
        f"Added to what every DAG file pays: import airflow.sdk ({sdk:.0f} ms), "
        f"a DAG with one BaseOperator task ({dag:.1f} ms, {every[0]['dag_modules']} modules)."
    )
    columns = (
        "| imported, one task of each built | version | ms, best / median | of it import | CPU ms, median | modules "
        "| RSS, MB | best time, times ours | modules, times ours | loads |"
    )
    lines = [
        heading,
        "",
        columns,
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for contender in CONTENDERS:
        if contender in results:
            lines.append(row(contender, results[contender], ours))
        else:
            version = contender.version() or "none"
            lines.append(f"| {contender.name} | {version} | {failures[contender]} | | | | | | | |")
    median = statistics.median(run["total_ms"] for run in ours)
    count = max(len(run["added"]) for run in ours)
    kept = median <= BUDGET_MS and count <= BUDGET_MODULES
    verdict = (
        f"Our budget of {BUDGET_MS} ms (median) and {BUDGET_MODULES} modules is {'kept' if kept else 'EXCEEDED'}: "
        f"{median:.1f} ms, {count} modules."
    )
    lines += ["", verdict]
    if not kept:
        lines += [f"  {name}" for name in ours[0]["added"]]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if our own operator could not be measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10, metavar="N", help="measurements of each contender (default 10)")
    runs = parser.parse_args(arguments).runs
    if runs < 1:
        parser.error("--runs must be at least 1")

    failures: dict[Contender, str] = {}
    results: dict[Contender, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(prefix="parse-time-") as directory:
        home = Path(directory)
        (home / "child.py").write_text(CHILD)
        for contender in CONTENDERS:
            if contender.version() is None:
                failures[contender] = "not installed (benchmarks/peers.txt)"
                continue
            try:
                measure(contender, home=home)  # compiles the byte code; not counted
            except MeasurementFailed as error:
                failures[contender] = f"failed: {error}"
            else:
                results[contender] = []
        total = runs * len(results)
        for number, contender in enumerate(rounds(list(results), runs=runs), start=1):
            if sys.stderr.isatty():
                print(f"\r{number}/{total} ", end="", file=sys.stderr, flush=True)
            if contender not in failures:
                try:
                    results[contender].append(measure(contender, home=home))
                except MeasurementFailed as error:
                    failures[contender] = f"failed: {error}"
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if OURS in failures:
        print(f"Our own operator and sensor: {failures[OURS]}", file=sys.stderr)
        return 1
    print(report({contender: found for contender, found in results.items() if contender not in failures}, failures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
