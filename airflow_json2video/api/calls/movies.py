"""Renders: submit, look, list, delete."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from airflow_json2video.api.calls.call import Call, drop_none, require_list, require_object
from airflow_json2video.api.responses import (
    Acknowledged,
    MoviePage,
    MovieResponse,
    PolledPage,
    PolledResponse,
    SubmittedMovie,
    normalize_movie,
)
from airflow_json2video.api.validation import check_int, check_project, describe_type, format_datetime, parse_datetime
from airflow_json2video.exceptions import ConfigurationError

__all__ = [
    "MAX_LIST_RANGE",
    "MAX_PAGE_SIZE",
    "delete_movie",
    "get_movie",
    "list_movies",
    "poll_movie",
    "poll_movies",
    "submit_movie",
]

P = TypeVar("P", MoviePage, PolledPage)

MAX_PAGE_SIZE = 100
"""Renders to a page of the list, at most."""
MAX_LIST_RANGE = timedelta(days=93)
"""Longest range of one list."""
_MAX_PAGE_BYTES = 16 * 1024 * 1024
"""Bytes of an answer that is read while others wait: it holds the event loop, for 2 ms a megabyte."""


def submit_movie(document: Mapping[str, Any]) -> Call[SubmittedMovie]:
    """Submit a render. It is paid for, it cannot be cancelled, and each sending starts another one.

    :param document: Movie JSON, or ``{"template": id, "variables": {...}}``.
    """
    if not isinstance(document, Mapping) or not document:
        raise ConfigurationError(f"A movie must be a JSON object with content, and this is {describe_type(document)}.")
    return Call(
        name="movies.submit",
        method="POST",
        path="/movies",
        repeatable=False,
        body=document,
        parse=SubmittedMovie.model_validate,
        expects="an object with a 'project'",
        subject=str(document["template"]) if isinstance(document.get("template"), str) else None,
    )


def get_movie(project: str, *, simple: bool = True) -> Call[MovieResponse]:
    """Look at one render.

    :param project: the 16 characters that the submission answered.
    :param simple: leave the submitted document out of the answer.
    """
    check_project(project)

    def parse(answer: Mapping[str, Any]) -> MovieResponse:
        movie = require_object(answer, "movie")
        _check_status(movie, project)
        return MovieResponse.model_validate({**answer, "movie": {"project": project, **movie}})

    return Call(
        name="movies.get",
        method="GET",
        path="/movies",
        repeatable=True,
        query=drop_none(project=project, format="simple" if simple else None),
        parse=parse,
        expects="a 'movie' with a 'status'",
        subject=project,
    )


def poll_movie(project: str) -> Call[PolledResponse]:
    """Look at one render as :func:`get_movie` does, and read of it only how it stands."""

    def checked(answer: PolledResponse) -> PolledResponse:
        if answer.success is False:
            raise ValueError("a refusal in an answer of success")
        _check_status(answer.movie, project)
        answer.movie = normalize_movie({"project": project, **answer.movie})
        return answer

    return get_movie(project).with_parser(
        parse=lambda answer: checked(PolledResponse.model_validate(answer)),
        read=lambda body: checked(PolledResponse.model_validate_json(body)),
        max_bytes=_MAX_PAGE_BYTES,
    )


def _check_status(movie: Mapping[str, Any], project: str) -> None:
    if not isinstance(movie.get("status"), str) or not movie["status"]:
        raise ValueError("'movie' has no 'status'")
    # Another render's state must never be taken for this one's.
    if movie.get("project", project) != project:
        raise ValueError(f"it is about project {movie['project']!r}")


def list_movies(
    *,
    date_start: datetime | str | None = None,
    date_end: datetime | str | None = None,
    limit: int = MAX_PAGE_SIZE,
    next_token: str | None = None,
) -> Call[MoviePage]:
    """List one page of the account's renders, each with the document that was submitted.

    :param date_start: first instant; an aware datetime or ISO 8601 text with a zone. Without it the service
        starts at the first day of the current month.
    :param date_end: last instant; without it, the end of today. At most 93 days after *date_start*.
    :param limit: renders to a page, 1 to 100.
    :param next_token: where the page before ended.
    """
    check_int(limit, "limit", low=1, high=MAX_PAGE_SIZE)
    start, end = parse_datetime(date_start, "date_start"), parse_datetime(date_end, "date_end")
    if start and end and end < start:
        raise ConfigurationError("date_end is before date_start.")
    if start and (end or datetime.now(timezone.utc)) - start > MAX_LIST_RANGE:
        raise ConfigurationError(f"The list covers at most {MAX_LIST_RANGE.days} days; move date_start or date_end.")
    return Call(
        name="movies.list",
        method="GET",
        path="/movies",
        repeatable=True,
        query=drop_none(
            date_start=format_datetime(start),
            date_end=format_datetime(end),
            limit=str(limit),
            next_token=next_token or None,
        ),
        parse=_movie_page,
        expects="a list of 'movies'",
    )


def poll_movies(
    *,
    date_start: datetime | str | None = None,
    date_end: datetime | str | None = None,
    limit: int = MAX_PAGE_SIZE,
    next_token: str | None = None,
) -> Call[PolledPage]:
    """List one page as :func:`list_movies` does, and read of it only what says how each render stands.

    The documents in it are not built as objects, which makes reading a page two to three times as quick.
    """
    call = list_movies(date_start=date_start, date_end=date_end, limit=limit, next_token=next_token)
    return call.with_parser(parse=_polled_page, read=_polled_page_from, max_bytes=_MAX_PAGE_BYTES)


def _movie_page(answer: Mapping[str, Any]) -> MoviePage:
    require_list(answer, "movies")
    return _with_cursor(MoviePage.model_validate(answer))


def _polled_page(answer: Mapping[str, Any]) -> PolledPage:
    require_list(answer, "movies")
    return _with_cursor(PolledPage.model_validate(answer))


def _polled_page_from(body: bytes) -> PolledPage:
    page = PolledPage.model_validate_json(body)
    if page.success is False:
        raise ValueError("a refusal in an answer of success")
    page._bytes_read = len(body)
    return _with_cursor(page)


def _with_cursor(page: P) -> P:
    if page.has_next and page.next_token is None:
        # A list that is not whole must not be taken for one that is: absence from it would prove nothing.
        raise ValueError("it has a next page and no 'next_token' to fetch it with")
    return page


def delete_movie(project: str) -> Call[Acknowledged]:
    """Remove a render's file now instead of after seven days. It stops no render, and gives nothing back.

    The entry, its figures and its credits stay. May be repeated: a file that is gone already is a success.
    """
    check_project(project)
    return Call(
        name="movies.delete",
        method="DELETE",
        path="/movies",
        repeatable=True,
        query={"project": project},
        parse=Acknowledged.model_validate,
        expects="a confirmation",
        subject=project,
    )
