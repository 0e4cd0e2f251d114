"""``serve``: the HTTP API on loopback, until it is interrupted."""

from __future__ import annotations

import argparse
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from airflow_json2video.local.cli.options import take_assets
from airflow_json2video.local.settings import Mode
from airflow_json2video.movie.documents import named_values

if TYPE_CHECKING:
    from airflow_json2video.local.service import LocalService

__all__ = ["add_to"]


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    serve = commands.add_parser("serve", help="serve the HTTP API on loopback", description=__doc__)
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    serve.add_argument("--port-file", type=Path, help="write the port here once the service answers")
    serve.add_argument("--home", type=Path, help="keep state here over restarts; otherwise it goes with the service")
    serve.add_argument("--mode", choices=get_args(Mode), default="preview")
    take_assets(serve)
    serve.add_argument("--templates", type=Path, help="folder of <template id>.json files")
    serve.add_argument("--queue-seconds", type=float, default=0.0, help="a render is pending at least this long")
    serve.add_argument("--render-seconds", type=float, default=0.0, help="and running at least this long")
    serve.add_argument("--clock-scale", type=float, default=1.0, help="simulated seconds per real second")
    serve.add_argument("--credits", type=float, default=600.0)
    serve.add_argument("--api-key", action="append", default=[], help="accept this key only (repeatable)")
    serve.add_argument("--workers", type=int, default=1, help="renders at once")
    serve.add_argument(
        "--scenario", type=Path, help="JSON file of settings, templates, renders and faults to begin with"
    )
    serve.add_argument("--allow-remote", action="store_true", help="listen on an address that others can reach")
    serve.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="any other setting of the service (repeatable)"
    )
    serve.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> bool:
    from airflow_json2video.local.clock import Clock
    from airflow_json2video.local.scenario import load_scenario
    from airflow_json2video.local.service import LocalService

    # The signal is written to a pipe by the C handler, whichever thread the kernel gives it to: a main thread that
    # waits for a lock would not wake for a signal that another thread took. Laid before the start, because an
    # interrupt while starting has to end cleanly as well.
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell)
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
        _announce(service, key="local")
        os.read(told, 1)
        print("Stopping.", flush=True)
    return True


def _announce(service: LocalService, *, key: str) -> None:
    keys = "the key given" if service.settings.api_keys else "any key"
    password = "..." if service.settings.api_keys else key
    connection = json.dumps({"conn_type": "json2video", "host": service.host, "password": password})
    print(
        f"JSON2Video is served at {service.host} (mode {service.settings.mode}, {keys} is accepted).\n"
        f"  Airflow connection:  AIRFLOW_CONN_JSON2VIDEO_DEFAULT='{connection}'\n"
        f"  Videos, warnings:    {service.url}/\n"
        f"  State:               {service.home}\n"
        "Stop with Ctrl+C.",
        flush=True,
    )
