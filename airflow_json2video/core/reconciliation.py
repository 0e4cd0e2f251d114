"""Compare this deployment's tasks with the account's renders: which were paid for twice, and which are unused. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from airflow_json2video.core.identity import Stamp
from airflow_json2video.movie.pricing import render_credits

__all__ = ["KnownTask", "Reconciled", "StampedRender", "Verdict", "reconcile"]


class Verdict(str, Enum):
    """Whether and how a render was used."""

    USED = "used"
    """Its task succeeded."""
    AWAITED = "awaited"
    """Its task is not finished: it waits for the render, or a later attempt adopts it."""
    ORPHAN = "orphan"
    """Its task failed or was removed, and never used the video."""
    DUPLICATE = "duplicate"
    """There is another render of the same task, generation and document."""
    REPLACED = "replaced"
    """The task was cleared, or its document changed, and a later render replaced this one."""
    FAILED = "failed"
    """It failed, which costs nothing."""


@dataclass(frozen=True)
class StampedRender:
    """A render of the account that this package submitted.

    :param duration: seconds of video; None while the render is running.
    :param created_at: ISO 8601, by the service's clock.
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
        """The cost of its duration, without generated assets; 0 if it is not done."""
        if self.status != "done" or not self.duration:
            return 0
        return render_credits(self.duration, width=self.width or 0, height=self.height or 0)


@dataclass(frozen=True)
class KnownTask:
    """A task instance of this Airflow. :param state: as Airflow names it; None if there is none."""

    label: str
    state: str | None


@dataclass(frozen=True)
class Reconciled:
    """The renders by verdict.

    :ivar of_unknown_tasks: of this deployment, but submitted by an unknown task.
    :ivar of_other_deployments: of other deployments, and of the command line.
    """

    verdicts: Mapping[str, Verdict]
    renders: Mapping[str, StampedRender]
    labels: Mapping[str, str]
    of_unknown_tasks: tuple[StampedRender, ...] = field(default=())
    of_other_deployments: tuple[StampedRender, ...] = field(default=())

    def of(self, verdict: Verdict) -> list[StampedRender]:
        """Return the renders with this verdict, oldest first."""
        found = [self.renders[project] for project, one in self.verdicts.items() if one is verdict]
        return sorted(found, key=lambda render: (render.created_at, render.project))

    @property
    def wasted_credits(self) -> int:
        """Credits of the videos that no task used: orphans and duplicates."""
        return sum(r.credits for verdict in (Verdict.ORPHAN, Verdict.DUPLICATE) for r in self.of(verdict))


_OVER = {"failed", "skipped", "upstream_failed", "removed"}


def reconcile(
    renders: Iterable[StampedRender],
    tasks: Mapping[str, KnownTask],
    *,
    deployment: str | None,
    tasks_by_name: Mapping[str, KnownTask] | None = None,
) -> Reconciled:
    """Return a verdict for each render of this deployment.

    :param deployment: this one; None if it does not have an id, and so has submitted no render.
    :param tasks: this Airflow's task instances by their task key.
    :param tasks_by_name: task instances by the readable part of a submission key: an item of a batch has its own task
        key, which cannot be computed without the item, so it is matched by the name of its task.
    """
    known: dict[str, KnownTask] = {}
    verdicts: dict[str, Verdict] = {}
    of_unknown_tasks: list[StampedRender] = []
    of_other_deployments: list[StampedRender] = []
    groups: dict[str, list[StampedRender]] = defaultdict(list)
    for render in renders:
        if render.stamp.deployment != deployment:
            of_other_deployments.append(render)
            continue
        task = tasks.get(render.stamp.task_key) or (tasks_by_name or {}).get(_readable(render.stamp))
        if task is None:
            of_unknown_tasks.append(render)
            continue
        known[render.project] = task
        groups[render.stamp.task_key].append(render)
    for group in groups.values():
        verdicts |= _judge(group, known)
    everything = {render.project: render for group in groups.values() for render in group}
    labels = {project: task.label for project, task in known.items()}
    return Reconciled(
        verdicts,
        everything,
        labels,
        of_unknown_tasks=tuple(of_unknown_tasks),
        of_other_deployments=tuple(of_other_deployments),
    )


def _judge(group: list[StampedRender], known: Mapping[str, KnownTask]) -> dict[str, Verdict]:
    """Judge all renders of one task instance."""
    verdicts = {render.project: Verdict.FAILED for render in group if render.status == "error"}
    paid = [render for render in group if render.status != "error"]
    if not paid:
        return verdicts
    # A task uses the oldest usable render of its latest generation's document.
    last = max(paid, key=lambda render: (render.stamp.generation, render.created_at))
    wanted = [r for r in paid if (r.stamp.generation, r.stamp.fingerprint) == _request(last)]
    first = min(wanted, key=lambda render: (render.status != "done", render.created_at, render.project))
    verdicts[first.project] = _verdict_of_state(known[first.project].state)
    for render in paid:
        if render.project == first.project:
            continue
        same = _request(render) == _request(first)
        verdicts[render.project] = Verdict.DUPLICATE if same else Verdict.REPLACED
    return verdicts


def _request(render: StampedRender) -> tuple[int, str]:
    return render.stamp.generation, render.stamp.fingerprint


def _verdict_of_state(state: str | None) -> Verdict:
    if state == "success":
        return Verdict.USED
    return Verdict.ORPHAN if state in _OVER else Verdict.AWAITED


def _readable(stamp: Stamp) -> str:
    return stamp.submission_key.rpartition("-")[0]
