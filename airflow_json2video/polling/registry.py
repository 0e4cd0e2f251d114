"""Which connection leads to which account, and the one poller of each: for every event loop by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow_json2video.api.async_client import AsyncJson2VideoClient
from airflow_json2video.api.clock import clock_of
from airflow_json2video.core.list_cost import ListCostModel
from airflow_json2video.core.poll_schedule import RenderTimes
from airflow_json2video.exceptions import Json2VideoError
from airflow_json2video.metrics import report_poller
from airflow_json2video.polling.poller import Poller
from airflow_json2video.polling.wait import no_connection_for_now

if TYPE_CHECKING:
    from airflow_json2video.hooks.connection import ConnectionSettings
    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.polling.subscription import Subscription

__all__ = ["PollerRegistry"]

_REMEMBERED_ACCOUNTS = 50

_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, PollerRegistry] = WeakKeyDictionary()


@dataclass(frozen=True)
class _Account:
    """Whom a connection leads to, and how. Two connections to one account differ in their options at most."""

    key: tuple[str | None, ...] = field(repr=False)
    settings: ConnectionSettings = field(compare=False)

    @staticmethod
    def of(settings: ConnectionSettings) -> _Account:
        endpoint = _client(settings).endpoint
        return _Account((endpoint.host, endpoint.api_key, endpoint.proxy, endpoint.ca_file), settings)


@dataclass
class _Connection:
    """One connection that is in use."""

    hook: Json2VideoHook
    users: int = 0
    account: _Account | None = None
    look_up: asyncio.Task[_Account] | None = None


class PollerRegistry:
    """The accounts whose renders are waited for in one event loop."""

    def __init__(self) -> None:
        self._connections: dict[str, _Connection] = {}
        self._pollers: dict[_Account, Poller] = {}
        self._learnt: dict[_Account, tuple[RenderTimes, ListCostModel]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @staticmethod
    def here() -> PollerRegistry:
        """Give those of the running event loop."""
        loop = asyncio.get_running_loop()
        accounts = _loops.get(loop)
        if accounts is None:
            for other in [other for other in _loops if other.is_closed()]:
                del _loops[other]
            accounts = _loops[loop] = PollerRegistry()
        return accounts

    @property
    def pollers(self) -> list[Poller]:
        """The pollers at work."""
        return list(self._pollers.values())

    def enter(self, hook: Json2VideoHook) -> None:
        """Count a user of a connection; each one leaves, whatever comes."""
        self._connections.setdefault(hook.json2video_conn_id, _Connection(hook)).users += 1

    async def join(self, waiter: Subscription) -> None:
        """Bring a waiter to the poller of its account, which is started if it is the first.

        :raises Json2VideoError: the connection could not be looked up, or is not usable.
        """
        connection = self._connections[waiter.conn_id]
        account = connection.account or await self._look_up(connection)
        self._poller_of(account).add(waiter)

    async def leave(self, waiter: Subscription) -> None:
        """Take a waiter from its poller; the last one closes it, and its client."""
        connection = self._connections[waiter.conn_id]
        connection.users -= 1
        if not connection.users:
            del self._connections[waiter.conn_id]
            if connection.look_up is not None:
                connection.look_up.cancel()
        if waiter.poller is not None:
            waiter.poller.remove(waiter)
        await self._close_idle()

    async def _recheck(self, conn_id: str) -> bool:
        """Look a connection up anew, and move its waiters if it leads to another account now."""
        connection = self._connections.get(conn_id)
        if connection is None:
            return False
        before, now = connection.account, await self._look_up(connection)
        if before is None or now == before:
            return False
        old, new = self._pollers.get(before), self._poller_of(now)
        for waiter in old.waiters() if old is not None else ():
            if old is not None and waiter.conn_id == conn_id:
                old.remove(waiter)
                waiter.note(f"Connection {conn_id!r} has changed; render {waiter.watch.project} is watched through it.")
                new.add(waiter)
        # Not here: this may run in a task of the old poller.
        self._beside(self._close_idle())
        return True

    async def _look_up(self, connection: _Connection) -> _Account:
        """Look a connection up; all who ask at the same time share the answer."""
        if connection.look_up is None:
            connection.look_up = Context().run(asyncio.create_task, _account_of(connection.hook))
        task = connection.look_up
        try:
            # Whoever is cancelled while it waits leaves the look-up to the others.
            connection.account = await asyncio.shield(task)
        finally:
            if connection.look_up is task and task.done():
                connection.look_up = None
        return connection.account

    def _poller_of(self, account: _Account) -> Poller:
        poller = self._pollers.get(account)
        if poller is None or poller.is_over:
            if poller is not None:
                self._beside(poller.aclose())
            times, costs = self._learnt.setdefault(account, (RenderTimes(), ListCostModel()))
            while len(self._learnt) > _REMEMBERED_ACCOUNTS:
                del self._learnt[next(iter(self._learnt))]
            poller = self._pollers[account] = Poller(
                _client(account.settings),
                is_loopback=account.settings.is_loopback,
                times=times,
                costs=costs,
                recheck=self._recheck,
                report=self._report,
                clock=clock_of(account.settings.host).now,
            )
        return poller

    async def _close_idle(self) -> None:
        for account, poller in list(self._pollers.items()):
            if not len(poller):
                del self._pollers[account]
                self._report(poller)
                await poller.aclose()

    def _report(self, poller: Poller) -> None:
        waiting = sum(len(each) for each in self._pollers.values())
        report_poller(poller.numbers, before=poller.reported, waiting=waiting)
        poller.reported, poller.numbers.lag = replace(poller.numbers), 0.0

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = Context().run(asyncio.create_task, work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _client(settings: ConnectionSettings) -> AsyncJson2VideoClient:
    # The poller itself decides when to look again, and does so within the deadlines.
    return AsyncJson2VideoClient(settings.api_key, **{**settings.kwargs, "retries": 0})


async def _account_of(hook: Json2VideoHook) -> _Account:
    try:
        return _Account.of(await hook.look_up())
    except Json2VideoError:
        raise
    except Exception as error:
        raise no_connection_for_now(error) from None
