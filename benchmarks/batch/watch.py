"""What an Airflow uses while a run goes on: memory of its triggerer and its workers, processor time of all of it."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field

import psutil

from tests.support.airflow import Airflow

__all__ = ["Usage", "Watch"]

_EVERY = 0.5


@dataclass
class Usage:
    """Peaks in bytes of one process, what it shares with others counted in parts; processor time in seconds."""

    triggerer: int = 0
    worker: int = 0
    processor: float = 0.0


@dataclass
class Watch:
    """Looks at the processes twice a second, from ``with`` to its end.

    A worker is the largest process that the scheduler has started.
    """

    airflow: Airflow
    usage: Usage = field(default_factory=Usage)

    def __enter__(self) -> Watch:
        self._over = threading.Event()
        self._spent: dict[tuple[int, float], float] = {}
        self._before = self._processor()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)
        self.usage.processor = self._processor() - self._before

    def _look_on(self) -> None:
        while not self._over.wait(_EVERY):
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
        # A process that has ended keeps what it was last seen to have used.
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
