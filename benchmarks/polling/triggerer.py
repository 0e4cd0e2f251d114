"""The second part: a real Airflow, whose triggerer waits for two thousand renders.

Measured from outside: the triggerer's processes by the system, its requests by the server, delays by the logs of the
tasks. A few renders take the whole path, from the submission on a worker to the result, and show for how long a worker
slot was used.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import psutil

from benchmarks.polling.bench import running_server
from benchmarks.polling.certificate import ADDRESS
from benchmarks.polling.contenders import CONTENDERS, INTERVAL
from benchmarks.polling.server import ask
from tests.support.airflow import Airflow
from tests.support.processes import ROOT
from tests.support.timeline import worker_slot_seconds

__all__ = ["measure"]

_IDLE, _SETTLE, _WINDOW = 10.0, 15.0, 60.0
"""Seconds without a trigger, between the first poll of all renders and the window, and of the window."""
_ENDS = 30
"""Renders that end in the window: more would resume faster than workers on two cores can start."""
_MAX_WAIT = 180.0


def measure(count: int, *, say: Callable[[str], None]) -> dict[str, Any]:
    """Run it, and return what the report shows.

    :param count: renders to wait for. :param say: called with each line of progress.
    """
    contender = CONTENDERS["ours-list"]
    with running_server() as server:
        port = server.control_port
        connection = contender.connection(server.url, str(server.certificate.bundle))
        airflow = Airflow(
            server.folder / "airflow",
            dags_folder=ROOT / "benchmarks" / "polling" / "dags",
            connections={"bench": json.dumps(connection)},
            environment={
                "PYTHONPATH": str(ROOT),
                "JSON2VIDEO_BENCH_TRIGGERS": str(count),
                "NO_PROXY": f"127.0.0.1,localhost,{ADDRESS}",
                "no_proxy": f"127.0.0.1,localhost,{ADDRESS}",
                "AIRFLOW__TRIGGERER__CAPACITY": str(count + 1000),
                # Otherwise it claims 50 per second, and claiming is not what is measured.
                "AIRFLOW__TRIGGERER__MAX_TRIGGER_TO_SELECT_PER_LOOP": "500",
            },
        )
        say(f"a real Airflow with {count:,} triggers: starting")
        with airflow:
            processes = _Processes(airflow.processes.pid("triggerer"))
            airflow.wait_for_dag("bench_rendering")
            say("a few renders from beginning to end, which also warm the triggerer up")
            ask(port, "begin", size=1, horizon=0.0, ramp=0.0, at=time.time(), account="own")
            whole = airflow.trigger("bench_rendering")
            airflow.wait_for_run("bench_rendering", whole, timeout=_MAX_WAIT)
            slots = [list(_stretches(airflow, whole, place)) for place in range(6)]

            idle = processes.usage()
            time.sleep(_IDLE)
            idle = processes.usage() - idle
            memory = processes.runner_memory()

            ask(port, "begin", size=count, horizon=0.0, ramp=0.0, at=time.time(), account="own", lasting=7200.0)
            run_id = airflow.trigger("bench_waiting")
            command = [sys.executable, "-m", "benchmarks.polling.deferred", run_id, str(count), str(INTERVAL)]
            subprocess.run(command, env=airflow.environment, check=True, stdout=subprocess.DEVNULL)
            began = time.monotonic()
            while ask(port)["met"] < count:
                airflow.processes.check()
                if time.monotonic() - began > _MAX_WAIT:
                    raise TimeoutError(f"after {_MAX_WAIT:.0f} s only {ask(port)['met']} renders were polled")
                time.sleep(1)
            say(f"every render was polled {time.monotonic() - began:.0f} s after the tasks had deferred")
            time.sleep(_SETTLE)

            counts, used, blocked, since = ask(port), processes.usage(), _blocked(airflow), time.time()
            finished = ask(port, "finish", count=_ENDS, since=since, until=since + _WINDOW)["numbers"]
            time.sleep(_WINDOW)
            used, seconds = processes.usage() - used, time.time() - since
            after, blocked = ask(port), _blocked(airflow) - blocked
            memory = processes.runner_memory() - memory
            ends = dict(enumerate(ask(port, "ends")["ends"]))
            say("waiting for the renders that ended to be resumed")
            fired, resumed = _wait_for_resumption(airflow, run_id, finished)
    delays = [fired[number] - ends[number] for number in fired]
    until_resumed = [resumed[number] - ends[number] for number in resumed]
    minutes = seconds / 60
    kinds = {kind: n - counts["requests"].get(kind, 0) for kind, n in after["requests"].items()}
    requests = sum(n for kind, n in kinds.items() if "." not in kind)
    return {
        "size": count,
        "alive": count,
        "cpu_per_minute_ms": used.every * 1000 / minutes,
        "runner_cpu_per_minute_ms": used.runner * 1000 / minutes,
        "idle_cpu_per_minute_ms": idle.every * 1000 / (_IDLE / 60),
        "requests_per_minute": requests / minutes,
        "kinds": kinds,
        "connections": after["opened"],
        "kb_per_trigger": memory / 1024 / count,
        "blocked": blocked,
        "delay_median": _quantile(delays, 0.5),
        "delay_p95": _quantile(delays, 0.95),
        "resumed_median": _quantile(until_resumed, 0.5),
        "resumed_p95": _quantile(until_resumed, 0.95),
        "ends": len(finished),
        "slot_submit": _quantile([stretches[0] for stretches in slots if stretches], 0.5),
        "slot_resume": _quantile([stretches[1] for stretches in slots if len(stretches) > 1], 0.5),
    }


class _Usage:
    """Seconds of CPU."""

    def __init__(self, every: float, runner: float) -> None:
        self.every, self.runner = every, runner

    def __sub__(self, other: _Usage) -> _Usage:
        return _Usage(self.every - other.every, self.runner - other.runner)


class _Processes:
    """The triggerer: the process that was started, and below it the one that runs the triggers."""

    def __init__(self, pid: int) -> None:
        self._every = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        self._runner = max(self._every[1:], key=lambda process: process.memory_info().rss)

    def usage(self) -> _Usage:
        """Return the CPU used so far."""
        return _Usage(sum(map(_cpu, self._every)), _cpu(self._runner))

    def runner_memory(self) -> int:
        """Return the resident memory of the process that runs the triggers, in bytes."""
        rss: int = self._runner.memory_info().rss
        return rss


def _blocked(airflow: Airflow) -> int:
    """Count how often Airflow has warned that something blocked the triggers' event loop for 0.2 s."""
    return airflow.processes.log_path("triggerer").read_text(errors="replace").count("thread was blocked")


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _wait_for_resumption(
    airflow: Airflow, run_id: str, numbers: list[int]
) -> tuple[dict[int, float], dict[int, float]]:
    """Return the times of the events and of the first lines on a worker, by the number of the render."""
    fired: dict[int, float] = {}
    resumed: dict[int, float] = {}
    deadline = time.monotonic() + _MAX_WAIT
    while len(resumed) < len(numbers) and time.monotonic() < deadline:
        airflow.processes.check()
        for number in numbers:
            if number in resumed:
                continue
            for at, event in _lines(airflow.task_log("bench_waiting", run_id, "wait", map_index=number)):
                if event == "Trigger fired event":
                    fired.setdefault(number, at)
                elif event == "::group::Pre Execute":
                    resumed.setdefault(number, at)
        time.sleep(1)
    return fired, resumed


def _stretches(airflow: Airflow, run_id: str, place: int) -> Iterator[float]:
    """Return the seconds of each part of a task on a worker."""
    log = airflow.task_log("bench_rendering", run_id, "render", map_index=place, triggers=False)
    parts: list[list[str]] = []
    for line in log.splitlines():
        if "::group::Pre Execute" in line:
            parts.append([])
        if parts:
            parts[-1].append(line)
    for part in parts:
        seconds = worker_slot_seconds("\n".join(part))
        if seconds is not None:
            yield seconds


def _lines(log: str) -> Iterator[tuple[float, str]]:
    for line in log.splitlines():
        try:
            entry = json.loads(line)
            yield datetime.fromisoformat(entry["timestamp"].replace("Z", "+00:00")).timestamp(), str(entry["event"])
        except (ValueError, KeyError, TypeError):
            continue


def _quantile(values: list[float], share: float) -> float | None:
    ordered = sorted(values)
    if share == 0.5 and ordered:
        return statistics.median(ordered)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None
