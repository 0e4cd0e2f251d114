"""The command line: ``serve`` the API on this machine, or ``render`` one movie to a file."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_json2video.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_json2video.local.service import LocalService

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code: 0 done, 1 the render failed, 2 it could not be tried."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (ConfigurationError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_json2video.local",
        description="JSON2Video on this machine: no key, no credits, no network, a real MP4.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    serve = commands.add_parser("serve", help="serve the HTTP API on loopback")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    serve.add_argument("--port-file", type=Path, help="write the port here once the service answers")
    serve.add_argument("--home", type=Path, help="keep state here over restarts; otherwise it goes with the service")
    _common(serve)
    serve.add_argument("--templates", type=Path, help="folder of <template id>.json files")
    serve.add_argument("--queue-seconds", type=float, default=0.0, help="a render is pending at least this long")
    serve.add_argument("--render-seconds", type=float, default=0.0, help="and running at least this long")
    serve.add_argument("--clock-scale", type=float, default=1.0, help="simulated seconds per real second")
    serve.add_argument("--credits", type=float, default=600.0)
    serve.add_argument("--api-key", action="append", default=[], help="accept this key only (repeatable)")
    serve.add_argument("--workers", type=int, default=1, help="renders at once")
    serve.add_argument("--allow-remote", action="store_true", help="listen on an address that others can reach")
    serve.set_defaults(run=_serve)
    render = commands.add_parser("render", help="render one movie to a file")
    render.add_argument("movie", type=Path, help="a Movie JSON file, or - for standard input")
    render.add_argument("-o", "--output", type=Path, required=True)
    render.add_argument("--var", action="append", default=[], metavar="NAME=VALUE", help="set a movie variable")
    _common(render)
    render.set_defaults(run=_render)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mode", choices=["instant", "slate", "preview", "full"], default="preview")
    parser.add_argument("--assets", type=Path, help="folder of files that stand for remote ones, as <host>/<path>")
    parser.add_argument("--offline", action="store_true", help="fetch nothing; draw a card for what is missing")
    parser.add_argument("--allow-private", action="store_true", help="fetch from private addresses too")
    parser.add_argument("--html", action="store_true", help="draw html elements with an installed Chromium")


def _serve(options: argparse.Namespace) -> int:
    from airflow_json2video.local.clock import Clock
    from airflow_json2video.local.service import LocalService

    # The signal is written to a pipe by the C handler, whichever thread the kernel gives it to: a main thread that
    # waits for a lock would not wake for a signal that another thread took. Laid before the start, because an
    # interrupt while starting has to end cleanly as well.
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    service = LocalService(
        mode=options.mode,
        home=options.home,
        host=options.host,
        port=options.port,
        assets=options.assets,
        templates=options.templates,
        clock=Clock(scale=options.clock_scale),
        allow_remote=options.allow_remote,
        queue_seconds=options.queue_seconds,
        render_seconds=options.render_seconds,
        credits=options.credits,
        api_keys=tuple(options.api_key),
        workers=options.workers,
        fetch_assets=not options.offline,
        allow_private=options.allow_private,
        html=options.html,
    )
    with service:
        if options.port_file:
            partial = options.port_file.with_name(options.port_file.name + ".part")
            partial.write_text(service.url.rsplit(":", 1)[1])
            partial.replace(options.port_file)
        _announce(service, key="local")
        os.read(told, 1)
        print("Stopping.", flush=True)
    return 0


def _announce(service: LocalService, *, key: str) -> None:
    keys = "the key given" if service.settings.api_keys else "any key"
    password = "..." if service.settings.api_keys else key
    connection = json.dumps({"conn_type": "json2video", "host": service.host, "password": password})
    print(
        f"JSON2Video is served at {service.host} (mode {service.settings.mode}, {keys} is accepted).\n"
        f"  Airflow connection:  AIRFLOW_CONN_JSON2VIDEO_DEFAULT='{connection}'\n"
        f"  Renders, warnings:   {service.url}/_control/renders\n"
        f"  State and videos:    {service.home}\n"
        "Stop with Ctrl+C.",
        flush=True,
    )


def _render(options: argparse.Namespace) -> int:
    text = sys.stdin.read() if str(options.movie) == "-" else options.movie.read_text(encoding="utf-8")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{options.movie} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{options.movie} holds no movie: its root is not an object")
    if options.var:
        variables = document.get("variables")
        document["variables"] = {**(variables if isinstance(variables, dict) else {}), **_variables(options.var)}
    result = _rendered(document, options)
    for warning in result.get("warnings", []):
        print(f"warning: {warning}", file=sys.stderr)
    if result["outcome"] != "done":
        print(f"The render failed: {result['message']}", file=sys.stderr)
        return 1
    print(
        f"{options.output}: {result['width']}x{result['height']}, {result['duration']:g} s, {result['frames']} frames"
        f" at {result['fps']:g} fps, {result['size']:,} bytes"
    )
    return 0


def _variables(pairs: Sequence[str]) -> dict[str, Any]:
    variables: dict[str, Any] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise ConfigurationError(f"--var {pair}: write NAME=VALUE")
        try:
            variables[name] = json.loads(value)
        except ValueError:
            variables[name] = value
    return variables


def _rendered(document: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    if options.mode == "instant":
        from airflow_json2video.local.drawing.instant import render_instantly

        return render_instantly(document, options.output)
    from airflow_json2video.local.service import require_renderer

    require_renderer()
    from airflow_json2video.local.drawing.assets import Assets
    from airflow_json2video.local.drawing.render import render

    def progress(done: int, frames: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{100 * done // frames:3d} %", end="\n" if done == frames else "", file=sys.stderr)

    with tempfile.TemporaryDirectory(prefix="json2video-assets-") as cache:
        assets = Assets(
            cache=Path(cache), folder=options.assets, fetch=not options.offline, allow_private=options.allow_private
        )
        return render(document, options.output, mode=options.mode, assets=assets, progress=progress, html=options.html)
