"""Which connection leads to which account, and the one poller of each account, for each event loop by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow_json2video.api.async_client import AsyncJson2VideoClient
from airflow_json2video.api.clock import get_clock
from airflow_json2video.core.list_cost import ListCostModel
from airflow_json2video.core.poll_schedule import RenderTimes
from airflow_json2video.exceptions import Json2VideoError, TransportError
from airflow_json2video.metrics import report_poller
from airflow_json2video.polling.poller import Poller
from airflow_json2video.polling.subscription import Subscription
from airflow_json2video.polling.wait import connection_error

if TYPE_CHECKING:
    from airflow_json2video.hooks.connection import ConnectionSettings
    from airflow_json2video.hooks.json2video import Json2VideoHook

__all__ = ["PollerRegistry"]

_MAX_REMEMBERED_ACCOUNTS = 50

_registries: WeakKeyDictionary[asyncio.AbstractEventLoop, PollerRegistry] = WeakKeyDictionary()


@dataclass(frozen=True)
class _Account:
    """The account that a connection leads to, and how. Connections to one account differ in their options at most."""

    key: tuple[str | None, ...] = field(repr=False)
    settings: ConnectionSettings = field(compare=False)

    @staticmethod
    def of(settings: ConnectionSettings) -> _Account:
        endpoint = _client(settings).config
        return _Account((endpoint.host, endpoint.api_key, endpoint.proxy, endpoint.ca_file), settings)


@dataclass
class _Connection:
    """A connection that is in use."""

    hook: Json2VideoHook
    users: int = 0
    account: _Account | None = None
    look_up: asyncio.Task[_Account] | None = None


class PollerRegistry:
    """The pollers of one event loop."""

    def __init__(self) -> None:
        self._connections: dict[str, _Connection] = {}
        self._pollers: dict[_Account, Poller] = {}
        self._learned: dict[_Account, tuple[RenderTimes, ListCostModel]] = {}
        self._background: set[asyncio.Task[None]] = set()

    @staticmethod
    def current() -> PollerRegistry:
        """Return the registry of the running event loop."""
        loop = asyncio.get_running_loop()
        registry = _registries.get(loop)
        if registry is None:
            for other in [other for other in _registries if other.is_closed()]:
                del _registries[other]
            registry = _registries[loop] = PollerRegistry()
        return registry

    @property
    def pollers(self) -> list[Poller]:
        """The pollers that run."""
        return list(self._pollers.values())

    def acquire(self, hook: Json2VideoHook) -> None:
        """Count a user of a connection. Each of them must call :meth:`release`."""
        self._connections.setdefault(hook.json2video_conn_id, _Connection(hook)).users += 1

    async def subscribe(self, subscription: Subscription) -> None:
        """Add a subscription to the poller of its account, and start that poller if it does not run.

        :raises Json2VideoError: the connection could not be looked up, or is not usable.
        """
        connection = self._connections[subscription.conn_id]
        account = connection.account or await self._look_up(connection)
        self._poller_of(account).subscribe(subscription)

    async def release(self, subscription: Subscription) -> None:
        """Remove a subscription; the last one of a poller closes the poller and its client."""
        connection = self._connections[subscription.conn_id]
        connection.users -= 1
        if not connection.users:
            del self._connections[subscription.conn_id]
            if connection.look_up is not None:
                connection.look_up.cancel()
        for poller in self._pollers.values():
            poller.unsubscribe(subscription)
        await self._close_idle()

    async def _recheck(self, conn_id: str) -> bool:
        """Look a connection up again, and move its subscriptions if it leads to another account now."""
        connection = self._connections.get(conn_id)
        if connection is None:
            return False
        before, now = connection.account, await self._look_up(connection)
        if before is None or now == before:
            return False
        old, new = self._pollers.get(before), self._poller_of(now)
        for subscription in old.subscriptions() if old is not None else ():
            if old is not None and subscription.conn_id == conn_id:
                old.unsubscribe(subscription)
                subscription.note(
                    f"Connection {conn_id!r} has changed; render {subscription.project} is polled through it."
                )
                new.subscribe(subscription)
        # In a task of its own, because this may run in a task of the old poller.
        self._spawn(self._close_idle())
        return True

    async def _look_up(self, connection: _Connection) -> _Account:
        """Look up a connection. Concurrent callers share the lookup, and one that is canceled does not end it."""
        if connection.look_up is None:
            connection.look_up = Context().run(asyncio.create_task, _account_of(connection.hook))
        task = connection.look_up
        try:
            connection.account = await asyncio.shield(task)
        except asyncio.CancelledError:
            # If the event loop ends, both are canceled, and the caller must not go on.
            if connection.users or not task.cancelled():
                raise
            # The last user of the connection is gone. The caller is a poller that others may still need.
            raise TransportError("The connection is no longer in use.") from None
        finally:
            if connection.look_up is task and task.done():
                connection.look_up = None
        return connection.account

    def _poller_of(self, account: _Account) -> Poller:
        poller = self._pollers.get(account)
        if poller is None or poller.is_closed:
            if poller is not None:
                self._spawn(poller.aclose())
            times, costs = self._learned.setdefault(account, (RenderTimes(), ListCostModel()))
            while len(self._learned) > _MAX_REMEMBERED_ACCOUNTS:
                del self._learned[next(iter(self._learned))]
            poller = self._pollers[account] = Poller(
                _client(account.settings),
                is_loopback=account.settings.is_loopback,
                times=times,
                costs=costs,
                recheck=self._recheck,
                report=self._report,
                clock=get_clock(account.settings.host).now,
            )
        return poller

    async def _close_idle(self) -> None:
        # All are removed before the first one is awaited: meanwhile others may come and go, and start a new poller
        # for one of these accounts.
        idle = [account for account, poller in self._pollers.items() if not len(poller)]
        closing = []
        for account in idle:
            poller = self._pollers.pop(account)
            self._report(poller)
            closing.append(self._spawn(poller.aclose()))
        if closing:
            await asyncio.wait(closing)

    def _report(self, poller: Poller) -> None:
        waiting = sum(len(each) for each in self._pollers.values())
        report_poller(poller.numbers, before=poller.reported, waiting=waiting)
        poller.reported, poller.numbers.lag = replace(poller.numbers), 0.0

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = Context().run(asyncio.create_task, work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task


def _client(settings: ConnectionSettings) -> AsyncJson2VideoClient:
    # The poller itself decides when to poll again, and does so within the deadlines.
    return AsyncJson2VideoClient(settings.api_key, **{**settings.kwargs, "retries": 0})


async def _account_of(hook: Json2VideoHook) -> _Account:
    try:
        return _Account.of(await hook.aget_settings())
    except Json2VideoError:
        raise
    except Exception as error:
        raise connection_error(error) from None
