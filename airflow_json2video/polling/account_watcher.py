"""Following an account's list for renders that end, in the event loop of a triggerer: for ever, whatever happens."""

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
from airflow_json2video.core.completed import FinishedRenders, RenderFilter
from airflow_json2video.core.poll_schedule import MAX_RETRY_AFTER, MIN_POLL_INTERVAL, poll_schedule
from airflow_json2video.core.result import to_json
from airflow_json2video.deployment import aget_deployment
from airflow_json2video.exceptions import (
    AuthenticationFailed,
    InvalidResponse,
    Json2VideoError,
    NotFound,
    ResponseLost,
    TransportError,
)
from airflow_json2video.task_log import TaskLog

if TYPE_CHECKING:
    from airflow_json2video.api.async_client import AsyncJson2VideoClient
    from airflow_json2video.hooks.json2video import Json2VideoHook

__all__ = ["Memory", "follow"]

_LARGEST_PAGE = 100
_PAGE_BYTES = 1_000_000
"""What a page should weigh at most, so that reading it does not hold the event loop."""
_PAUSE_A_PAGE = 0.4
"""Shortest interval between two looks (5 s at JSON2Video) times this is the least pause for each page that a look has
read: so a long list is not read all the time."""
_SLOW = 300.0
"""Seconds between two looks, at most in an outage, and always where only a person can help."""
_TELL_EVERY = 12
"""Failures between two lines in the log: an hour of slow looks."""
_RECHECK_EVERY = 300.0
"""Seconds after which the connection is looked up anew."""
_HANDED_ON = 3.0
"""Seconds from an event until Airflow has stored it: the triggerer hands events on about every second. What was told
is noted after that, so that a triggerer that dies in between tells it twice rather than never."""
_SAVED_EVERY = 3600.0
"""Seconds after which the state is kept also if nothing has ended, so that a restart does not have to read far back."""


class Memory(Protocol):
    """Keeps the state of one watcher beyond the life of a triggerer."""

    async def recall(self) -> Any:
        """Give what was kept last, or None."""

    async def remember(self, state: Mapping[str, Any]) -> None:
        """Keep it."""


async def follow(
    hook: Json2VideoHook,
    wanted: RenderFilter,
    *,
    interval: float,
    memory: Memory | None,
    log: TaskLog,
    clock: Callable[[], float] | None = None,
) -> AsyncIterator[Mapping[str, Any]]:
    """Give each render of the account that ends from now on, once, in the list's own names. It never ends.

    Whoever takes a render from here has told of it when he asks for the next.

    :param interval: seconds between two looks.
    :param memory: where the state is kept; without it, what ends while nobody looks is not told.
    :param clock: default: the service's, by which its list goes; another machine may read what is kept.
    :param log: told of the beginning of an outage, about every hour while it lasts, and of its end.
    """
    renders = FinishedRenders(await memory.recall() if memory is not None else None)
    log.info("Following the renders of connection %r; %s.", hook.json2video_conn_id, _from_when(renders))
    look = _Look(hook, renders, wanted)
    clock = look.now if clock is None else clock
    failures, saved_at = 0, -math.inf
    try:
        while True:
            told = False
            try:
                async for movie in look.run(clock):
                    told = True
                    yield movie
            except Json2VideoError as error:
                failures += 1
                pause = _pause(error, failures, max(interval, look.floor))
                if failures % _TELL_EVERY == 1:
                    log.warning("%s No event can be fired meanwhile. Next look in %.0fs.", error, pause)
                await look.close()
            else:
                if failures:
                    log.info("The list of the account's renders can be read again after %d failed looks.", failures)
                failures, pause = 0, max(interval, look.floor, look.floor * look.pages * _PAUSE_A_PAGE)
                pause *= random.uniform(0.9, 1.1)  # noqa: S311
            is_due = told or look.has_news or clock() - saved_at >= _SAVED_EVERY
            if memory is not None and is_due and renders.has_begun:
                if told:
                    await asyncio.sleep(_HANDED_ON)
                await memory.remember(renders.state())
                look.has_news, saved_at = False, clock()
            await asyncio.sleep(pause)
    finally:
        await look.close()


