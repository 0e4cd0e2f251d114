"""The worker of a batch is killed at every step that anyone outside its process can see, one after the other."""

from __future__ import annotations

import itertools

import pytest

from airflow_json2video.api.client import Json2VideoClient
from airflow_json2video.local import LocalService
from tests.unit.conftest import connection_json
from tests.unit.operators.test_batch import BatchAttempt, batch, quick

__all__ = ["batch"]

ROWS = [{"city": name, "sku": name} for name in ("a", "b", "c")]


class Killed(BaseException):
    """What no code of ours catches, as it cannot catch SIGKILL."""


@pytest.fixture
def connection(monkeypatch):
    return lambda service: monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=service.url))


def strike_at(patch, attempt, number):
    """Kill the process at the *number*-th step: before and after each call of the service, and each XCom."""
    steps = itertools.count(1)

    def step():
        if next(steps) == number:
            raise Killed

    execute = Json2VideoClient.execute

    def struck(self, call):
        step()
        result = execute(self, call)
        step()
        return result

    push = attempt.context["ti"].xcom_push

    def pushed(key, value):
        step()
        push(key, value)
        step()

    patch.setattr(Json2VideoClient, "execute", struck)
    attempt.context["ti"].xcom_push = pushed


def test_a_retry_after_a_kill_at_any_step_ends_with_one_render_for_each_row(connection, batch, monkeypatch, tmp_path):
    quick(monkeypatch)
    survived = []
    for number in itertools.count(1):
        with LocalService(mode="instant", home=tmp_path / str(number)) as service:
            connection(service)

            def make():
                return batch(items=ROWS, max_in_flight=2, output_path=str(tmp_path / f"kept-{number}" / "{item}.mp4"))  # noqa: B023

            first = BatchAttempt(make)
            with pytest.MonkeyPatch.context() as patch:
                strike_at(patch, first, number)
                try:
                    result = first.run()
                except Killed:
                    result = None
            if result is not None:
                break
            result = BatchAttempt(make, try_number=2, before=first).run()
            survived.append(number)
            assert result["done"] == 3, number
            assert service.posts == 3, number
            assert len({document["variables"]["sku"] for document in service.submitted}) == 3, number
            assert len(list((tmp_path / f"kept-{number}").glob("*.mp4"))) == 3, number
    assert len(survived) > 15
