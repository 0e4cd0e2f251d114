"""Renders that end badly, each for itself, and state that was damaged."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.local import LocalService

LONG = {
    "resolution": "full-hd",
    "fps": 60,
    "scenes": [{"duration": 120, "elements": [{"type": "text", "text": "a", "fade-in": 120}]}],
}
RED = {"width": 64, "height": 64, "scenes": [{"duration": 1, "background-color": "#c00"}]}


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


@pytest.fixture
def drawing(tmp_path, make_client):
    with LocalService(mode="preview", home=tmp_path / "home") as service:
        yield service, make_client(service)


def test_a_worker_that_is_killed_costs_its_own_render_and_leaves_nothing(drawing):
    service, client = drawing
    bad = client.submit(movie=LONG)
    pid = wait_for(lambda: service.backend.queue.processes().get(bad))
    good = client.submit(movie=RED)
    folder = service.home / "jobs" / bad
    wait_for(lambda: list(folder.glob("*.part")) or list(folder.glob("progress.json")))
    assert os.getpgid(pid) == pid
    os.kill(pid, signal.SIGTERM)
    assert service.wait_idle(30)
    assert client.movie(bad)["message"] == "Error rendering movie: the worker ended unexpectedly (signal 15)"
    assert client.status(good) == "done"
    assert {p.name for p in folder.iterdir()} <= {"job.json", "log.txt", "progress.json"}


def test_a_render_that_takes_too_long_is_killed_and_the_next_one_runs(drawing):
    service, client = drawing
    service.settings.render_limit = 0.7
    bad = client.submit(movie=LONG)
    pid = wait_for(lambda: service.backend.queue.processes().get(bad))
    assert service.wait_idle(30)
    assert gone(pid)
    assert (client.status(bad), client.movie(bad)["message"]) == ("error", "Movie took too long to render")
    service.settings.render_limit = 60
    assert client.finished(movie=RED)["status"] == "done"


def test_a_render_that_needs_too_much_memory_fails_and_the_next_one_runs(drawing):
    service, client = drawing
    service.settings.max_worker_bytes = 800 * 2**20
    elements = [
        {"type": "text", "text": "WWWWWW", "settings": {"font-size": "900px", "background-color": "#123"}}
        for _ in range(60)
    ]
    seen = client.finished(movie={"width": 3840, "height": 3840, "scenes": [{"duration": 1, "elements": elements}]})
    assert seen["status"] == "error"
    assert seen["message"] == "Error rendering movie: the movie needs more memory than the limit of 800 MB"
    assert client.finished(movie=RED)["status"] == "done"


def run_worker(tmp_path, movie, **limits):
    job = {"document": movie, "mode": "preview", "assets": str(tmp_path / "assets"), "limits": limits}
    (tmp_path / "job.json").write_text(json.dumps(job))
    return subprocess.run(
        [sys.executable, "-m", "airflow_json2video.local.worker", str(tmp_path / "job.json")],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        check=False,
        timeout=60,
        capture_output=True,
    ).returncode


def test_the_system_itself_ends_a_worker_that_computes_without_end(tmp_path):
    assert run_worker(tmp_path, LONG, render_seconds=0.1) == -signal.SIGXCPU
    assert not (tmp_path / "result.json").exists()


def test_the_system_itself_stops_a_worker_that_fills_the_disk(tmp_path):
    (tmp_path / "assets" / "a.example").mkdir(parents=True)
    Image.effect_noise((640, 360), 200).save(tmp_path / "assets" / "a.example" / "noise.png")
    noise = {"type": "image", "src": "http://a.example/noise.png", "zoom": 5}
    movie = {"width": 640, "height": 360, "scenes": [{"duration": 60, "elements": [noise]}]}
    began = time.monotonic()
    assert run_worker(tmp_path, movie, output_bytes=1_000_000) == 0
    assert time.monotonic() - began < 40
    assert re.search("(?i)too large", json.loads((tmp_path / "result.json").read_text())["message"])
    assert not (tmp_path / "out.mp4").exists()
    assert (tmp_path / "out.part").stat().st_size <= 1_000_000  # the service tidies it away


def test_a_damaged_job_folder_fails_its_render_with_a_message_and_no_other(tmp_path, make_client):
    with LocalService(mode="instant", home=tmp_path) as service:
        service.clock.freeze()
        service.add_template(RED, id="t" * 20)
        client = make_client(service)
        service.backend.queue.stop()
        damaged, blocked, good = client.submit(movie={"template": "t" * 20}), client.submit(), client.submit()
    (tmp_path / "jobs" / damaged / "movie.json").write_text("{ half")
    (tmp_path / "jobs" / blocked).write_text("a file where a folder was")
    with LocalService(mode="instant", home=tmp_path) as service:
        client = make_client(service)
        assert service.wait_idle(20)
        assert re.search(r"movie\.json cannot be read .* submit the movie again", client.movie(damaged)["message"])
        assert client.movie(blocked)["message"].startswith("Error rendering movie: ")
        assert client.status(good) == "done"


def test_a_damaged_database_ends_in_a_clear_message(tmp_path):
    with LocalService(mode="instant", home=tmp_path):
        pass
    for name in ("service.db-wal", "service.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    whole = (tmp_path / "service.db").read_bytes()
    for damage in (b"not a database" * 500, whole[:100] + os.urandom(len(whole) - 100)):
        (tmp_path / "service.db").write_bytes(damage)
        with pytest.raises(ConfigurationError, match=r"Could not read.*move .*service\.db away"):
            LocalService(mode="instant", home=tmp_path).start()


def test_a_database_with_a_damaged_row_ends_in_a_clear_message_on_the_command_line_too(tmp_path):
    with LocalService(mode="instant", home=tmp_path):
        pass
    with sqlite3.connect(tmp_path / "service.db") as db:
        db.execute("INSERT INTO renders VALUES ('p', '{ half')")
    db.close()
    ran = subprocess.run(
        [sys.executable, "-m", "airflow_json2video", "local", "serve", "--mode", "instant", "--home", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        check=False,
        timeout=30,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2
    assert "Could not read" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_children_of_a_worker_are_killed_with_it(tmp_path):
    with LocalService(mode="instant", home=tmp_path) as service:
        worker = subprocess.Popen(
            ["sh", "-c", "sleep 60 & echo $!"], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        left = int(worker.stdout.readline())
        assert not gone(left)
        assert service.backend.queue._wait("project", worker) == 0
        worker.stdout.close()
        wait_for(lambda: gone(left))


def test_a_worker_whose_service_was_killed_kills_its_children():
    code = (
        "import subprocess; from airflow_json2video.local.worker import _exit_with_service;"
        "print(subprocess.Popen(['sleep', '60']).pid, flush=True); _exit_with_service(999_999_999)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    ran = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=env, start_new_session=True, check=False
    )
    assert ran.returncode == -signal.SIGKILL
    wait_for(lambda: gone(int(ran.stdout)))


def test_a_second_service_on_the_same_home_is_refused(tmp_path):
    with LocalService(mode="instant", home=tmp_path) as first:
        with pytest.raises(ConfigurationError, match=r"database is locked Stop the service that uses it"):
            LocalService(mode="instant", home=tmp_path).start()
        assert first.wait_idle(1)