class _Look:
    """Looks at the account: a client that is made anew when it has to be, and pages of the right size.

    :ivar has_news: whether a render has ended, wanted or not, since this was last set to False.
    :ivar floor: seconds between two looks, at least.
    :ivar pages: of the list, at the last look.
    """

    def __init__(self, hook: Json2VideoHook, renders: FinishedRenders, wanted: RenderFilter) -> None:
        self._hook = hook
        self._renders = renders
        self._wanted = wanted
        self._client: AsyncJson2VideoClient | None = None
        self._client_until = 0.0
        self._deployment: str | None = None
        self._page_size = 20
        self._has_opened = False
        self.has_news = False
        self.floor = MIN_POLL_INTERVAL
        self.pages = 0

    def now(self) -> float:
        """Return the service's time, epoch seconds; this machine's before the service is first asked."""
        return self._hook.clock.now() if self._has_opened else time.time()

    async def run(self, clock: Callable[[], float]) -> AsyncIterator[Mapping[str, Any]]:
        """Look once, and give the renders that have ended and are wanted.

        :raises Json2VideoError: nothing of what was not given is taken for told.
        """
        try:
            async for movie in self._run(clock):
                yield movie
        except Json2VideoError:
            raise
        except Exception as error:  # a fault of ours must not end what is to go on for ever
            message = f"Looking for renders that have ended failed: {type(error).__name__}: {error}."
            raise Json2VideoError(message) from error

    async def _run(self, clock: Callable[[], float]) -> AsyncIterator[Mapping[str, Any]]:
        client = await self._open()
        for project in self._renders.to_ask(clock()):
            movie = await self._ask(client, project)
            deployment = await self._find_deployment()
            if movie is not None and self._renders.on_answer(movie, now=clock()):
                self.has_news = True
                if self._wanted.matches(movie, deployment=deployment):
                    yield movie
        now = clock()
        listed = await self._list(client, *self._renders.span(now))
        # After the list: the id of this deployment is older than any render in it that carries the id.
        deployment = await self._find_deployment()
        for movie in self._renders.on_list(listed, now=now):
            self.has_news = True
            if self._wanted.matches(movie, deployment=deployment):
                yield movie

    async def close(self) -> None:
        """Close the client; the next look makes another, with the connection as it is then."""
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
            except Exception as error:  # the database or the supervisor may be back in a moment
                raise TransportError(
                    f"The connection could not be looked up: {type(error).__name__}: {error}."
                ) from None
            self._client_until = loop.time() + _RECHECK_EVERY
            self._deployment = None
            if not self._hook.clock.is_known:
                await self._client.execute(list_movies(limit=1))
            self._has_opened = True
            is_loopback = self._hook.settings.is_loopback
            self.floor = poll_schedule(0.0, is_loopback=is_loopback).floor
        return self._client

    async def _find_deployment(self) -> str | None:
        # Kept for as long as the connection is: Airflow 3.0 to 3.1 do not bear many questions at once in a triggerer.
        if self._deployment is None:
            self._deployment = await aget_deployment(self._hook.settings.namespace)
        return self._deployment

    async def _ask(self, client: AsyncJson2VideoClient, project: str) -> Mapping[str, Any] | None:
        try:
            answer = await client.execute(get_movie(project, simple=False))
        except NotFound:
            self._renders.on_unknown(project)
            self.has_news = True
            return None
        return to_json(answer.movie)

    async def _list(self, client: AsyncJson2VideoClient, start: float, end: float) -> list[Mapping[str, Any]]:
        listing = MovieListing(
            # Explicit dates: the list's default start is the first of the month and hides last night's renders.
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
            self._page_size = max(1, min(_LARGEST_PAGE, int(_PAGE_BYTES * len(movies) / max(size, 1))))
        return movies


def _from_when(renders: FinishedRenders) -> str:
    if renders.has_begun:
        return "those that have ended since a triggerer last looked are told, and those that end from now on"
    return "those that end from now on are told"


def _pause(error: Json2VideoError, failures: int, interval: float) -> float:
    if not error.retryable or isinstance(error, AuthenticationFailed):
        return _SLOW
    pause = min(interval * 1.5 ** min(failures, 20), max(_SLOW, interval))
    pause *= random.uniform(0.8, 1.2)  # noqa: S311
    return max(pause, min(error.retry_after or 0.0, MAX_RETRY_AFTER))
