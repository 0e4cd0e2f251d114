"""Every endpoint once, as data: what to send, whether a repeat is safe, and what the answer reads as.

Both clients execute these, and a test can read them without a socket. The functions here check their
arguments and raise :class:`~airflow_json2video.exceptions.ConfigurationError` before anything is sent.

Whether a repeat is safe follows the service's reference: nothing that makes something new is repeated
(POST /movies never, creating and duplicating templates, the two steps of an upload), and neither is
what answers "not found" the second time, since that would turn a success into an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from airflow_json2video.api.responses import (
    MovieAnswer,
    MoviePage,
    Submitted,
)
from airflow_json2video.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_json2video.api.upload import FileContent

__all__ = [
    "MAX_LIST_RANGE",
    "MAX_PAGE_SIZE",
    "PROJECT_LENGTH",
    "Call",
    "get_movie",
    "list_movies",
    "submit_movie",
]

T = TypeVar("T")

PROJECT_LENGTH = 16
MAX_PAGE_SIZE = 100
MAX_LIST_RANGE = timedelta(days=93)


@dataclass(frozen=True, kw_only=True)
class Call(Generic[T]):
    """One request to the API, and how its answer is read.

    :param name: as ``movies.submit``; used in messages and to tell what an error means.
    :param path: below the API's base, as ``/movies``.
    :param repeatable: whether sending it again does no harm.
    :param parse: reads the JSON object of a success; raises ``ValueError`` on another shape.
    :param expects: the shape in words, for the error when it is another.
    :param query: only what is set. :param body: sent as JSON.
    :param subject: the id or name that it is about, for messages.
    :param url: a whole address instead of ``path``, outside the API: it is sent no key.
    :param content: a file as the body.
    """

    name: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    repeatable: bool
    parse: Callable[[Mapping[str, Any]], T] = field(repr=False)
    expects: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    subject: str | None = None
    url: str | None = field(default=None, repr=False)
    content: FileContent | None = None


def _present(**query: str | None) -> dict[str, str]:
    return {name: value for name, value in query.items() if value is not None}


def _check_id(value: object, length: int, what: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(rf"[A-Za-z0-9_-]{{{length}}}", value, re.ASCII):
        raise ConfigurationError(
            f"{value!r} is no {what}: it must be {length} letters and digits, and this is "
            + (
                f"{len(value)} characters long."
                if isinstance(value, str)
                else f"of type {type(value).__name__}."
            )
        )
    return value


def check_project(project: object) -> str:
    """Give *project* back if it has the form of a project id: 16 letters and digits.

    :raises ConfigurationError: otherwise.
    """
    return _check_id(project, PROJECT_LENGTH, "project id")


# Movies ------------------------------------------------------------------------------------------


def submit_movie(document: Mapping[str, Any]) -> Call[Submitted]:
    """Submit a render. It is paid for, it cannot be cancelled, and each sending starts another one.

    :param document: Movie JSON, or ``{"template": id, "variables": {...}}``.
    """
    if not isinstance(document, Mapping) or not document:
        raise ConfigurationError(
            f"A movie must be a JSON object with content, and this is {_kind(document)}."
        )
    return Call(
        name="movies.submit",
        method="POST",
        path="/movies",
        repeatable=False,
        body=document,
        parse=Submitted.model_validate,
        expects="an object with a 'project'",
    )


def get_movie(project: str, *, simple: bool = True) -> Call[MovieAnswer]:
    """Look at one render.

    :param project: the 16 characters that the submission answered.
    :param simple: leave the submitted document out of the answer.
    """
    check_project(project)

    def parse(answer: Mapping[str, Any]) -> MovieAnswer:
        movie = answer.get("movie")
        if not isinstance(movie, Mapping):
            raise ValueError("'movie' is missing or no object")
        if not isinstance(movie.get("status"), str) or not movie["status"]:
            raise ValueError("'movie' has no 'status'")
        # Another render's state must never be taken for this one's.
        if movie.get("project", project) != project:
            raise ValueError(f"it is about project {movie['project']!r}")
        return MovieAnswer.model_validate({**answer, "movie": {"project": project, **movie}})

    return Call(
        name="movies.get",
        method="GET",
        path="/movies",
        repeatable=True,
        query=_present(project=project, format="simple" if simple else None),
        parse=parse,
        expects="a 'movie' with a 'status'",
        subject=project,
    )


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
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_PAGE_SIZE:
        raise ConfigurationError(
            f"limit must be a whole number from 1 to {MAX_PAGE_SIZE}, and not {limit!r}."
        )
    start = _instant(date_start, "date_start")
    end = _instant(date_end, "date_end")
    if start and end and end < start:
        raise ConfigurationError("date_end is before date_start.")
    if start and (end or datetime.now(timezone.utc)) - start > MAX_LIST_RANGE:
        raise ConfigurationError(
            f"The list covers at most {MAX_LIST_RANGE.days} days; move date_start or date_end."
        )
    return Call(
        name="movies.list",
        method="GET",
        path="/movies",
        repeatable=True,
        query=_present(
            date_start=_wire_time(start),
            date_end=_wire_time(end),
            limit=str(limit),
            next_token=next_token or None,
        ),
        parse=_movie_page,
        expects="a list of 'movies'",
    )


def _movie_page(answer: Mapping[str, Any]) -> MoviePage:
    if not isinstance(answer.get("movies"), list):
        raise ValueError("'movies' is missing or no list")
    page = MoviePage.model_validate(answer)
    if page.has_next and page.next_token is None:
        # A list that is not whole must not be taken for one that is: absence from it would prove nothing.
        raise ValueError("it has a next page and no 'next_token' to fetch it with")
    return page


def _instant(value: datetime | str | None, name: str) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            # Python 3.10 does not read the Z.
            value = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", value.strip()))
        except ValueError:
            raise ConfigurationError(f"{name} is no ISO 8601 time: {value!r}.") from None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ConfigurationError(f"{name} must carry a time zone; {value!r} does not.")
    return value.astimezone(timezone.utc)


def _wire_time(value: datetime | None) -> str | None:
    if value is None:
        return None
    return value.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _kind(value: object) -> str:
    if isinstance(value, (Mapping, Sequence)) and not value:
        return "empty"
    return f"of type {type(value).__name__}"
