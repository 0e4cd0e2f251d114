"""Fixtures: one real Airflow and one local service for all integration tests of a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.airflow import Airflow
from tests.support.processes import ROOT
from tests.support.service import ServiceProcess


@pytest.fixture(scope="session")
def running_service(tmp_path_factory) -> Iterator[ServiceProcess]:
    with ServiceProcess(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture
def service(running_service: ServiceProcess) -> ServiceProcess:
    """The local service, empty, with renders that are short but long enough to defer."""
    running_service.reset()
    running_service.control("DELETE", "faults")
    running_service.control("DELETE", "requests")
    running_service.set(mode="instant", queue_seconds=0.5, render_seconds=1.0)
    return running_service


@pytest.fixture(scope="session")
def airflow(tmp_path_factory, running_service: ServiceProcess) -> Iterator[Airflow]:
    """A real Airflow with the example DAGs and the connection json2video_default to the local service."""
    home: Path = tmp_path_factory.mktemp("airflow")
    with Airflow(
        home,
        dags_folder=ROOT / "dags_examples",
        connections={"json2video_default": running_service.connection},
        # A busy scheduler may mistake a task that resumes immediately for a killed one; its retry reattaches.
        environment={"AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "5"},
    ) as running:
        yield running
