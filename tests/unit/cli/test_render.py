"""``render``: one movie, billed once, also after interruptions."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from airflow_json2video.hooks.json2video import Json2VideoHook
from tests.unit.cli.conftest import MOVIE

ROOT = Path(__file__).parents[3]


def test_a_movie_is_submitted_once_waited_for_and_stored(run, service, movie, tmp_path):
    code, out, err = run("render", movie, "-o", tmp_path / "{project}.mp4", "--json")
    result = json.loads(out)
    assert code == 0
    assert service.posts == 1
    assert Path(result["stored_path"]) == tmp_path / f"{result['project']}.mp4"
    assert Path(result["stored_path"]).stat().st_size == result["size"]
    assert "To resume after an interruption: --resume" in err
    assert "a-key-of-the-tests" not in out + err


def test_movie_from_standard_input_with_variables_of_the_command_line(run, service, monkeypatch):
    import io

    text = json.dumps({**MOVIE, "variables": {"n": 0, "name": ""}}).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert run("render", "-", "--var", "n=3", "--var", "name=Bo")[0] == 0
    assert json.loads(service.backend.store.all()[0].document)["variables"] == {"n": 3, "name": "Bo"}


def test_variables_of_a_template_are_validated_before_submission(run, connection, service):
    template = Json2VideoHook().create_template("t", {**MOVIE, "variables": {"headline": "x"}})
    code, _, err = run("render", "--template", template, "--var", "headline=7")
    assert (code, service.posts) == (1, 0)
    assert "variables.headline: must be a text" in err
    assert run("render", "--template", template, "--var", "headline=Sale")[0] == 0


def test_an_invalid_movie_is_not_submitted(run, service, tmp_path):
    file = tmp_path / "bad.json"
    file.write_text('{"scenes": [{"elements": [{"type": "image"}]}]}')
    code, _, err = run("render", file)
    assert (code, service.posts) == (1, 0)
    assert "an image needs 'src'" in err


def test_a_failed_render_is_exit_code_1_with_the_message_of_the_service(run, service, movie):
    service.add_fault("render", status="error", message="Scene #1: no")
    code, _, err = run("render", movie)
    assert code == 1
    assert "Scene #1: no" in err


@pytest.mark.parametrize("path", ["/proc/film.mp4", "nonsense://x/film.mp4", "{film}.mp4"])
def test_an_unusable_output_path_is_refused_before_submission(run, service, movie, path):
    code, _, err = run("render", movie, "-o", path)
    assert (code, "Nothing was submitted" in err) == (2, True)
    assert service.posts == 0


def test_a_relative_output_path_stays_relative(run, service, movie, tmp_path, monkeypatch):
    (tmp_path / "a{b}").mkdir()
    monkeypatch.chdir(tmp_path / "a{b}")
    assert run("render", movie, "-o", "film.mp4")[:2] == (0, "film.mp4\n")
    assert [found.name for found in Path().iterdir()] == ["film.mp4"]


def test_no_wait_cannot_be_combined_with_output(run, service, movie, tmp_path):
    code, _, err = run("render", movie, "--no-wait", "-o", tmp_path / "film.mp4")
    assert (code, "--no-wait cannot be combined with --output" in err) == (2, True)
    assert service.posts == 0


def test_no_wait_prints_the_project_id(run, service, movie):
    code, out, _ = run("render", movie, "--no-wait")
    assert (code, out.strip()) == (0, service.renders()[0]["project"])


def test_after_a_lost_response_the_render_is_found_and_not_submitted_again(run, service, movie):
    service.add_fault("lost", method="POST", path="/v2/movies")
    code, out, err = run("render", movie, "--json")
    assert (code, service.posts) == (0, 1)
    assert json.loads(out)["project"] == service.renders()[0]["project"]
    assert "Checking the account's list for the render" in err


def test_after_a_lost_response_without_a_list_resume_finds_the_render(run, service, movie):
    service.add_fault("lost", method="POST", path="/v2/movies")
    refused = service.add_fault("answer", method="GET", path="/v2/movies", status=403, times=None)
    code, _, err = run("render", movie)
    assert code == 1
    assert "It is unknown whether a render was started" in err
    key = re.search(r"--resume (\S+)", err).group(1)
    service.backend.faults.clear(refused)
    code, _, err = run("render", movie, "--resume", key, "--json")
    assert (code, service.posts) == (0, 1)
    assert "Reattached to render" in err


def test_a_lost_response_without_a_render_is_confirmed_and_submitted_again(run, service, movie):
    service.add_fault("lost", method="POST", path="/v2/movies", when="before")
    code, _, err = run("render", movie)
    assert (code, service.posts) == (0, 1)
    assert "Its absence is confirmed in" in err


def test_a_refused_submission_is_repeated_and_the_delay_logged(run, service, movie):
    body = {"success": False, "message": "Error starting subprocess"}
    service.add_fault("answer", method="POST", path="/v2/movies", status=500, body=body, times=2)
    code, _, err = run("render", movie)
    assert (code, service.posts) == (0, 1)
    assert err.count("Submitting again in") == 2


def test_resume_submits_what_was_never_submitted(run, service, movie):
    assert run("render", movie, "--resume", "a-key")[0] == 0
    assert run("render", movie, "--resume", "a-key")[0] == 0
    assert service.posts == 1


def test_a_second_resume_does_not_mistake_the_first_render_for_its_own(run, service, movie):
    failing = service.add_fault("render", status="error", message="no")
    code, _, err = run("render", movie)
    key = re.search(r"--resume ([\w-]+)", err).group(1)
    assert code == 1
    service.backend.faults.clear(failing)
    time.sleep(1.0)
    service.settings.update({"list_delay": 1.0})
    service.add_fault("lost", method="POST", path="/v2/movies")
    for _ in range(2):  # as if the first were killed after it read the list, which does not show the render yet
        code, out, _ = run("render", movie, "--resume", key, "--no-wait")
        assert (code, out.strip(), service.posts) == (0, service.renders()[-1]["project"], 2)


def test_resume_finds_a_render_that_the_list_does_not_show_yet(run, service, movie):
    failing = service.add_fault("render", status="error", message="no")
    key = re.search(r"--resume ([\w-]+)", run("render", movie)[2]).group(1)
    service.backend.faults.clear(failing)
    time.sleep(1.0)
    paid = run("render", movie, "--resume", key, "--no-wait")[1].strip()
    service.settings.update({"list_delay": 1.0})
    code, out, _ = run("render", movie, "--resume", key, "--no-wait")
    assert (code, out.strip(), service.posts) == (0, paid, 2)


@pytest.fixture
def started(service, movie, tmp_path):
    """Start the command in a subprocess."""
    children = []

    def started(*arguments):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_CONN")}
        child = subprocess.Popen(
            [sys.executable, "-m", "airflow_json2video", "render", movie, "--host", service.url, *arguments],
            env={**environment, "PYTHONPATH": str(ROOT), "JSON2VIDEO_API_KEY": "a-key-of-the-tests"},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        return child

    yield started
    for child in children:
        if child.poll() is None:
            child.kill()
        child.communicate()


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.02)


def test_an_interrupted_render_keeps_running_and_can_be_resumed(run, service, movie, started):
    service.settings.update({"render_seconds": 30})
    child = started()
    until(lambda: "Submitted render" in child.stderr.readline())
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    project = service.renders()[0]["project"]
    assert child.returncode == 130
    assert f"Render {project} cannot be canceled: it keeps running and will be billed." in err
    key = re.search(r"--resume ([\w-]+)", err).group(1)
    service.clock.advance(60)
    code, out, _ = run("render", movie, "--resume", key, "--json")
    assert (code, json.loads(out)["project"], service.posts) == (0, project, 1)


def test_a_render_killed_during_submission_is_resumed_and_billed_once(run, service, movie, started):
    service.add_fault("delay", method="POST", path="/v2/movies", when="after", seconds=30)
    child = started()
    line = ""
    while "--resume" not in line:
        line = child.stderr.readline()
        assert line, "the command ended"
    until(lambda: service.posts == 1)
    child.kill()
    child.wait(timeout=30)
    key = re.search(r"--resume ([\w-]+)", line).group(1)
    code, _, err = run("render", movie, "--resume", key, "--json")
    assert (code, service.posts) == (0, 1)
    assert "Reattached to render" in err


def test_an_interruption_before_submission_says_that_nothing_was_submitted(run, service, movie, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("airflow_json2video.submission.submitter.Submitter.run", interrupted)
    code, _, err = run("render", movie)
    assert (code, service.posts) == (130, 0)
    assert "Nothing was submitted by this command." in err
