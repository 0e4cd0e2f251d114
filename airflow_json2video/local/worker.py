"""The child process of one render: ``python -m airflow_json2video.local.worker job.json``.

It reads the job, writes ``out.mp4``, ``progress.json`` and ``result.json`` next to it, and exits. If it
crashes, the service reports that render as failed and continues.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from airflow_json2video.local.limits import Limits
from airflow_json2video.local.rlimits import limit_this_process

__all__ = ["main"]


def main(job_file: Path) -> int:
    """Render the job and return the exit code, which is 0 also for a movie that failed."""
    folder = job_file.parent
    job: dict[str, Any] = json.loads(job_file.read_text())
    threading.Thread(target=_exit_with_service, args=(job.get("service"),), daemon=True).start()
    if job.get("crash"):
        os.kill(os.getpid(), signal.SIGKILL)
    limits = Limits.of(job.get("limits"))
    limit_this_process(limits)
    try:
        result = _rendered(job, folder, limits)
    except Exception as error:
        traceback.print_exc()
        why = f"{type(error).__name__}: {str(error)[:500]}"
        if _is_for_memory(error):
            most = f"{limits.worker_bytes // (1024 * 1024):,} MB"
            why = f"the movie needs more memory than the limit of {most}"
        result = {"outcome": "error", "message": f"Error rendering movie: {why}"}
    _write(folder / "result.json", result)
    return 0


def _rendered(job: dict[str, Any], folder: Path, limits: Limits) -> dict[str, Any]:
    from airflow_json2video.local.drawing.assets import Assets
    from airflow_json2video.local.drawing.malloc import retain_freed_memory
    from airflow_json2video.local.drawing.render import render

    retain_freed_memory()
    assets = Assets(
        cache=folder / "assets",
        origin=job.get("origin") or "",
        folder=Path(job["assets"]) if job.get("assets") else None,
        drive=Path(job["drive"]) if job.get("drive") else None,
        fetch=bool(job.get("fetch_assets", True)),
        allow_private=bool(job.get("allow_private", False)),
        limits=limits,
    )
    if hasattr(os, "nice"):
        os.nice(10)  # the service and its clients have priority
    started = time.perf_counter()

    def progress(done: int, frames: int) -> None:
        _write(folder / "progress.json", {"frames_done": done, "frames": frames})

    result = render(
        job["document"],
        folder / "out.mp4",
        mode=job["mode"],
        assets=assets,
        progress=progress,
        html=bool(job.get("html", False)),
    )
    print(json.dumps({**result, "seconds": round(time.perf_counter() - started, 3)}))
    return result


def _is_for_memory(error: BaseException) -> bool:
    """Return whether memory was exhausted, also if the error came from closing a file afterwards."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _exit_with_service(service: int | None) -> None:
    """Exit if the service was killed; it renders this job again after a restart.

    The process id is part of the job, since the service could end before this process reads it.
    """
    while service is not None and os.getppid() == service:
        time.sleep(0.25)
    if service is None:
        return
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # including the children of this render
    os._exit(1)


def _write(path: Path, value: dict[str, Any]) -> None:
    """Write a file atomically, since the service can read it at any time."""
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(value, ensure_ascii=False))
    partial.replace(path)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
