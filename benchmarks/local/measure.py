"""Run a command and measure its wall time, and the CPU time and memory of all its processes."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Cost", "run"]

INTERVAL = 0.05
LIMIT = 600.0


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of a command; *error* is the end of its output, if it failed."""

    wall: float
    cpu: float
    memory: int
    """Bytes: the largest sum of its processes' memory, sampled every 50 ms."""
    error: str = ""


def run(command: Sequence[str], *, log: Path, cwd: Path) -> Cost:
    """Run *command* to its end, or to a limit of ten minutes."""
    ended = threading.Event()
    peak = [0]
    began = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd, start_new_session=True
        )
    watcher = threading.Thread(target=_watch, args=(process.pid, peak, ended), daemon=True)
    watcher.start()
    late = threading.Timer(LIMIT, os.killpg, (process.pid, signal.SIGKILL))
    late.daemon = True
    late.start()
    # wait4 instead of wait: it returns the CPU time of this child and of the children that it waited for.
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    late.cancel()
    ended.set()
    watcher.join()
    said = log.read_text(errors="replace").strip().splitlines()
    error = "" if process.returncode == 0 else (said[-1][-200:] if said else f"exit code {process.returncode}")
    return Cost(wall=wall, cpu=usage.ru_utime + usage.ru_stime, memory=peak[0], error=error)


def _watch(pid: int, peak: list[int], ended: threading.Event) -> None:
    while not ended.wait(INTERVAL):
        held = 0
        try:
            root = psutil.Process(pid)
            for one in [root, *root.children(recursive=True)]:
                held += one.memory_info().rss
        except psutil.Error:
            continue
        peak[0] = max(peak[0], held)
