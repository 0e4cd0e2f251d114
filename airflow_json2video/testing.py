"""Pytest fixtures for tests of your own DAGs. Pytest loads them wherever this package is installed.

``json2video_service``: a local service for this test only, in its own folder. It renders in milliseconds.

``json2video_connection``: points ``json2video_default`` to that service during the test. A task that waits for a
render polls every few milliseconds, whatever its ``poll_interval``, and ``dag.test()`` retries a task immediately,
whatever its ``retry_delay``. The value is the connection id.

``json2video_scenario``: a function that loads a scenario (see :mod:`.scenario`) into the service.

``@pytest.mark.json2video(...)`` configures the service: ``clock`` (``real``, ``frozen``, ``quick`` or simulated
seconds per second), ``scenario`` (a dictionary, or a file next to the test), ``mode``, ``assets``, ``templates``, and
any field of :class:`.Settings`. A marker on a class or module applies to all its tests; a test's own marker takes
precedence.

Nothing else is imported until a test requests a fixture.
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

__all__ = ["json2video_connection", "json2video_scenario", "json2video_service"]

_MAX_DELAY_S = 0.02
"""Real seconds, at most, between two polls of a waiting task, and between two attempts to submit."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "json2video(clock=, scenario=, mode=, **settings): configure the json2video_service of a test"
    )


@pytest.fixture
def json2video_service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalService]:
    """Start a local service for one test and stop it afterwards."""
    from airflow_json2video.local.scenario import load_scenario, set_clock
    from airflow_json2video.local.service import LocalService

    options: dict[str, Any] = {"mode": "instant"}
    for mark in reversed(list(request.node.iter_markers("json2video"))):
        options |= mark.kwargs
    clock, scenario = options.pop("clock", "real"), options.pop("scenario", None)
    with LocalService(home=tmp_path / "json2video", **options) as service:
        set_clock(service.clock, clock)
        if scenario is not None:
            load_scenario(service, _next_to_test(scenario, request))
        yield service


@pytest.fixture
def json2video_scenario(
    request: pytest.FixtureRequest, json2video_service: LocalService
) -> Callable[[Mapping[str, Any] | str | Path], list[str]]:
    """Return a function that loads a scenario into the service and returns the project ids of its renders."""
    from airflow_json2video.local.scenario import load_scenario

    def load(source: Mapping[str, Any] | str | Path) -> list[str]:
        return load_scenario(json2video_service, _next_to_test(source, request))

    return load


@pytest.fixture
def json2video_connection(json2video_service: LocalService, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Point the default connection to the service, and limit every delay of a task to a few milliseconds."""
    from airflow_json2video.core.delays import max_delay

    keys = json2video_service.settings.api_keys
    connection = {
        "conn_type": "json2video",
        "host": json2video_service.host,
        "password": keys[0] if keys else "a-key-of-the-tests",
        # A namespace identifies the deployment, so no test needs a database or writes an id into one.
        "extra": {"namespace": "tests", "confirmation_time": _MAX_DELAY_S},
    }
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", json.dumps(connection))
    _retry_immediately(monkeypatch)
    with max_delay(_MAX_DELAY_S):
        yield "json2video_default"


def _next_to_test(scenario: Mapping[str, Any] | str | Path, request: pytest.FixtureRequest) -> Any:
    return request.path.parent / scenario if isinstance(scenario, (str, Path)) else scenario


def _retry_immediately(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the sleep of ``dag.test()`` between two attempts of a task, which is five minutes by default."""
    from airflow.providers.common.compat.sdk import DAG

    test = DAG.test

    def test_with_immediate_retries(dag: DAG, *arguments: Any, **options: Any) -> Any:
        # Imported here because it loads half of Airflow, which dag.test() loads anyway.
        from airflow.models.taskinstance import TaskInstance

        with monkeypatch.context() as patched:
            a_second_ago = datetime.now(timezone.utc) - timedelta(seconds=1)
            patched.setattr(TaskInstance, "next_retry_datetime", lambda _: a_second_ago)
            return test(dag, *arguments, **options)

    monkeypatch.setattr(DAG, "test", test_with_immediate_retries)
