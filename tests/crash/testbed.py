"""The environment of the matrix: one Airflow, a few services, and a view of all task instances."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.crash.markers import Markers
from tests.crash.second_deployment import SecondDeployment
from tests.support.airflow import Airflow, free_port
from tests.support.airflow_api import ApiUnavailable, RestApi
from tests.support.processes import ROOT
from tests.support.service import ServiceProcess

__all__ = ["AIRFLOW_SETTINGS", "DAGS", "FINAL", "SERVICES", "Account", "Seen", "Testbed", "wait_until"]

HERE = Path(__file__).resolve().parent
FINAL = frozenset({"success", "failed", "upstream_failed", "skipped"})
DAGS = ("crash", "crash_reuse", "crash_sync", "crash_mapped", "crash_delete")

AIRFLOW_SETTINGS = {
    # A dead worker is noticed after this many seconds without a heartbeat (default 300, checked every 10), which it
    # sends every MIN_HEARTBEAT_INTERVAL (5).
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "3",
    # The next scheduler takes over the tasks of a dead one at its start and then at this interval (300); a scheduler
    # counts as dead this long after its last heartbeat (30).
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "12",
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",
    # A dead triggerer's triggers go to another one this long after its last heartbeat (30).
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    # Each task is a process that imports Airflow. With 48 of them on 2 cores heartbeats came so late that attempts were
    # ended by Airflow itself, and their successors made it worse.
    "AIRFLOW__CORE__PARALLELISM": "16",
    "AIRFLOW__API__MAXIMUM_PAGE_LIMIT": "1000",
}
"""Settings that let Airflow notice deaths in seconds. Real installations are slower, and no less safe."""

CONFIRMATION_TIME = 30.0
"""Seconds, set in the connections (default 300); the list of one account lags by a little less."""

_QUICK = {"mode": "instant", "queue_seconds": 0.5, "render_seconds": 3.0, "credits": 1e6}

SERVICES: Mapping[str, Mapping[str, Any]] = {
    "main": _QUICK,
    "slow": {**_QUICK, "render_seconds": 15.0},
    # On a busy machine the attempt after a clear starts late, and in some rows the render must still be running then.
    "long": {**_QUICK, "render_seconds": 60.0},
    "late": {**_QUICK, "list_delay": CONFIRMATION_TIME - 5.0},
    "crowded": {**_QUICK, "list_order": "shuffled", "seed": 5},
    "month": _QUICK,
    "keyed": {**_QUICK, "render_seconds": 15.0},
    "down": {**_QUICK, "render_seconds": 15.0},
    "away": _QUICK,
}
"""One account each, so that changes to one do not affect the rows of the others."""


def wait_until(ready: Callable[[], Any], *, timeout: float, what: str, interval: float = 0.1) -> Any:
    """Call *ready* until its result is true, and return that.

    :raises TimeoutError: it did not become true.
    """
    deadline = time.monotonic() + timeout
    while True:
        found = ready()
        if found:
            return found
        if time.monotonic() > deadline:
            msg = f"waited {timeout:.0f} s for {what}"
            raise TimeoutError(msg)
        time.sleep(interval)


@dataclass(frozen=True)
class Seen:
    """A task instance as last seen.

    :param at: epoch seconds at which it was first seen in this state.
    """

    state: str | None
    try_number: int
    at: float


class Account(ServiceProcess):
    """A service that can be killed without losing the journal of its requests."""

    def __init__(self, home: Path, *, settings: Mapping[str, Any]) -> None:
        super().__init__(home, settings=settings)
        self._before: list[dict[str, Any]] = []

    @property
    def connection(self) -> str:
        """An Airflow connection to the service."""
        extra = {"confirmation_time": CONFIRMATION_TIME}
        return json.dumps({**json.loads(super().connection), "extra": extra})

    def kill(self) -> None:
        """Kill the service with SIGKILL. Its renders are on disk; its journal is saved here."""
        self._before = self.journal()
        self.processes.kill("service")

    def journal(self) -> list[dict[str, Any]]:
        """Return the requests of all its processes."""
        return [*self._before, *self.requests()]

    def break_with(self, *rules: Mapping[str, Any]) -> list[str]:
        """Add fault rules and return their ids."""
        before = {f["id"] for f in self.control("GET", "faults")["faults"]}
        answer = self.control("POST", "faults", [dict(rule) for rule in rules])
        return [f["id"] for f in answer["faults"] if f["id"] not in before]

    def faults(self) -> dict[str, dict[str, Any]]:
        """Return every rule by its id."""
        return {f["id"]: f for f in self.control("GET", "faults")["faults"]}

    def unit_renders(self) -> dict[str, list[dict[str, Any]]]:
        """Return the renders by the unit in their client-data, oldest first."""
        found: dict[str, list[dict[str, Any]]] = {}
        for render in sorted(self.renders(), key=lambda r: str(r["created_at"])):
            data = render["client-data"]
            if isinstance(data, dict) and "unit" in data:
                found.setdefault(str(data["unit"]), []).append(render)
        return found


class Testbed:
    """An Airflow with the DAGs of the matrix, and the services.

    :param home: folder for everything.
    :param naive: run the operator of ``benchmarks/naive_operator.py`` instead of the product's.
    :param services: names of :data:`SERVICES` that are needed.
    :param environment: more environment for Airflow.
    """

    def __init__(
        self,
        home: Path,
        *,
        naive: bool = False,
        services: Mapping[str, Mapping[str, Any]] = SERVICES,
        environment: Mapping[str, str] | None = None,
        dags: tuple[str, ...] = DAGS,
    ) -> None:
        self.home = home
        self.naive = naive
        self.markers = Markers(home / "markers")
        self.accounts = {name: Account(home / "services" / name, settings=s) for name, s in services.items()}
        self.dags = dags
        self._environment = dict(environment or {})
        self._stack = contextlib.ExitStack()
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str, int], Seen] = {}
        self._ended = threading.Event()
        self.airflow: Airflow
        self.other: SecondDeployment

    def __enter__(self) -> Testbed:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._ended.set()
        self._stack.close()

    def _start(self) -> None:
        for account in self.accounts.values():
            self._stack.enter_context(account)
        # Read by the tasks of a row whose service lives in another month.
        (self.markers.folder / "calendar").write_text("{}")
        path = [str(HERE / "inject"), str(ROOT), os.environ.get("PYTHONPATH", "")]
        self.airflow = Airflow(
            self.home / "airflow",
            dags_folder=HERE / "dags",
            connections={f"crash_{name}": account.connection for name, account in self.accounts.items()},
            environment={
                **AIRFLOW_SETTINGS,
                "PYTHONPATH": os.pathsep.join(filter(None, path)),
                "JSON2VIDEO_CRASH_MARKERS": str(self.markers.folder),
                "JSON2VIDEO_CRASH_VIDEOS": str(self.home / "videos"),
                "JSON2VIDEO_CRASH_OPERATOR": "naive" if self.naive else "product",
                **self._environment,
            },
        )
        self.other = SecondDeployment(self.home / "other", environment=self.airflow.environment)
        self._stack.callback(self.other.processes.stop_all)
        self._stack.enter_context(self.airflow)
        self._url = self._start_user_api()
        self.actions = RestApi(self._url)
        wait_until(self._reads_dags, timeout=90, what="Airflow to have read the DAGs", interval=0.3)
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def _start_user_api(self) -> str:
        """Start a second API server, for the driver: a user's requests must not go through that of the tasks.

        Airflow 3.3 records who triggers or clears with a write on the event loop. On SQLite, which allows one writer at
        a time, it waits there for a task's request of the same process, which waits for the event loop.
        """
        port = free_port()
        command = [sys.executable, "-m", "airflow", "api-server", "--apps", "core", "--port", str(port)]
        self.airflow.processes.start("user-api", command, env=self.airflow.environment)
        return f"http://127.0.0.1:{port}"

    def _reads_dags(self) -> bool:
        try:
            return all(self.actions.has_dag(dag_id) for dag_id in self.dags)
        except ApiUnavailable:
            return False

    # --- seeing -------------------------------------------------------------------------------

    def _watch(self) -> None:
        api = RestApi(self._url)
        while not self._ended.wait(0.5):
            with contextlib.suppress(ApiUnavailable, RuntimeError, LookupError):
                self._poll(api)

    def _poll(self, api: RestApi) -> None:
        found: list[dict[str, Any]] = []
        for dag_id in self.dags:
            answer = api._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/~/taskInstances?limit=1000")
            found += answer["task_instances"]
        now = time.time()
        with self._lock:
            for ti in found:
                key = (ti["dag_run_id"], ti["task_id"], ti["map_index"])
                before = self._seen.get(key)
                if before is None or (before.state, before.try_number) != (ti["state"], ti["try_number"]):
                    self._seen[key] = Seen(ti["state"], ti["try_number"], now)

    def seen(self, run_id: str, task: str, map_index: int = -1) -> Seen:
        """Return a task instance as last seen."""
        with self._lock:
            return self._seen.get((run_id, task, map_index), Seen(None, 0, 0.0))

    def instances(self, run_id: str, task: str) -> dict[int, Seen]:
        """Return the task instances of a task by their map index."""
        with self._lock:
            return {key[2]: seen for key, seen in self._seen.items() if key[:2] == (run_id, task)}

    # --- doing --------------------------------------------------------------------------------

    def retry(self, request: Callable[[], Any], *, timeout: float = 60.0) -> Any:
        """Return the result of a request to Airflow's API; repeat it while the API is unavailable."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                return request()
            except ApiUnavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def trigger(self, dag_id: str, *, run_id: str, conf: Mapping[str, Any]) -> None:
        """Start a run; an existing one is accepted, such as after a response that arrived too late."""
        try:
            self.retry(lambda: self.actions.trigger(dag_id, run_id=run_id, conf=conf))
        except RuntimeError as error:
            if " 409 " not in str(error):
                raise

    def restart(self, component: str) -> None:
        """Start a component that was killed."""
        self.airflow.start_component(component)

    def mark(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark the render task as failed or successful, as a user does on Airflow's page."""
        self.retry(lambda: self.actions.mark(dag_id, run_id, "render", state))

    def clear(self, dag_id: str, run_id: str) -> None:
        """Clear the render task and its downstream tasks."""
        self.retry(lambda: self.actions.clear(dag_id, run_id, "render"))

    def calendar(self, run_id: str, seconds: float) -> None:
        """Move the clock by which a run's tasks list renders."""
        path = self.markers.folder / "calendar"
        partial = path.with_name("calendar.part")
        partial.write_text(json.dumps({**json.loads(path.read_text()), run_id: seconds}))
        partial.replace(path)

    def xcom(self, dag_id: str, run_id: str, task: str, map_index: int) -> Any:
        """Return the return value of a task; None if there is none."""
        try:
            return self.retry(lambda: self.actions.xcom(dag_id, run_id, task, key="return_value", map_index=map_index))
        except LookupError:
            return None
