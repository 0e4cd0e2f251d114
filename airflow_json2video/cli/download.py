"""``download``: store the videos of finished renders."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_json2video._command_line import JSON, Argument, Command, ExitCode, report
from airflow_json2video.cli._common import ACCOUNT, PROJECTS, StderrLog, connect
from airflow_json2video.exceptions import ConfigurationError, Json2VideoError

if TYPE_CHECKING:
    from airflow_json2video.hooks.json2video import Json2VideoHook

__all__ = ["COMMAND", "check_output", "store"]


def check_output(path: str) -> None:
    """Check that a video can be stored at *path*, before its render is billed; see :func:`store`.

    :raises ConfigurationError: the path is invalid. :raises DestinationFailed: it cannot be written to.
    """
    from airflow_json2video.storage.preflight import check_destination

    output_path = _output_path(path)
    if "://" not in output_path and not output_path.startswith("/"):
        folder = str(Path.cwd()).replace("{", "{{").replace("}", "}}")
        output_path = f"{folder}/{output_path}"
    check_destination(output_path, log=StderrLog())


def store(movie: Mapping[str, Any], path: str, *, hook: Json2VideoHook) -> str:
    """Store the video of a finished render and return its path. A complete file that exists already is not replaced.

    :param movie: the movie object of the API.
    :param path: a local path, or any that Airflow's ``ObjectStoragePath`` reads. ``{project}`` stands for the
        project id; in a folder the file is ``{project}.mp4``.
    :raises RenderExpired: the service has deleted the file.
    :raises StoreError: the video could not be stored; no partial file is left.
    """
    from airflow_json2video.storage.store import store_video

    return store_video(movie, output_path=_output_path(path), hook=hook, log=StderrLog()).path


def _run(options: argparse.Namespace) -> ExitCode:
    if len(options.projects) > 1 and "{project}" not in options.output and not _is_folder(options.output):
        raise ConfigurationError("Several renders need several files: write {project} into --output, or name a folder.")
    hook = connect(options)
    stored = []
    codes = [ExitCode.OK]
    for project in options.projects:
        try:
            path = _download(project, options.output, hook=hook)
        except (Json2VideoError, OSError) as error:
            codes.append(report(error, subject=project))
            continue
        stored.append({"project": project, "stored_path": path})
        if not options.json:
            print(path, file=options.out)
    if options.json:
        print(json.dumps(stored, ensure_ascii=False), file=options.out)
    return max(codes)


def _download(project: str, path: str, *, hook: Json2VideoHook) -> str:
    from airflow_json2video.core.result import to_json

    movie = hook.get_movie(project).movie
    if movie.status != "done":
        raise Json2VideoError(f"Render {project} is not done: {movie.status}. {movie.message or ''}".strip())
    return store(to_json(movie), path, hook=hook)


def _output_path(path: str) -> str:
    return path if path.endswith("/") or not _is_folder(path) else f"{path}/"


def _is_folder(path: str) -> bool:
    return path.endswith("/") or Path(path).is_dir()


COMMAND = Command(
    name="download",
    help="store the videos of finished renders",
    run=_run,
    arguments=(
        PROJECTS,
        Argument.of(
            "-o", "--output", default="{project}.mp4", metavar="PATH", help="a file, a folder, or a path with {project}"
        ),
        *ACCOUNT,
        JSON,
    ),
    description="Store the videos of finished renders. No partial file is ever left, and a complete file that exists "
    "already is not replaced.",
)
