"""The command line, ``airflow-json2video-local`` or ``python -m airflow_json2video.local``: one module a command.

Exit codes, the same for every command: 0 it is done and the movie is good; 1 the movie is wrong, or its render
failed; 2 it could not be tried (a wrong argument, a file that is not there, an extra that is not installed);
130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from airflow_json2video.exceptions import ConfigurationError, InvalidMovie
from airflow_json2video.local.cli import check, frame, plan, render, serve, sheet
from airflow_json2video.local.planning.resolve import MovieFault

__all__ = ["main"]

GOOD, BAD, NOT_TRIED, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return GOOD if options.run(options) else BAD
    except InvalidMovie as error:
        print(f"error: {error.message}", file=sys.stderr)
        return BAD
    except MovieFault as fault:
        print(f"error: {fault}", file=sys.stderr)
        return BAD
    except BrokenPipeError:  # as with "plan movie.json | head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return GOOD
    except (ConfigurationError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return NOT_TRIED
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="airflow-json2video-local",
        description="JSON2Video on this machine: no key, no credits, no network, a real MP4.",
        epilog="Exit codes: 0 good, 1 the movie is wrong or its render failed, 2 it could not be tried.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in (serve, render, frame, sheet, plan, check):
        command.add_to(commands)
    return parser
