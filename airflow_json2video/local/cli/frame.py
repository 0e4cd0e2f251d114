"""``local frame``: draw one frame of a movie, without the rest."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from airflow_json2video._command_line import Argument, Command, ExitCode
from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.local.cli.error_paths import fault_finding, warning_findings
from airflow_json2video.local.cli.options import ASSETS, MOVIE, movie_document, open_assets

__all__ = ["COMMAND"]


def _seconds(text: str) -> float:
    minutes, sign, seconds = text.rpartition(":")
    moment = float(seconds) + (60 * int(minutes) if sign else 0)
    if not 0 <= moment < 1e6:
        raise ValueError(text)
    return moment


def _run(options: argparse.Namespace) -> ExitCode:
    document = movie_document(options)
    with open_assets(options) as assets:
        from airflow_json2video.local.drawing.snapshots import MovieStills
        from airflow_json2video.local.planning.resolve import MovieFault

        try:
            stills = MovieStills(document, assets=assets, html=options.html)
            if options.at > stills.duration:
                raise ConfigurationError(f"--at must be at most {stills.duration:g}, the movie's length in seconds.")
            (still,) = stills.at([options.at])
        except MovieFault as fault:
            print(f"error: {fault_finding(str(fault), document)}", file=sys.stderr)
            return ExitCode.FAILED
        options.output.parent.mkdir(parents=True, exist_ok=True)
        still.picture.save(options.output)
    for finding in warning_findings(stills.warnings, document):
        print(f"warning: {finding}", file=sys.stderr)
    width, height = still.picture.size
    print(
        f"{options.output}: {width}x{height}, the frame at {still.seconds:.2f} of {stills.duration:.2f} s",
        file=options.out,
    )
    return ExitCode.OK


COMMAND = Command(
    name="frame",
    help="draw one frame of a movie",
    run=_run,
    arguments=(
        *MOVIE,
        Argument.of("--at", type=_seconds, default=0.0, metavar="TIME", help="seconds, or m:ss (default: 0)"),
        Argument.of("-o", "--output", type=Path, required=True, help="image file to write (PNG, JPEG, WebP)"),
        *ASSETS,
    ),
    description="Draw one frame of a movie to an image file, without drawing the rest.",
)
