"""The same commands as part of Airflow's own command line, which asks providers for theirs from 3.2 on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_json2video.cli import COMMANDS, DESCRIPTION, run

if TYPE_CHECKING:
    from airflow_json2video.cli._common import Argument, Command

__all__ = ["get_cli_commands"]


def get_cli_commands() -> list[Any]:
    """Give ``airflow json2video ...``. Every command of Airflow calls this, so it loads nothing but the names."""
    from airflow.cli import cli_config

    return [
        cli_config.GroupCommand(
            name="json2video",
            help="Render with JSON2Video, and look after its renders",
            description=DESCRIPTION,
            subcommands=tuple(
                cli_config.ActionCommand(
                    name=command.name,
                    help=command.help,
                    func=_function(command),
                    args=tuple(_argument(argument) for argument in command.arguments),
                    description=command.description,
                )
                for command in COMMANDS
            ),
        )
    ]


def _argument(argument: Argument) -> Any:
    from airflow.cli import cli_config

    make: Any = cli_config.Arg
    return make(flags=argument.flags, **argument.options)


def _function(command: Command) -> Callable[[argparse.Namespace], None]:
    def function(options: argparse.Namespace) -> None:
        # Airflow takes no exit code from what a command returns.
        sys.exit(run(command, options))

    return function
