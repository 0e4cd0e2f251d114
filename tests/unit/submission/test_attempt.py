"""When the previous attempt ended, in each version of Airflow."""

from __future__ import annotations

import time
import uuid
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from airflow_json2video.version_compat import previous_attempt_ended_at, previous_attempt_had_project

AIRFLOW_3 = find_spec("airflow.sdk") is not None


def task_instance(number, *, keys=()):
    told = SimpleNamespace(xcom_keys_to_clear=list(keys), next_method=None)
    names = {"dag_id": "a_dag", "run_id": "run", "task_id": "render", "map_index": -1, "try_number": 2}
    return SimpleNamespace(id=number, _ti_context_from_server=told, **names)


def uuid7_of(moment):
    return uuid.UUID(int=(int(moment * 1000) << 80) | (7 << 76) | (2 << 62) | 12345)


@pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2 does not have such ids")
def test_the_id_of_an_attempt_contains_the_end_of_the_previous_one(monkeypatch):
    monkeypatch.setattr("airflow.__version__", "3.1.8", raising=False)
    moment = time.time() - 300
    for number in (uuid7_of(moment), str(uuid7_of(moment))):
        assert previous_attempt_ended_at(task_instance(number)) == pytest.approx(moment, abs=0.01)


@pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2 does not have such ids")
def test_the_id_of_a_deferred_attempt_may_be_reused_by_the_next(monkeypatch):
    """A scheduler that fails a task which is queued to resume does not assign a new id."""
    monkeypatch.setattr("airflow.__version__", "3.3.2", raising=False)
    number = uuid7_of(time.time() - 300)
    for key in ("json2video_project", "json2video_waits_for", "json2video_progress"):
        assert previous_attempt_ended_at(task_instance(number, keys=[key])) is None
    for key in ("return_value", "json2video_generation_1_after_attempt_1"):
        assert previous_attempt_ended_at(task_instance(number, keys=[key])) is not None


def test_an_attempt_that_died_while_sending_had_no_project():
    number = uuid7_of(time.time())
    assert previous_attempt_had_project(task_instance(number, keys=["json2video_project"]))
    assert not previous_attempt_had_project(task_instance(number, keys=["json2video_waits_for"]))
    assert not previous_attempt_had_project(task_instance(number))
    assert not previous_attempt_had_project(SimpleNamespace(try_number=2)), "Airflow 2.11 does not record it"


@pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2 does not have such ids")
def test_airflows_own_ids_are_read(monkeypatch):
    monkeypatch.setattr("airflow.__version__", "3.3.2", raising=False)
    from airflow.models.taskinstance import uuid7

    assert previous_attempt_ended_at(task_instance(uuid7())) == pytest.approx(time.time(), abs=60)


@pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2 does not have such ids")
@pytest.mark.parametrize("version", ["3.0.6", "3.1.0", "3.1.7"])
def test_the_end_is_unknown_in_versions_that_may_reuse_an_id(monkeypatch, version):
    monkeypatch.setattr("airflow.__version__", version, raising=False)
    assert previous_attempt_ended_at(task_instance(uuid7_of(time.time()))) is None


@pytest.mark.parametrize("number", [None, uuid.uuid4()])
def test_the_end_is_unknown_if_the_id_contains_no_time(number):
    assert previous_attempt_ended_at(task_instance(number)) is None
