"""What several commands take: the movie with its variables, and where its files come from."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.movie.documents import load_document, merge_template, named_values

if TYPE_CHECKING:
    from airflow_json2video.local.drawing.assets import Assets

__all__ = ["assets_of", "movie_of", "name_of", "take_assets", "take_movie"]


def take_movie(parser: argparse.ArgumentParser) -> None:
    """Let a command take a movie file, its variables and stored templates."""
    parser.add_argument("movie", type=Path, help="a Movie JSON file, or - for standard input")
    parser.add_argument("--var", action="append", default=[], metavar="NAME=VALUE", help="set a movie variable")
    parser.add_argument("--templates", type=Path, help="folder of <template id>.json, for a movie that names one")


def take_assets(parser: argparse.ArgumentParser) -> None:
    """Let a command say where the files that a movie names come from."""
    parser.add_argument("--assets", type=Path, help="folder of files that stand for remote ones, as <host>/<path>")
    parser.add_argument("--offline", action="store_true", help="fetch nothing; draw a card for what is missing")
    parser.add_argument("--allow-private", action="store_true", help="fetch from private addresses too")
    parser.add_argument("--html", action="store_true", help="draw html elements with an installed Chromium")


def name_of(options: argparse.Namespace) -> str:
    """Give what messages call the movie."""
    return "standard input" if str(options.movie) == "-" else str(options.movie)


def movie_of(options: argparse.Namespace) -> dict[str, Any]:
    """Read the movie, with the variables of the command line and the template that it names.

    :raises InvalidMovie: it is no JSON object.
    :raises ConfigurationError: a variable is written wrongly, or the template is not there.
    """
    text = sys.stdin.buffer.read() if str(options.movie) == "-" else options.movie.read_bytes()
    document = load_document(text, source=name_of(options))
    if options.var:
        given = document.get("variables")
        document["variables"] = {**(given if isinstance(given, dict) else {}), **named_values("--var", options.var)}
    template = document.get("template")
    if not template or options.templates is None:
        return document
    file = options.templates / f"{template}.json"
    if not str(template).isalnum() or not file.is_file():
        raise ConfigurationError(f"The movie names the template {template!r}, and {file} is not there.")
    return merge_template(document, load_document(file.read_bytes(), source=str(file)))


@contextmanager
def assets_of(options: argparse.Namespace) -> Iterator[Assets]:
    """Give the assets of one render; what is fetched goes with the block.

    :raises ConfigurationError: the extra that draws is not installed.
    """
    from airflow_json2video.local.service import require_renderer

    require_renderer()
    from airflow_json2video.local.drawing.assets import Assets

    with tempfile.TemporaryDirectory(prefix="json2video-assets-") as cache:
        yield Assets(
            cache=Path(cache), folder=options.assets, fetch=not options.offline, allow_private=options.allow_private
        )
