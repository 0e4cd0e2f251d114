"""The command ``json2video``: all commands of :mod:`.cli`, and those of the local service as ``json2video local``.

``python -m airflow_json2video`` is the same command, and so is ``airflow json2video`` from Airflow 3.2 on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from airflow_json2video import cli
from airflow_json2video._command_line import Argument, Command, ExitCode, report, run_command
from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.local import cli as local_cli

__all__ = ["COMMANDS", "LOCAL_COMMANDS", "get_cli_commands", "main"]

COMMANDS: tuple[Command, ...] = cli.get_commands(find_layout_errors=local_cli.find_layout_errors)
LOCAL_COMMANDS: tuple[Command, ...] = local_cli.COMMANDS

_DESCRIPTION = "Check movies, render them with JSON2Video, and manage the renders of an account."
_LOCAL_HELP = "draw movies on this machine: no account, no credits"
_EXIT_CODES = """\
exit codes:
  0  done
  1  the movie is invalid, a render failed or its file has expired, archive could not store a video, or reconcile
     found something
  2  not done: a wrong argument, a missing file, no API key, no response or a refusal, or render or download could
     not store the video
  130  interrupted"""
_EXAMPLES = f"""\
examples:
  json2video check movie.json                        check a movie; free, needs no account
  json2video local render movie.json -o movie.mp4    draw the video on this machine; free
  json2video local serve                             run the API on this machine, with a page of its renders
  json2video render movie.json -o movie.mp4          render the video with JSON2Video; this is billed

The account is that of the API key in JSON2VIDEO_API_KEY, or of an Airflow connection (--conn-id).
"json2video COMMAND --help" lists the options of a command.

{_EXIT_CODES}"""
_LOCAL_EXAMPLES = f"""\
examples:
  json2video local serve --port 8899
  json2video local render movie.json -o movie.mp4
  json2video local frame movie.json --at 3.2 -o frame.png

{_EXIT_CODES}"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is not None:
        return run_command(options.command, options)
    options.parser.print_help()
    if options.parser is not parser:
        try:
            local_cli.require_extra()
        except ConfigurationError as error:
            return report(error)
    return ExitCode.NOT_TRIED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="json2video",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=None, parser=parser)
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    _add(COMMANDS, commands)
    local = commands.add_parser(
        "local",
        help=_LOCAL_HELP,
        description=local_cli.DESCRIPTION,
        epilog=_LOCAL_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    local.set_defaults(parser=local)
    _add(LOCAL_COMMANDS, local.add_subparsers(metavar="COMMAND", title="commands"))
    return parser


def _add(commands: Sequence[Command], subparsers: Any) -> None:
    for command in commands:
        parser = subparsers.add_parser(command.name, help=command.help, description=command.description)
        for argument in command.arguments:
            parser.add_argument(*argument.flags, **argument.options)
        parser.set_defaults(command=command)


def get_cli_commands() -> list[Any]:
    """Return the group ``airflow json2video``.

    Airflow calls this for each of its own commands, so it imports nothing that only a running command needs.
    """
    from airflow.cli import cli_config

    local = cli_config.GroupCommand(
        name="local",
        help=_sentence(_LOCAL_HELP),
        description=local_cli.DESCRIPTION,
        subcommands=tuple(_action(command) for command in LOCAL_COMMANDS),
    )
    return [
        cli_config.GroupCommand(
            name="json2video",
            help=_DESCRIPTION.rstrip("."),
            description=_DESCRIPTION,
            subcommands=(*(_action(command) for command in COMMANDS), local),
        )
    ]


def _action(command: Command) -> Any:
    from airflow.cli import cli_config

    return cli_config.ActionCommand(
        name=command.name,
        help=_sentence(command.help),
        func=_function(command),
        args=tuple(_argument(argument) for argument in command.arguments),
        description=command.description,
    )


def _argument(argument: Argument) -> Any:
    from airflow.cli import cli_config

    build: Any = cli_config.Arg
    return build(flags=argument.flags, **argument.options)


def _function(command: Command) -> Callable[[argparse.Namespace], None]:
    def function(options: argparse.Namespace) -> None:
        # Airflow ignores what a command returns.
        sys.exit(run_command(command, options))

    return function


def _sentence(text: str) -> str:
    """Return a help text with a capital letter, as Airflow writes its own."""
    return text[:1].upper() + text[1:]
