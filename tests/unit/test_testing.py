"""The pytest plugin, run in a pytest subprocess, because this one may or may not have the plugin loaded."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLUGIN = "airflow_json2video.testing"


def pytest_in(folder, *arguments, cwd, env=None, timeout=300):
    """Run the tests of a folder with the plugin and nothing of this project's own configuration."""
    report = cwd / "report.xml"
    ran = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(folder), "-p", "no:cacheprovider",
            "-p", "no:json2video", "-p", PLUGIN, "-p", "no:asyncio", f"--junitxml={report}", *arguments, str(folder),
        ],
        capture_output=True, text=True, check=False, cwd=cwd, timeout=timeout,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
    )  # fmt: skip
    cases = list(ElementTree.parse(report).getroot().iter("testcase")) if report.exists() else []
    return ran, {case.get("name"): float(case.get("time")) for case in cases}


SERVICE_TESTS = """
import json
import pytest
import requests

KEY = {"x-api-key": "key"}
TWO = {"scenes": [{"duration": 2}]}

def submit(service, movie=TWO):
    answer = requests.post(f"{service.host}/movies", json=movie, headers=KEY)
    return answer.status_code, answer.json().get("project")

def status(service, project):
    return requests.get(f"{service.host}/movies", params={"project": project}, headers=KEY).json()["movie"]["status"]

def test_each_test_has_its_own_service(json2video_service, tmp_path):
    code, project = submit(json2video_service)
    assert json2video_service.wait_idle()
    assert (json2video_service.posts, json2video_service.submitted, json2video_service.credits_left) == (1, [TWO], 598)
    assert str(json2video_service.home).startswith(str(tmp_path))
    assert json2video_service.settings.mode == "instant"

def test_another_test_starts_with_an_empty_account(json2video_service):
    assert (json2video_service.posts, json2video_service.submitted, json2video_service.credits_left) == (0, [], 600)

@pytest.mark.json2video(clock="frozen", render_seconds=600)
def test_a_frozen_clock_moves_only_on_request(json2video_service):
    before = json2video_service.clock.now()
    _, project = submit(json2video_service)
    assert json2video_service.wait_idle()
    assert status(json2video_service, project) == "running"
    assert json2video_service.clock.now() == before
    json2video_service.clock.advance(600)
    assert status(json2video_service, project) == "done"

@pytest.mark.json2video(credits=3, api_keys=("class-key",))
class TestMarks:
    def test_a_class_marker_applies(self, json2video_service):
        assert json2video_service.settings.credits == 3

    @pytest.mark.json2video(credits=5)
    def test_the_marker_of_the_test_takes_precedence(self, json2video_service):
        assert json2video_service.settings.credits == 5
        assert json2video_service.settings.api_keys == ("class-key",)

@pytest.mark.json2video(scenario="account.json")
def test_a_scenario_file_is_found_next_to_the_test(json2video_service):
    assert json2video_service.credits_left == 58
    assert status(json2video_service, "Qk3vT9zLm2XcB7wA") == "done"

def test_a_scenario_is_loaded_during_the_test(json2video_service, json2video_scenario):
    (project,) = json2video_scenario({"renders": [{"status": "error", "message": "Out of paint"}]})
    assert status(json2video_service, project) == "error"

def test_the_connection_points_to_the_service(json2video_service, json2video_connection, monkeypatch):
    import os
    connection = json.loads(os.environ["AIRFLOW_CONN_JSON2VIDEO_DEFAULT"])
    assert (json2video_connection, connection["host"]) == ("json2video_default", json2video_service.host)

def test_the_connection_is_removed_afterwards():
    import os
    assert "AIRFLOW_CONN_JSON2VIDEO_DEFAULT" not in os.environ
"""


def test_fixtures_and_markers(tmp_path):
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_service.py").write_text(SERVICE_TESTS)
    (folder / "account.json").write_text('{"settings": {"credits": 60}, "renders": [{"project": "Qk3vT9zLm2XcB7wA"}]}')
    ran, _ = pytest_in(folder, "--strict-markers", cwd=tmp_path)
    assert "9 passed" in ran.stdout, ran.stdout


def test_loading_the_plugin_imports_nothing_else():
    code = f"""
import sys
import pytest
before = set(sys.modules)
import {PLUGIN}
print(sorted(name for name in set(sys.modules) - before))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert eval(ran.stdout) == ["airflow_json2video", PLUGIN]


def test_the_plugin_has_an_entry_point():
    table = (ROOT / "pyproject.toml").read_text().split("[project.entry-points.pytest11]\n")[1]
    assert re.match(r'json2video = "(.+)"\n', table)[1] == PLUGIN
