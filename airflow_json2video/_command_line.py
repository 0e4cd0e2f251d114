"""The parts that every command shares: a command as data, its exit code, and the movie file that it reads.

``cli`` holds the commands that work with an account, ``local.cli`` those that draw on this machine. Neither imports
the other; ``commands`` joins them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

from airflow_json2video.exceptions import ConfigurationError, InvalidMovie, Json2VideoError, RenderError

__all__ = [
    "JSON",
    "TEMPLATES",
    "VARIABLES",
    "Argument",
    "Command",
    "ExitCode",
    "merge_stored_template",
    "read_movie",
    "report",
    "run_command",
    "source_name",
    "with_variables",
]


class ExitCode(IntEnum):
    """How a command ended. Of several results, the greatest one is the command's."""

    OK = 0
    FAILED = 1
    NOT_TRIED = 2
    INTERRUPTED = 130


@dataclass(frozen=True)
class Argument:
    """The parameters of ``ArgumentParser.add_argument``, which are also those of Airflow's ``Arg``."""

    flags: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, *flags: str, **options: Any) -> Argument:
        """Build an argument from the parameters of ``add_argument``."""
        return cls(flags, options)


@dataclass(frozen=True)
class Command:
    """One command, for ``argparse`` and for Airflow's own command line.

    :ivar run: runs the command. Its result goes to ``options.out``; whatever else it prints goes to standard error.
    """

    name: str
    help: str
    run: Callable[[argparse.Namespace], ExitCode]
    arguments: tuple[Argument, ...]
    description: str


JSON = Argument.of("--json", action="store_true", help="print the result as JSON")
VARIABLES = Argument.of("--var", action="append", default=[], metavar="NAME=VALUE", help="set a variable of the movie")
TEMPLATES = Argument.of(
    "--templates", type=Path, metavar="FOLDER", help="folder of <template id>.json files, for a movie that names one"
)


def run_command(command: Command, options: argparse.Namespace) -> ExitCode:
    """Run one command and return its exit code. An error is printed to standard error."""
    # Airflow logs to standard output, which is reserved for the result.
    options.out = sys.stdout
    try:
        with redirect_stdout(sys.stderr):
            return command.run(options)
    except Json2VideoError as error:
        return report(error)
    except BrokenPipeError:  # for example "list | head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except OSError as error:
        return report(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def report(error: Json2VideoError | OSError, *, subject: str = "") -> ExitCode:
    """Print an error to standard error and return the exit code that it stands for.

    :param subject: the file or render that it is about, for a command that takes several.
    """
    if isinstance(error, Json2VideoError):
        text = error.format_report()
    else:
        text = f"{error.strerror}: {error.filename!r}" if error.filename else str(error)
    print(f"{f'{subject}: ' if subject else ''}error: {text}", file=sys.stderr)
    return ExitCode.FAILED if isinstance(error, (InvalidMovie, RenderError)) else ExitCode.NOT_TRIED


def source_name(file: str) -> str:
    """Return the name of a movie file for messages."""
    return "standard input" if file == "-" else file


def read_movie(file: str) -> dict[str, Any]:
    """Read a movie file, or standard input for ``-``.

    :raises InvalidMovie: it is not a JSON object.
    :raises OSError: it cannot be read.
    """
    from airflow_json2video.movie.documents import load_document

    return load_document(sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes(), source=source_name(file))


def merge_stored_template(document: dict[str, Any], folder: Path | None) -> dict[str, Any]:
    """Merge the template that a movie names, if it names one and there is a folder of templates.

    :raises ConfigurationError: the folder has no such template.
    :raises InvalidMovie: the template is not a JSON object.
    """
    from airflow_json2video.movie.documents import merge_template

    template = document.get("template")
    if not template or folder is None:
        return document
    file = folder / f"{template}.json"
    if not str(template).isalnum() or not file.is_file():
        raise ConfigurationError(f"Template {template!r} not found: {str(file)!r} does not exist.")
    return merge_template(document, read_movie(str(file)))


def with_variables(document: dict[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return a movie whose own variables are overridden by those of the command line."""
    if not variables:
        return document
    own = document.get("variables")
    return {**document, "variables": {**(own if isinstance(own, dict) else {}), **variables}}
