"""``plan``: what is seen and heard when, without drawing it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_json2video.local.cli.error_paths import fault_finding
from airflow_json2video.local.cli.options import assets_of, movie_of, name_of, take_assets, take_movie
from airflow_json2video.local.cli.timetable import in_words, timetable
from airflow_json2video.local.planning.plan import plan
from airflow_json2video.local.planning.resolve import MovieFault, resolve

if TYPE_CHECKING:
    from airflow_json2video.local.planning.timeline import Timeline

__all__ = ["add_to"]


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    command = commands.add_parser("plan", help="show a movie's timeline", description=__doc__)
    take_movie(command)
    command.add_argument(
        "--measure", action="store_true", help="get clips and sounds and take their lengths; 5 s each are assumed else"
    )
    take_assets(command)
    command.add_argument("--json", action="store_true", help="give the timeline as JSON")
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> bool:
    document = movie_of(options)
    try:
        timeline = _measured(document, options) if options.measure else plan(resolve(document))
    except MovieFault as fault:
        print(f"error: {fault_finding(str(fault), document)}", file=sys.stderr)
        return False
    facts = timetable(timeline, document)
    if options.json:
        print(json.dumps(facts, ensure_ascii=False, indent=2))
    else:
        _print(in_words(facts, name=name_of(options)))
    return True


def _measured(document: Mapping[str, Any], options: argparse.Namespace) -> Timeline:
    with assets_of(options) as assets:
        from airflow_json2video.local.drawing.snapshots import MovieStills

        return MovieStills(document, assets=assets, html=options.html).timeline


def _print(lines: Iterable[str]) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    for line in lines:
        print(line.encode(encoding, "replace").decode(encoding))
