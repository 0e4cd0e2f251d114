"""``render``: one movie to an MP4 file, and its contact sheet if it is asked for."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, get_args

from airflow_json2video.local.cli.error_paths import fault_finding, warning_findings
from airflow_json2video.local.cli.options import assets_of, movie_of, take_assets, take_movie
from airflow_json2video.local.service import require_renderer
from airflow_json2video.local.settings import Mode
from airflow_json2video.progress import progress_bar

__all__ = ["add_to"]


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    render = commands.add_parser("render", help="render one movie to a file", description=__doc__)
    take_movie(render)
    render.add_argument("-o", "--output", type=Path, required=True, help="the MP4 file to write")
    render.add_argument("--mode", choices=get_args(Mode), default="preview")
    take_assets(render)
    render.add_argument("--sheet", type=Path, help="write a contact sheet of the video here too (PNG or JPEG)")
    render.add_argument("--json", action="store_true", help="give the result as JSON")
    render.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> bool:
    document = movie_of(options)
    result = _rendered(document, options)
    result.pop("generated", None)  # for the service's account, which there is none of here
    findings = warning_findings(result.get("warnings", ()), document)
    done = bool(result["outcome"] == "done")
    if not done:
        findings.append(fault_finding(str(result["message"]), document))
    for finding in findings:
        print(f"{finding.severity.value}: {finding}", file=sys.stderr)
    if done and options.sheet:
        require_renderer()
        from airflow_json2video.local.drawing.sheet import save_sheet
        from airflow_json2video.local.drawing.snapshots import FileStills

        save_sheet(FileStills(options.output), options.sheet, title=options.output.name)
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
    elif done:
        print(
            f"{options.output}: {result['width']}x{result['height']}, {result['duration']:g} s, {result['frames']} "
            f"frames at {result['fps']:g} fps, {result['size']:,} bytes"
        )
    return done


def _rendered(document: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    if options.mode == "instant":
        from airflow_json2video.local.drawing.instant import render_instantly

        return render_instantly(document, options.output)
    shown = progress_bar(
        options.output.name, in_words=lambda done, frames: f"frame {done} of {frames}", before="files and plan"
    )
    with assets_of(options) as assets, shown as progress:
        from airflow_json2video.local.drawing.memory import keep_freed_memory
        from airflow_json2video.local.drawing.render import render

        keep_freed_memory()
        return render(document, options.output, mode=options.mode, assets=assets, progress=progress, html=options.html)
