"""Fixtures for tests of your own DAGs, there wherever this package is installed.

``json2video_service``: a local service of the test's own, in a folder of its own, that renders in milliseconds.

``json2video_connection``: ``json2video_default`` leads to that service while the test runs, a task that waits for a
render polls it every few milliseconds, whatever its ``poll_interval``, and ``dag.test()`` retries a task at once,
whatever its ``retry_delay``. Its value is the connection's id.

``json2video_scenario``: a function that lays a scenario (see :mod:`.scenario`) into the service.

``@pytest.mark.json2video(...)`` says what the service is like: ``clock`` (``real``, ``frozen``, ``quick`` or seconds
per second), ``scenario`` (a dictionary, or a file beside the test's), ``mode``, ``assets``, ``templates``, and any
field of :class:`.Settings`. On a class or module it holds for all tests in it; a test's own goes before it.

Nothing is loaded until a test asks for a fixture.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_json2video.local.service import LocalService

__all__ = ["json2video_connection", "json2video_scenario", "json2video_service", "pytest_configure"]

_QUICK_LOOK = 0.02
"""Real seconds between two looks of a task that waits."""

_A_MOMENT = timedelta(seconds=1)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "json2video(clock=, scenario=, mode=, **settings): what the json2video_service of a test is like"
    )


@pytest.fixture
def json2video_service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalService]:
    """Give a running service that goes with the test."""
    from airflow_json2video.local.scenario import load_scenario, set_clock
    from airflow_json2video.local.service import LocalService

    options: dict[str, Any] = {"mode": "instant"}
    for mark in reversed(list(request.node.iter_markers("json2video"))):
        options |= mark.kwargs
    clock, scenario = options.pop("clock", "real"), options.pop("scenario", None)
    if isinstance(scenario, (str, Path)):
        scenario = request.path.parent / scenario
    with LocalService(home=tmp_path / "json2video", **options) as service:
        set_clock(service.clock, clock)
        if scenario is not None:
            load_scenario(service, scenario)
        yield service


@pytest.fixture
def json2video_scenario(
    request: pytest.FixtureRequest, json2video_service: LocalService
) -> Callable[[Mapping[str, Any] | str | Path], list[str]]:
    """Give what lays a scenario into the service and tells the projects of its renders."""
    from airflow_json2video.local.scenario import load_scenario

    def load(source: Mapping[str, Any] | str | Path) -> list[str]:
        if isinstance(source, (str, Path)):
            source = request.path.parent / source
        return load_scenario(json2video_service, source)

    return load


@pytest.fixture
def json2video_connection(json2video_service: LocalService, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the default connection lead to the service, and let nobody wait long for it."""
    from airflow_json2video.batch import submitter as batch
    from airflow_json2video.core.poll_schedule import PollSchedule
    from airflow_json2video.submission import submitter as submission

    keys = json2video_service.settings.api_keys
    connection = {
        "conn_type": "json2video",
        "host": json2video_service.host,
        "password": keys[0] if keys else "a-key-of-the-tests",
        # With the namespace no test needs a database, or writes an id into one.
        "extra": {"namespace": "tests", "confirmation_time": _QUICK_LOOK},
    }
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", json.dumps(connection))

    def soon(*_: Any, **__: Any) -> float:
        return _QUICK_LOOK

    for name in ("first_poll", "next_poll", "after_failures"):
        monkeypatch.setattr(PollSchedule, name, soon)
    # After a submission that was refused, or whose response was lost.
    for module in (batch, submission):
        monkeypatch.setattr(module, "backoff", soon)
    _retry_at_once(monkeypatch)
    return "json2video_default"


def _retry_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``dag.test()`` not sleep between two attempts of a task: by default that is five minutes."""
    from airflow.providers.common.compat.sdk import DAG

    test = DAG.test

    def test_with_quick_retries(dag: DAG, *arguments: Any, **options: Any) -> Any:
        # Not before: half of Airflow is loaded with it, and dag.test() loads it anyway.
        from airflow.models.taskinstance import TaskInstance

        with monkeypatch.context() as patched:
            patched.setattr(TaskInstance, "next_retry_datetime", lambda _: datetime.now(timezone.utc) - _A_MOMENT)
            return test(dag, *arguments, **options)

    monkeypatch.setattr(DAG, "test", test_with_quick_retries)
