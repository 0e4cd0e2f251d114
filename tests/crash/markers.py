"""Where to kill a process: an injection, and the folder of marker files that passes it to the process.

A marker is a file named ``<run>~<task>~<map index>@<point>@<attempt>``. The process that reaches the point
moves it into ``taken/``, which only one process can, writes what it does into ``<name>.hit`` and does it.
``inject/sitecustomize.py`` is the code in that process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = ["POINTS", "Hit", "Injection", "Markers"]

POINTS = {
    "template": "before its template is rendered",
    "execute": "before execute()",
    "stamp": "before the document is stamped",
    "post.before": "right before the POST",
    "post.during": "during the POST",
    "post.answered": "after the response to the POST",
    "xcom": "before the XCom push",
    "xcom.pushed": "after the XCom push",
    "defer": "before it defers",
    "defer.sending": "before the defer is sent",
    "defer.sent": "after the defer is sent",
    "resume": "before execute_complete()",
    "result": "before the result is pushed",
    "result.pushed": "after the result is pushed",
    "succeed.sending": "before success is reported",
    "succeed.sent": "after success is reported",
    "status.answered": "while waiting on the worker",
    "list.answered": "while reading the list",
    "download.answered": "while downloading",
}
"""The points of the path that an injection can name."""


@dataclass(frozen=True, kw_only=True)
class Injection:
    """One kill.

    :param whom: ``task``: only the task's process, like the kernel's out-of-memory killer; its supervisor reports
        that to Airflow immediately. ``worker``: the supervisor too, like a machine that dies; Airflow notices that by
        the missing heartbeat.
    :param what: ``kill`` is SIGKILL, ``stop`` SIGSTOP.
    :param attempt: try number in which it is injected, or ``any``.
    :param after: seconds from the point to the injection, while the process continues.
    """

    point: str
    whom: Literal["task", "worker"] = "task"
    what: Literal["kill", "stop"] = "kill"
    task: str = "render"
    map_index: int = -1
    attempt: int | Literal["any"] = 1
    after: float = 0.0

    def __post_init__(self) -> None:
        if self.point not in POINTS:
            raise ValueError(f"unknown point {self.point!r}; known points: {', '.join(POINTS)}")

    def name(self, run_id: str) -> str:
        """Return the name of the marker in a run."""
        return f"{run_id}~{self.task}~{self.map_index}@{self.point}@{self.attempt}"


@dataclass(frozen=True)
class Hit:
    """An injection that has happened.

    :param at: epoch seconds.
    :param pids: the processes that got the signal.
    """

    at: float
    pids: tuple[int, ...]
    try_number: int


class Markers:
    """The folder of markers.

    :param folder: created if missing; Airflow's processes find it by JSON2VIDEO_CRASH_MARKERS.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "taken").mkdir(parents=True, exist_ok=True)

    def place(self, run_id: str, injection: Injection) -> None:
        """Place the marker, so that the injection happens when the run's task reaches its point."""
        path = self.folder / injection.name(run_id)
        partial = path.with_name(f"{path.name}.part")
        partial.write_text(json.dumps({"whom": injection.whom, "what": injection.what, "after": injection.after}))
        partial.replace(path)

    def hit(self, run_id: str, injection: Injection) -> Hit | None:
        """Return the injection as it happened; None if it has not."""
        path = self.folder / "taken" / f"{injection.name(run_id)}.hit"
        try:
            facts: Mapping[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        return Hit(at=facts["at"], pids=tuple(facts["pids"]), try_number=facts["try_number"])
