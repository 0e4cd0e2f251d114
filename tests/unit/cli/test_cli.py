"""The command line against the local service, run in this process; what breaks it off, in one of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from airflow_json2video.cli import COMMANDS, main
from airflow_json2video.core.identity import Stamp, TaskIdentity, add_stamp
from airflow_json2video.core.submission import decide_submission
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.polling import wait as waiting
from tests.unit.conftest import connection_json

ROOT = Path(__file__).parents[3]
MOVIE = {"resolution": "sd", "scenes": [{"duration": 2, "elements": [{"type": "text", "text": "Hi"}]}]}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Looks come at once; how long to wait between them is not what these tests are about."""
    monkeypatch.setattr("airflow_json2video.submission.submitter.backoff", lambda failures, jitter: 0.01)
    monkeypatch.setattr("airflow_json2video.core.refusal.CONFIRM_REFUSAL_AFTER", (0.01, 0.02))
    monkeypatch.setattr(
        "airflow_json2video.submission.submitter.decide_submission",
        lambda found, **facts: decide_submission(found, **{**facts, "confirmation_time": 1.5}),
    )


@pytest.fixture
def movie(tmp_path):
    file = tmp_path / "movie.json"
    file.write_text(json.dumps(MOVIE))
    return str(file)


@pytest.fixture
def run(capsys, service, monkeypatch):
    """Run a command at the local service; gives its exit code, what it printed, and what it said beside that."""
    monkeypatch.setenv("JSON2VIDEO_API_KEY", "a-key-of-the-tests")
    real = waiting.poll_schedule
    monkeypatch.setattr(
        waiting, "poll_schedule", lambda _, *, is_loopback, times=None: real(0.3, is_loopback=is_loopback, times=times)
    )

    def run(*arguments, host=service.url):
        capsys.readouterr()
        whole = [str(argument) for argument in arguments]
        try:
            code = main([*whole, *(["--host", host] if host else [])])
        except SystemExit as ended:
            code = ended.code
        return code, *capsys.readouterr()

    return run


# check


