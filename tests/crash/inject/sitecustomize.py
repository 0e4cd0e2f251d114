"""Kills Airflow's processes at exact points. Python runs it at the start of every process that finds it on its path.

It wraps a few functions of Airflow, ``requests`` and the package when their modules are imported. A wrapped
function checks for a marker file of the task instance that runs here; the one process that moves the file away
does what the file says, so each marker applies once. See :mod:`tests.crash.markers`.

It uses only the standard library: it runs before anything else, and in processes that do not run a task.
"""

from __future__ import annotations

import importlib.abc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MARKERS = Path(os.environ.get("JSON2VIDEO_CRASH_MARKERS", "/nonexistent"))

current: dict[str, Any] = {}
"""The task instance of this process, or of the task that this process supervises."""


def inject(point: str, *, supervisor: bool = False) -> None:
    """Do what the marker of this point says, if there is one for this attempt."""
    if not current:
        return
    for attempt in (current["try_number"], "any"):
        name = "{unit}@{point}@{attempt}".format(unit=current["unit"], point=point, attempt=attempt)
        taken = MARKERS / "taken" / name
        try:
            (MARKERS / name).rename(taken)
        except OSError:
            continue
        _strike(json.loads(taken.read_text()), taken, supervisor=supervisor)


def _strike(order: dict[str, Any], taken: Path, *, supervisor: bool) -> None:
    if order.get("after"):
        timer = threading.Timer(float(order["after"]), _act, (order, taken))
        timer.daemon = True
        timer.start()
        return
    _act(order, taken, supervisor=supervisor)


def _act(order: dict[str, Any], taken: Path, *, supervisor: bool = False) -> None:
    pids = [*_children(os.getpid()), os.getpid()] if supervisor else [os.getpid()]
    if order["whom"] == "worker" and not supervisor:
        pids.insert(0, os.getppid())
    number = signal.SIGSTOP if order["what"] == "stop" else signal.SIGKILL
    facts = {**order, "pids": pids, "at": time.time(), "try_number": current.get("try_number")}
    partial = taken.with_name(f"{taken.name}.part")
    partial.write_text(json.dumps(facts))
    partial.replace(taken.with_name(f"{taken.name}.hit"))
    for pid in pids:
        os.kill(pid, number)


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def around(owner: Any, name: str, *, before: Any = None, after: Any = None, supervisor: bool = False) -> None:
    """Injection before and after a function: at a named point, or at those that a function of the arguments returns."""
    original = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        for point in _points(before, args, kwargs):
            inject(point, supervisor=supervisor)
        result = original(*args, **kwargs)
        for point in _points(after, args, kwargs):
            inject(point, supervisor=supervisor)
        return result

    wrapped.__wrapped__ = original  # type: ignore[attr-defined]
    wrapped.__name__ = name
    setattr(owner, name, wrapped)


def _points(where: Any, args: Any, kwargs: Any) -> list[str]:
    if where is None:
        return []
    if callable(where):
        where = where(*args, **kwargs)
    return [where] if isinstance(where, str) else list(where)


def in_supervisor(module: Any) -> None:
    """Record which task instance is supervised here; the task's own process is forked afterwards and inherits it."""
    original = module.ActivitySubprocess.start.__func__

    def start(cls: Any, **kwargs: Any) -> Any:
        ti = kwargs["what"]
        current.clear()
        current.update(
            unit=f"{ti.run_id}~{ti.task_id}~{-1 if ti.map_index is None else ti.map_index}", try_number=ti.try_number
        )
        return original(cls, **kwargs)

    module.ActivitySubprocess.start = classmethod(start)


def in_api_client(module: Any) -> None:
    """Wrap what the supervisor reports to Airflow about the task."""
    for name in ("defer", "succeed"):
        around(module.TaskInstanceOperations, name, before=f"{name}.sending", after=f"{name}.sent", supervisor=True)


