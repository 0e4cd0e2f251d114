"""``rescue``: finished renders of this deployment whose video nobody keeps, kept before they expire."""

from __future__ import annotations

import argparse
import json
from typing import Any

from airflow_json2video.cli._common import ACCOUNT, JSON, Argument, Command
from airflow_json2video.cli.status import print_table

__all__ = ["COMMAND"]

_COLUMNS = ("project", "submission_key", "hours_left", "stored_path", "error")


def _run(options: argparse.Namespace) -> bool:
    from airflow_json2video.cli._account import connect
    from airflow_json2video.cli._stderr_log import StderrLog
    from airflow_json2video.storage.archive import UnstoredRender, archive_renders, find_unstored

    def row(render: UnstoredRender, **more: Any) -> dict[str, Any]:
        left = None if render.seconds_left is None else round(render.seconds_left / 3600, 1)
        return {
            "project": render.project, "submission_key": render.stamp.submission_key, "hours_left": left, **more
        }  # fmt: skip

    hook = connect(options)
    where: dict[str, Any] = {
        "template": options.to,
        "also_in": options.also_in,
        "wanted": (lambda _: True) if options.everyone else None,
        "log": StderrLog(),
    }
    if options.dry_run:
        rows = [row(render) for render in find_unstored(hook, **where)]
    else:
        rows = [
            row(
                one.render,
                stored_path=one.stored.path if one.stored else None,
                error=str(one.error) if one.error else None,
            )
            for one in archive_renders(hook, **where, subtitles=options.subtitles, thumbnail=options.thumbnail)
        ]
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2), file=options.out)
    else:
        print_table(rows, _COLUMNS[:3] if options.dry_run else _COLUMNS, out=options.out)
    return not any(one.get("error") for one in rows)


COMMAND = Command(
    name="rescue",
    help="store finished renders of this deployment that nobody has stored",
    run=_run,
    arguments=(
        Argument.of(
            "--to",
            required=True,
            metavar="PATH",
            help="where to keep them, as s3://videos/{date}/{submission_key}-{project}.mp4",
        ),
        Argument.of(
            "--also-in", metavar="FOLDER", help="count a file below this folder as kept, if its name has the id"
        ),
        Argument.of(
            "--everyone",
            action="store_true",
            help="renders of every deployment, and of the command line",
        ),
        Argument.of("--subtitles", action="store_true", help="keep the subtitles beside the video"),
        Argument.of("--thumbnail", action="store_true", help="keep the picture beside the video"),
        Argument.of("--dry-run", action="store_true", help="say what would be kept, and keep nothing"),
        *ACCOUNT,
        JSON,
    ),
    description="Stores the videos of finished renders of this deployment that nobody has stored, the next to expire "
    "first. Nothing is rendered, paid for or deleted; a repeat stores what is still missing. Exit code 1 if one was "
    "not stored.",
)
