from __future__ import annotations

import json

import pytest

from airflow_json2video.operators.batch import Json2VideoBatchRenderOperator
from tests.unit.attempts import Attempt

MOVIE = {
    "resolution": "sd",
    "variables": {"colour": "#000000"},
    "scenes": [
        {"duration": 1, "background-color": "{{ colour }}", "elements": [{"type": "text", "text": "{{ city }}"}]}
    ],
}
ROWS = [{"city": f"City {number}", "sku": f"sku-{number}"} for number in range(1, 8)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Pauses that only give a real service time are short; how long they are is not what these tests are about."""
    monkeypatch.setattr("airflow_json2video.hooks.batch.settle_pause", lambda looks: 0.01)
    monkeypatch.setattr("airflow_json2video.hooks.batch._HOLD", 0.1)
    monkeypatch.setattr("airflow_json2video.triggers.batch._SHORTEST", 0.0)
    monkeypatch.setattr("airflow_json2video.triggers.batch._LINGER", 0.3)
    monkeypatch.setattr("airflow_json2video.triggers.service._FIRST_PAUSE", 0.1)


@pytest.fixture
def batch(connection, tmp_path):
    def make(**arguments):
        arguments = {
            "task_id": "batch",
            "movie": MOVIE,
            "items": ROWS,
            "item_key": "sku",
            "poll_interval": 0.3,
            "report_path": str(tmp_path / "report.jsonl"),
            **arguments,
        }
        return Json2VideoBatchRenderOperator(**{k: v for k, v in arguments.items() if v is not None})

    return make


class BatchAttempt(Attempt):
    """Slices follow each other as Airflow has it: each resumes with a fresh operator."""

    def __init__(self, make, **options):
        super().__init__(make(), **options)
        self.make = make
        self.slices = 0

    def run(self):
        self.render_templates()
        outcome = self.start()
        while outcome is self.deferred:
            self.fire()
            outcome = self.next_slice()
        return outcome

    def next_slice(self):
        self.slices += 1
        before = self.deferred
        self.operator = self.make()
        told = self.context["ti"]._ti_context_from_server
        told.next_method, told.xcom_keys_to_clear = before.method_name, []
        self.render_templates()
        return self.resume()


def lines(tmp_path):
    return [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]


def test_each_row_becomes_one_render_and_one_line_of_the_report(batch, service, tmp_path):
    result = BatchAttempt(batch).run()
    assert (result["items"], result["done"], result["credits"]) == (7, 7, 7)
    assert service.posts == 7
    report = lines(tmp_path)
    assert [line["key"] for line in report] == [row["sku"] for row in ROWS]
    assert {line["status"] for line in report} == {"done"}
    assert len({line["url"] for line in report}) == 7
