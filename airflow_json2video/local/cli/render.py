"""``local render``: draw a movie to an MP4 file."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, get_args

from airflow_json2video._command_line import JSON, Argument, Command, ExitCode
from airflow_json2video.local.cli.error_paths import fault_finding, warning_findings
from airflow_json2video.local.cli.options import ASSETS, MOVIE, movie_document, open_assets
from airflow_json2video.local.service import require_renderer
from airflow_json2video.local.settings import Mode
from airflow_json2video.progress import progress_bar

__all__ = ["COMMAND", "MODE"]

MODE = Argument.of(
    "--mode",
    choices=get_args(Mode),
    default="preview",
    help="what is drawn: colored frames (instant), scene titles (slate), everything (preview), "
    "everything with better encoding (full); default: preview",
)


def _run(options: argparse.Namespace) -> ExitCode:
    document = movie_document(options)
    result = _draw(document, options)
    result.pop("generated", None)  # only the service's account needs it
    findings = warning_findings(result.get("warnings", ()), document)
    is_done = result["outcome"] == "done"
    if not is_done:
        findings.append(fault_finding(str(result["message"]), document))
    for finding in findings:
        print(f"{finding.severity.value}: {finding}", file=sys.stderr)
    if is_done and options.sheet:
        require_renderer()
        from airflow_json2video.local.drawing.sheet import save_sheet
        from airflow_json2video.local.drawing.snapshots import FileStills

        save_sheet(FileStills(options.output), options.sheet, title=options.output.name)
    if options.json:
        print(json.dumps(result, ensure_ascii=False), file=options.out)
    elif is_done:
        print(
            f"{options.output}: {result['width']}x{result['height']}, {result['duration']:g} s, {result['frames']} "
            f"frames at {result['fps']:g} fps, {result['size']:,} bytes",
            file=options.out,
        )
    return ExitCode.OK if is_done else ExitCode.FAILED


def _draw(document: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    if options.mode == "instant":
        from airflow_json2video.local.drawing.instant import render_instantly

        return render_instantly(document, options.output)
    bar = progress_bar(
        options.output.name,
        formatter=lambda done, total: f"frame {done} of {total}",
        before="reading media files",
    )
    with open_assets(options) as assets, bar as progress:
        from airflow_json2video.local.drawing.malloc import retain_freed_memory
        from airflow_json2video.local.drawing.render import render

        retain_freed_memory()
        return render(document, options.output, mode=options.mode, assets=assets, progress=progress, html=options.html)


COMMAND = Command(
    name="render",
    help="draw a movie to an MP4 file; free",
    run=_run,
    arguments=(
        *MOVIE,
        Argument.of("-o", "--output", type=Path, required=True, help="MP4 file to write"),
        MODE,
        *ASSETS,
        Argument.of("--sheet", type=Path, metavar="FILE", help="also write a contact sheet of the video (PNG, JPEG)"),
        JSON,
    ),
    description="Draw a movie to an MP4 file on this machine. Free; nothing is sent to JSON2Video.",
)
