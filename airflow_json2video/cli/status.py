"""``status`` and ``list``: how renders stand."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, TextIO

from airflow_json2video.cli._common import ACCOUNT, JSON, Argument, Command
from airflow_json2video.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_json2video.api.responses import MovieStatus

__all__ = ["LIST", "SINCE", "STATUS", "instant_of", "print_table"]

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def instant_of(text: str, *, now: datetime) -> datetime:
    """Read a time: ``12h``, ``8d`` (ago), or ISO 8601; without a zone it is UTC, as the service's own.

    :raises ConfigurationError: it is neither.
    """
    number, unit = text[:-1], text[-1:]
    if unit in _UNITS and number.isdecimal():
        return now - timedelta(**{_UNITS[unit]: int(number)})
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise ConfigurationError(f"{text!r} is no time; write 12h, 8d, or 2026-05-01T12:00.") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, out: TextIO) -> None:
    """Print rows in columns that are as wide as what is in them; nothing for no rows."""
    if not rows:
        return
    cells = [["" if row.get(name) is None else str(row[name]) for name in columns] for row in rows]
    lines = [[name.replace("_", " ") for name in columns], *cells]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip(), file=out)


def _facts(movie: MovieStatus) -> dict[str, Any]:
    from airflow_json2video.core.identity import read_stamp
    from airflow_json2video.core.result import select_fields, to_json

    mark = read_stamp(movie.client_data, movie.json_text)
    whose = {} if mark is None else {"submission_key": mark.submission_key, "deployment": mark.deployment}
    return {**select_fields(to_json(movie)), "submission_key": None, "deployment": None, **whose}


def _status(options: argparse.Namespace) -> bool:
    from airflow_json2video.cli._account import connect

    hook = connect(options)
    movies = [_facts(hook.get_movie(project).movie) for project in options.projects]
    if options.json:
        print(json.dumps(movies, ensure_ascii=False, indent=2), file=options.out)
    else:
        print_table(movies, ("project", "status", "created_at", "duration", "size", "url", "message"), out=options.out)
    return not any(movie["status"] in ("error", "timeout") for movie in movies)


def _list(options: argparse.Namespace) -> bool:
    from airflow_json2video.cli._account import connect

    now = datetime.now(timezone.utc)
    start, end = instant_of(options.since, now=now), instant_of(options.until, now=now) if options.until else None
    found = []
    for movie in connect(options).client.movies(date_start=start, date_end=end or now + timedelta(days=1)):
        facts = _facts(movie)
        if options.status and facts["status"] not in options.status:
            continue
        if options.ours and facts["submission_key"] is None:
            continue
        found.append(facts)
    found.sort(key=lambda facts: str(facts.get("created_at") or ""), reverse=True)  # the service's order is its own
    if options.json:
        print(json.dumps(found, ensure_ascii=False, indent=2), file=options.out)
    else:
        print_table(found, ("project", "status", "created_at", "duration", "submission_key"), out=options.out)
    return True


SINCE = Argument.of("--since", default="7d", metavar="TIME", help="12h, 8d, or an ISO 8601 time (default: 7d)")

STATUS = Command(
    name="status",
    help="say how renders stand",
    run=_status,
    arguments=(
        Argument.of("projects", nargs="+", metavar="project", help="16-character project id"),
        *ACCOUNT,
        JSON,
    ),
    description="Says how renders stand. Exit code 1 if one of them has failed.",
)
LIST = Command(
    name="list",
    help="list the account's renders, the newest first",
    run=_list,
    arguments=(
        SINCE,
        Argument.of("--until", metavar="TIME", help="the same (default: now)"),
        Argument.of("--status", action="append", metavar="STATUS", help="only these: pending, running, done, error"),
        Argument.of("--ours", action="store_true", help="only renders that were submitted by this package"),
        *ACCOUNT,
        JSON,
    ),
    description="Lists the account's renders of at most 93 days, the newest first.",
)
