"""Measure what Airflow uses during a run: memory of its triggerer and workers, processor time of all components."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field

import psutil

from tests.support.airflow import Airflow

__all__ = ["Usage", "UsageMonitor"]

_INTERVAL_S = 0.5


@dataclass
class Usage:
    """Peak memory of one process in bytes (proportional set size), and processor time in seconds."""

    triggerer: int = 0
    worker: int = 0
    processor: float = 0.0


@dataclass
class UsageMonitor:
    """Samples the processes twice a second while its ``with`` block runs.

    The worker is the largest child process of the scheduler.
    """

    airflow: Airflow
    usage: Usage = field(default_factory=Usage)

    def __enter__(self) -> UsageMonitor:
        self._over = threading.Event()
        self._spent: dict[tuple[int, float], float] = {}
        self._before = self._processor()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)
        self.usage.processor = self._processor() - self._before

    def _sample(self) -> None:
        while not self._over.wait(_INTERVAL_S):
            self._processor()
            self.usage.triggerer = max(self.usage.triggerer, self._largest("triggerer", own=True))
            self.usage.worker = max(self.usage.worker, self._largest("scheduler", own=False))

    def _largest(self, component: str, *, own: bool) -> int:
        sizes = [0]
        for process in self._processes(component)[0 if own else 1 :]:
            with contextlib.suppress(psutil.Error):
                sizes.append(process.memory_full_info().pss)
        return max(sizes)

    def _processor(self) -> float:
        # For a process that has ended, its last sample counts.
        for component in self.airflow.components:
            for process in self._processes(component):
                with contextlib.suppress(psutil.Error):
                    times = process.cpu_times()
                    self._spent[process.pid, process.create_time()] = times.user + times.system
        return sum(self._spent.values())

    def _processes(self, component: str) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error, KeyError):
            parent = psutil.Process(self.airflow.processes.pid(component))
            found = [parent, *parent.children(recursive=True)]
        return found
