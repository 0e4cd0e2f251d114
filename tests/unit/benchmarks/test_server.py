"""The benchmark's server, over TLS, with our own trigger as its client."""

from __future__ import annotations

import json
import time

import pytest

pytest.importorskip("cryptography")

from airflow_json2video.core.poll_schedule import MIN_POLL_INTERVAL, poll_schedule
from benchmarks.polling.bench import running_server
from benchmarks.polling.contenders import CONTENDERS, INTERVAL, Task
from benchmarks.polling.server import Counts


@pytest.fixture(scope="module")
def server():
    with running_server() as running:
        yield running


async def test_our_trigger_sees_over_tls_that_a_render_is_done_and_the_server_counts_it(server, monkeypatch):
    contender = CONTENDERS["ours-list"]
    connection = contender.connection(server.url, str(server.certificate.bundle))
    monkeypatch.setenv("AIRFLOW_CONN_BENCH", json.dumps(connection))
    counts = Counts(server.control_port)
    at = time.time() - 7200
    await counts.ask("begin", size=1, horizon=0.0, ramp=0.0, at=at, account="own")
    events = [event async for event in contender.trigger(Task(0, submitted_at=at)).run()]
    assert [contender.succeeded(event.payload) for event in events] == [True]
    found = await counts.ask()
    await counts.aclose()
    assert (found["statuses"], found["requests"]["json2video.single"], found["opened"]) == (1, 1, 1)


def test_at_the_benchmarks_interval_this_machine_is_polled_no_more_often_than_json2video():
    here, there = (poll_schedule(INTERVAL, is_loopback=is_loopback) for is_loopback in (True, False))
    assert here.floor == there.floor == MIN_POLL_INTERVAL
