"""``archive``: store finished renders that are not stored yet, before the service deletes their files."""

from __future__ import annotations

import argparse
import json
from typing import Any

from airflow_json2video._command_line import JSON, Argument, Command, ExitCode
from airflow_json2video.cli._common import ACCOUNT, StderrLog, connect
from airflow_json2video.cli.status import print_table

__all__ = ["COMMAND"]

_COLUMNS = ("project", "submission_key", "hours_left", "stored_path", "error")


def _run(options: argparse.Namespace) -> ExitCode:
    from airflow_json2video.storage.archive import UnstoredRender, archive_renders, find_unstored

    def to_row(render: UnstoredRender, **more: Any) -> dict[str, Any]:
        left = None if render.seconds_left is None else round(render.seconds_left / 3600, 1)
        return {
            "project": render.project, "submission_key": render.stamp.submission_key, "hours_left": left, **more
        }  # fmt: skip

    hook = connect(options)
    selection: dict[str, Any] = {
        "output_path": options.to,
        "also_in": options.also_in,
        "wanted": (lambda _: True) if options.all_deployments else None,
        "log": StderrLog(),
    }
    if options.dry_run:
        rows = [to_row(render) for render in find_unstored(hook, **selection)]
    else:
        rows = [
            to_row(
                outcome.render,
                stored_path=outcome.stored.path if outcome.stored else None,
                error=str(outcome.error) if outcome.error else None,
            )
            for outcome in archive_renders(hook, **selection, subtitles=options.subtitles, thumbnail=options.thumbnail)
        ]
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2), file=options.out)
    else:
        print_table(rows, _COLUMNS[:3] if options.dry_run else _COLUMNS, out=options.out)
    return ExitCode.FAILED if any(row.get("error") for row in rows) else ExitCode.OK


COMMAND = Command(
    name="archive",
    help="store finished renders of this deployment that are not stored yet",
    run=_run,
    arguments=(
        Argument.of(
            "--to",
            required=True,
            metavar="PATH",
            help="where to store them, such as s3://videos/{date}/{submission_key}-{project}.mp4",
        ),
        Argument.of(
            "--also-in",
            metavar="FOLDER",
            help="treat a render as stored if a file below this folder has its id in the name and the right size",
        ),
        Argument.of(
            "--all-deployments",
            action="store_true",
            help="include renders of other deployments and of the command line",
        ),
        Argument.of("--subtitles", action="store_true", help="store the subtitles next to the video"),
        Argument.of("--thumbnail", action="store_true", help="store the thumbnail next to the video"),
        Argument.of("--dry-run", action="store_true", help="list the renders, and store nothing"),
        *ACCOUNT,
        JSON,
    ),
    description="Store the videos of finished renders of this deployment that are not stored yet, those that expire "
    "first before the others. Nothing is rendered, billed or deleted; another run stores what is still missing. Exit "
    "code 1 if a video could not be stored.",
)
