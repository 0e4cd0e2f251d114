"""Child processes that end with their parent, however it ends.

Each child gets its own process group and carries a marker in its environment. A normal end, an
exception, SIGINT and SIGTERM end the groups from here. For everything else (``kill -9``, a crash of
the interpreter) a watchdog process holds the other end of a pipe and does the same when it closes.
The marker is needed because Airflow moves its task processes into groups of their own, so ending a
component's group does not end what it started.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType

import psutil

__all__ = ["ChildEnded", "ProcessSet", "raise_on_signals", "tail"]

MARKER = "JSON2VIDEO_LAB_ID"
ROOT = Path(__file__).resolve().parents[2]


class ChildEnded(RuntimeError):
    """A child process ended unexpectedly. The message ends with the end of the child's log."""


@dataclass(frozen=True)
class _Child:
    process: subprocess.Popen[bytes]
    log: Path


class ProcessSet:
    """A set of named child processes that is ended as a whole.

    :param logs: folder for the children's output, one ``<name>.log`` each; a restart appends.
    :param grace: seconds between SIGTERM and SIGKILL when a child is stopped.
    """

    def __init__(self, logs: Path, *, grace: float = 5.0) -> None:
        self.logs = logs
        self.grace = grace
        self.marker = uuid.uuid4().hex
        self._children: dict[str, _Child] = {}
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()
        logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> ProcessSet:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop_all()

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        piped: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Start *argv* as the child *name*, its output going to :meth:`log_path`.

        :param piped: standard input and output are pipes to this process; only the errors go to the log.
        :raises ValueError: a child of this name is running.
        """
        with self._lock:
            if self.is_running(name):
                msg = f"{name} is running already"
                raise ValueError(msg)
            self._watch()
            log = self.log_path(name)
            with log.open("ab") as out:
                process = subprocess.Popen(
                    list(argv),
                    env=self.marked(env),
                    cwd=cwd,
                    stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                    stdout=subprocess.PIPE if piped else out,
                    stderr=out,
                    start_new_session=True,
                )
            self._children[name] = _Child(process, log)
            return process

    def run(
        self, name: str, argv: Sequence[str], *, env: Mapping[str, str], timeout: float, cwd: Path | None = None
    ) -> None:
        """Run *argv* to its end.

        :param timeout: seconds.
        :raises ChildEnded: its exit code was not 0, or it took too long.
        """
        self.start(name, argv, env=env, cwd=cwd)
        self.wait(name, timeout=timeout)

    def wait(self, name: str, *, timeout: float) -> None:
        """Wait for the end of a child that was started.

        :param timeout: seconds.
        :raises ChildEnded: its exit code was not 0, or it took too long.
        """
        child = self._children[name]
        try:
            code = child.process.wait(timeout)
        except subprocess.TimeoutExpired:
            msg = f"{name} has not ended after {timeout:.0f} s.\n{tail(child.log)}"
            raise ChildEnded(msg) from None
        finally:
            self.stop(name)
        if code:
            msg = f"{name} ended with exit code {code}.\n{tail(child.log)}"
            raise ChildEnded(msg)

    def marked(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return *env* with the marker that identifies descendants.

        SPT_NOENV stops setproctitle, which Airflow uses, from overwriting the marker with a title.
        """
        # A set within a child of another set (a test run within the matrix) belongs to both.
        markers = ":".join(filter(None, (os.environ.get(MARKER), self.marker)))
        return {**env, MARKER: markers, "SPT_NOENV": "1"}

    def log_path(self, name: str) -> Path:
        """Return the file to which the output of the child *name* is written."""
        return self.logs / f"{name}.log"

    def pid(self, name: str) -> int:
        """Return the process id of the child *name*, running or not."""
        return self._children[name].process.pid

    def is_running(self, name: str) -> bool:
        """Return whether the child *name* has been started and has not ended."""
        child = self._children.get(name)
        return child is not None and child.process.poll() is None

    def check(self) -> None:
        """Raise if any child has ended by itself.

        :raises ChildEnded: with the tail of its log.
        """
        for name, child in list(self._children.items()):
            code = child.process.poll()
            if code is not None:
                msg = f"{name} has ended by itself with exit code {code}.\n{tail(child.log)}"
                raise ChildEnded(msg)

    def kill(self, name: str, *, sig: signal.Signals = signal.SIGKILL, descendants: bool = True) -> None:
        """Kill the child *name* as a crash would, and wait until it has ended.

        :param descendants: False kills the one process only and leaves its children orphaned, as the
            kernel's out-of-memory killer does.
        """
        child = self._children.pop(name)
        below = _descendants(child.process.pid) if descendants else []
        child.process.send_signal(sig)
        for process in below:
            with contextlib.suppress(psutil.Error):
                process.send_signal(sig)
        child.process.wait(30)

    def stop(self, name: str) -> None:
        """End the child *name* and its descendants: SIGTERM, the grace, SIGKILL. No error if it has ended."""
        child = self._children.pop(name, None)
        if child is not None:
            _end([child.process], grace=self.grace)

    def stop_all(self) -> None:
        """End every child and every marked descendant. May be called twice."""
        with self._lock:
            children, self._children = self._children, {}
            _end([c.process for c in children.values()], grace=self.grace)
            if self._watchdog is not None:
                sweep(self.marker)
                if self._watchdog.stdin is not None:
                    self._watchdog.stdin.close()
                self._watchdog.wait(30)
                self._watchdog = None
                atexit.unregister(self.stop_all)

    def survivors(self) -> list[psutil.Process]:
        """Return the running processes that have this set's marker, except its own watchdog."""
        skip = self._watchdog.pid if self._watchdog else None
        return [p for p in marked_processes(self.marker) if p.pid != skip]

    def _watch(self) -> None:
        if self._watchdog is None:
            self._watchdog = subprocess.Popen(
                [sys.executable, "-m", "tests.support.processes", self.marker],
                env={k: v for k, v in os.environ.items() if k != MARKER},
                stdin=subprocess.PIPE,
                cwd=ROOT,
                start_new_session=True,
            )
            atexit.register(self.stop_all)


