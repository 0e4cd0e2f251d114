"""The queue of renders, first in, first out. Each runs in its own process, so that a crash affects only that render."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_json2video.local.contract import length_problem
from airflow_json2video.local.drawing.instant import render_instantly
from airflow_json2video.local.exports import describe_unserved
from airflow_json2video.local.limits import Limits
from airflow_json2video.local.pricing import charge
from airflow_json2video.local.result_cache import ResultCache

if TYPE_CHECKING:
    from airflow_json2video.local.clock import Clock
    from airflow_json2video.local.ledger import Ledger
    from airflow_json2video.local.settings import Settings
    from airflow_json2video.local.store import Render, Store

__all__ = ["RenderQueue"]

log = logging.getLogger(__name__)


class JobUnreadable(Exception):
    """The stored document of a render cannot be read."""


@dataclass(frozen=True, kw_only=True)
class ServicePaths:
    """The paths on this machine that a worker reads from."""

    origin: str
    """The service's own address; its ``/assets/`` are read from the folder."""
    assets: Path | None
    drive: Path
    """Folder of the drive's files."""


class RenderQueue:
    """Starts a worker for each queued render, ``settings.workers`` in parallel.

    ``instant`` renders decode nothing and take a few milliseconds, so they run in the service itself.
    """

    def __init__(self, *, store: Store, clock: Clock, settings: Settings, ledger: Ledger, paths: ServicePaths) -> None:
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._settings = settings
        self._paths = paths
        self._results = ResultCache(store.folder)
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping = False
        self._idle = threading.Condition()
        self._open = 0
        self._threads = [
            threading.Thread(target=self._serve, name=f"json2video-render-{n}", daemon=True)
            for n in range(max(1, int(settings.workers)))
        ]

    def start(self) -> None:
        """Start, with the renders that were unfinished before a restart."""
        for render in self._store.all():
            if render.phase != "finished":
                self._store.change(render.project, phase="queued", started_at=None)
                self.submit(render.project)
        for thread in self._threads:
            thread.start()

    def submit(self, project: str) -> None:
        """Queue a stored render."""
        with self._idle:
            self._open += 1
        self._waiting.put(project)

    def wait_idle(self, timeout: float) -> bool:
        """Wait up to *timeout* real seconds for all renders to finish; return False if some have not."""
        with self._idle:
            return self._idle.wait_for(lambda: self._open == 0, timeout)

    def processes(self) -> dict[str, int]:
        """Return the process id of each running render."""
        with self._lock:
            return {project: process.pid for project, process in self._processes.items()}

    def drop(self) -> None:
        """Kill the running renders and drop the queued ones."""
        with contextlib.suppress(queue.Empty):
            while True:
                if self._waiting.get_nowait() is not None:
                    self._closed()
        self._kill_all()

    def stop(self) -> None:
        """Kill every worker process. Their renders stay unfinished in the store and are resumed after a restart."""
        self._stopping = True
        for _ in self._threads:
            self._waiting.put(None)
        self._kill_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=5)

    def _kill_all(self) -> None:
        with self._lock:
            processes = list(self._processes.values())
        for process in processes:
            _kill(process)

    def _serve(self) -> None:
        while (project := self._waiting.get()) is not None and not self._stopping:
            try:
                self._render(project)
            except Exception:
                # For example a full disk. This thread continues with the other renders; the log has the traceback.
                log.exception("Could not store the result of render %s", project)
            finally:
                self._closed()

    def _closed(self) -> None:
        with self._idle:
            self._open -= 1
            self._idle.notify_all()

    def _render(self, project: str) -> None:
        render = self._store.change(project, phase="working", started_at=self._clock.now())
        if render is None:
            return
        forced = render.forced or {}
        if forced.get("status") == "error":
            result: dict[str, Any] = {
                "outcome": "error",
                "message": forced.get("message") or "Error rendering movie",
            }
        else:
            try:
                result = self._rendered(render, forced)
            except JobUnreadable as damage:
                result = {"outcome": "error", "message": f"Error rendering movie: {damage}"}
            except Exception as error:
                log.exception("Render %s failed", project)
                result = {"outcome": "error", "message": f"Error rendering movie: {type(error).__name__}: {error}"}
        if not self._stopping:
            self._finish(render, result)

    def _rendered(self, render: Render, forced: dict[str, Any]) -> dict[str, Any]:
        if render.mode == "instant" and forced.get("status") != "crash":
            return render_instantly(self._document(render), self._store.folder(render.project) / "out.mp4")
        return self._cached_or_in_child(render)

    def _cached_or_in_child(self, render: Render) -> dict[str, Any]:
        if not self._settings.cache or (render.forced or {}).get("status") == "crash":
            return self._in_child(render)
        document = self._document(render)
        drawn = self._drawn(render)
        result = self._results.restore(render.project, document, drawn=drawn) or self._in_child(render)
        if result.get("outcome") == "done":
            self._results.add(render.project, document, drawn=drawn)
        return result

    def _drawn(self, render: Render) -> dict[str, Any]:
        """Return the settings, other than the document, that affect the result of a render."""
        return {
            "mode": "preview" if render.mode == "instant" else render.mode,
            "fetch_assets": self._settings.fetch_assets,
            "allow_private": self._settings.allow_private,
            "html": self._settings.html,
            "limits": asdict(self._limits()),
        }

    def _document(self, render: Render) -> dict[str, Any]:
        """Return the document to render, merged with the template as of the submission."""
        expanded = self._store.folder(render.project) / "movie.json"
        try:
            document = json.loads(expanded.read_text()) if expanded.exists() else render.submitted()
        except (OSError, ValueError) as error:
            raise JobUnreadable(f"{expanded} cannot be read ({error}); submit the movie again") from None
        return document if isinstance(document, dict) else {}

    def _in_child(self, render: Render) -> dict[str, Any]:
        folder = self._store.folder(render.project)
        folder.mkdir(parents=True, exist_ok=True)
        job = {
            "document": self._document(render),
            **self._drawn(render),
            "origin": self._paths.origin,
            "assets": str(self._paths.assets) if self._paths.assets else None,
            "drive": str(self._paths.drive),
            "service": os.getpid(),
            "crash": (render.forced or {}).get("status") == "crash",
        }
        (folder / "job.json").write_text(json.dumps(job, ensure_ascii=False))
        result = folder / "result.json"
        result.unlink(missing_ok=True)
        (folder / "scratch").mkdir(exist_ok=True)
        try:
            code = self._wait(render.project, self._start(folder))
        finally:
            _tidy(folder)
        if code is None or code == -getattr(signal, "SIGXCPU", 0):
            return {"outcome": "error", "message": "Movie took too long to render"}
        try:
            outcome = json.loads(result.read_text())
        except (OSError, ValueError):
            ending = f"signal {-code}" if code < 0 else f"exit code {code}"
            return {
                "outcome": "error",
                "message": f"Error rendering movie: the worker ended unexpectedly ({ending})",
            }
        return outcome if isinstance(outcome, dict) else {"outcome": "error", "message": "Error rendering movie"}

    def _limits(self) -> Limits:
        settings = self._settings
        return Limits(
            asset_bytes=int(settings.max_asset_bytes),
            job_bytes=int(settings.max_job_bytes),
            download_seconds=settings.asset_timeout,
            worker_bytes=int(settings.max_worker_bytes),
            render_seconds=settings.render_limit,
        )

    @staticmethod
    def _start(folder: Path) -> subprocess.Popen[bytes]:
        with (folder / "log.txt").open("wb") as log_file:
            return subprocess.Popen(  # noqa: S603 - our own module, without a shell
                [sys.executable, "-m", "airflow_json2video.local.worker", str(folder / "job.json")],
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=_environment(folder / "scratch"),
            )

    def _wait(self, project: str, process: subprocess.Popen[bytes]) -> int | None:
        """Return the exit code of a worker; None if it took too long and was killed."""
        with self._lock:
            self._processes[project] = process
        if self._stopping:
            _kill(process)
        try:
            return process.wait(timeout=self._settings.render_limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _kill(process)  # including its children
            process.wait()
            with self._lock:
                self._processes.pop(project, None)

    def _finish(self, render: Render, result: dict[str, Any]) -> None:
        if result.get("outcome") == "done" and (too_long := length_problem(result["duration"], self._settings)):
            self._store.video(render.project).unlink(missing_ok=True)
            self._store.subtitles(render.project).unlink(missing_ok=True)
            result = {"outcome": "error", "message": too_long}
        names = ("outcome", "message", "width", "height", "fps", "frames", "duration", "size", "warnings", "ass")
        facts = {name: result[name] for name in names if result.get(name) is not None}
        unserved = describe_unserved(render.destinations, allow_webhooks=self._settings.allow_webhooks)
        facts["warnings"] = [*facts.get("warnings", []), *unserved]
        if result.get("outcome") == "done":
            facts["credits"] = charge(result, store=self._store, settings=self._settings, now=self._clock.now())
        current = self._store.get(render.project)
        if current is not None and current.deleted_at is not None:
            self._store.video(render.project).unlink(missing_ok=True)
            self._store.subtitles(render.project).unlink(missing_ok=True)
        finished = self._store.change(render.project, phase="finished", finished_at=self._clock.now(), **facts)
        if finished is not None:
            self._ledger.add(finished)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a worker and its children: it has its own process group, if the system has process groups."""
    if not hasattr(os, "killpg"):  # Windows
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _tidy(folder: Path) -> None:
    """Delete the temporary files of a render: downloads and partial files."""
    for name in ("scratch", "assets"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for partial in folder.glob("*.part"):
        partial.unlink(missing_ok=True)


def _environment(scratch: Path) -> dict[str, str]:
    """Return the worker's environment: its temporary folder, and a path from which this package can be imported."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.environ.get("PYTHONPATH")
    temporary = dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(scratch.resolve()))
    return {**os.environ, **temporary, "PYTHONPATH": f"{root}{os.pathsep}{path}" if path else root}
