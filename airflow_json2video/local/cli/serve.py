"""``local serve``: the JSON2Video API on this machine, until interrupted."""

from __future__ import annotations

import argparse
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_json2video._command_line import TEMPLATES, Argument, Command, ExitCode
from airflow_json2video.local.cli.options import ASSETS
from airflow_json2video.local.cli.render import MODE
from airflow_json2video.movie.documents import named_values

if TYPE_CHECKING:
    from airflow_json2video.local.service import LocalService

__all__ = ["COMMAND"]


def _run(options: argparse.Namespace) -> ExitCode:
    from airflow_json2video.local.clock import Clock
    from airflow_json2video.local.scenario import load_scenario
    from airflow_json2video.local.service import LocalService

    # The C handler writes the signal to a pipe, whichever thread receives it: a main thread that waits for a lock
    # does not wake for a signal of another thread. Installed before the start, so that an interrupt during the start
    # ends the service cleanly too.
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    settings: dict[str, Any] = {
        "queue_seconds": options.queue_seconds,
        "render_seconds": options.render_seconds,
        "credits": options.credits,
        "api_keys": tuple(options.api_key),
        "workers": options.workers,
        "fetch_assets": not options.offline,
        "allow_private": options.allow_private,
        "html": options.html,
        **named_values("--set", options.set),
    }
    service = LocalService(
        mode=settings.pop("mode", options.mode),
        home=options.home,
        host=options.host,
        port=options.port,
        assets=options.assets,
        templates=options.templates,
        clock=Clock(scale=options.clock_scale),
        allow_remote=options.allow_remote,
        **settings,
    )
    with service:
        if options.scenario:
            load_scenario(service, options.scenario)
        if options.port_file:
            partial = options.port_file.with_name(options.port_file.name + ".part")
            partial.write_text(service.url.rsplit(":", 1)[1])
            partial.replace(options.port_file)
        print(_announcement(service), file=options.out, flush=True)
        os.read(read_end, 1)
        print("Stopping.", file=options.out, flush=True)
    return ExitCode.OK


def _announcement(service: LocalService) -> str:
    has_keys = bool(service.settings.api_keys)
    connection = json.dumps(
        {"conn_type": "json2video", "host": service.host, "password": "..." if has_keys else "local"}
    )
    return (
        f"Serving the JSON2Video API at {service.host} (mode: {service.settings.mode}; API key: "
        f"{'as configured' if has_keys else 'any'}).\n"
        f"  Airflow connection:   AIRFLOW_CONN_JSON2VIDEO_DEFAULT='{connection}'\n"
        f"  Videos and warnings:  {service.url}/\n"
        f"  State:                {service.home}\n"
        "Press Ctrl+C to stop."
    )


COMMAND = Command(
    name="serve",
    help="run the API on this machine, with a page of its renders",
    run=_run,
    arguments=(
        Argument.of("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)"),
        Argument.of("--port", type=int, default=0, help="port to listen on (default: a free one)"),
        Argument.of("--port-file", type=Path, metavar="FILE", help="write the port to this file when ready"),
        Argument.of(
            "--home", type=Path, metavar="FOLDER", help="store state here across restarts (default: a temporary folder)"
        ),
        MODE,
        *ASSETS,
        TEMPLATES,
        Argument.of("--queue-seconds", type=float, default=0.0, help="minimum time that a render is pending"),
        Argument.of("--render-seconds", type=float, default=0.0, help="minimum time that a render is running"),
        Argument.of("--clock-scale", type=float, default=1.0, help="simulated seconds per real second"),
        Argument.of("--credits", type=float, default=600.0, help="credits of the account (default: 600)"),
        Argument.of("--api-key", action="append", default=[], help="accept only this key (repeatable)"),
        Argument.of("--workers", type=int, default=1, help="number of movies drawn in parallel (default: 1)"),
        Argument.of(
            "--scenario", type=Path, metavar="FILE", help="JSON file of settings, templates, renders and faults to load"
        ),
        Argument.of("--allow-remote", action="store_true", help="allow --host to be reachable from other machines"),
        Argument.of("--set", action="append", default=[], metavar="NAME=VALUE", help="any other setting (repeatable)"),
    ),
    description="Run the JSON2Video API on this machine until interrupted, with a page that shows and plays its "
    "renders.",
)
