from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_json2video.version_compat import attempt_is_current

task_runner = pytest.importorskip("airflow.sdk.execution_time.task_runner", reason="Airflow 2 asks its database")


def test_a_task_without_a_known_supervisor_does_not_count_as_the_running_attempt(monkeypatch):
    monkeypatch.delattr(task_runner, "SUPERVISOR_COMMS", raising=False)
    task = task_runner.RuntimeTaskInstance.model_construct(task_id="render")
    with pytest.raises(RuntimeError, match=r"no task_runner\.SUPERVISOR_COMMS"):
        attempt_is_current(task)


def test_an_operator_that_is_run_by_hand_is_the_running_attempt(monkeypatch):
    monkeypatch.delattr(task_runner, "SUPERVISOR_COMMS", raising=False)
    assert attempt_is_current(SimpleNamespace(task_id="render"))
