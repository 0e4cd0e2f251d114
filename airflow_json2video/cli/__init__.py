"""The commands that work with a movie file or an account, one module each; see ``json2video --help``."""

from __future__ import annotations

from airflow_json2video._command_line import Command
from airflow_json2video.cli import archive, balance, download, reconcile, render, status
from airflow_json2video.cli.check import FindLayoutErrors, check_command

__all__ = ["get_commands"]


def get_commands(*, find_layout_errors: FindLayoutErrors) -> tuple[Command, ...]:
    """Return all commands, in the order of the help text.

    :param find_layout_errors: finds what makes drawing a movie fail; ``check`` reports it.
    """
    return (
        check_command(find_layout_errors),
        render.COMMAND,
        status.STATUS,
        status.LIST,
        download.COMMAND,
        archive.COMMAND,
        reconcile.COMMAND,
        balance.COMMAND,
    )
