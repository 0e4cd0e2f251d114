"""The command line: ``python -m airflow_json2video``, and ``airflow json2video`` from Airflow 3.2 on.

Exit codes, the same for every command: 0 it is done and all is well; 1 the movie is wrong, a render failed, or
something was found that is not as it should be; 2 it could not be tried (a wrong argument, no key, no answer); 130
interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

from airflow_json2video.cli import archive as rescue
from airflow_json2video.cli import check, download, reconcile, render
from airflow_json2video.cli import status as listing
from airflow_json2video.cli._common import Command
from airflow_json2video.exceptions import InvalidMovie, Json2VideoError, RenderError

__all__ = ["COMMANDS", "DESCRIPTION", "main", "run"]

GOOD, BAD, NOT_TRIED, INTERRUPTED = 0, 1, 2, 130

COMMANDS: tuple[Command, ...] = (
    check.COMMAND,
    render.COMMAND,
    listing.STATUS,
    listing.LIST,
    download.COMMAND,
    reconcile.COMMAND,
    rescue.COMMAND,
)
DESCRIPTION = "JSON2Video: render, look, store, and hold an account against this Airflow."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_json2video",
        description=DESCRIPTION,
        epilog="Exit codes: 0 good, 1 wrong or failed, 2 it could not be tried, 130 interrupted.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in COMMANDS:
        one = commands.add_parser(command.name, help=command.help, description=command.description)
        for argument in command.arguments:
            one.add_argument(*argument.flags, **argument.options)
        one.set_defaults(command=command)
    options = parser.parse_args(arguments)
    return run(options.command, options)


def run(command: Command, options: argparse.Namespace) -> int:
    """Run one command with its options and give the exit code."""
    # Airflow logs to standard output. A program reads the answer there, and nothing else.
    options.out = sys.stdout
    try:
        with redirect_stdout(sys.stderr):
            return GOOD if command.run(options) else BAD
    except (InvalidMovie, RenderError) as error:
        return _failed(error, BAD)
    except Json2VideoError as error:
        return _failed(error, NOT_TRIED)
    except BrokenPipeError:  # as with "list | head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return GOOD
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return NOT_TRIED
    except KeyboardInterrupt:
        return INTERRUPTED


def _failed(error: Json2VideoError, code: int) -> int:
    print(f"error: {error.format_report()}", file=sys.stderr)
    return code
