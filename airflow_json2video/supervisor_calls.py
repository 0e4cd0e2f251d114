"""Requests of a trigger to Airflow: calls that no cancellation may interrupt, and the look-up of a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, TypeVar

from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

__all__ = ["connection_of", "uninterrupted"]

T = TypeVar("T")

_running: set[asyncio.Task[Any]] = set()


async def uninterrupted(call: Coroutine[Any, Any, T]) -> T:
    """Return the result of a call of Airflow's supervisor; finish the call even if the caller is canceled.

    A triggerer of Airflow 3.0 and 3.1 talks to its supervisor over one socket. If a trigger is canceled between
    request and response, the response remains unread, and the whole triggerer ends with "Response read out of order!".
    """
    task = Context().run(asyncio.create_task, call)
    _running.add(task)
    task.add_done_callback(_forget)
    return await asyncio.shield(task)


async def connection_of(conn_id: str) -> Any:
    """Return a connection, without blocking the event loop.

    :raises AirflowNotFoundException: it does not exist.
    """
    return await uninterrupted(_look_up(conn_id))


async def _look_up(conn_id: str) -> Any:
    try:
        return await get_async_connection(conn_id)
    except AirflowNotFoundException:
        # Under dag.test() in 3.1 and 3.2 the asynchronous look-up does not reach the database.
        from asgiref.sync import sync_to_async

        return await sync_to_async(BaseHook.get_connection)(conn_id)


def _forget(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled():
        task.exception()  # read, so that asyncio does not log it if the caller was canceled
