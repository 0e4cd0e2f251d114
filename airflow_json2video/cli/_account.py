"""Which account a command works with: an Airflow connection, or a key of the environment."""

from __future__ import annotations

import argparse
import os
from urllib.parse import urlsplit

from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.hooks.connection import ConnectionSettings, connection_settings
from airflow_json2video.hooks.json2video import Json2VideoHook

__all__ = ["KEY", "connect"]

KEY = "JSON2VIDEO_API_KEY"
"""Environment variable with the API key. There is no option for it: every user of a machine sees the options."""


def connect(options: argparse.Namespace) -> Json2VideoHook:
    """Give a hook whose connection is read.

    ``--conn-id`` comes first, then the environment's key, then the connection ``json2video_default``.

    :raises ConfigurationError: there is no such connection and no key, or both ways are mixed.
    """
    conn_id, host = options.conn_id, options.host
    key = os.environ.get(KEY, "").strip()
    if conn_id is not None and host is not None:
        raise ConfigurationError("--host goes with JSON2VIDEO_API_KEY; a connection has a host of its own.")
    if conn_id is None and (key or host is not None):
        return _prepared(_from_environment(key, host), conn_id="(the environment)")
    name = conn_id or Json2VideoHook.default_conn_name
    return _prepared(_from_airflow(name, asked_for=conn_id is not None), conn_id=name)


def _prepared(settings: ConnectionSettings, *, conn_id: str) -> Json2VideoHook:
    from airflow_json2video.version_compat import mask_secret

    mask_secret(settings.api_key)
    hook = Json2VideoHook(conn_id)
    hook.__dict__["settings"] = settings
    return hook


def _from_environment(key: str, host: str | None) -> ConnectionSettings:
    from airflow_json2video.api.config import DEFAULT_HOST, check_host, is_loopback

    try:
        address = check_host(host or DEFAULT_HOST)
    except ConfigurationError as error:
        raise ConfigurationError(f"--host: {error.message}", advice=error.advice) from None
    if not key and not is_loopback(urlsplit(address).hostname):
        raise ConfigurationError(f"There is no API key for {address}.", advice=f"Put it into {KEY}.")
    return ConnectionSettings(api_key=key or "no-key-needed", host=address)


def _from_airflow(name: str, *, asked_for: bool) -> ConnectionSettings:
    from airflow.models.connection import Connection
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    try:
        # With the metadata database, as every command of Airflow's own; a hook's way in Airflow 3 is a task's.
        connection = Connection.get_connection_from_secrets(name)
    except AirflowNotFoundException:
        advice = f"Put an API key into {KEY}, or create the connection." if not asked_for else "Create it."
        raise ConfigurationError(f"There is no connection {name!r}.", advice=advice) from None
    except Exception as error:
        raise ConfigurationError(
            f"Airflow could not be asked for the connection {name!r}: {type(error).__name__}: {error}",
            advice=f"Put an API key into {KEY} to work without Airflow.",
        ) from error
    return connection_settings(connection)
