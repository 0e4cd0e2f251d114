"""``download``: the videos of finished renders, whole or not at all."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_json2video.cli.command import ACCOUNT, JSON, Argument, Command
from airflow_json2video.exceptions import ConfigurationError, Json2VideoError, RenderExpired

if TYPE_CHECKING:
    from airflow_json2video.hooks.json2video import Json2VideoHook

__all__ = ["COMMAND", "store"]

_BLOCK = 1024 * 1024


def store(movie: Mapping[str, Any], template: str, *, hook: Json2VideoHook) -> str:
    """Store the video of a finished render, and give where it is. A file that is there and whole is kept.

    :param movie: the service's movie object in wire names.
    :param template: path; ``{project}`` in it is the render's id, and a folder gets the name ``{project}.mp4``.
    :raises RenderExpired: the file is gone. :raises Json2VideoError: it did not arrive whole.
    """
    project, url = str(movie["project"]), movie.get("url")
    target = Path(template.replace("{project}", project))
    if template.endswith("/") or target.is_dir():
        target = target / f"{project}.mp4"
    size = int(movie["size"]) if movie.get("size") else None
    if target.is_file() and size is not None and target.stat().st_size == size:
        return str(target)
    if not url:
        raise RenderExpired(f"Render {project} has no file: it was deleted, or is older than seven days.", advice="")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    try:
        _fetch(str(url), part, size=size, name=target.name, hook=hook)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return str(target)


def _fetch(url: str, part: Path, *, size: int | None, name: str, hook: Json2VideoHook) -> None:
    import requests

    from airflow_json2video.progress import shown_progress

    endpoint = hook.client.endpoint
    limits = (endpoint.connect_timeout, endpoint.read_timeout)
    shown = shown_progress(name, in_words=lambda done, all_: f"{_mb(done)} of {_mb(all_)}", before="connecting")
    try:
        # No session of the API's: its key must not go to the host of a file.
        with requests.get(url, stream=True, timeout=limits) as answer, shown as told, part.open("wb") as file:
            answer.raise_for_status()
            expected = size or int(answer.headers.get("Content-Length") or 0)
            for block in answer.iter_content(_BLOCK):
                file.write(block)
                told(file.tell(), expected)
            arrived = file.tell()
    except requests.RequestException as error:
        raise Json2VideoError(f"{url} could not be fetched: {error}", retryable=True) from error
    if expected and arrived != expected:
        raise Json2VideoError(f"{url} was cut short: {arrived} of {expected} bytes.", retryable=True)


def _mb(number: int) -> str:
    return f"{number / 1e6:.1f} MB"


def _run(options: argparse.Namespace) -> bool:
    from airflow_json2video.cli.account import connect
    from airflow_json2video.hooks.waiting import wire

    if len(options.projects) > 1 and "{project}" not in options.output and not _is_folder(options.output):
        raise ConfigurationError("Several renders go to one file; write {project} into --output, or name a folder.")
    hook = connect(options)
    stored = []
    for project in options.projects:
        movie = hook.get_movie(project).movie
        if movie.status != "done":
            raise Json2VideoError(f"Render {project} is not done: {movie.status}. {movie.message or ''}".strip())
        stored.append({"project": project, "stored_path": store(wire(movie), options.output, hook=hook)})
    if options.json:
        print(json.dumps(stored, ensure_ascii=False), file=options.out)
    else:
        print("\n".join(one["stored_path"] for one in stored), file=options.out)
    return True


def _is_folder(path: str) -> bool:
    return path.endswith("/") or Path(path).is_dir()


COMMAND = Command(
    name="download",
    help="store the videos of finished renders",
    run=_run,
    arguments=(
        Argument.of("projects", nargs="+", metavar="project", help="16-character project id"),
        Argument.of(
            "-o", "--output", default="{project}.mp4", metavar="PATH", help="a file, a folder, or a path with {project}"
        ),
        *ACCOUNT,
        JSON,
    ),
    description="Stores the videos of finished renders: each whole or not at all. One that is there already is kept.",
)
