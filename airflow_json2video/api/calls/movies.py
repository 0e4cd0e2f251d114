"""The calls for renders: submit, get, list, delete."""

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
"""Maximum number of renders on a page of the list."""
MAX_LIST_RANGE = timedelta(days=93)
"""Maximum range of one list."""
_MAX_PAGE_BYTES = 16 * 1024 * 1024
"""Maximum size of a polled response: parsing it blocks the event loop, for 2 ms per megabyte."""


def submit_movie(document: Mapping[str, Any]) -> Call[SubmittedMovie]:
    """Submit a render. It is billed, it cannot be canceled, and each request starts another one.

    :param document: Movie JSON, or ``{"template": id, "variables": {...}}``.
    """
    if not isinstance(document, Mapping) or not document:
        raise ConfigurationError(f"A movie must be a JSON object that is not empty, got {describe_type(document)}.")
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
    """Get the status of one render.

    :param project: the id that the submission returned.
    :param simple: omit the submitted document from the response.
    """
    check_project(project)

    def parse(response: Mapping[str, Any]) -> MovieResponse:
        movie = require_object(response, "movie")
        _check_status(movie, project)
        return MovieResponse.model_validate({**response, "movie": {"project": project, **movie}})

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
    """Poll one render: :func:`get_movie`, of which only the status is parsed."""

    def checked(response: PolledResponse) -> PolledResponse:
        if response.success is False:
            raise ValueError("a refusal in a response with a status of success")
        _check_status(response.movie, project)
        response.movie = normalize_movie({"project": project, **response.movie})
        return response

    return get_movie(project).with_parser(
        parse=lambda response: checked(PolledResponse.model_validate(response)),
        read=lambda body: checked(PolledResponse.model_validate_json(body)),
        max_bytes=_MAX_PAGE_BYTES,
    )


def _check_status(movie: Mapping[str, Any], project: str) -> None:
    if not isinstance(movie.get("status"), str) or not movie["status"]:
        raise ValueError("'movie' has no 'status'")
    # The status of another render must never be used for this one.
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

    :param date_start: beginning of the range: an aware datetime or ISO 8601 text with a time zone. The default of the
        service is the first day of the current month.
    :param date_end: end of the range, at most 93 days after *date_start*; the default is the end of today.
    :param limit: renders per page, 1 to 100.
    :param next_token: cursor of the previous page.
    """
    check_int(limit, "limit", low=1, high=MAX_PAGE_SIZE)
    start, end = parse_datetime(date_start, "date_start"), parse_datetime(date_end, "date_end")
    if start and end and end < start:
        raise ConfigurationError("date_end must not be before date_start.")
    if start and (end or datetime.now(timezone.utc)) - start > MAX_LIST_RANGE:
        raise ConfigurationError(f"The list covers at most {MAX_LIST_RANGE.days} days; change date_start or date_end.")
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
    """Poll one page: :func:`list_movies`, of which only the status of each render is parsed.

    The documents are not built as objects, so a page is parsed two to three times as fast.
    """
    call = list_movies(date_start=date_start, date_end=date_end, limit=limit, next_token=next_token)
    return call.with_parser(parse=_polled_page, read=_polled_page_from, max_bytes=_MAX_PAGE_BYTES)


def _movie_page(response: Mapping[str, Any]) -> MoviePage:
    require_list(response, "movies")
    return _with_cursor(MoviePage.model_validate(response))


def _polled_page(response: Mapping[str, Any]) -> PolledPage:
    require_list(response, "movies")
    return _with_cursor(PolledPage.model_validate(response))


def _polled_page_from(body: bytes) -> PolledPage:
    page = PolledPage.model_validate_json(body)
    if page.success is False:
        raise ValueError("a refusal in a response with a status of success")
    page._bytes_read = len(body)
    return _with_cursor(page)


def _with_cursor(page: P) -> P:
    if page.has_next and page.next_token is None:
        # An incomplete list must not be used as a complete one: a render missing from it need not be absent.
        raise ValueError("it has a next page, but no 'next_token'")
    return page


def delete_movie(project: str) -> Call[Acknowledged]:
    """Delete the file of a render before its seven days are over. It does not stop a render, and refunds nothing.

    The render stays in the list, with its figures and credits. May be repeated: if the file was already deleted, the
    call succeeds.
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
