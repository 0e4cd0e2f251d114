"""``download``: the videos of finished renders, whole or not at all."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_json2video.cli._common import ACCOUNT, JSON, Argument, Command
from airflow_json2video.exceptions import ConfigurationError, Json2VideoError

if TYPE_CHECKING:
    from airflow_json2video.hooks.json2video import Json2VideoHook

__all__ = ["COMMAND", "check", "store"]


def check(path: str) -> None:
    """Check before a render is paid for that its video can be stored at *path*; see :func:`store`.

    :raises ConfigurationError: it cannot. :raises DestinationFailed: it cannot now.
    """
    from airflow_json2video.cli._stderr_log import StderrLog
    from airflow_json2video.storage.preflight import check_destination

    template = _template(path)
    if "://" not in template and not template.startswith("/"):
        here = str(Path.cwd()).replace("{", "{{").replace("}", "}}")
        template = f"{here}/{template}"
    check_destination(template, log=StderrLog())


def store(movie: Mapping[str, Any], path: str, *, hook: Json2VideoHook) -> str:
    """Store the video of a finished render, and give where it is. One that is there already and whole is kept.

    :param movie: the service's movie object in wire names.
    :param path: local, or any that Airflow's ``ObjectStoragePath`` reads; ``{project}`` in it is the render's id, and
        a folder gets the name ``{project}.mp4``.
    :raises RenderExpired: the file is gone. :raises StoreError: it was not kept, or only in part and then not at all.
    """
    from airflow_json2video.cli._stderr_log import StderrLog
    from airflow_json2video.storage.store import store_video

    return store_video(movie, template=_template(path), hook=hook, log=StderrLog()).path


def _run(options: argparse.Namespace) -> bool:
    from airflow_json2video.cli._account import connect
    from airflow_json2video.core.result import to_json

    if len(options.projects) > 1 and "{project}" not in options.output and not _is_folder(options.output):
        raise ConfigurationError("Several renders go to one file; write {project} into --output, or name a folder.")
    hook = connect(options)
    stored = []
    for project in options.projects:
        movie = hook.get_movie(project).movie
        if movie.status != "done":
            raise Json2VideoError(f"Render {project} is not done: {movie.status}. {movie.message or ''}".strip())
        stored.append({"project": project, "stored_path": store(to_json(movie), options.output, hook=hook)})
    if options.json:
        print(json.dumps(stored, ensure_ascii=False), file=options.out)
    else:
        print("\n".join(one["stored_path"] for one in stored), file=options.out)
    return True


def _template(path: str) -> str:
    return path if path.endswith("/") or not _is_folder(path) else f"{path}/"


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
