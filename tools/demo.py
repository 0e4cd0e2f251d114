"""``make demo``: a movie file becomes an MP4 in a real Airflow, with a line for each step.

Environment: ``KEEP=1`` leaves Airflow's pages open at the end; ``JSON2VIDEO_API_KEY`` uses the real
service, which costs credits, after a delay that ``YES=1`` skips.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import queue
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NoReturn

from tests.support.airflow import Airflow, AirflowTimeout, StateChange
from tests.support.processes import ROOT, ChildEnded, raise_on_signals, tail
from tests.support.service import ServiceProcess
from tests.support.timeline import RenderStatus, Submission, Timeline, worker_slot_seconds
from tests.support.video import VideoFacts, read_back

__all__ = ["main"]

DAG_ID = "json2video_movie_from_file"
MOVIE = ROOT / "dags_examples" / "movies" / "weekly_report.json"
FOLDER = ROOT / ".demo"
KEY_VARIABLE = "JSON2VIDEO_API_KEY"
DELAY_BEFORE_PAYING = 8  # seconds
# A preview of this movie is drawn in a few seconds. The waiting time shows the free worker slot, and each status lasts
# long enough to be seen on a busy machine.
LOCAL_SETTINGS = {"queue_seconds": 4.0, "render_seconds": 6.0}


class DemoFailed(Exception):
    """The demo failed; the message contains the reason and the relevant log."""


def main() -> int:
    """Run the demo and return its exit code."""
    began = time.monotonic()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    api_key = os.environ.pop(KEY_VARIABLE, "").strip()  # removed: children get it through the connection only
    home = FOLDER / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    try:
        with raise_on_signals(), contextlib.ExitStack() as stack:
            if api_key:
                _announce_cost()
            _run(home, api_key=api_key, stack=stack, began=began)
    except (DemoFailed, ChildEnded, AirflowTimeout, TimeoutError) as error:
        print(f"\nThe demo failed: {error}\n\nAll logs are in {_short(home)}. No process is left behind.")
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. No process is left behind.")
        return 130
    return 0


def _run(home: Path, *, api_key: str, stack: contextlib.ExitStack, began: float) -> None:
    print(f"JSON2Video in Apache Airflow {metadata.version('apache-airflow')}, Python {platform.python_version()}")
    if api_key:
        connection, host = json.dumps({"conn_type": "json2video", "password": api_key}), None
        print("  service   JSON2Video itself; the render costs credits")
    else:
        service = stack.enter_context(ServiceProcess(home / "service", settings=LOCAL_SETTINGS))
        connection, host = service.connection, service.host
        print(f"  service   {service.url}  (on this machine, free of charge)")
    airflow = Airflow(
        home / "airflow",
        dags_folder=ROOT / "dags_examples",
        connections={"json2video_default": connection},
    )
    print("  Airflow   starting: database, API server, scheduler, DAG processor, triggerer")
    stack.enter_context(airflow)
    airflow.wait_for_dag(DAG_ID)
    print(f"            {airflow.url}  (ready after {time.monotonic() - began:.0f} s)")
    print(f"  DAG       {DAG_ID}  (dags_examples/movie_from_file.py)")
    print(f"  movie     {_short(MOVIE)}\n")

    run_id = airflow.trigger(DAG_ID, conf={"output_dir": str(FOLDER / "videos")})
    timeline = Timeline()
    for event in _events(airflow, run_id, key=api_key or "any-key-will-do", host=host):
        timeline.add(event)
        if isinstance(event, StateChange) and event.state == "up_for_retry":
            _explain(airflow, run_id, timeline)  # print the reason now instead of waiting five minutes for the retry
    if timeline.run_state != "success":
        _explain(airflow, run_id, timeline)

    result = airflow.xcom(DAG_ID, run_id, "render")
    facts = read_back(Path(result["stored_path"]))
    held = worker_slot_seconds(airflow.task_log(DAG_ID, run_id, "render", triggers=False))
    _report(facts, timeline, held=held, result=result)
    print(f"\nTotal time: {time.monotonic() - began:.0f} s.")
    if os.environ.get("KEEP", "") not in ("", "0"):
        print(f"\nAirflow's pages: {airflow.url}/dags/{DAG_ID}/runs/{run_id}\nCtrl-C ends everything.")
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(1)
                airflow.processes.check()
    stack.close()
    shutil.rmtree(home, ignore_errors=True)  # after a failure it remains, for its logs


def _events(
    airflow: Airflow, run_id: str, *, key: str, host: str | None
) -> Iterator[StateChange | Submission | RenderStatus]:
    """Yield what happens in Airflow and at the service, in the order in which it is observed."""
    seen: queue.SimpleQueue[StateChange | Submission | RenderStatus | BaseException] = queue.SimpleQueue()
    ended = threading.Event()

    def follow_airflow() -> None:
        try:
            for change in airflow.follow(DAG_ID, run_id, timeout=120 if host else 3600):
                seen.put(change)
        except BaseException as error:
            seen.put(error)

    def follow_service() -> None:
        try:
            for event in _watch_render(airflow, run_id, key=key, host=host, ended=ended):
                seen.put(event)
        except BaseException as error:
            seen.put(error)

    for target in (follow_airflow, follow_service):
        threading.Thread(target=target, daemon=True).start()
    submitted, early = False, None
    try:
        while True:
            event = seen.get()
            if isinstance(event, BaseException):
                raise event
            if isinstance(event, StateChange) and event.state == "deferred" and not submitted:
                early = event  # Airflow was polled first, but a task defers only after it has submitted
                continue
            yield event
            if isinstance(event, Submission):
                submitted = True
                if early is not None:
                    yield early
            if isinstance(event, StateChange) and event.task_id is None:
                return
    finally:
        ended.set()


def _watch_render(
    airflow: Airflow, run_id: str, *, key: str, host: str | None, ended: threading.Event
) -> Iterator[Submission | RenderStatus]:
    """Poll the render's status in addition to the trigger, only to print it."""
    from airflow_json2video.api.calls import get_movie
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.api.config import DEFAULT_HOST
    from airflow_json2video.core.identity import read_stamp
    from airflow_json2video.exceptions import TransportError

    project = ""
    while not project:
        if ended.wait(0.2):
            return
        with contextlib.suppress(LookupError, ConnectionError):
            project = airflow.xcom(DAG_ID, run_id, "render", key="json2video_project")
    status = ""
    with Json2VideoClient(key, host=host or DEFAULT_HOST) as client:
        while status not in ("done", "error", "timeout"):
            try:
                movie = client.execute(get_movie(project, simple=bool(status))).movie
            except TransportError:
                movie = None
            if movie is not None and movie.status != status:
                if not status:
                    stamp = read_stamp(movie.client_data, movie.json_text)
                    yield Submission(project, stamp.submission_key if stamp else None)
                status = movie.status
                yield RenderStatus(status)
            # The real service asks for five seconds between two polls of one render.
            if ended.wait(0.2 if host else 5.0):
                return


