"""Mode ``instant``: the complete timeline, and a video that shows the background color of each scene."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_json2video.local.drawing.solid import Run, write_solid_mp4
from airflow_json2video.local.planning.generation import generated
from airflow_json2video.local.planning.plan import plan
from airflow_json2video.local.planning.resolve import MovieFault, resolve
from airflow_json2video.local.planning.subtitling import estimated, subtitles_ass

if TYPE_CHECKING:
    from airflow_json2video.local.planning.timeline import Timeline

__all__ = ["picture_of", "render_instantly", "result_of"]


def render_instantly(document: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Draw to *path* and return the worker's result; media files are neither downloaded nor measured."""
    try:
        timeline = plan(resolve(document))
        ass = _subtitles(timeline)
    except MovieFault as fault:
        return {"outcome": "error", "message": str(fault)}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    write_solid_mp4(partial, _runs(timeline), width=timeline.width, height=timeline.height, fps=timeline.fps)
    partial.replace(path)
    path.with_suffix(".ass").unlink(missing_ok=True)
    if ass is not None:
        path.with_suffix(".ass").write_text(ass, encoding="utf-8")
    return {**result_of(timeline, path), "ass": ass is not None}


def _subtitles(timeline: Timeline) -> str | None:
    """Return the subtitles as ASS, if they need neither a voice nor a download."""
    layer = timeline.overlays[-1] if timeline.overlays else None
    if layer is None or layer.kind != "subtitles":
        return None
    return subtitles_ass(timeline, layer, fetched=lambda *_: None, synthesize=estimated, warn=timeline.warnings.append)


def picture_of(document: Mapping[str, Any]) -> str:
    """Return an SVG of the scenes' colors side by side, each as wide as its scene is long; empty without scenes."""
    try:
        timeline = plan(resolve(document))
    except MovieFault:
        return ""
    bands, x = [], 0
    for run in _runs(timeline):
        color = "#{:02x}{:02x}{:02x}".format(*run.color)
        bands.append(f'<rect x="{x}" width="{run.frames}" height="1" fill="{color}"/>')
        x += run.frames
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{timeline.width}" height="{timeline.height}"'
    # Without antialiasing, the background does not show between two bands.
    shape = f'viewBox="0 0 {timeline.frames} 1" preserveAspectRatio="none" shape-rendering="crispEdges"'
    return f"{head} {shape}>{''.join(bands)}</svg>\n"


def _runs(timeline: Timeline) -> list[Run]:
    if not timeline.scenes:
        return [Run(timeline.frames, (0, 0, 0))]
    runs = []
    ends = [scene.first for scene in timeline.scenes[1:]]
    for scene, end in zip(timeline.scenes, [*ends, timeline.frames], strict=True):
        runs.append(Run(end - scene.first, scene.background or (0, 0, 0)))
    return runs


def result_of(timeline: Timeline, path: Path) -> dict[str, Any]:
    """Return the result of a finished render as JSON."""
    return {
        "outcome": "done",
        "width": timeline.width,
        "height": timeline.height,
        "fps": float(timeline.fps),
        "frames": timeline.frames,
        "duration": round(timeline.duration, 3),
        "size": path.stat().st_size,
        "warnings": timeline.warnings,
        "generated": generated(timeline),
    }
