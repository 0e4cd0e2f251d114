"""``local sheet``: a contact sheet, the frames of a movie or a video file in a grid with their times."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_json2video._command_line import Argument, Command, ExitCode
from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.local.cli.error_paths import fault_finding, warning_findings
from airflow_json2video.local.cli.options import ASSETS, MOVIE, movie_document, open_assets

if TYPE_CHECKING:
    from airflow_json2video.local.drawing.snapshots import Stills

__all__ = ["COMMAND"]

_VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".m4v"}
_MAX_FRAMES = 400


def _run(options: argparse.Namespace) -> ExitCode:
    if not 1 <= options.frames <= _MAX_FRAMES or (options.columns is not None and options.columns < 1):
        raise ConfigurationError(f"--frames must be from 1 to {_MAX_FRAMES}, and --columns 1 or more.")
    with open_assets(options) as assets:
        from airflow_json2video.local.drawing.clips import NotMedia
        from airflow_json2video.local.drawing.snapshots import FileStills, MovieStills
        from airflow_json2video.local.planning.resolve import MovieFault

        video = Path(options.movie)
        if video.suffix.lower() in _VIDEO_SUFFIXES:
            if not video.is_file():
                raise FileNotFoundError(f"Video not found: {str(video)!r}")
            try:
                _draw(FileStills(video), options)
            except NotMedia as fault:
                print(f"error: {video} is not a video: {fault}", file=sys.stderr)
                return ExitCode.FAILED
            return ExitCode.OK
        document = movie_document(options)
        try:
            stills = MovieStills(document, assets=assets, html=options.html)
            _draw(stills, options)
        except MovieFault as fault:
            print(f"error: {fault_finding(str(fault), document)}", file=sys.stderr)
            return ExitCode.FAILED
    for finding in warning_findings(stills.warnings, document):
        print(f"warning: {finding}", file=sys.stderr)
    return ExitCode.OK


def _draw(stills: Stills, options: argparse.Namespace) -> None:
    from airflow_json2video.local.drawing.sheet import save_sheet

    title = Path(options.movie).name
    width, height = save_sheet(stills, options.output, title=title, frames=options.frames, columns=options.columns)
    print(
        f"{options.output}: {width}x{height}, {options.frames} frames of {stills.duration:.2f} s",
        file=options.out,
    )


COMMAND = Command(
    name="sheet",
    help="draw a contact sheet of a movie or a video file",
    run=_run,
    arguments=(
        *MOVIE,
        Argument.of("-o", "--output", type=Path, required=True, help="image file to write (PNG, JPEG, WebP)"),
        Argument.of("--frames", type=int, default=12, help="number of frames (default: 12)"),
        Argument.of("--columns", type=int, help="number of frames per row"),
        *ASSETS,
    ),
    description="Draw a contact sheet: frames of a movie or of a video file in a grid, with their times.",
)
