"""The options that several commands share: the movie with its variables, and where its media files come from."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_json2video._command_line import (
    TEMPLATES,
    VARIABLES,
    Argument,
    merge_stored_template,
    read_movie,
    with_variables,
)

if TYPE_CHECKING:
    from airflow_json2video.local.drawing.assets import Assets

__all__ = ["ASSETS", "MOVIE", "movie_document", "open_assets"]

MOVIE = (
    Argument.of("movie", help="a Movie JSON file, or - for standard input"),
    VARIABLES,
    TEMPLATES,
)
ASSETS = (
    Argument.of(
        "--assets",
        type=Path,
        metavar="FOLDER",
        help="read media files from this folder, as <host>/<path>, instead of downloading them",
    ),
    Argument.of("--offline", action="store_true", help="download nothing; draw a placeholder for what is missing"),
    Argument.of("--allow-private", action="store_true", help="allow downloads from private addresses"),
    Argument.of("--html", action="store_true", help="draw html elements with an installed Chromium"),
)


def movie_document(options: argparse.Namespace) -> dict[str, Any]:
    """Return the movie of a command, with the variables of the command line and the template that it names.

    :raises InvalidMovie: it is not a JSON object.
    :raises ConfigurationError: a malformed variable, or a template that does not exist.
    """
    from airflow_json2video.movie.documents import named_values

    document = with_variables(read_movie(options.movie), named_values("--var", options.var))
    return merge_stored_template(document, options.templates)


@contextmanager
def open_assets(options: argparse.Namespace) -> Iterator[Assets]:
    """Return the media files of a movie; downloads are deleted at the end of the block.

    :raises ConfigurationError: the extra for drawing is not installed.
    """
    from airflow_json2video.local.service import require_renderer

    require_renderer()
    from airflow_json2video.local.drawing.assets import Assets

    with tempfile.TemporaryDirectory(prefix="json2video-assets-") as cache:
        yield Assets(
            cache=Path(cache), folder=options.assets, fetch=not options.offline, allow_private=options.allow_private
        )
