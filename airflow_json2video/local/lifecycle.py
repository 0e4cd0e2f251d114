"""The state of a render that a client sees at a given time. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from airflow_json2video.local.settings import Settings
    from airflow_json2video.local.store import Render

__all__ = ["RenderState", "Status", "state_at", "visible_end"]

Status = Literal["pending", "running", "done", "error", "timeout"]


@dataclass(frozen=True, kw_only=True)
class RenderState:
    """The state of a render at a given time. Times are epoch seconds."""

    status: Status
    message: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    available: bool = False
    """Whether the file can be downloaded: done, not deleted, not expired."""


def state_at(render: Render, *, now: float, settings: Settings, fault_active: bool = True) -> RenderState:
    """Return the state of *render* at the time *now*.

    It is ``pending`` until a worker has started and the render's minimum queueing time has passed;
    ``running`` until the worker has finished and the minimum render time has passed.

    :param fault_active: whether the fault rule that holds this render is active; a render that was stuck or
        shown as ``timeout`` continues after its rule is cleared.
    """
    forced = (render.forced or {}) if fault_active else {}
    held = forced.get("status")
    if held == "pending" or render.started_at is None:
        return RenderState(status="pending")
    start = _start(render, render.started_at)
    if now < start:
        return RenderState(status="pending")
    if held == "timeout":
        return RenderState(status="timeout", message=str(forced.get("message") or ""), started_at=start)
    if held != "running":
        end = visible_end(render)
        if end is not None and now >= end:
            return _ended(render, start=start, end=end, now=now, settings=settings)
    overdue = settings.timeout_after is not None and now - start > settings.timeout_after
    return RenderState(status="timeout" if overdue else "running", started_at=start)


def _start(render: Render, started_at: float) -> float:
    return max(started_at, render.created_at + render.queue_seconds)


def visible_end(render: Render) -> float | None:
    """Return when a render shows as finished, regardless of fault rules; None if unknown."""
    if render.started_at is None or render.finished_at is None:
        return None
    return max(render.finished_at, _start(render, render.started_at) + render.render_seconds)


def _ended(render: Render, *, start: float, end: float, now: float, settings: Settings) -> RenderState:
    if render.outcome != "done":
        return RenderState(status="error", message=render.message, started_at=start, ended_at=end)
    available = render.deleted_at is None and now < end + settings.expire_after
    return RenderState(status="done", message=render.message, started_at=start, ended_at=end, available=available)