def _explain(airflow: Airflow, run_id: str, timeline: Timeline) -> NoReturn:
    failed = [t for t, state in timeline.task_states.items() if state in ("failed", "up_for_retry")]
    if not failed:
        raise DemoFailed(f"the run ended in {timeline.run_state}.\n{tail(airflow.processes.log_path('scheduler'))}")
    log = airflow.home / "logs" / f"dag_id={DAG_ID}" / f"run_id={run_id}" / f"task_id={failed[0]}"
    attempts = sorted(log.glob("attempt=*.log"), key=lambda p: p.stat().st_mtime)
    problems = _problems(attempts[-1]) if attempts else tail(airflow.processes.log_path("scheduler"))
    raise DemoFailed(f"task {failed[0]} failed.\n{problems}")


def _problems(log: Path) -> str:
    """Return the warnings and errors of a task's log, which has one JSON object a line."""
    lines = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError, AttributeError):
            entry = json.loads(line)
            if entry.get("level") in ("warning", "error", "critical"):
                lines.append(f"  {entry['level']}: {entry.get('event')}")
    return "\n".join(lines) or tail(log)


def _announce_cost() -> None:
    from airflow_json2video.movie.estimation import estimate

    guess = estimate(json.loads(MOVIE.read_text()))
    price = "an unknown number of credits" if guess.credits is None else f"about {guess.credits} credits"
    print(f"{KEY_VARIABLE} is set: this renders {_short(MOVIE)} at JSON2Video and costs {price}.")
    if os.environ.get("YES", "") in ("", "0"):
        print(f"Starting in {DELAY_BEFORE_PAYING} s; Ctrl-C stops it before anything is paid for (YES=1: no wait).")
        time.sleep(DELAY_BEFORE_PAYING)


def _report(facts: VideoFacts, timeline: Timeline, *, held: float | None, result: dict[str, object]) -> None:
    print(f"\n  video     {_short(facts.path)}")
    print(f"            {facts}  (read back from the file)")
    print(f"  service   says {result['duration']} s, {result['width']} x {result['height']}, {result['size']} bytes")
    print("  phases    " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in timeline.phases()))
    whole = timeline.render_task_seconds()
    slot = "unknown" if held is None else f"{held:.1f} s of the {whole:.1f} s that the render task took"
    print(f"  slot      a worker slot was held for {slot}")


def _short(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.resolve().relative_to(ROOT))
    return str(path)


if __name__ == "__main__":
    sys.exit(main())
