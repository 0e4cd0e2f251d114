"""The account that a command works with, the movie that it reads, and the log that it writes."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_json2video._command_line import Argument, read_movie, source_name
from airflow_json2video.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_json2video.hooks.connection import ConnectionSettings
    from airflow_json2video.hooks.json2video import Json2VideoHook

__all__ = ["ACCOUNT", "KEY_VARIABLE", "PARAMS", "PROJECTS", "StderrLog", "connect", "movie_document"]

KEY_VARIABLE = "JSON2VIDEO_API_KEY"
"""Environment variable of the API key. There is no option for it: all users of a machine can see the options."""

ACCOUNT = (
    Argument.of(
        "--conn-id",
        help="Airflow connection of the account (default: the key in JSON2VIDEO_API_KEY, else json2video_default)",
    ),
    Argument.of(
        "--host", help="base address of the API, with JSON2VIDEO_API_KEY; a service on this machine needs no key"
    ),
)
PROJECTS = Argument.of("projects", nargs="+", metavar="project", help="project id of a render, 16 characters")
PARAMS = Argument.of(
    "--param",
    action="append",
    default=[],
    metavar="NAME=VALUE",
    help="fill an Airflow expression: shop=A fills {{ params.shop }}, ds=2026-11-26 fills {{ ds }}",
)


class StderrLog:
    """A log on standard error, since standard output is reserved for the result."""

    def info(self, event: str, *args: Any) -> None:
        """Print a message."""
        print(event % args if args else event, file=sys.stderr, flush=True)

    def warning(self, event: str, *args: Any) -> None:
        """Print a message that begins with ``warning:``."""
        self.info(f"warning: {event}", *args)


def movie_document(file: str | None, options: argparse.Namespace, *, template: str | None = None) -> dict[str, Any]:
    """Return a movie file, or a request for a template, with the values of the command line.

    :raises InvalidMovie: the file is not a JSON object, or has an Airflow expression without a value.
    :raises ConfigurationError: neither or both of file and template, or a malformed variable.
    :raises OSError: the file cannot be read.
    """
    from airflow_json2video.movie.documents import named_values

    if (file is None) == (template is None):
        raise ConfigurationError("Pass either a movie file or --template with the id of a stored template.")
    variables, params = named_values("--var", options.var), named_values("--param", options.param)
    if file is None:
        return {"template": template, "variables": variables} if variables else {"template": template}
    from airflow_json2video.cli._airflow_values import fill_expressions

    document: dict[str, Any] = fill_expressions(
        read_movie(file), variables=variables, params=params, source=source_name(file)
    )
    return document


def connect(options: argparse.Namespace) -> Json2VideoHook:
    """Return a hook for the account of a command.

    ``--conn-id`` comes first, then the key of the environment, then the connection ``json2video_default``.

    :raises ConfigurationError: neither connection nor key exists, or both are mixed.
    """
    from airflow_json2video.hooks.json2video import Json2VideoHook

    conn_id, host = options.conn_id, options.host
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if conn_id is not None and host is not None:
        raise ConfigurationError(f"--host requires {KEY_VARIABLE}; a connection has its own host.")
    if conn_id is None and (key or host is not None):
        return _hook(_settings_from_environment(key, host), conn_id="(the environment)")
    name = conn_id or Json2VideoHook.default_conn_name
    return _hook(_settings_from_connection(name, is_default=conn_id is None), conn_id=name)


def _hook(settings: ConnectionSettings, *, conn_id: str) -> Json2VideoHook:
    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.version_compat import mask_secret

    mask_secret(settings.api_key)
    hook = Json2VideoHook(conn_id)
    hook.__dict__["settings"] = settings
    return hook


def _settings_from_environment(key: str, host: str | None) -> ConnectionSettings:
    from airflow_json2video.api.config import DEFAULT_HOST, check_host, is_loopback
    from airflow_json2video.hooks.connection import ConnectionSettings

    try:
        address = check_host(host or DEFAULT_HOST)
    except ConfigurationError as error:
        raise ConfigurationError(f"--host: {error.message}", advice=error.advice) from None
    if not key and not is_loopback(urlsplit(address).hostname):
        raise ConfigurationError(f"No API key for {address}.", advice=f"Set {KEY_VARIABLE}.")
    return ConnectionSettings(api_key=key or "no-key-needed", host=address)


def _settings_from_connection(name: str, *, is_default: bool) -> ConnectionSettings:
    from airflow.models.connection import Connection
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    from airflow_json2video.hooks.connection import connection_settings

    try:
        # Reads the metadata database, as Airflow's own commands do. In Airflow 3 a hook asks the task's API instead.
        connection = Connection.get_connection_from_secrets(name)
    except AirflowNotFoundException:
        advice = f"Set {KEY_VARIABLE} to an API key, or create the connection." if is_default else "Create it."
        raise ConfigurationError(f"Connection {name!r} does not exist.", advice=advice) from None
    except Exception as error:
        raise ConfigurationError(
            f"Could not read connection {name!r} from Airflow: {type(error).__name__}: {error}",
            advice=f"Set {KEY_VARIABLE} to an API key to work without Airflow.",
        ) from error
    return connection_settings(connection)
