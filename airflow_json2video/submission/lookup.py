"""Reading the account's list for renders of this Airflow: explicit dates, all pages, smaller ones if need be."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, TypeVar

from airflow_json2video.api.calls.movies import MAX_LIST_RANGE, get_movie
from airflow_json2video.api.clock import get_clock
from airflow_json2video.core.identity import deployment_from_id, deployment_id, format_deployment, read_stamp
from airflow_json2video.core.result import ended_at, to_json
from airflow_json2video.core.storage_path import FileState, file_state
from airflow_json2video.deployment import ID_VARIABLE, SET_NAMESPACE
from airflow_json2video.exceptions import Json2VideoError, ResponseLost

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.api.responses import MovieStatus

__all__ = [
    "LOOKUP_WINDOW",
    "find_stamped_renders",
    "has_file",
    "refetch_if_incomplete",
    "require_no_other_render",
]

T = TypeVar("T")

LOOKUP_WINDOW = 86_400.0
"""Seconds. A render older than this that a reading of the list did not show will not be shown by the next ones.

Much longer than any list lags: this machine's clock may be ahead of the service's by hours.
"""

_MAX_REACH = timedelta(days=366)
"""How far back the list is read at most: four ranges of the longest length that the service allows."""

_LOOK_AHEAD = timedelta(days=1)
"""The service's clock may be ahead of ours."""

_PAGE_SIZES = (100, 10)
"""Renders to a page, the second after a page that did not arrive whole."""


def find_stamped_renders(
    client: Json2VideoClient,
    read: Callable[[MovieStatus], T | None],
    *,
    now: Callable[[], float],
    since: float | None = None,
    here: Callable[[], float] | None = None,
) -> list[T]:
    """Return what *read* makes of each listed render, left out where it returns None.

    :param now: returns the service's time, epoch seconds, as far as it is known: the first response may correct it.
    :param since: epoch seconds before which nothing that is searched for was submitted, such as the start of the
        run. The service lists at most 93 days at a time, so an older run is read in several ranges, up to a year.
        Default: 93 days, in one range.
    :param here: returns the time by this machine's clock; default: ``time.time``. Where the two are far apart, it is
        unknown which is wrong, so the list is read by both: what is not found is paid for again.
    :raises Json2VideoError: the list could not be read to its end: what it would have shown is not known.
    """
    first = None if since is None else datetime.fromtimestamp(since, timezone.utc)
    read_by: list[float] = []
    found: dict[str, T] = {}
    for clock in (now, here or time.time, now):  # the last time after responses, which may have corrected it
        asked_at = clock()
        if any(abs(asked_at - other) <= LOOKUP_WINDOW / 2 for other in read_by):
            continue
        read_by.append(asked_at)
        for start, end in _ranges(datetime.fromtimestamp(asked_at, timezone.utc), first):
            for project, one in _read_range(client, read, start, end):
                found.setdefault(project, one)
    return list(found.values())


def refetch_if_incomplete(client: Json2VideoClient, movie: MovieStatus, *, now: float) -> MovieStatus:
    """Return a listed render as the service shows it by itself, if the list names no file of it and not why.

    It is paid for. What one answer leaves out is not taken for gone.

    :param now: epoch seconds. :raises Json2VideoError: the service does not show it, so that it is unknown.
    """
    if movie.url or movie.status != "done":
        return movie
    facts = to_json(movie)
    state = file_state(facts, now=now)
    is_unexplained = state is FileState.MISSING or (state is FileState.EXPIRED and ended_at(facts) is None)
    return client.execute(get_movie(movie.project)).movie if is_unexplained else movie


def has_file(movie: MovieStatus, *, now: float, stored: Callable[[], bool] | None) -> bool:
    """Return whether a render that is paid for can still be delivered: its file is there, may appear, or is stored.

    :param stored: asked of a finished render whose file the service no longer has; it raises if that is unknown.
    """
    if movie.url:
        return True
    if movie.status != "done":
        return False
    return file_state(to_json(movie), now=now) is FileState.LATE or (stored is not None and stored())


def require_no_other_render(client: Json2VideoClient, name_keys: Collection[str], *, since: float | None) -> None:
    """Make sure that no earlier attempt of a task can have submitted renders under an id that is lost.

    :param name_keys: of the task, or of its items; see :attr:`.TaskIdentity.name_key`.
    :param since: see :func:`.find_stamped_renders`.
    :raises Json2VideoError: the account has a render of that name, or its list could not be read.
    """

    def read(movie: MovieStatus) -> tuple[str, str] | None:
        stamp = read_stamp(movie.client_data, movie.json_text)
        value = None if stamp is None or stamp.name_key not in name_keys else deployment_id(stamp.deployment)
        return None if value is None else (movie.project, value)

    for project, value in find_stamped_renders(client, read, now=get_clock(client.config.host).now, since=since):
        raise Json2VideoError(
            f"This deployment has no id (Variable {ID_VARIABLE!r}), and render {project} of this task carries the "
            f"{format_deployment(deployment_from_id(value))}. Either this deployment has lost that id, or the render "
            "is another deployment's.",
            retryable=True,
            advice=f"If the id was lost, restore it: airflow variables set {ID_VARIABLE} {shlex.quote(value)}. If not, "
            f"{SET_NAMESPACE}. Nothing was submitted.",
        )


def _ranges(now: datetime, since: datetime | None) -> Iterator[tuple[datetime, datetime]]:
    """Yield the ranges to read, the newest first. They touch, and the service counts both ends as inside."""
    end = now + _LOOK_AHEAD
    # Never from now on: since when a run is, is by Airflow's clock.
    recent = now - timedelta(seconds=LOOKUP_WINDOW)
    first = end - MAX_LIST_RANGE if since is None else max(min(since, recent), now - _MAX_REACH)
    while True:
        # Explicit dates: the list's default start is the first of the month and hides last night's render.
        start = max(first, end - MAX_LIST_RANGE)
        yield start, end
        if start <= first:
            return
        end = start


def _read_range(
    client: Json2VideoClient, read: Callable[[MovieStatus], T | None], start: datetime, end: datetime
) -> list[tuple[str, T]]:
    trouble: Json2VideoError | None = None
    for page_size in _PAGE_SIZES:
        try:
            movies = client.movies(date_start=start, date_end=end, page_size=page_size)
            return [(movie.project, found) for movie in movies if (found := read(movie)) is not None]
        except ResponseLost as error:  # pages of whole documents can be too large to arrive
            trouble = error
    assert trouble is not None
    raise trouble
