"""Watching an account's list for renders that end, in the event loop of a triggerer. It never stops by itself."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Protocol

from airflow_json2video.api.calls.movies import get_movie, list_movies
from airflow_json2video.api.pagination import MovieListing
from airflow_json2video.core.finished_renders import FinishedRenders, RenderFilter
from airflow_json2video.core.poll_schedule import MAX_RETRY_AFTER, MIN_POLL_INTERVAL, poll_schedule
from airflow_json2video.core.result import to_json
from airflow_json2video.deployment import aget_deployment
from airflow_json2video.exceptions import (
    AuthenticationFailed,
    InvalidResponse,
    Json2VideoError,
    NotFound,
    ResponseLost,
)
from airflow_json2video.polling.wait import connection_error
from airflow_json2video.task_log import TaskLog

if TYPE_CHECKING:
    from airflow_json2video.api.async_client import AsyncJson2VideoClient
    from airflow_json2video.hooks.json2video import Json2VideoHook

__all__ = ["WatcherState", "watch_account"]

_MAX_PAGE_SIZE = 100
_PAGE_BYTES = 1_000_000
"""Bytes that a page should have at most, so that parsing it does not block the event loop."""
_MIN_DELAY_PER_PAGE = 0.4
"""The shortest interval between two polls (5 s at JSON2Video) times this is the minimum delay for each page that a poll
has read, so that a long list is not read all the time."""
_SLOW_INTERVAL = 300.0
"""Seconds between two polls: the maximum in an outage, and the interval where only a change of the setup can help."""
_LOG_EVERY = 12
"""Failures between two lines in the log: an hour of slow polls."""
_RECHECK_EVERY = 300.0
"""Seconds after which the connection is read again."""
_EVENT_STORED_AFTER = 3.0
"""Seconds from an event until Airflow has stored it: the triggerer passes events on about every second. The state is
saved after that, so that a triggerer that dies in between fires an event twice rather than never."""
_SAVE_EVERY = 3600.0
"""Seconds after which the state is saved although nothing has ended, so that a restart need not read far back."""


class WatcherState(Protocol):
    """Stores the state of one watcher beyond the life of a triggerer."""

    async def load(self) -> Any:
        """Return what was saved last, or None."""

    async def save(self, state: Mapping[str, Any]) -> None:
        """Store the state."""


async def watch_account(
    hook: Json2VideoHook,
    render_filter: RenderFilter,
    *,
    interval: float,
    store: WatcherState | None,
    log: TaskLog,
    clock: Callable[[], float] | None = None,
) -> AsyncIterator[Mapping[str, Any]]:
    """Yield each render of the account that ends from now on, once, in the list's own names. It never ends.

    A render counts as reported when the caller asks for the next one.

    :param interval: seconds between two polls.
    :param store: where the state is saved; without it, renders that end while no watcher runs are not reported.
    :param clock: default: the service's, which its list follows; another machine may read the saved state.
    :param log: gets a line at the beginning of an outage, about every hour while it lasts, and at its end.
    """
    renders = FinishedRenders(await store.load() if store is not None else None)
    log.info("Watching the renders of connection %r; %s.", hook.json2video_conn_id, _start_of(renders))
    poll = _ListPoll(hook, renders, render_filter)
    clock = poll.now if clock is None else clock
    failures, saved_at = 0, -math.inf
    try:
        while True:
            has_reported = False
            try:
                async for movie in poll.run(clock):
                    has_reported = True
                    yield movie
            except Json2VideoError as error:
                failures += 1
                delay = _delay_after(error, failures, max(interval, poll.floor))
                if failures % _LOG_EVERY == 1:
                    log.warning("%s No events can be fired meanwhile. Next poll in %.0fs.", error, delay)
                await poll.close()
            else:
                if failures:
                    log.info("The list of the account's renders can be read again after %d failed polls.", failures)
                failures, delay = 0, max(interval, poll.floor, poll.floor * poll.pages * _MIN_DELAY_PER_PAGE)
                delay *= random.uniform(0.9, 1.1)  # noqa: S311
            is_due = has_reported or poll.has_news or clock() - saved_at >= _SAVE_EVERY
            if store is not None and is_due and renders.has_state:
                if has_reported:
                    await asyncio.sleep(_EVENT_STORED_AFTER)
                await store.save(renders.state())
                poll.has_news, saved_at = False, clock()
            await asyncio.sleep(delay)
    finally:
        await poll.close()


class _ListPoll:
    """Polls the account: with a client that is replaced when necessary, and pages of the right size.

    :ivar has_news: whether a render has ended, reported or not, since this was last set to False.
    :ivar floor: seconds between two polls, at least.
    :ivar pages: of the list, at the last poll.
    """

    def __init__(self, hook: Json2VideoHook, renders: FinishedRenders, render_filter: RenderFilter) -> None:
        self._hook = hook
        self._renders = renders
        self._filter = render_filter
        self._client: AsyncJson2VideoClient | None = None
        self._client_until = 0.0
        self._deployment: str | None = None
        self._page_size = 20
        self._has_opened = False
        self.has_news = False
        self.floor = MIN_POLL_INTERVAL
        self.pages = 0

    def now(self) -> float:
        """Return the service's time, epoch seconds; this machine's time before the first request."""
        return self._hook.clock.now() if self._has_opened else time.time()

    async def run(self, clock: Callable[[], float]) -> AsyncIterator[Mapping[str, Any]]:
        """Poll once, and yield the renders that have ended and match the filter.

        :raises Json2VideoError: renders that were not yielded do not count as reported.
        """
        try:
            async for movie in self._run(clock):
                yield movie
        except Json2VideoError:
            raise
        except Exception as error:  # an unexpected error must not end a watcher
            message = f"Polling for finished renders failed: {type(error).__name__}: {error}."
            raise Json2VideoError(message) from error

    async def _run(self, clock: Callable[[], float]) -> AsyncIterator[Mapping[str, Any]]:
        client = await self._open()
        for project in self._renders.due_projects(clock()):
            movie = await self._poll_one(client, project)
            deployment = await self._find_deployment()
            if movie is not None and self._renders.on_response(movie, now=clock()):
                self.has_news = True
                if self._filter.matches(movie, deployment=deployment):
                    yield movie
        now = clock()
        listed = await self._list(client, *self._renders.span(now))
        # After the list: the id of this deployment is older than any render in the list with this id.
        deployment = await self._find_deployment()
        for movie in self._renders.on_list(listed, now=now):
            self.has_news = True
            if self._filter.matches(movie, deployment=deployment):
                yield movie

    async def close(self) -> None:
        """Close the client; the next poll creates another, with the connection as it is then."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _open(self) -> AsyncJson2VideoClient:
        loop = asyncio.get_running_loop()
        if self._client is not None and loop.time() >= self._client_until:
            await self.close()
        if self._client is None:
            try:
                self._client = await self._hook.get_async_client(retries=0)
            except Json2VideoError:
                raise
            except Exception as error:
                raise connection_error(error) from None
            self._client_until = loop.time() + _RECHECK_EVERY
            self._deployment = None
            if not self._hook.clock.is_known:
                await self._client.execute(list_movies(limit=1))
            self._has_opened = True
            is_loopback = self._hook.settings.is_loopback
            self.floor = poll_schedule(0.0, is_loopback=is_loopback).floor
        return self._client

    async def _find_deployment(self) -> str | None:
        # Read as rarely as the connection: Airflow 3.0 and 3.1 cannot handle many concurrent requests in a triggerer.
        if self._deployment is None:
            self._deployment = await aget_deployment(self._hook.settings.namespace)
        return self._deployment

    async def _poll_one(self, client: AsyncJson2VideoClient, project: str) -> Mapping[str, Any] | None:
        try:
            response = await client.execute(get_movie(project, simple=False))
        except NotFound:
            self._renders.on_unknown(project)
            self.has_news = True
            return None
        return to_json(response.movie)

    async def _list(self, client: AsyncJson2VideoClient, start: float, end: float) -> list[Mapping[str, Any]]:
        listing = MovieListing(
            # Explicit dates: the list starts at the first of the month by default, which hides last night's renders.
            date_start=datetime.fromtimestamp(start, timezone.utc),
            date_end=datetime.fromtimestamp(end, timezone.utc),
            page_size=self._page_size,
            call=list_movies,
        )
        movies: list[Mapping[str, Any]] = []
        size, self.pages = 0, 0
        while call := listing.next_call():
            try:
                page = await client.execute(call)
            except (ResponseLost, InvalidResponse):
                self._page_size = max(1, self._page_size // 4)  # pages of whole documents can be too large to arrive
                raise
            found = [to_json(movie) for movie in listing.accept(page)]
            size += getattr(page, "bytes_read", 0) or sum(len(str(movie.get("json") or "")) + 500 for movie in found)
            movies += found
            self.pages += 1
            await asyncio.sleep(0)
        if movies:
            self._page_size = max(1, min(_MAX_PAGE_SIZE, int(_PAGE_BYTES * len(movies) / max(size, 1))))
        return movies


def _start_of(renders: FinishedRenders) -> str:
    if renders.has_state:
        return "renders that ended since a watcher last polled are reported, and those that end from now on"
    return "renders that end from now on are reported"


def _delay_after(error: Json2VideoError, failures: int, interval: float) -> float:
    if not error.retryable or isinstance(error, AuthenticationFailed):
        return _SLOW_INTERVAL
    delay = min(interval * 1.5 ** min(failures, 20), max(_SLOW_INTERVAL, interval))
    delay *= random.uniform(0.8, 1.2)  # noqa: S311
    return max(delay, min(error.retry_after or 0.0, MAX_RETRY_AFTER))
