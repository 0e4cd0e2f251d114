"""The fixtures for users' own tests, in a pytest of its own: this one may have the plugin loaded or not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from airflow_json2video.local import LocalService
from airflow_json2video.local.scenario import load_scenario

ROOT = Path(__file__).parents[3]
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

def test_each_has_a_service_of_its_own(json2video_service, tmp_path):
    code, project = submit(json2video_service)
    assert json2video_service.wait_idle()
    assert (json2video_service.posts, json2video_service.submitted, json2video_service.credits_left) == (1, [TWO], 598)
    assert str(json2video_service.home).startswith(str(tmp_path))
    assert json2video_service.settings.mode == "instant"

def test_and_another_knows_nothing_of_it(json2video_service):
    assert (json2video_service.posts, json2video_service.submitted, json2video_service.credits_left) == (0, [], 600)

@pytest.mark.json2video(clock="frozen", render_seconds=600)
def test_a_frozen_clock_moves_only_when_told(json2video_service):
    before = json2video_service.clock.now()
    _, project = submit(json2video_service)
    assert json2video_service.wait_idle()
    assert status(json2video_service, project) == "running"
    assert json2video_service.clock.now() == before
    json2video_service.clock.advance(600)
    assert status(json2video_service, project) == "done"

@pytest.mark.json2video(credits=3, api_keys=("of-the-class",))
class TestMarks:
    def test_those_of_the_class_hold(self, json2video_service):
        assert json2video_service.settings.credits == 3

    @pytest.mark.json2video(credits=5)
    def test_ones_own_go_before(self, json2video_service):
        assert json2video_service.settings.credits == 5
        assert json2video_service.settings.api_keys == ("of-the-class",)

@pytest.mark.json2video(scenario="account.json")
def test_a_scenario_is_read_from_beside_the_test(json2video_service):
    assert json2video_service.credits_left == 58
    assert status(json2video_service, "Qk3vT9zLm2XcB7wA") == "done"

def test_a_scenario_is_laid_in_while_the_test_runs(json2video_service, json2video_scenario):
    (project,) = json2video_scenario({"renders": [{"status": "error", "message": "Out of paint"}]})
    assert status(json2video_service, project) == "error"

def test_the_connection_leads_to_the_service(json2video_service, json2video_connection, monkeypatch):
    import os
    told = json.loads(os.environ["AIRFLOW_CONN_JSON2VIDEO_DEFAULT"])
    assert (json2video_connection, told["host"]) == ("json2video_default", json2video_service.host)

def test_the_connection_is_gone_afterwards():
    import os
    assert "AIRFLOW_CONN_JSON2VIDEO_DEFAULT" not in os.environ
"""


def test_services_marks_clocks_scenarios_and_the_connection(tmp_path):
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_service.py").write_text(SERVICE_TESTS)
    (folder / "account.json").write_text('{"settings": {"credits": 60}, "renders": [{"project": "Qk3vT9zLm2XcB7wA"}]}')
    ran, _ = pytest_in(folder, "--strict-markers", cwd=tmp_path)
    assert "9 passed" in ran.stdout, ran.stdout


def test_loading_it_costs_those_nothing_who_do_not_use_it():
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


def test_pytest_finds_it_by_its_entry_point():
    table = (ROOT / "pyproject.toml").read_text().split("[project.entry-points.pytest11]\n")[1]
    assert re.match(r'json2video = "(.+)"\n', table)[1] == PLUGIN


# --- scenarios ---------------------------------------------------------------------------------------


@pytest.fixture
def service(tmp_path):
    with LocalService(mode="instant", home=tmp_path / "home") as service:
        yield service


def test_a_scenario_is_an_account_as_a_test_wants_to_find_it(service, client):
    template = "abc123def456ghi789jk"
    projects = load_scenario(
        service,
        {
            "clock": "frozen",
            "settings": {"credits": 100},
            "templates": {template: {"scenes": [{"duration": 3}]}},
            "renders": [
                {"project": "Qk3vT9zLm2XcB7wA", "movie": {"scenes": [{"duration": 7}]}, "age": 3600, "took": 60},
                {"status": "error", "message": "Out of paint"},
                {"status": "running", "took": 30},
                {"status": "pending", "took": 30},
            ],
            "faults": [{"kind": "answer", "status": 503, "method": "POST"}],
        },
    )
    assert service.wait_idle()
    assert client.post({"template": template}).status_code == 503
    assert service.credits_left == 93
    assert [client.status(project) for project in projects] == ["done", "error", "running", "pending"]
    done = client.movie(projects[0])
    assert (done["duration"], done["rendering_time"]) == (7, 60)
    assert client.session.get(done["url"]).ok
    assert client.movie(projects[1])["message"] == "Out of paint"
    service.clock.advance(30)
    assert [client.status(project) for project in projects[2:]] == ["done", "running"]
    assert client.movie(client.submit({"template": template}))["status"]


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ({"render": []}, "a scenario has no 'render'. There are: settings, clock"),
        ({"renders": [{"state": "done"}]}, "a render of a scenario has no 'state'"),
        ({"renders": [{"status": "lost"}]}, "done, error, pending, running, not 'lost'"),
        ({"renders": [{"project": "a"}, {"project": "a"}]}, "there is a render a already"),
        ({"renders": [{"movie": {"scenes": []}}]}, "cannot be done: Movie duration cannot be zero"),
        ({"clock": "slow"}, "a clock is real, frozen, quick or a number"),
        ({"settings": {"credit": 1}}, "no such setting: credit"),
    ],
)
def test_a_scenario_that_is_written_wrongly_says_what_there_is(service, scenario, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        load_scenario(service, scenario)
