"""State over restarts, and processes that are not left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from airflow_json2video.local import LocalService

KEY = {"x-api-key": "k"}
LONG = {
    "resolution": "full-hd",
    "fps": 60,
    "scenes": [{"duration": 120, "elements": [{"type": "text", "text": "a", "fade-in": 120}]}],
}


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z" if Path(f"/proc/{pid}").exists() else True


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


def test_a_restart_keeps_renders_files_templates_and_deletions(tmp_path, make_client):
    with LocalService(mode="instant", home=tmp_path) as service:
        client = make_client(service)
        kept, deleted = client.finished(), client.finished()
        client.delete(project=deleted["project"])
        service.add_template({"scenes": []}, id="t" * 20)
    with LocalService(mode="instant", home=tmp_path) as service:
        client = make_client(service)
        again = client.movie(kept["project"])
        assert {k: v for k, v in again.items() if k != "url"} == {k: v for k, v in kept.items() if k != "url"}
        assert requests.get(again["url"]).status_code == 200
        assert client.movie(deleted["project"])["url"] is None
        assert client.get().json()["count"] == 2
        assert service.credits_left == 596
        assert client.session.get(f"{service.host}/templates", params={"id": "t" * 20}).status_code == 200


def test_a_restart_resumes_what_was_not_finished_and_stopping_ends_the_workers(tmp_path, make_client):
    with LocalService(mode="preview", home=tmp_path) as service:
        client = make_client(service)
        long = client.submit(movie=LONG)
        waiting = client.submit()
        (pid,) = wait_for(lambda: list(service.backend.queue.processes().values()))
        wait_for(lambda: client.status(long) == "running")
        assert client.status(waiting) == "pending"
    assert wait_for(lambda: gone(pid))
    job = tmp_path / "jobs" / long / "out.mp4"
    assert not job.exists()
    with LocalService(mode="instant", home=tmp_path, workers=2) as service:
        client = make_client(service)
        wait_for(lambda: client.status(waiting) == "done", 20)
        assert client.status(long) == "running"


@pytest.fixture
def serve(tmp_path):
    started = []

    def start(*arguments):
        port_file = tmp_path / "port"
        port_file.unlink(missing_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow_json2video", "local", "serve", "--port-file", port_file, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )  # fmt: skip
        started.append(process)
        wait_for(port_file.exists)
        return process, f"http://127.0.0.1:{port_file.read_text()}"

    yield start
    for process in started:
        process.terminate()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_tells_its_address_and_ends_cleanly_with_its_workers(serve, number):
    process, url = serve()
    requests.post(f"{url}/v2/movies", json=LONG, headers=KEY)
    pid = wait_for(lambda: children(process.pid))[0]
    process.send_signal(number)
    output, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert f"{url}/v2" in output
    assert "Stopping." in output
    assert wait_for(lambda: gone(pid))


def test_serve_begins_with_a_scenario_and_its_faults(serve, tmp_path):
    scenario = {
        "settings": {"credits": 60, "mode": "instant"},
        "renders": [{"project": "Qk3vT9zLm2XcB7wA", "movie": {"scenes": [{"duration": 7}]}, "age": 60}],
        "faults": [{"kind": "answer", "status": 503, "method": "POST", "path": "/movies"}],
    }
    (tmp_path / "scenario.json").write_text(json.dumps(scenario))
    _, url = serve("--scenario", tmp_path / "scenario.json")
    seen = requests.get(f"{url}/v2/movies", params={"project": "Qk3vT9zLm2XcB7wA"}, headers=KEY).json()
    assert (seen["movie"]["status"], seen["remaining_quota"]) == ("done", {"time": 53})
    answers = [requests.post(f"{url}/v2/movies", json=scenario["renders"][0]["movie"], headers=KEY) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503, 200]


def test_a_killed_service_leaves_workers_that_end_themselves_and_resumes(serve, tmp_path):
    home = tmp_path / "home"
    short = {"width": 64, "height": 64, "scenes": [{"duration": 1}]}
    process, url = serve("--home", home)
    long, waiting = (
        requests.post(f"{url}/v2/movies", json=movie, headers=KEY).json()["project"] for movie in (LONG, short)
    )
    pid = wait_for(lambda: children(process.pid))[0]
    process.kill()
    process.wait()
    assert wait_for(lambda: gone(pid))
    _, url = serve("--home", home, "--workers", "2")

    def status(project):
        answer = requests.get(f"{url}/v2/movies", params={"project": project}, headers=KEY)
        return answer.json()["movie"]["status"]

    assert status(long) in ("pending", "running")
    wait_for(lambda: status(waiting) == "done", 20)
    assert status(long) == "running"


def test_a_worker_whose_service_has_ended_exits(tmp_path):
    (tmp_path / "job.json").write_text(
        json.dumps({"document": LONG, "mode": "preview", "service": os.getpid() + 100_000})
    )
    code = subprocess.run(
        [sys.executable, "-m", "airflow_json2video.local.worker", str(tmp_path / "job.json")],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())}, check=False, timeout=30,
    ).returncode  # fmt: skip
    assert code == 1
    assert not (tmp_path / "out.mp4").exists()


def children(pid):
    listed = Path(f"/proc/{pid}/task")
    found = []
    for task in listed.iterdir() if listed.exists() else ():
        found += [int(n) for n in (task / "children").read_text().split()]
    return found


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "airflow_json2video", "local", *arguments],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(Path.cwd())}, check=False,
    )  # fmt: skip


def test_render_writes_a_file_and_prints_its_properties(tmp_path):
    movie = tmp_path / "movie.json"
    movie.write_text(json.dumps({"width": 100, "height": 60, "scenes": [{"duration": "{{ n }}"}]}))
    ran = run("render", str(movie), "-o", str(tmp_path / "out.mp4"), "--var", "n=2")
    assert ran.returncode == 0
    assert "100x60, 2 s, 50 frames" in ran.stdout
    assert (tmp_path / "out.mp4").stat().st_size > 500


def test_serve_refuses_an_address_that_others_can_reach():
    ran = run("serve", "--host", "0.0.0.0")
    assert ran.returncode == 2
    assert "--allow-remote" in ran.stderr


def test_a_missing_extra_is_one_sentence_with_the_install_command(tmp_path, monkeypatch):
    from airflow_json2video.exceptions import ConfigurationError
    from airflow_json2video.local import service as module

    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "av" else object())
    with pytest.raises(ConfigurationError, match=r"pip install 'airflow-json2video\[local\]' \(av missing\)\."):
        LocalService(mode="preview", home=tmp_path).start()
    with LocalService(mode="instant", home=tmp_path):
        pass