def in_task_runner(module: Any) -> None:
    """Wrap the steps of a task's own process."""

    def resumed(context: Any, ti: Any, log: Any) -> str:
        server = ti._ti_context_from_server
        return "resume" if server and server.next_method else "execute"

    around(module, "_prepare", before="template")
    around(module, "_execute_task", before=resumed)
    around(module, "_defer_task", before="defer")
    around(module, "_push_xcom_if_needed", before="result", after="result.pushed")
    around(module.RuntimeTaskInstance, "xcom_push", before="xcom", after="xcom.pushed")


def in_requests(module: Any) -> None:
    """Wrap the requests to the service and to its file store."""

    def kind(_adapter: Any, request: Any, **_: Any) -> str:
        path = request.url.split("?")[0]
        if request.method == "POST" and path.endswith("/movies"):
            return "post"
        if request.method == "GET" and path.endswith("/movies"):
            return "status" if "project=" in request.url else "list"
        return "download"

    def before(*args: Any, **kwargs: Any) -> list[str]:
        # "post.during" is checked before the call too: its marker has "after" seconds, so it applies during the call.
        return [f"{kind(*args, **kwargs)}.before", f"{kind(*args, **kwargs)}.during"]

    around(module.HTTPAdapter, "send", before=before, after=lambda *a, **k: f"{kind(*a, **k)}.answered")


def in_submission(module: Any) -> None:
    """Wrap the moment before a document is stamped, and shift the task's clock like the service's."""
    around(module.Submitter, "_post", before="stamp")
    begin = module.Submitter.__init__

    def begun(self: Any, *args: Any, **kwargs: Any) -> None:
        shift = _calendar_shift()
        for name in ("until", "hard_until"):
            if name in kwargs:
                kwargs[name] += shift
        begin(self, *args, **{"clock": lambda: time.time() + shift, **kwargs})

    module.Submitter.__init__ = begun


def _calendar_shift() -> float:
    """Return the seconds by which the clock of this run is ahead."""
    run_id = str(current.get("unit", "")).split("~")[0]
    try:
        return float(json.loads((MARKERS / "calendar").read_text()).get(run_id, 0.0))
    except (OSError, ValueError):
        return 0.0


def in_naive_operator(module: Any) -> None:
    """Wrap the same moment of the naive operator."""
    around(module.NaiveRenderOperator, "submit", before="stamp")


def in_callback_sink(module: Any) -> None:
    """Prevent a deadlock of the scheduler on SQLite when it finds two dead workers together.

    It writes the callback of the second one on a separate connection while its session holds SQLite's only write
    lock, so all of Airflow waits for the busy timeout. In a thread the write waits for the end of the session.
    """
    if "sqlite" not in os.environ.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", ""):
        return
    send = module.DatabaseCallbackSink.send

    def send_aside(self: Any, callback: Any, **kwargs: Any) -> None:
        threading.Thread(target=send, args=(self, callback), kwargs=kwargs, daemon=True).start()

    module.DatabaseCallbackSink.send = send_aside


WRAPPERS: dict[str, Callable[[Any], None]] = {
    "airflow.sdk.execution_time.supervisor": in_supervisor,
    "airflow.sdk.api.client": in_api_client,
    "airflow.sdk.execution_time.task_runner": in_task_runner,
    "requests.adapters": in_requests,
    "airflow_json2video.submission.submitter": in_submission,
    "benchmarks.naive_operator": in_naive_operator,
    "airflow.callbacks.database_callback_sink": in_callback_sink,
}


class Finder(importlib.abc.MetaPathFinder):
    """Imports a module as usual, and wraps it afterwards."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """Return the module's own spec, with a loader that wraps the module once it is loaded."""
        wrap = WRAPPERS.get(name)
        if wrap is None:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is None or spec.loader is None:
                continue
            load = spec.loader.exec_module

            def exec_module(module: Any, load: Any = load) -> None:
                load(module)
                wrap(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
            return spec
        return None


if MARKERS.is_dir():
    sys.meta_path.insert(0, Finder())
