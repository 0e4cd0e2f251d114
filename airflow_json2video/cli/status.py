"""``status`` and ``list``: the state of renders."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, TextIO

from airflow_json2video._command_line import JSON, Argument, Command, ExitCode, report
from airflow_json2video.cli._common import ACCOUNT, PROJECTS, connect
from airflow_json2video.exceptions import ConfigurationError, Json2VideoError

if TYPE_CHECKING:
    from airflow_json2video.api.responses import MovieStatus

__all__ = ["LIST", "STATUS", "parse_time", "print_table"]

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_STATUS_COLUMNS = ("project", "status", "created_at", "duration", "size", "url", "message")
_LIST_COLUMNS = ("project", "status", "created_at", "duration", "submission_key")


def parse_time(text: str, *, now: datetime) -> datetime:
    """Return the time that a text means: ``12h`` or ``8d`` (ago), or ISO 8601, in UTC unless it has a zone.

    :raises ConfigurationError: it is neither.
    """
    number, unit = text[:-1], text[-1:]
    if unit in _UNITS and number.isdecimal():
        return now - timedelta(**{_UNITS[unit]: int(number)})
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise ConfigurationError(f"Invalid time {text!r}: write 12h, 8d, or 2026-05-01T12:00.") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, out: TextIO) -> None:
    """Print rows as a table with a heading; print nothing if there are no rows."""
    if not rows:
        return
    cells = [["" if row.get(name) is None else str(row[name]) for name in columns] for row in rows]
    lines = [[name.replace("_", " ") for name in columns], *cells]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip(), file=out)


def _to_row(movie: MovieStatus) -> dict[str, Any]:
    from airflow_json2video.core.identity import read_stamp
    from airflow_json2video.core.result import select_fields, to_json

    stamp = read_stamp(movie.client_data, movie.json_text)
    return {
        **select_fields(to_json(movie)),
        "submission_key": stamp and stamp.submission_key,
        "deployment": stamp and stamp.deployment,
    }


def _print(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2), file=options.out)
    else:
        print_table(rows, columns, out=options.out)


def _run_status(options: argparse.Namespace) -> ExitCode:
    hook = connect(options)
    rows: list[dict[str, Any]] = []
    codes = [ExitCode.OK]
    for project in options.projects:
        try:
            rows.append(_to_row(hook.get_movie(project).movie))
        except Json2VideoError as error:
            codes.append(report(error, subject=project))
    _print(rows, _STATUS_COLUMNS, options)
    if any(row["status"] in ("error", "timeout") for row in rows):
        codes.append(ExitCode.FAILED)
    return max(codes)


def _run_list(options: argparse.Namespace) -> ExitCode:
    now = datetime.now(timezone.utc)
    start, end = parse_time(options.since, now=now), parse_time(options.until, now=now) if options.until else None
    rows = []
    for movie in connect(options).client.movies(date_start=start, date_end=end or now + timedelta(days=1)):
        row = _to_row(movie)
        if options.status and row["status"] not in options.status:
            continue
        if options.ours and row["submission_key"] is None:
            continue
        rows.append(row)
    rows.sort(key=lambda row: str(row.get("created_at") or ""), reverse=True)  # the service does not sort by time
    _print(rows, _LIST_COLUMNS, options)
    return ExitCode.OK


STATUS = Command(
    name="status",
    help="show the status of renders",
    run=_run_status,
    arguments=(PROJECTS, *ACCOUNT, JSON),
    description="Show the status of renders. Exit code 1 if one of them has failed.",
)
LIST = Command(
    name="list",
    help="list the renders of the account, newest first",
    run=_run_list,
    arguments=(
        Argument.of("--since", default="7d", metavar="TIME", help="12h, 8d, or an ISO 8601 time (default: 7d)"),
        Argument.of("--until", metavar="TIME", help="12h, 8d, or an ISO 8601 time (default: now)"),
        Argument.of(
            "--status", action="append", metavar="STATUS", help="only these: pending, running, done, error (repeatable)"
        ),
        Argument.of("--ours", action="store_true", help="only renders that this package submitted"),
        *ACCOUNT,
        JSON,
    ),
    description="List the renders of the account, newest first; at most 93 days.",
)
