"""The commands of ``json2video local``, one module each: draw a movie as a video, a frame or a contact sheet."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from functools import partial

from airflow_json2video._command_line import Command, ExitCode
from airflow_json2video.exceptions import ConfigurationError, InvalidMovie
from airflow_json2video.local.cli import frame, plan, render, serve, sheet
from airflow_json2video.local.cli.plan import find_layout_errors
from airflow_json2video.local.service import require_extra

__all__ = ["COMMANDS", "DESCRIPTION", "find_layout_errors", "require_extra"]

DESCRIPTION = "JSON2Video on this machine: real MP4 files without an API key, credits or a network."


def _run(command: Command, options: argparse.Namespace) -> ExitCode:
    try:
        return command.run(options)
    except InvalidMovie as error:
        print(f"error: {error.message}", file=sys.stderr)  # its advice is about a task
        return ExitCode.FAILED
    except (ConfigurationError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.NOT_TRIED


COMMANDS: tuple[Command, ...] = tuple(
    replace(command, run=partial(_run, command))
    for command in (serve.COMMAND, render.COMMAND, frame.COMMAND, sheet.COMMAND, plan.COMMAND)
)
