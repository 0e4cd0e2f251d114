"""The demo's timeline: what was observed, printed line by line, and its summary."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import datetime

from tests.support.airflow import StateChange

__all__ = ["RenderStatus", "Submission", "Timeline", "worker_slot_seconds"]

FINAL = frozenset({"success", "failed", "upstream_failed", "skipped"})


@dataclass(frozen=True)
class Submission:
    """The service knows the render.

    :param key: our submission key; None for a movie that carries no stamp.
    """

    project: str
    key: str | None


@dataclass(frozen=True)
class RenderStatus:
    """The render has a new status at the service."""

    status: str


@dataclass
class Timeline:
    """Prints each event when it is observed, and stores its time."""

    started: float = field(default_factory=time.time)
    moments: dict[str, float] = field(default_factory=dict)
    task_states: dict[str, str] = field(default_factory=dict)
    run_state: str | None = None

    def add(self, event: StateChange | Submission | RenderStatus) -> None:
        """Print one line for an event that is relevant to the reader."""
        if isinstance(event, Submission):
            self._line("submitted", f"project {event.project}, submission key {event.key}")
        elif isinstance(event, RenderStatus):
            self._line(event.status, "says JSON2Video")
        elif event.task_id is None:
            self.run_state = event.state
            self._line("run ended", event.state or "")
        elif event.task_id == "render":
            self._render(event)
        else:
            self._task(event)

    def phases(self) -> list[tuple[str, float]]:
        """Return the phases whose beginning and end were observed, with their seconds."""
        borders = [
            ("waiting for a worker", "run", "render started"),
            ("submitting", "render started", "submitted"),
            ("pending", "pending", "running"),
            ("rendering", "running", "done"),
            ("resuming", "done", "resumed"),
            ("storing", "resumed", "stored"),
        ]
        moments = {"run": self.started, **self.moments}
        return [(name, moments[b] - moments[a]) for name, a, b in borders if a in moments and b in moments]

    def render_task_seconds(self) -> float:
        """Return the seconds from the render task's start on a worker to its end."""
        return self.moments.get("stored", time.time()) - self.moments.get("render started", self.started)

    def _render(self, change: StateChange) -> None:
        state, before = change.state or "", self.task_states.get("render")
        self.task_states["render"] = state
        if state == "running" and "deferred" in self.moments:
            self._line("resumed", "on a worker")
        elif state == "running":
            self._line("render started", "on a worker" + (f", attempt {change.try_number}" if before else ""))
        elif state == "deferred":
            self._line("deferred", "the worker slot is free; the triggerer waits")
        elif state == "success":
            if "resumed" not in self.moments:  # too fast to be observed as running again
                self._line("resumed", "on a worker")
            self._line("stored", "the render task has returned its result")
        elif state in FINAL or state == "up_for_retry":
            self._line(state, "render")

    def _task(self, change: StateChange) -> None:
        self.task_states[change.task_id or ""] = state = change.state or ""
        if state in FINAL:
            self._line(state, f"task {change.task_id}")

    def _line(self, what: str, detail: str) -> None:
        now = time.time()
        self.moments[what] = now
        print(f"  {now - self.started:6.1f} s   {what:<15} {detail}")


def worker_slot_seconds(task_log: str) -> float | None:
    """Return how many seconds a task ran on a worker, from its log.

    Each stay on a worker begins with the line ``::group::Pre Execute``. None if the log does not contain it.

    :param task_log: JSON lines as Airflow 3 writes them, without those of the triggers.
    """
    stretches: list[list[datetime]] = []
    for line in task_log.splitlines():
        try:
            entry = json.loads(line)
            at = datetime.fromisoformat(entry["timestamp"].replace("Z", "+00:00"))
            event = str(entry["event"])
        except (ValueError, KeyError, TypeError):
            continue
        if event == "::group::Pre Execute":
            stretches.append([])
        if stretches:
            stretches[-1].append(at)
    return sum((s[-1] - s[0]).total_seconds() for s in stretches) if stretches else None
