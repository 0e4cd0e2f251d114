"""``local plan``: the timeline of a movie, without drawing it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_json2video._command_line import JSON, Argument, Command, ExitCode, source_name
from airflow_json2video.local.cli.error_paths import fault_finding
from airflow_json2video.local.cli.options import ASSETS, MOVIE, movie_document, open_assets

if TYPE_CHECKING:
    from airflow_json2video.local.planning.timeline import Timeline
    from airflow_json2video.movie.findings import Finding

__all__ = ["COMMAND", "find_layout_errors"]


def find_layout_errors(document: Mapping[str, Any]) -> list[Finding]:
    """Return what makes drawing a movie fail once its variables are filled in: one error, or none."""
    from airflow_json2video.local.planning.plan import plan
    from airflow_json2video.local.planning.resolve import MovieFault, resolve

    try:
        plan(resolve(document))
    except MovieFault as fault:
        return [fault_finding(str(fault), document)]
    return []


def _run(options: argparse.Namespace) -> ExitCode:
    from airflow_json2video.local.cli.timeline_report import format_timeline_report, timeline_report
    from airflow_json2video.local.planning.plan import plan
    from airflow_json2video.local.planning.resolve import MovieFault, resolve

    document = movie_document(options)
    try:
        timeline = _measured(document, options) if options.measure else plan(resolve(document))
    except MovieFault as fault:
        print(f"error: {fault_finding(str(fault), document)}", file=sys.stderr)
        return ExitCode.FAILED
    facts = timeline_report(timeline, document)
    if options.json:
        print(json.dumps(facts, ensure_ascii=False, indent=2), file=options.out)
        return ExitCode.OK
    encoding = options.out.encoding or "utf-8"
    for line in format_timeline_report(facts, name=source_name(options.movie)):
        print(line.encode(encoding, "replace").decode(encoding), file=options.out)
    return ExitCode.OK


def _measured(document: Mapping[str, Any], options: argparse.Namespace) -> Timeline:
    with open_assets(options) as assets:
        from airflow_json2video.local.drawing.snapshots import MovieStills

        return MovieStills(document, assets=assets, html=options.html).timeline


COMMAND = Command(
    name="plan",
    help="show the timeline of a movie",
    run=_run,
    arguments=(
        *MOVIE,
        Argument.of(
            "--measure", action="store_true", help="download clips and sounds to measure them (otherwise 5 s each)"
        ),
        *ASSETS,
        JSON,
    ),
    description="Show the timeline of a movie without drawing it: scenes and elements with their times, transitions, "
    "sounds and warnings.",
)
