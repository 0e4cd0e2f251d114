"""Children end with their parent, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.processes import ROOT, ChildEnded, ProcessSet, marked_processes

# A child that starts a grandchild in a session of its own, as Airflow does with its tasks; both ignore SIGTERM.
STUBBORN = (
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "subprocess.Popen([sys.executable, '-c', 'import signal, time; "
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)'], start_new_session=True); time.sleep(600)"
)
PARENT = f"""
import sys, time
from pathlib import Path
from tests.support.processes import ProcessSet, marked_processes, raise_on_signals

with raise_on_signals(), ProcessSet(Path(sys.argv[1]), grace=0.2) as processes:
    processes.start("stubborn", [sys.executable, "-c", {STUBBORN!r}], env={{}})
    while len(processes.survivors()) < 2:
        time.sleep(0.02)
    print(processes.marker, flush=True)
    if sys.argv[2] == "fails":
        raise RuntimeError("as requested")
    time.sleep(600)
"""


def wait_until(condition, *, timeout: float = 20.0) -> bool:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("end", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL", "fails"])
def test_no_process_is_left_behind_however_the_parent_ends(end, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), end],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        marker = parent.stdout.readline().strip()
        assert marker
        if end != "fails":
            parent.send_signal(signal.Signals[end])
        assert parent.wait(30) != 0
        assert wait_until(lambda: not marked_processes(marker)), marked_processes(marker)


def test_a_child_that_ends_by_itself_is_reported_with_the_end_of_its_log(tmp_path):
    with ProcessSet(tmp_path, grace=0.2) as processes:
        processes.start("talker", [sys.executable, "-c", "print('my last words'); raise SystemExit(3)"], env={})
        assert wait_until(lambda: not processes.is_running("talker"))
        with pytest.raises(ChildEnded, match=r"(?s)talker has ended by itself with exit code 3.*my last words"):
            processes.check()


def test_a_child_that_was_killed_on_purpose_is_not_reported(tmp_path):
    with ProcessSet(tmp_path, grace=0.2) as processes:
        processes.start("victim", [sys.executable, "-c", STUBBORN], env={})
        assert wait_until(lambda: len(processes.survivors()) == 2)
        processes.kill("victim")
        processes.check()
        assert wait_until(lambda: not processes.survivors())
        processes.start("victim", [sys.executable, "-c", STUBBORN], env={})
        assert processes.is_running("victim")


def test_a_child_killed_alone_leaves_its_orphans_until_the_set_ends(tmp_path):
    processes = ProcessSet(tmp_path, grace=0.2)
    with processes:
        processes.start("victim", [sys.executable, "-c", STUBBORN], env={})
        assert wait_until(lambda: len(processes.survivors()) == 2)
        processes.kill("victim", descendants=False)
        assert len(processes.survivors()) == 1
    assert not processes.survivors()


def test_a_command_that_fails_or_takes_too_long_says_so(tmp_path: Path):
    with ProcessSet(tmp_path, grace=0.2) as processes:
        with pytest.raises(ChildEnded, match=r"(?s)migrate ended with exit code 2.*no such table"):
            processes.run(
                "migrate",
                [sys.executable, "-c", "import sys; sys.stderr.write('no such table'); sys.exit(2)"],
                env={},
                timeout=20,
            )
        with pytest.raises(ChildEnded, match="slow has not ended after 0 s"):
            processes.run("slow", [sys.executable, "-c", "import time; time.sleep(600)"], env={}, timeout=0.2)


def test_a_set_within_a_child_of_another_set_belongs_to_both(tmp_path, monkeypatch):
    with ProcessSet(tmp_path / "outer") as outer:
        monkeypatch.setenv("JSON2VIDEO_LAB_ID", outer.marker)
        with ProcessSet(tmp_path / "inner") as inner:
            process = inner.start(
                "sleeper", [sys.executable, "-c", "import time; time.sleep(600)"], env=dict(os.environ)
            )
            assert [p.pid for p in outer.survivors()] == [process.pid] == [p.pid for p in inner.survivors()]
