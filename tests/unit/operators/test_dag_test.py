"""The operator under ``dag.test()``, which hands a task that resumes the trigger's event and nothing else."""

from __future__ import annotations

import shutil

from tests.unit.local.test_pytest_plugin import ROOT, pytest_in

OUTAGE = '''
import contextlib
import json
import socket

from region_report import dag

from airflow_json2video.local import LocalService
from airflow_json2video.operators import render
from airflow_json2video.triggers import service as outage


def test_outage(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    connection = {"conn_type": "json2video", "host": f"http://127.0.0.1:{port}", "password": "k", "extra": {"retries": 0}}
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", json.dumps(connection))
    monkeypatch.setattr(render, "_PATIENCE_ON_A_WORKER", 0.1)
    monkeypatch.setattr(outage, "_FIRST_PAUSE", 0.1)
    defer, services = outage.defer_until_answering, []
    with contextlib.ExitStack() as stack:

        def defer_and_end_the_outage(operator, **arguments):
            service = LocalService(mode="instant", port=port, home=tmp_path / "service")
            services.append(stack.enter_context(service))
            defer(operator, **arguments)

        monkeypatch.setattr(outage, "defer_until_answering", defer_and_end_the_outage)
        assert dag.test().state == "success"
        (service,) = services
        assert service.posts == 1
'''


def test_an_outage_is_waited_out_and_the_movie_submitted_once(tmp_path, airflow_db):
    folder = tmp_path / "dag_tests"
    shutil.copytree(ROOT / "docs" / "snippets" / "dag_tests", folder, ignore=shutil.ignore_patterns("test_*"))
    (folder / "test_outage.py").write_text(OUTAGE)
    ran, _ = pytest_in(folder, cwd=tmp_path)
    assert "1 passed" in ran.stdout, ran.stdout
