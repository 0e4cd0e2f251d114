"""This deployment's tasks held against the account's renders: what was paid for twice, and what nobody took. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from airflow_json2video.core.identity import Stamp
from airflow_json2video.movie.pricing import render_credits

__all__ = ["KnownTask", "Reconciled", "StampedRender", "Verdict", "reconcile"]


class Verdict(str, Enum):
    """What became of a render."""

    TAKEN = "taken"
    """Its task succeeded."""
    AWAITED = "awaited"
    """Its task is not over: it waits for the render, or a later attempt adopts it."""
    ORPHAN = "orphan"
    """Its task failed, is gone, or never ended: nobody took the video."""
    DUPLICATE = "duplicate"
    """Another render of the same task, generation and document is there too."""
    REPLACED = "replaced"
    """A person cleared the task, or its document changed; a later render took its place."""
    FAILED = "failed"
    """It failed, which costs nothing."""


@dataclass(frozen=True)
class StampedRender:
    """A render of the account that this package submitted.

    :param duration: seconds of video; None while it goes on.
    :param created_at: ISO 8601, of the service's clock.
    """

    project: str
    status: str
    stamp: Stamp
    created_at: str = ""
    duration: float | None = None
    width: int | None = None
    height: int | None = None

    @property
    def credits(self) -> int:
        """What it cost, for its seconds alone; 0 if it is not done."""
        if self.status != "done" or not self.duration:
            return 0
        return render_credits(self.duration, width=self.width or 0, height=self.height or 0)


@dataclass(frozen=True)
class KnownTask:
    """A task instance of this Airflow. :param state: Airflow's word; None if it has none."""

    label: str
    state: str | None


@dataclass(frozen=True)
class Reconciled:
    """The renders by what became of them.

    :ivar foreign: of this deployment, and no task is known that submitted them. :ivar others: of other deployments, and
        of the command line.
    """

    verdicts: Mapping[str, Verdict]
    renders: Mapping[str, StampedRender]
    labels: Mapping[str, str]
    foreign: tuple[StampedRender, ...] = field(default=())
    others: tuple[StampedRender, ...] = field(default=())

    def of(self, verdict: Verdict) -> list[StampedRender]:
        """Give the renders with this verdict, oldest first."""
        found = [self.renders[project] for project, one in self.verdicts.items() if one is verdict]
        return sorted(found, key=lambda render: (render.created_at, render.project))

    @property
    def wasted_credits(self) -> int:
        """Credits of the videos that nobody took: orphans and duplicates."""
        return sum(r.credits for verdict in (Verdict.ORPHAN, Verdict.DUPLICATE) for r in self.of(verdict))


_OVER = {"failed", "skipped", "upstream_failed", "removed"}


def reconcile(
    renders: Iterable[StampedRender],
    tasks: Mapping[str, KnownTask],
    *,
    deployment: str | None,
    items_of: Mapping[str, KnownTask] | None = None,
) -> Reconciled:
    """Say of each render of this deployment what became of it.

    :param deployment: this one; None if no render can be its own.
    :param tasks: this Airflow's task instances by their task key.
    :param items_of: task instances by the readable part of a submission key: an item of a batch has a task key of its
        own, which cannot be made without the item, so it is known by the name of its task.
    """
    known: dict[str, KnownTask] = {}
    verdicts: dict[str, Verdict] = {}
    foreign: list[StampedRender] = []
    others: list[StampedRender] = []
    groups: dict[str, list[StampedRender]] = defaultdict(list)
    for render in renders:
        if render.stamp.deployment != deployment:
            others.append(render)
            continue
        task = tasks.get(render.stamp.task_key) or (items_of or {}).get(_readable(render.stamp))
        if task is None:
            foreign.append(render)
            continue
        known[render.project] = task
        groups[render.stamp.task_key].append(render)
    for group in groups.values():
        verdicts |= _judged(group, known)
    everything = {render.project: render for group in groups.values() for render in group}
    labels = {project: task.label for project, task in known.items()}
    return Reconciled(verdicts, everything, labels, foreign=tuple(foreign), others=tuple(others))


def _judged(group: list[StampedRender], known: Mapping[str, KnownTask]) -> dict[str, Verdict]:
    """Judge all renders of one task instance."""
    verdicts = {render.project: Verdict.FAILED for render in group if render.status == "error"}
    paid = [render for render in group if render.status != "error"]
    if not paid:
        return verdicts
    # A task takes the oldest usable render of its latest generation's document.
    last = max(paid, key=lambda render: (render.stamp.generation, render.created_at))
    wanted = [r for r in paid if (r.stamp.generation, r.stamp.fingerprint) == _what(last)]
    first = min(wanted, key=lambda render: (render.status != "done", render.created_at, render.project))
    verdicts[first.project] = _of_state(known[first.project].state)
    for render in paid:
        if render.project == first.project:
            continue
        same = _what(render) == _what(first)
        verdicts[render.project] = Verdict.DUPLICATE if same else Verdict.REPLACED
    return verdicts


def _what(render: StampedRender) -> tuple[int, str]:
    return render.stamp.generation, render.stamp.fingerprint


def _of_state(state: str | None) -> Verdict:
    if state == "success":
        return Verdict.TAKEN
    return Verdict.ORPHAN if state in _OVER else Verdict.AWAITED


def _readable(stamp: Stamp) -> str:
    return stamp.submission_key.rpartition("-")[0]
