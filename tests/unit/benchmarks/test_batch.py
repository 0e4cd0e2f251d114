from __future__ import annotations

import json

from benchmarks.batch.faulty_run import _break, _is_complete, _on_workers, write_rows
from tests.support.airflow import StateChange


def seen(state, seconds, *, index=-1, attempt=1):
    return StateChange("render", index, attempt, state, 0.0, seconds)


def test_a_slot_is_held_from_running_to_the_next_state():
    changes = [
        *(seen("queued", 0), seen("running", 1), seen("deferred", 3), seen("running", 10), seen("success", 11)),
        *(seen("running", 2, index=0), seen("up_for_retry", 6, index=0), seen("running", 7, index=0, attempt=2)),
    ]
    assert _on_workers(changes) == 2 + 1 + 4


def test_one_row_in_twenty_is_broken_in_exactly_one_way():
    class Service:
        def control(self, method, path, body):
            self.rules = body

    service = Service()
    _break(service, 2000, seed=7)
    struck = [number for rule in service.rules for number in rule["nth"]]
    assert len(struck) == len(set(struck)) == 100
    assert [len(rule["nth"]) for rule in service.rules] == [40, 20, 10, 30]


def test_the_rows_differ(tmp_path):
    rows = [json.loads(line) for line in write_rows(tmp_path / "rows.jsonl", 50).read_text().splitlines()]
    assert len({row["color"] for row in rows}) == len({row["number"] for row in rows}) == 50


def test_a_stored_file_is_complete_if_it_has_the_size_of_the_report(tmp_path):
    path = tmp_path / "a.mp4"
    line = {"stored_path": str(path), "size": 7}
    assert _is_complete(line, {path: 7})
    assert not _is_complete(line, {path: 6})
    assert not _is_complete({"stored_path": None, "size": 7}, {path: 7})
