from __future__ import annotations

import asyncio

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_json2video import supervisor_calls
from airflow_json2video.hooks.json2video import Json2VideoHook


def test_a_connection_look_up_is_finished_although_its_caller_is_cancelled(connection, monkeypatch):
    """A triggerer of Airflow 3.0 and 3.1 ends if a response is not read."""
    look_up, asked, answered = supervisor_calls.get_async_connection, asyncio.Event(), asyncio.Event()

    async def slow(conn_id):
        asked.set()
        await asyncio.sleep(0.2)
        found = await look_up(conn_id)
        answered.set()
        return found

    monkeypatch.setattr(supervisor_calls, "get_async_connection", slow)

    async def cancelled_on_the_way():
        waiting = asyncio.create_task(Json2VideoHook(connection).aget_settings())
        await asked.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(answered.wait(), 5)

    asyncio.run(cancelled_on_the_way())


def test_if_the_asynchronous_look_up_finds_no_connection_the_synchronous_one_is_used(monkeypatch):
    """Under dag.test() in 3.1 and 3.2 the asynchronous one does not reach the database."""

    async def nothing(conn_id):
        raise AirflowNotFoundException(conn_id)

    stored = type("Stored", (), {"conn_id": "stored", "password": "k", "host": "", "extra": None})
    monkeypatch.setattr(supervisor_calls, "get_async_connection", nothing)
    monkeypatch.setattr(BaseHook, "get_connection", lambda conn_id: stored)
    assert asyncio.run(Json2VideoHook("stored").aget_settings()).api_key == "k"
