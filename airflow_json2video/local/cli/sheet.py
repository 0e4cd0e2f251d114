"""``sheet``: a contact sheet, frames of a movie or of a video file beside each other with their times."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.local.cli.error_paths import fault_finding, warning_findings
from airflow_json2video.local.cli.options import assets_of, movie_of, take_assets, take_movie
from airflow_json2video.local.planning.resolve import MovieFault

if TYPE_CHECKING:
    from airflow_json2video.local.drawing.snapshots import Stills

__all__ = ["add_to"]

_VIDEOS = {".mp4", ".mov", ".mkv", ".webm", ".m4v"}


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    sheet = commands.add_parser("sheet", help="draw a contact sheet of a movie or a video file", description=__doc__)
    take_movie(sheet)
    sheet.add_argument("-o", "--output", type=Path, required=True, help="the picture to write (PNG, JPEG, WebP)")
    sheet.add_argument("--frames", type=int, default=12, help="how many frames (default 12)")
    sheet.add_argument("--columns", type=int, help="how many beside each other")
    take_assets(sheet)
    sheet.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> bool:
    if not 1 <= options.frames <= 400 or (options.columns is not None and options.columns < 1):
        raise ConfigurationError("A sheet has 1 to 400 frames, in 1 column or more.")
    with assets_of(options) as assets:
        from airflow_json2video.local.drawing.clips import NotMedia
        from airflow_json2video.local.drawing.snapshots import FileStills, MovieStills

        if options.movie.suffix.lower() in _VIDEOS:
            if not options.movie.is_file():
                raise FileNotFoundError(f"{options.movie} is not there")
            try:
                _draw(FileStills(options.movie), options)
            except NotMedia as fault:
                print(f"error: {options.movie} is no video: {fault}", file=sys.stderr)
                return False
            return True
        document = movie_of(options)
        try:
            stills = MovieStills(document, assets=assets, html=options.html)
            _draw(stills, options)
        except MovieFault as fault:
            print(f"error: {fault_finding(str(fault), document)}", file=sys.stderr)
            return False
    for finding in warning_findings(stills.warnings, document):
        print(f"warning: {finding}", file=sys.stderr)
    return True


def _draw(stills: Stills, options: argparse.Namespace) -> None:
    from airflow_json2video.local.drawing.sheet import save_sheet

    size = save_sheet(stills, options.output, title=options.movie.name, frames=options.frames, columns=options.columns)
    print(f"{options.output}: {size[0]}x{size[1]}, {options.frames} frames of {stills.duration:.2f} s")