def test_check_names_what_is_wrong_and_what_a_good_movie_costs(run, movie, tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text('{"scenes": [{"elements": [{"type": "image"}]}]}')
    code, out, _ = run("check", movie, bad)
    assert code == 1
    assert f"{movie}: 2.0 s of video, about 2 credits" in out
    assert f"{bad}: error: scenes[0].elements[0].src: an image needs 'src'" in out


def test_check_gives_its_findings_to_a_program(run, movie):
    code, out, _ = run("check", movie, "--json")
    (answer,) = json.loads(out)
    assert (code, answer["valid"], answer["credits"]) == (0, True, 2)


def test_check_needs_no_account(capsys, movie, monkeypatch):
    monkeypatch.delenv("JSON2VIDEO_API_KEY", raising=False)
    assert main(["check", movie]) == 0


def test_check_online_holds_variables_against_the_stored_templates_schema(run, connection, tmp_path):
    template = Json2VideoHook().create_template("t", {**MOVIE, "variables": {"headline": "x"}})
    file = tmp_path / "t.json"
    file.write_text(json.dumps({"template": template, "variables": {"headline": 7}}))
    assert run("check", file)[0] == 0
    code, out, _ = run("check", file, "--online")
    assert code == 1
    assert "variables.headline: must be a text" in out


FOR_AIRFLOW = {
    **MOVIE,
    "comment": "{{ ds }}",
    "variables": {"city": "{{ params.city }}", "task": "a word of the movie's"},
    "scenes": [{"duration": 2, "elements": [{"type": "text", "text": "{{ params.shop }} in {{ city }}, {{ task }}"}]}],
}


@pytest.mark.parametrize("command", ["check", "render"])
def test_what_only_airflow_can_fill_is_refused_with_its_place_and_costs_nothing(run, service, tmp_path, command):
    file = tmp_path / "for_airflow.json"
    file.write_text(json.dumps(FOR_AIRFLOW))
    code, out, err = run(command, file)
    assert code != 0
    for line in (
        "scenes[0].elements[0].text: {{ params.shop }}: only Airflow can fill this; give --param shop=VALUE",
        "variables.city: {{ params.city }}: only Airflow can fill this; give --param city=VALUE",
        "comment: {{ ds }}: only Airflow can fill this; give --param ds=VALUE",
    ):
        assert line in out + err
    assert service.posts == 0


def test_values_for_airflows_expressions_are_taken_from_the_command_line_and_are_no_templates(run, service, tmp_path):
    file = tmp_path / "for_airflow.json"
    file.write_text(json.dumps(FOR_AIRFLOW))
    values = ("--param", "shop={{ ds }}", "--param", "ds=2026-11-26", "--var", "city={{ params.shop }}")
    assert run("check", file, *values)[0] == 0
    assert run("render", file, *values, "--no-wait")[0] == 0
    (sent,) = service.submitted
    assert sent["comment"] == "2026-11-26"
    assert sent["scenes"][0]["elements"][0]["text"] == "{{ ds }} in {{ city }}, {{ task }}"
    assert sent["variables"] == {"task": "a word of the movie's", "city": "{{ params.shop }}"}


@pytest.mark.parametrize(
    ("text", "params", "filled"),
    [
        ("{{ params.n + 1 }}", ["n=2"], "3"),
        ("{{ var.value.hook }}", ["var.value.hook=x"], "x"),
        ("{{ (dag_run.logical_date or dag_run.run_after) | ds }}", ["dag_run.logical_date=2026-11-26T10:00"], None),
        ("{{ dag_run.run_after | ds }}", ["dag_run.run_after=2026-11-26T10:00"], "2026-11-26"),
        ("{% if params.sale %}Sale{% endif %}", ["sale=true"], "Sale"),
        ("{% for row in params.rows %}{{ row.name }}{% endfor %}", ['rows=[{"name": "a"}]'], "a"),
        ("{{ ti.xcom_pull('x') }}", [], None),
        ("{{ execution_date }}", [], None),
        ("{{ anything }} {{ price * 2 }}", [], "{{ anything }} {{ price * 2 }}"),
    ],
)
def test_each_kind_of_expression_is_filled_or_refused(text, params, filled):
    from airflow_json2video.cli._airflow_values import filled as fill
    from airflow_json2video.exceptions import InvalidMovie
    from airflow_json2video.movie.documents import named_values

    def result():
        values = named_values("--param", params)
        return fill({"comment": text}, variables={}, params=values, source="m.json")["comment"]

    if filled is not None:
        assert result() == filled
    else:
        with pytest.raises(InvalidMovie, match="comment"):
            result()


def test_a_warning_counts_as_an_error_only_if_asked(run, tmp_path):
    file = tmp_path / "movie.json"
    file.write_text(json.dumps({**MOVIE, "width": 100}))
    assert run("check", file)[0] == 0
    assert run("check", file, "--strict")[0] == 1


# render


def test_render_submits_once_waits_and_stores_the_video(run, service, movie, tmp_path):
    code, out, err = run("render", movie, "-o", tmp_path / "{project}.mp4", "--json")
    result = json.loads(out)
    assert code == 0
    assert service.posts == 1
    assert Path(result["stored_path"]) == tmp_path / f"{result['project']}.mp4"
    assert Path(result["stored_path"]).stat().st_size == result["size"]
    assert "If this is broken off, the same command with --resume" in err
    assert "a-key-of-the-tests" not in out + err


def test_render_takes_a_movie_from_standard_input_and_variables_from_the_command_line(run, service, monkeypatch):
    import io

    text = json.dumps({**MOVIE, "variables": {"n": 0, "name": ""}}).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert run("render", "-", "--var", "n=3", "--var", "name=Bo")[0] == 0
    assert json.loads(service.backend.store.all()[0].document)["variables"] == {"n": 3, "name": "Bo"}


def test_render_of_a_stored_template_checks_its_variables_before_it_pays(run, connection, service):
    template = Json2VideoHook().create_template("t", {**MOVIE, "variables": {"headline": "x"}})
    code, _, err = run("render", "--template", template, "--var", "headline=7")
    assert (code, service.posts) == (1, 0)
    assert "variables.headline: must be a text" in err
    assert run("render", "--template", template, "--var", "headline=Sale")[0] == 0


def test_a_movie_that_is_wrong_is_not_submitted(run, service, tmp_path):
    file = tmp_path / "bad.json"
    file.write_text('{"scenes": [{"elements": [{"type": "image"}]}]}')
    code, _, err = run("render", file)
    assert (code, service.posts) == (1, 0)
    assert "an image needs 'src'" in err


def test_a_render_that_fails_is_exit_code_one_with_the_services_words(run, service, movie):
    service.add_fault("render", status="error", message="Scene #1: no")
    code, _, err = run("render", movie)
    assert code == 1
    assert "Scene #1: no" in err


@pytest.mark.parametrize("path", ["/proc/film.mp4", "nonsense://x/film.mp4", "{film}.mp4"])
def test_a_path_at_which_the_video_cannot_be_stored_is_refused_before_the_render_is_paid_for(run, service, movie, path):
    code, _, err = run("render", movie, "-o", path)
    assert (code, "Nothing was submitted" in err) == (2, True)
    assert service.posts == 0


def test_a_path_of_this_folder_is_checked_and_left_as_it_is(run, service, movie, tmp_path, monkeypatch):
    (tmp_path / "a{b}").mkdir()
    monkeypatch.chdir(tmp_path / "a{b}")
    assert run("render", movie, "-o", "film.mp4")[:2] == (0, "film.mp4\n")
    assert [found.name for found in Path().iterdir()] == ["film.mp4"]


def test_a_video_that_nobody_waits_for_cannot_be_stored(run, service, movie, tmp_path):
    code, _, err = run("render", movie, "--no-wait", "-o", tmp_path / "film.mp4")
    assert (code, "--no-wait ends before there is a video" in err) == (2, True)
    assert service.posts == 0


def test_render_without_waiting_ends_with_the_project(run, service, movie):
    code, out, _ = run("render", movie, "--no-wait")
    assert (code, out.strip()) == (0, service.renders()[0]["project"])


def test_a_lost_answer_is_looked_up_and_the_movie_is_not_submitted_twice(run, service, movie):
    service.add_fault("lost", method="POST", path="/v2/movies")
    code, out, err = run("render", movie, "--json")
    assert (code, service.posts) == (0, 1)
    assert json.loads(out)["project"] == service.renders()[0]["project"]
    assert "Checking the account's list for the render" in err


def test_a_lost_answer_that_cannot_be_looked_up_says_how_to_take_it_up_again_and_that_works(run, service, movie):
    service.add_fault("lost", method="POST", path="/v2/movies")
    refused = service.add_fault("answer", method="GET", path="/v2/movies", status=403, times=None)
    code, _, err = run("render", movie)
    assert code == 1
    assert "It is unknown whether a render was started" in err
    key = re.search(r"--resume (\S+)", err).group(1)
    service.backend.faults.clear(refused)
    code, _, err = run("render", movie, "--resume", key, "--json")
    assert (code, service.posts) == (0, 1)
    assert "adopted" in err


def test_a_lost_response_without_a_render_is_confirmed_with_a_line_of_progress_and_submitted_again(run, service, movie):
    service.add_fault("lost", method="POST", path="/v2/movies", when="before")
    code, _, err = run("render", movie)
    assert (code, service.posts) == (0, 1)
    assert "Its absence is confirmed in" in err


def test_a_refusal_that_started_nothing_is_tried_again_and_says_when(run, service, movie):
    body = {"success": False, "message": "Error starting subprocess"}
    service.add_fault("answer", method="POST", path="/v2/movies", status=500, body=body, times=2)
    code, _, err = run("render", movie)
    assert (code, service.posts) == (0, 1)
    assert err.count("Submitting again in") == 2


def test_resuming_what_was_never_submitted_submits_it(run, service, movie):
    assert run("render", movie, "--resume", "a-key")[0] == 0
    assert run("render", movie, "--resume", "a-key")[0] == 0
    assert service.posts == 1


def test_a_command_that_is_resumed_twice_does_not_take_the_first_render_for_what_the_second_sent(run, service, movie):
    failing = service.add_fault("render", status="error", message="no")
    code, _, err = run("render", movie)
    key = re.search(r"--resume ([\w-]+)", err).group(1)
    assert code == 1
    service.backend.faults.clear(failing)
    time.sleep(1.0)
    service.settings.update({"list_delay": 1.0})
    service.add_fault("lost", method="POST", path="/v2/movies")
    for _ in range(2):  # as if the first of them were killed: the list has been read, and shows nothing yet
        code, out, _ = run("render", movie, "--resume", key, "--no-wait")
        assert (code, out.strip(), service.posts) == (0, service.renders()[-1]["project"], 2)


def test_a_command_that_is_resumed_waits_for_what_the_one_before_may_have_sent(run, service, movie):
    failing = service.add_fault("render", status="error", message="no")
    key = re.search(r"--resume ([\w-]+)", run("render", movie)[2]).group(1)
    service.backend.faults.clear(failing)
    time.sleep(1.0)
    paid = run("render", movie, "--resume", key, "--no-wait")[1].strip()
    service.settings.update({"list_delay": 1.0})
    code, out, _ = run("render", movie, "--resume", key, "--no-wait")
    assert (code, out.strip(), service.posts) == (0, paid, 2)


# Broken off


@pytest.fixture
def started(service, movie, tmp_path):
    """A render in a process of its own, which waits for a render that takes long."""
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
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_render_that_is_interrupted_says_what_goes_on_and_is_taken_up_again(run, service, movie, started):
    service.settings.update({"render_seconds": 30})
    child = started()
    until(lambda: "is submitted" in child.stderr.readline())
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    project = service.renders()[0]["project"]
    assert child.returncode == 130
    assert f"Render {project} cannot be cancelled: it goes on and is billed." in err
    key = re.search(r"--resume ([\w-]+)", err).group(1)
    service.clock.advance(60)
    code, out, _ = run("render", movie, "--resume", key, "--json")
    assert (code, json.loads(out)["project"], service.posts) == (0, project, 1)


def test_a_render_that_is_killed_as_it_submits_is_taken_up_again_and_not_paid_for_twice(run, service, movie, started):
    service.add_fault("delay", method="POST", path="/v2/movies", when="after", seconds=30)
    child = started()
    line = ""
    while "--resume" not in line:
        line = child.stderr.readline()
        assert line, "it ended"
    until(lambda: service.posts == 1)
    child.kill()
    child.wait(timeout=30)
    key = re.search(r"--resume ([\w-]+)", line).group(1)
    code, _, err = run("render", movie, "--resume", key, "--json")
    assert (code, service.posts) == (0, 1)
    assert "adopted" in err


def test_what_is_interrupted_before_anything_was_sent_says_so(run, service, movie, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("airflow_json2video.submission.submitter.Submitter.run", interrupted)
    code, _, err = run("render", movie)
    assert (code, service.posts) == (130, 0)
    assert "Nothing was submitted by this command." in err


# status, list, download


def test_status_and_list_say_how_renders_stand(run, service, movie):
    _, out, _ = run("render", movie, "--json")
    project = json.loads(out)["project"]
    service.add_fault("render", status="error", message="Scene #1: no")
    run("render", movie)
    (failed,) = [r["project"] for r in service.renders() if r["project"] != project]
    code, out, _ = run("status", project)
    assert code == 0
    assert re.search(rf"{project} +done", out)
    code, out, _ = run("status", project, failed, "--json")
    assert code == 1
    assert [movie["status"] for movie in json.loads(out)] == ["done", "error"]
    _, out, _ = run("list")
    assert project in out
    assert failed in out
    _, out, _ = run("list", "--status", "error", "--ours", "--since", "1h", "--json")
    (listed,) = json.loads(out)
    assert listed["project"] == failed
    assert listed["submission_key"].startswith("shell.render-")


def test_a_list_without_renders_prints_nothing_and_is_no_failure(run):
    assert run("list")[:2] == (0, "")
    assert json.loads(run("list", "--json")[1]) == []


@pytest.mark.parametrize("time_", ["yesterday", "12x", "2026-13-01"])
def test_a_time_that_is_none_is_refused(run, time_):
    code, _, err = run("list", "--since", time_)
    assert code == 2
    assert "write 12h, 8d, or 2026-05-01T12:00" in err


def test_download_stores_whole_files_and_keeps_what_is_there(run, service, movie, tmp_path):
    projects = [json.loads(run("render", movie, "--json")[1])["project"] for _ in range(2)]
    (tmp_path / "videos").mkdir()
    code, out, _ = run("download", *projects, "-o", tmp_path / "videos")
    assert code == 0
    paths = [Path(line) for line in out.split()]
    assert [path.name for path in paths] == [f"{project}.mp4" for project in projects]
    before = paths[0].stat().st_mtime_ns
    assert run("download", projects[0], "-o", tmp_path / "videos")[0] == 0
    assert paths[0].stat().st_mtime_ns == before
    assert sorted(tmp_path.glob("videos/*.part")) == []


@pytest.mark.parametrize("fault", ["truncated", "wrong-length", "missing"])
def test_a_download_that_is_not_whole_leaves_nothing(run, service, movie, tmp_path, fault):
    project = json.loads(run("render", movie, "--json")[1])["project"]
    service.add_fault("file", status=fault, times=None)
    code, _, err = run("download", project, "-o", tmp_path / "video.mp4")
    assert code == 2
    assert "error: " in err
    assert list(tmp_path.glob("video*")) == []


def test_what_is_not_done_and_two_renders_into_one_file_are_refused(run, service, movie, tmp_path):
    service.settings.update({"render_seconds": 60})
    project = run("render", movie, "--no-wait")[1].strip()
    code, _, err = run("download", project)
    assert (code, f"Render {project} is not done" in err) == (2, True)
    code, _, err = run("download", project, project, "-o", tmp_path / "one.mp4")
    assert (code, "write {project} into --output" in err) == (2, True)


# The account


def test_a_connection_of_airflow_is_used_by_its_id(run, service, movie, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_MINE", connection_json(host=service.url))
    assert run("list", "--conn-id", "mine", host=None)[0] == 0
    assert service.requests[-1].path == "/v2/movies"


def test_without_a_key_the_default_connection_is_used(run, service, connection, monkeypatch):
    monkeypatch.delenv("JSON2VIDEO_API_KEY")
    assert run("list", host=None)[0] == 0
    assert service.requests


def test_without_a_key_and_a_connection_it_says_what_to_do(run, airflow_db, monkeypatch):
    monkeypatch.delenv("JSON2VIDEO_API_KEY")
    monkeypatch.delenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", raising=False)
    code, _, err = run("list", host=None)
    assert code == 2
    assert "There is no connection 'json2video_default'.\nPut an API key into JSON2VIDEO_API_KEY" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--host", "http://video.example.com"), "--host: "),
        (("--host", "https://video.example.com"), "There is no API key for https://video.example.com"),
        (("--conn-id", "x", "--host", "http://127.0.0.1:1"), "--host goes with JSON2VIDEO_API_KEY"),
    ],
    ids=["not https", "no key", "mixed"],
)
def test_a_host_that_cannot_be_used_is_refused(run, monkeypatch, arguments, words):
    monkeypatch.delenv("JSON2VIDEO_API_KEY")
    code, _, err = run("list", *arguments, host=None)
    assert code == 2
    assert words in err


def test_a_service_that_does_not_answer_is_exit_code_two(run):
    code, _, err = run("status", "x" * 16, host="http://127.0.0.1:9")
    assert code == 2
    assert "error: " in err


# Airflow's own command line


def test_airflow_finds_the_commands_and_their_arguments():
    cli_config = pytest.importorskip("airflow.cli.cli_config")
    from airflow_json2video.cli.definition import get_cli_commands

    (group,) = get_cli_commands()
    assert isinstance(group, cli_config.GroupCommand)
    assert [command.name for command in group.subcommands] == [command.name for command in COMMANDS]


def test_airflow_json2video_is_a_command_of_airflow_and_gives_the_exit_code(movie, tmp_path):
    from importlib.metadata import version

    if tuple(map(int, version("apache-airflow").split(".")[:2])) < (3, 2):
        pytest.skip("Airflow asks providers for commands from 3.2 on")
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    for file, code in ((movie, 0), (bad, 1)):
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "json2video", "check", str(file)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert f"{file}: " in done.stdout


def test_what_every_airflow_command_loads_of_this_package_is_small():
    pytest.importorskip("airflow.cli.cli_config")
    code = """
import sys
import airflow.cli.cli_config
before = set(sys.modules)
from airflow_json2video.cli.definition import get_cli_commands
get_cli_commands()
print("\\n".join(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    loaded = done.stdout.split()
    assert "airflow_json2video.cli.render" in loaded
    heavy = ("pydantic", "requests", "aiohttp", "airflow_json2video.api", "airflow_json2video.hooks", "rich")
    assert [name for name in loaded if name.startswith(heavy)] == []


# rescue


def test_rescue_keeps_what_nobody_keeps_once_and_says_what_it_would_keep(run, service, movie, tmp_path):
    projects = {json.loads(run("render", movie, "--json")[1])["project"] for _ in range(2)}
    to = ("--everyone", "--to", f"{tmp_path}/kept/{{project}}.mp4", "--json")
    code, out, _ = run("rescue", "--dry-run", *to)
    assert (code, {row["project"] for row in json.loads(out)}) == (0, projects)
    assert not (tmp_path / "kept").exists()
    code, out, _ = run("rescue", *to)
    assert code == 0
    assert {Path(row["stored_path"]).name for row in json.loads(out)} == {f"{project}.mp4" for project in projects}
    assert all(160 < row["hours_left"] <= 168 for row in json.loads(out))
    assert json.loads(run("rescue", *to)[1]) == []
    assert service.posts == 2


def test_rescue_of_this_airflow_leaves_the_renders_of_others_alone(run, movie, tmp_path, airflow_db):
    run("render", movie)  # the shell's
    code, out, _ = run("rescue", "--to", f"{tmp_path}/{{project}}.mp4", "--json")
    assert (code, json.loads(out)) == (0, [])
    assert list(tmp_path.glob("*.mp4")) == []


def test_the_renders_of_another_deployment_are_counted_by_reconcile_and_not_judged(
    run, service, connection, airflow_db
):
    theirs = TaskIdentity(
        deployment="namespace:staging", dag_id="d", run_id="r", task_id="t", map_index=-1, generation=0
    )
    ours = dataclasses.replace(theirs, deployment="id:the-deployment-of-the-tests")
    for identity in (theirs, theirs, ours):  # two of one task would be a duplicate here
        Json2VideoHook().submit_movie(add_stamp(MOVIE, Stamp.of(identity, "f", attempt=1)))
    assert service.wait_idle()
    code, out, _ = run("reconcile", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["others"] == {"namespace:staging": 2}
    assert [render["submission_key"] for render in found["unknown"]] == [ours.submission_key]
    assert (found["renders"], found["wasted_credits"]) == ([], 0)
    assert "Not of this deployment, and not judged: 2 (namespace 'staging')" in run("reconcile")[1]


def test_one_that_cannot_be_kept_does_not_stop_the_rest(run, service, movie, tmp_path):
    for _ in range(2):
        run("render", movie)
    first = service.renders()[0]["project"]
    (tmp_path / f"{first}.mp4").mkdir()  # in the way
    code, out, _ = run("rescue", "--everyone", "--to", f"{tmp_path}/{{project}}.mp4", "--json")
    rows = {row["project"]: row for row in json.loads(out)}
    assert code == 1
    assert rows.pop(first)["error"]
    assert all(Path(row["stored_path"]).is_file() for row in rows.values())
