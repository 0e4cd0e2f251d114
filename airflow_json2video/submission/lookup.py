"""Find renders of this Airflow in the account's list: explicit dates, all pages, smaller pages if necessary."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, TypeVar

from airflow_json2video.api.calls.movies import MAX_LIST_RANGE, get_movie
from airflow_json2video.api.clock import get_clock
from airflow_json2video.core.identity import Stamp, deployment_from_id, deployment_id, format_deployment, read_stamp
from airflow_json2video.core.result import ended_at, to_json
from airflow_json2video.core.storage_path import FileState, file_state
from airflow_json2video.core.submission import FoundRender
from airflow_json2video.deployment import ID_VARIABLE, SET_NAMESPACE
from airflow_json2video.exceptions import Json2VideoError, ResponseLost

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.api.responses import MovieStatus

__all__ = [
    "LOOKUP_WINDOW",
    "TaskLookup",
    "find_stamped_renders",
    "refetch_if_incomplete",
    "require_no_other_render",
    "to_found_render",
]

T = TypeVar("T")

LOOKUP_WINDOW = 86_400.0
"""Seconds. If the list did not show a render that is older than this, later reads will not show it either.

This is much longer than any list lags: this machine's clock may be ahead of the service's by hours.
"""

_MAX_AGE = timedelta(days=366)
"""How far back the list is read: four ranges of the longest length that the service allows."""

_CLOCK_MARGIN = timedelta(days=1)
"""The service's clock may be ahead of this machine's."""

_PAGE_SIZES = (100, 10)
"""Renders per page; the second size is for the case that a page did not arrive complete."""


@dataclass(kw_only=True)
class TaskLookup:
    """Finds the renders that carry the stamp of one task.

    :param stamp: the stamp of this attempt. :param now: returns the service's time, epoch seconds.
    :param machine_clock: returns the time of this machine. :param since: see :func:`find_stamped_renders`.
    :param is_stored: see :func:`to_found_render`.
    :param on_other_deployment: called with the project and the stamp of each render of the same task of another
        deployment.
    """

    client: Json2VideoClient
    stamp: Stamp
    now: Callable[[], float]
    machine_clock: Callable[[], float]
    since: float | None
    is_stored: Callable[[MovieStatus], bool] | None
    on_other_deployment: Callable[[str, Stamp], None]
    _empty_at: float | None = field(init=False, default=None)
    """When the list last showed no render: what is much older than this need not be read again."""

    def find(self) -> list[FoundRender]:
        """Return the renders of this task that the list shows.

        :raises Json2VideoError: the list could not be read to its end.
        """
        since = self.since if self._empty_at is None else self._empty_at - LOOKUP_WINDOW
        found = find_stamped_renders(
            self.client, self.read, now=self.now, since=since, machine_clock=self.machine_clock
        )
        self._empty_at = None if found else self.now()
        return found

    def read(self, movie: MovieStatus) -> FoundRender | None:
        """Return a movie as a render of this task; None if it belongs to another one."""
        theirs = read_stamp(movie.client_data, movie.json_text)
        if theirs is None or theirs.task_key != self.stamp.task_key:
            if theirs is not None and theirs.is_same_task_elsewhere(self.stamp):
                self.on_other_deployment(movie.project, theirs)
            return None
        movie = refetch_if_incomplete(self.client, movie, now=self.now())
        return to_found_render(movie, theirs, now=self.now(), is_stored=self.is_stored)


def find_stamped_renders(
    client: Json2VideoClient,
    read: Callable[[MovieStatus], T | None],
    *,
    now: Callable[[], float],
    since: float | None = None,
    machine_clock: Callable[[], float] | None = None,
) -> list[T]:
    """Return the result of *read* for each listed render, without those for which it returns None.

    :param now: returns the service's time, epoch seconds, as far as it is known: the first response may correct it.
    :param since: epoch seconds before which none of the wanted renders was submitted, such as the start of the
        run. The service lists at most 93 days at a time, so an older run is read in several ranges, up to a year.
        Default: 93 days, in one range.
    :param machine_clock: returns the time of this machine; default: ``time.time``. Where the two are far apart, it is
        unknown which one is wrong, so the list is read by both: what is not found is paid for again.
    :raises Json2VideoError: the list could not be read to its end: what it would have shown is unknown.
    """
    first = None if since is None else datetime.fromtimestamp(since, timezone.utc)
    read_at: list[float] = []
    found: dict[str, T] = {}
    for clock in (now, machine_clock or time.time, now):  # the last one after responses, which may have corrected it
        asked_at = clock()
        if any(abs(asked_at - other) <= LOOKUP_WINDOW / 2 for other in read_at):
            continue
        read_at.append(asked_at)
        for start, end in _ranges(datetime.fromtimestamp(asked_at, timezone.utc), first):
            for project, one in _read_range(client, read, start, end):
                found.setdefault(project, one)
    return list(found.values())


def refetch_if_incomplete(client: Json2VideoClient, movie: MovieStatus, *, now: float) -> MovieStatus:
    """Return a listed render; request it by itself if the list shows no file of it and does not say why.

    The render is paid for, so a field that one response omits is not taken for missing.

    :param now: epoch seconds. :raises Json2VideoError: the service does not return the render, so its file is unknown.
    """
    if movie.url or movie.status != "done":
        return movie
    fields = to_json(movie)
    state = file_state(fields, now=now)
    is_unexplained = state is FileState.MISSING or (state is FileState.EXPIRED and ended_at(fields) is None)
    return client.execute(get_movie(movie.project)).movie if is_unexplained else movie


def to_found_render(
    movie: MovieStatus, stamp: Stamp, *, now: float, is_stored: Callable[[MovieStatus], bool] | None
) -> FoundRender:
    """Return a movie in the form that :func:`.decide_submission` reads.

    :param is_stored: called with a finished render whose file the service has deleted; returns whether it is stored
        elsewhere, and raises if that is unknown.
    """
    return FoundRender(
        project=movie.project,
        status=movie.status,
        created_at=movie.created_at,
        has_file=_has_file(movie, now=now, is_stored=is_stored),
        stamp=stamp,
    )


def _has_file(movie: MovieStatus, *, now: float, is_stored: Callable[[MovieStatus], bool] | None) -> bool:
    """Return whether a render can still be delivered: its file exists, may still appear, or is stored."""
    if movie.url:
        return True
    if movie.status != "done":
        return False
    return file_state(to_json(movie), now=now) is FileState.LATE or (is_stored is not None and is_stored(movie))


def require_no_other_render(client: Json2VideoClient, name_keys: Collection[str], *, since: float | None) -> None:
    """Check that no earlier attempt of a task can have submitted renders under a deployment id that is lost.

    :param name_keys: of the task, or of its items; see :attr:`.TaskIdentity.name_key`.
    :param since: see :func:`find_stamped_renders`.
    :raises Json2VideoError: the account has a render with such a key, or its list could not be read.
    """

    def read(movie: MovieStatus) -> tuple[str, str] | None:
        stamp = read_stamp(movie.client_data, movie.json_text)
        value = None if stamp is None or stamp.name_key not in name_keys else deployment_id(stamp.deployment)
        return None if value is None else (movie.project, value)

    for project, value in find_stamped_renders(client, read, now=get_clock(client.config.host).now, since=since):
        raise Json2VideoError(
            f"This deployment has no id (Variable {ID_VARIABLE!r}), and render {project} of this task carries the "
            f"{format_deployment(deployment_from_id(value))}. Either this deployment has lost that id, or the render "
            "belongs to another deployment.",
            retryable=True,
            advice=f"If the id was lost, restore it: airflow variables set {ID_VARIABLE} {shlex.quote(value)}. If not, "
            f"{SET_NAMESPACE}. Nothing was submitted.",
        )


def _ranges(now: datetime, since: datetime | None) -> Iterator[tuple[datetime, datetime]]:
    """Yield the ranges to read, the newest first. They touch, and the service includes both ends."""
    end = now + _CLOCK_MARGIN
    # Never from this moment on: the start of the run is measured by Airflow's clock.
    recent = now - timedelta(seconds=LOOKUP_WINDOW)
    first = end - MAX_LIST_RANGE if since is None else max(min(since, recent), now - _MAX_AGE)
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
    last_error: Json2VideoError | None = None
    for page_size in _PAGE_SIZES:
        try:
            movies = client.movies(date_start=start, date_end=end, page_size=page_size)
            return [(movie.project, found) for movie in movies if (found := read(movie)) is not None]
        except ResponseLost as error:  # pages of whole documents can be too large to arrive
            last_error = error
    assert last_error is not None
    raise last_error
