"""An injection inside the process: at its point, once, and in no other process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.crash.markers import Injection, Markers
from tests.support.processes import ROOT

INJECT = ROOT / "tests" / "crash" / "inject"

# Stands in for a task: it sets its identity, then calls a function that a marker may interrupt.
TASK = """
import sys, time
import sitecustomize
from requests import Request, Session
from requests.adapters import HTTPAdapter
sitecustomize.current.update(unit="run~render~-1", try_number=int(sys.argv[1]))
sent = []
HTTPAdapter.send.__wrapped__  # the wrapper is there
try:
    Session().send(Request("POST", "http://127.0.0.1:9/v2/movies").prepare(), timeout=1)
except OSError:
    pass
time.sleep(float(sys.argv[2]))
print("alive", flush=True)
"""


def run(markers: Markers, *, attempt: int = 1, lives: float = 0.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", TASK, str(attempt), str(lives)],
        env={**os.environ, "PYTHONPATH": str(INJECT), "JSON2VIDEO_CRASH_MARKERS": str(markers.folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def markers(tmp_path: Path) -> Markers:
    return Markers(tmp_path / "markers")


def test_a_process_dies_at_its_point_and_the_next_one_survives(markers):
    injection = Injection(point="post.before")
    markers.place("run", injection)
    began = time.time()
    assert run(markers).returncode == -signal.SIGKILL
    hit = markers.hit("run", injection)
    assert began < hit.at < time.time()
    assert hit.try_number == 1
    assert run(markers).stdout == "alive\n"


def test_other_tasks_and_other_attempts_are_not_struck(markers):
    markers.place("run", Injection(point="post.before", attempt=2))
    markers.place("another", Injection(point="post.before"))
    markers.place("run", Injection(point="resume"))
    assert run(markers).stdout == "alive\n"
    assert run(markers, attempt=2).returncode == -signal.SIGKILL


def test_a_strike_may_happen_during_the_call(markers):
    markers.place("run", Injection(point="post.during", after=0.3))
    assert run(markers, lives=20).returncode == -signal.SIGKILL


def test_nothing_is_wrapped_without_a_markers_folder(tmp_path):
    task = "import sitecustomize, sys; print(any(type(f).__name__ == 'Finder' for f in sys.meta_path))"
    env = {**os.environ, "PYTHONPATH": str(INJECT), "JSON2VIDEO_CRASH_MARKERS": str(tmp_path / "none")}
    done = subprocess.run([sys.executable, "-c", task], env=env, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"
