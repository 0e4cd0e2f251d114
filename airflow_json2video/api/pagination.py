"""The pages of the account's list of renders: which page to request next, and when the list ends. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from airflow_json2video.api.calls import Call, list_movies
from airflow_json2video.exceptions import InvalidResponse

__all__ = ["MovieListing"]

M_co = TypeVar("M_co", covariant=True)

MAX_PAGES = 1000
"""Pages after which a list is assumed to be endless."""


class _Page(Protocol[M_co]):
    @property
    def movies(self) -> Sequence[M_co]: ...
    @property
    def has_next(self) -> bool | None: ...
    @property
    def next_token(self) -> str | None: ...


class MovieListing:
    """The account's renders, page after page: a cursor that returns the next call and accepts its page.

    It always reads to the end, since the order is not documented. A list that cannot be read completely is an error
    and never a short list: a render that is missing from it would be considered absent.

    :param call: builds the call for a page: :func:`.list_movies`, or another function with its arguments.
    """

    def __init__(
        self,
        *,
        date_start: datetime | str | None,
        date_end: datetime | str | None,
        page_size: int,
        max_pages: int | None = None,
        call: Callable[..., Call[Any]] = list_movies,
    ) -> None:
        self._make = call
        self._range = {"date_start": date_start, "date_end": date_end}
        self._page_size = page_size
        self._max_pages = max_pages or MAX_PAGES
        self._tokens: set[str] = set()
        self._call: Call[Any] | None = call(**self._range, limit=page_size)

    def next_call(self) -> Call[Any] | None:
        """Return the call for the next page; None after the last one."""
        return self._call

    def accept(self, page: _Page[M_co]) -> Iterator[M_co]:
        """Return the renders of a page, and move the cursor behind it.

        :raises InvalidResponse: the cursor repeats, or the pages do not end.
        """
        self._call = None
        token = page.next_token
        # Only an explicit false ends a list that has a cursor: a render on a page that was not read would be considered
        # absent, and paid for again.
        if page.has_next is not False and token is not None:
            if token in self._tokens:
                raise InvalidResponse("The cursor of the list of renders repeats, so the list has no end.")
            self._tokens.add(token)
            if len(self._tokens) >= self._max_pages:
                raise InvalidResponse(
                    f"The list of renders has not ended after {self._max_pages} pages of {self._page_size}.",
                    advice="Request fewer days.",
                )
            self._call = self._make(**self._range, limit=self._page_size, next_token=token)
        return iter(page.movies)
