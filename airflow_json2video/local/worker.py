"""The child process of one render: ``python -m airflow_json2video.local.worker job.json``.

It reads the job, writes ``out.mp4``, ``progress.json`` and ``result.json`` beside it, and ends. If it
crashes, the service reports that render as failed and goes on.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

__all__ = ["main"]


def main(job_file: Path) -> int:
    """Render the job and give the exit code: 0 also for a movie that failed."""
    folder = job_file.parent
    job: dict[str, Any] = json.loads(job_file.read_text())
    threading.Thread(target=_end_with, args=(job.get("service"),), daemon=True).start()
    if job.get("crash"):
        os.kill(os.getpid(), signal.SIGKILL)

    from airflow_json2video.local.drawing.assets import Assets
    from airflow_json2video.local.drawing.render import render

    assets = Assets(
        cache=folder / "assets",
        origin=job.get("origin") or "",
        folder=Path(job["assets"]) if job.get("assets") else None,
        fetch=bool(job.get("fetch_assets", True)),
        allow_private=bool(job.get("allow_private", False)),
        max_bytes=int(job.get("max_asset_bytes") or 200 * 1024 * 1024),
        timeout=float(job.get("asset_timeout") or 30.0),
    )
    if hasattr(os, "nice"):
        os.nice(10)  # the service, and who waits for its answers, come first
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
    _write(folder / "result.json", result)
    return 0


def _end_with(service: int | None) -> None:
    """End when the service was killed and could not end us; whoever starts it again renders this anew.

    The id comes with the job: the service may be gone before this process could have looked it up.
    """
    while service is not None and os.getppid() == service:
        time.sleep(0.25)
    if service is not None:
        os._exit(1)


def _write(path: Path, value: dict[str, Any]) -> None:
    """Write whole or not at all: the service may read at any moment."""
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(value, ensure_ascii=False))
    partial.replace(path)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
