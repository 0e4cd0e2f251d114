"""Reading the account's list for renders of this Airflow: explicit dates, all pages, smaller ones if need be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, TypeVar

from airflow_json2video.exceptions import AnswerLost, Json2VideoError

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.api.responses import MovieStatus

__all__ = ["LOOK_BACK", "stamped_renders"]

T = TypeVar("T")

LOOK_BACK = timedelta(days=8)
"""A render older than its file's seven days is of no use to an attempt, so older ones are not listed."""

_LOOK_AHEAD = timedelta(days=1)
"""The service's clock may be ahead of ours."""

_PAGE_SIZES = (100, 10)
"""Renders to a page, the second after a page that did not arrive whole."""


def stamped_renders(
    client: Json2VideoClient,
    read: Callable[[MovieStatus], T | None],
    *,
    now: float,
    look_back: timedelta = LOOK_BACK,
) -> list[T]:
    """Give what *read* makes of each listed render, left out where it gives None.

    :param now: epoch seconds.
    :raises Json2VideoError: the list could not be read to its end: what it would have shown is not known.
    """
    moment = datetime.fromtimestamp(now, timezone.utc)
    trouble: Json2VideoError | None = None
    for page_size in _PAGE_SIZES:
        try:
            # Explicit dates: the list's default start is the first of the month and hides last night's render.
            movies = client.movies(date_start=moment - look_back, date_end=moment + _LOOK_AHEAD, page_size=page_size)
            return [found for movie in movies if (found := read(movie)) is not None]
        except AnswerLost as error:  # pages of whole documents can be too large to arrive
            trouble = error
    assert trouble is not None
    raise trouble
