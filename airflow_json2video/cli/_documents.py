"""A movie file as a command takes it: with variables of the command line, or none and a stored template."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from airflow_json2video.cli._common import Argument
from airflow_json2video.exceptions import ConfigurationError

__all__ = ["PARAMS", "VARIABLES", "document_from", "name_of"]

VARIABLES = Argument.of("--var", action="append", default=[], metavar="NAME=VALUE", help="set a variable of the movie")
PARAMS = Argument.of(
    "--param",
    action="append",
    default=[],
    metavar="NAME=VALUE",
    help="fill what only Airflow can fill: shop=A fills {{ params.shop }}, ds=2026-11-26 fills {{ ds }}",
)


def name_of(file: str) -> str:
    """Give what messages call the movie."""
    return "standard input" if file == "-" else file


def document_from(file: str | None, options: argparse.Namespace, *, template: str | None = None) -> dict[str, Any]:
    """Read a movie file, or name a template, and lay the values of the command line over it.

    :raises InvalidMovie: it is no JSON object, or has an expression that only Airflow can fill.
    :raises ConfigurationError: neither or both of file and template, or a variable that is written wrongly.
    """
    from airflow_json2video.movie.documents import load_document, named_values

    if (file is None) == (template is None):
        raise ConfigurationError("Give a movie file, or --template with the id of a stored template.")
    variables, params = named_values("--var", options.var), named_values("--param", options.param)
    if template is not None:
        return {"template": template, "variables": variables} if variables else {"template": template}
    from airflow_json2video.cli._airflow_values import filled

    source = name_of(str(file))
    text = sys.stdin.buffer.read() if file == "-" else Path(str(file)).read_bytes()
    document: dict[str, Any] = filled(
        load_document(text, source=source), variables=variables, params=params, source=source
    )
    return document
