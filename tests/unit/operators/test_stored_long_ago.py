"""What is stored is found for as long as it is there, also when the service has deleted its file long ago."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from functools import partial
from types import SimpleNamespace

import pytest

from airflow_json2video.batch.recovery import BatchRecovery
from airflow_json2video.operators.batch import Json2VideoBatchRenderOperator
from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.submission.submitter import Submitter
from tests.unit.attempts import Attempt
from tests.unit.operators.test_batch import BatchAttempt, shorten_delays

MOVIE = {"resolution": "sd", "variables": {"name": "x"}, "scenes": [{"duration": 1, "comment": "{{ name }}"}]}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    shorten_delays(monkeypatch)
    monkeypatch.setattr("airflow_json2video.submission.submitter.backoff", lambda failures, jitter: 0.01)


@pytest.fixture
def later(service, monkeypatch):
    """Let days pass for everybody."""

    def later(days):
        real = time.time
        service.clock.advance(days * 86400)
        monkeypatch.setattr(time, "time", lambda: real() + days * 86400)
        for made in (BatchRecovery, Submitter):
            monkeypatch.setitem(made.__init__.__kwdefaults__, "clock", time.time)

    return later


@pytest.fixture
def run():
    """A run that began now, and is not known to have been cleared by what Airflow keeps of its start."""
    began = datetime.now(timezone.utc)
    return {"dag_run": SimpleNamespace(run_after=began, start_date=None, clear_number=1)}


@pytest.mark.parametrize("days", [9, 30, 200])
@pytest.mark.parametrize("name", ["{project}.mp4", "film.mp4"])
def test_a_clear_pays_for_nothing_that_is_stored(connection, service, later, run, tmp_path, days, name):
    def render():
        return Json2VideoRenderOperator(
            task_id="render", movie=MOVIE, poll_interval=0.3, on_clear="reuse", output_path=f"{tmp_path}/{name}"
        )

    first = Attempt(render(), max_tries=0, names=run)
    result = first.run()
    later(days)
    cleared = Attempt(render(), try_number=2, max_tries=1, before=first, names=run)
    again = cleared.run()
    assert (again["project"], again["stored_path"]) == (result["project"], result["stored_path"])
    assert service.posts == 1


@pytest.mark.parametrize("days", [9, 30, 200])
def test_a_clear_of_a_batch_pays_only_for_what_is_not_stored(connection, service, later, run, tmp_path, days):
    batch = partial(
        Json2VideoBatchRenderOperator,
        task_id="batch",
        movie=MOVIE,
        items=[{"name": f"name-{number}"} for number in range(4)],
        item_key="name",
        poll_interval=0.3,
        output_path=f"{tmp_path}/{{item}}.mp4",
    )
    first = BatchAttempt(batch, max_tries=0, names=run)
    first.run()
    later(days)
    (tmp_path / "name-2.mp4").unlink()
    cleared = BatchAttempt(batch, try_number=2, max_tries=1, before=first, names=run)
    assert cleared.run()["done"] == 4
    assert service.posts == 5
    assert (tmp_path / "name-2.mp4").exists()
