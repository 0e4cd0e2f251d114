"""``make demo`` succeeds or says why it failed, and leaves no process behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.airflow import airflow_version
from tests.support.processes import ROOT, ProcessSet
from tests.support.video import read_back

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(airflow_version() < (3, 3), reason="the demo is pinned to Airflow 3.3"),
]


class Demo:
    """A running demo and its output so far."""

    def __init__(self, processes: ProcessSet) -> None:
        self.processes = processes
        self.process = processes.start(
            "demo", [sys.executable, "-m", "tools.demo"], env=dict(os.environ), cwd=ROOT, piped=True
        )
        self.text = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.text += line.decode()

    def wait_for(self, pattern: str, *, timeout: float = 90.0) -> None:
        deadline = time.monotonic() + timeout
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, self.text
            assert self.process.poll() is None, self.text
            time.sleep(0.1)

    def wait(self, *, timeout: float = 90.0) -> int:
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            pytest.fail(self.text)
        self._reader.join(5)
        return code

    def left_behind(self, *, within: float = 20.0) -> list[str]:
        deadline = time.monotonic() + within
        while (found := self.processes.survivors()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return [str(process) for process in found]


@pytest.fixture
def demo(tmp_path) -> Iterator[Demo]:
    with ProcessSet(tmp_path) as processes:
        yield Demo(processes)


def test_the_demo_prints_every_step_and_ends_with_a_playable_file(demo: Demo):
    assert demo.wait(timeout=180) == 0, demo.text
    assert demo.left_behind(within=0) == []
    steps = re.findall(r"(?m)^ +[\d.]+ s +(submitted|deferred|pending|running|done|resumed|stored)\b", demo.text)
    assert [step for step in steps if step != "deferred"] == [
        *("submitted", "pending", "running", "done", "resumed", "stored")
    ], demo.text
    # Airflow and the service are polled in parallel, so these two may be seen in either order.
    assert steps.index("deferred") in (1, 2), demo.text
    path = ROOT / re.search(r"video +(\S+\.mp4)", demo.text).group(1)
    facts = read_back(path)
    path.unlink()
    assert f"{facts.duration:.2f} s, " in demo.text
    assert f"({facts.size} bytes), {facts.width} x {facts.height}" in demo.text
    held, whole = map(float, re.search(r"held for ([\d.]+) s of the ([\d.]+) s", demo.text).groups())
    assert 0 < held < whole


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda s: s.name)
def test_an_ended_demo_leaves_no_process_behind(demo: Demo, number: signal.Signals):
    demo.wait_for("deferred")
    assert len(demo.processes.survivors()) > 5
    demo.process.send_signal(number)
    assert demo.wait(timeout=60) != 0
    assert demo.left_behind() == []


@pytest.mark.long
def test_a_demo_interrupted_while_it_starts_leaves_no_process_behind(demo: Demo):
    demo.wait_for("starting")
    demo.process.send_signal(signal.SIGINT)
    assert demo.wait(timeout=60) == 130, demo.text
    assert demo.left_behind() == []


@pytest.mark.long
def test_a_demo_that_fails_prints_the_relevant_log_and_leaves_no_process_behind(demo: Demo):
    demo.wait_for("render started")
    scheduler = [p for p in demo.processes.survivors() if "scheduler" in p.cmdline()]
    assert scheduler
    scheduler[0].kill()
    assert demo.wait(timeout=60) == 1, demo.text
    assert "The demo failed: scheduler has ended by itself" in demo.text
    assert "scheduler.log" in demo.text
    assert demo.left_behind() == []