def _descendants(pid: int) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        found = psutil.Process(pid).children(recursive=True)
    return found


def _end(processes: Sequence[subprocess.Popen[bytes]], *, grace: float) -> None:
    below = [d for p in processes for d in _descendants(p.pid)]
    for process in processes:
        _signal_group(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
    for process in processes:
        _signal_group(process.pid, signal.SIGKILL)
        process.wait(30)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
    for descendant in below:
        with contextlib.suppress(psutil.Error):
            descendant.kill()


def _signal_group(pgid: int, sig: signal.Signals) -> None:
    # The group may be gone, and a group of zombies may not be signaled on macOS.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pgid, sig)


def marked_processes(marker: str) -> list[psutil.Process]:
    """Return this user's processes whose environment contains *marker*, except the calling one."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and marker in process.environ().get(MARKER, "").split(":"):
                found.append(process)
    return found


def sweep(marker: str) -> int:
    """Kill every process whose environment contains *marker*, and return their number."""
    killed = 0
    for _ in range(20):  # a process that is about to fork may be missed in one round
        found = marked_processes(marker)
        if not found:
            break
        killed += len(found)
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(found, timeout=5)
    return killed


@contextlib.contextmanager
def raise_on_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP unwind the stack as SIGINT does within the block, so that every ``with`` closes."""

    def unwind(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    previous = {s: signal.signal(s, unwind) for s in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def tail(log: Path, *, lines: int = 30) -> str:
    """Return the last lines of a log under a heading that names it."""
    try:
        text = log.read_text(errors="replace").splitlines()[-lines:]
    except OSError as error:
        text = [f"(cannot be read: {error})"]
    return "\n".join([f"--- last lines of {log}", *text, "---"])


def _watchdog(marker: str) -> None:
    # A Ctrl-C or a kill of the parent's group must not end the process that cleans up after it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    sweep(marker)


if __name__ == "__main__":
    _watchdog(sys.argv[1])
