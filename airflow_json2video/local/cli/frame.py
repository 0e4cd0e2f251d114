"""``frame``: one frame of a movie as a picture, without rendering the rest."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.local.cli.error_paths import fault_finding, warning_findings
from airflow_json2video.local.cli.options import assets_of, movie_of, take_assets, take_movie
from airflow_json2video.local.planning.resolve import MovieFault

__all__ = ["add_to"]


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    frame = commands.add_parser("frame", help="draw one frame of a movie", description=__doc__)
    take_movie(frame)
    frame.add_argument("--at", type=_moment, default=0.0, metavar="TIME", help="seconds, or m:ss (default 0)")
    frame.add_argument("-o", "--output", type=Path, required=True, help="the picture to write (PNG, JPEG, WebP)")
    take_assets(frame)
    frame.set_defaults(run=_run)


def _moment(text: str) -> float:
    minutes, sign, seconds = text.rpartition(":")
    moment = float(seconds) + (60 * int(minutes) if sign else 0)
    if not 0 <= moment < 1e6:
        raise ValueError(text)
    return moment


def _run(options: argparse.Namespace) -> bool:
    document = movie_of(options)
    with assets_of(options) as assets:
        from airflow_json2video.local.drawing.snapshots import MovieStills

        try:
            stills = MovieStills(document, assets=assets, html=options.html)
            if options.at > stills.duration:
                raise ConfigurationError(f"--at {options.at:g}: the movie is {stills.duration:g} s long")
            (still,) = stills.at([options.at])
        except MovieFault as fault:
            print(f"error: {fault_finding(str(fault), document)}", file=sys.stderr)
            return False
        options.output.parent.mkdir(parents=True, exist_ok=True)
        still.picture.save(options.output)
    for finding in warning_findings(stills.warnings, document):
        print(f"warning: {finding}", file=sys.stderr)
    width, height = still.picture.size
    print(f"{options.output}: {width}x{height}, the frame at {still.seconds:.2f} of {stills.duration:.2f} s")
    return True
