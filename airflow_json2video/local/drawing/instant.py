"""Mode ``instant``: the whole plan, and a video that shows each scene's background colour."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_json2video.local.drawing.solid import Run, write_solid_mp4
from airflow_json2video.local.planning.plan import plan
from airflow_json2video.local.planning.resolve import MovieFault, resolve

if TYPE_CHECKING:
    from airflow_json2video.local.planning.timeline import Timeline

__all__ = ["render_instantly", "result_of"]


def render_instantly(document: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Render to *path* and give the worker's result; assets are neither fetched nor measured."""
    try:
        timeline = plan(resolve(document))
    except MovieFault as fault:
        return {"outcome": "error", "message": str(fault)}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    write_solid_mp4(partial, _runs(timeline), width=timeline.width, height=timeline.height, fps=timeline.fps)
    partial.replace(path)
    return result_of(timeline, path)


def _runs(timeline: Timeline) -> list[Run]:
    if not timeline.scenes:
        return [Run(timeline.frames, (0, 0, 0))]
    runs = []
    ends = [scene.first for scene in timeline.scenes[1:]]
    for scene, end in zip(timeline.scenes, [*ends, timeline.frames], strict=True):
        runs.append(Run(end - scene.first, scene.background or (0, 0, 0)))
    return runs


def result_of(timeline: Timeline, path: Path) -> dict[str, Any]:
    """Give the result of a finished render as JSON."""
    return {
        "outcome": "done",
        "width": timeline.width,
        "height": timeline.height,
        "fps": float(timeline.fps),
        "frames": timeline.frames,
        "duration": round(timeline.duration, 3),
        "size": path.stat().st_size,
        "warnings": timeline.warnings,
    }
