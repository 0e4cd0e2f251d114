"""A real Airflow in a temporary home: started, queried, interrupted and stopped from Python.

::

    with Airflow(home, dags_folder=..., connections={"json2video_default": "{...}"}) as airflow:
        run_id = airflow.trigger("my_dag", conf={...})
        for change in airflow.follow("my_dag", run_id, timeout=120):
            print(change)
        airflow.xcom("my_dag", run_id, "render")

The same class runs Airflow 2.11 and 3.x, whichever is installed. Components
are separate processes on free ports of loopback, over SQLite with the LocalExecutor; each can be
killed and started again alone.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.airflow_api import AirflowApi, ApiUnavailable, OrmApi, RestApi, TaskInstance
from tests.support.processes import ROOT, ProcessSet, tail

__all__ = ["Airflow", "AirflowTimeout", "StateChange", "airflow_version", "free_port"]

FINAL_RUN_STATES = frozenset({"success", "failed"})


class AirflowTimeout(TimeoutError):
    """Airflow did not reach the expected state in time."""


@dataclass(frozen=True)
class StateChange:
    """A new state of a task instance, or of the run itself (``task_id`` None).

    :param at: Unix time when it was seen, up to one poll after it happened.
    :param seconds: seconds since the run was first followed.
    """

    task_id: str | None
    map_index: int
    try_number: int
    state: str | None
    at: float
    seconds: float


def airflow_version() -> tuple[int, int]:
    """Return the major and minor version of the installed Airflow."""
    major, minor = metadata.version("apache-airflow").split(".")[:2]
    return int(major), int(minor)


def free_port() -> int:
    """Return a free port of the loopback interface."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Airflow:
    """A separate Airflow.

    :param home: its folder, created if missing, for configuration, database, logs and the components' output.
    :param dags_folder: where the DAG files are.
    :param connections: connection id to its value for ``AIRFLOW_CONN_<ID>``, as JSON or URI.
    :param variables: name to value for ``AIRFLOW_VAR_<NAME>``.
    :param environment: more environment for every component and task; wins over the defaults here.
    """

    def __init__(
        self,
        home: Path,
        *,
        dags_folder: Path,
        connections: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home.resolve()
        self.dags_folder = dags_folder.resolve()
        self.version = airflow_version()
        self.port = free_port()
        # A temporary home needs no orderly shutdown.
        self.processes = ProcessSet(self.home / "components", grace=2.0)
        self.environment = {
            **_clean_environment(),
            **self._settings(),
            **{f"AIRFLOW_CONN_{k.upper()}": v for k, v in (connections or {}).items()},
            **{f"AIRFLOW_VAR_{k.upper()}": v for k, v in (variables or {}).items()},
            **(environment or {}),
        }
        self._api: AirflowApi | None = None

    # --- start and stop ---------------------------------------------------------------------------------

    def __enter__(self) -> Airflow:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    @property
    def components(self) -> Mapping[str, Sequence[str]]:
        """Return the arguments of the ``airflow`` command of each component, by its name."""
        common = {
            "scheduler": ("scheduler", "--skip-serve-logs"),
            "triggerer": ("triggerer", "--skip-serve-logs"),
        }
        if self.version < (3, 0):
            return common
        return {"api-server": ("api-server",), "dag-processor": ("dag-processor",), **common}

    @property
    def url(self) -> str | None:
        """Return the URL of Airflow's pages; None on 2.11, where no web server is started."""
        return f"http://127.0.0.1:{self.port}" if self.version >= (3, 0) else None

    @property
    def api(self) -> AirflowApi:
        """Return the interface to this running Airflow.

        :raises RuntimeError: it is not started.
        """
        if self._api is None:
            msg = "this Airflow is not started"
            raise RuntimeError(msg)
        return self._api

    def start(self, *, timeout: float = 180.0) -> None:
        """Create the database, start every component and wait until all are healthy.

        :param timeout: seconds in total.
        :raises ChildEnded: a component ended; the message contains the end of its log.
        :raises AirflowTimeout: it took too long.
        """
        deadline = time.monotonic() + timeout
        self.home.mkdir(parents=True, exist_ok=True)
        self.processes.run("db-migrate", self._command("db", "migrate"), env=self.environment, timeout=timeout)
        for name in self.components:
            self.start_component(name)
        if self.version >= (3, 0):
            self._api = RestApi(f"http://127.0.0.1:{self.port}")
        else:
            self._api = OrmApi(
                self.processes.start(
                    "orm-helper",
                    [sys.executable, "-m", "tests.support.airflow2_orm"],
                    env={**self.environment, "PYTHONPATH": _with_root(self.environment.get("PYTHONPATH"))},
                    piped=True,
                )
            )
        self.wait_healthy(timeout=deadline - time.monotonic())

    def stop(self) -> None:
        """End every process of this Airflow; its files remain. May be called twice."""
        self._api = None
        self.processes.stop_all()

    def start_component(self, name: str) -> None:
        """Start one component without waiting for it."""
        self.processes.start(name, self._command(*self.components[name]), env=self.environment)

    def kill(self, name: str, *, descendants: bool = True) -> None:
        """Kill one component with SIGKILL, by default with every process that it started, running tasks included."""
        self.processes.kill(name, descendants=descendants)

    # --- queries -------------------------------------------------------------------------------

    def wait_healthy(self, *, timeout: float = 120.0) -> None:
        """Wait until every component reports that it is healthy."""
        wanted = {c.replace("-", "_") for c in self.components if c != "api-server"}
        if self.version >= (3, 0):
            wanted |= {"metadatabase", "execution_api"}

        def healthy() -> bool:
            health = self.api.health()
            return all(health.get(c) == "healthy" for c in wanted)

        self._wait(healthy, timeout=timeout, what=f"{', '.join(sorted(wanted))} to be healthy")

    def wait_for_dag(self, dag_id: str, *, timeout: float = 60.0) -> None:
        """Wait until the DAG has been read from the DAGs folder.

        :raises AirflowTimeout: with the import errors of the folder, if there are any.
        """
        try:
            self._wait(lambda: self.api.has_dag(dag_id), timeout=timeout, what=f"DAG {dag_id} to be read")
        except AirflowTimeout as error:
            problems = self.api.import_errors()
            raise AirflowTimeout("\n".join([str(error), *problems])) from None

    def trigger(self, dag_id: str, *, conf: Mapping[str, Any] | None = None, run_id: str | None = None) -> str:
        """Start a run of a DAG, after waiting for the DAG to be parsed, and return the run's id."""
        self.wait_for_dag(dag_id)
        run_id = run_id or f"test__{time.strftime('%Y%m%dT%H%M%S')}_{secrets.token_hex(3)}"
        self.api.trigger(dag_id, run_id=run_id, conf=dict(conf or {}))
        return run_id

    def wait_for_runs(self, dag_id: str, count: int, *, timeout: float = 60.0) -> list[str]:
        """Wait until a DAG has *count* runs, and return their ids.

        :raises AirflowTimeout: it has fewer.
        """
        found: list[str] = []

        def enough() -> bool:
            found[:] = self.api.runs(dag_id)
            return len(found) >= count

        self._wait(enough, timeout=timeout, what=f"{count} runs of {dag_id}")
        return found

    def run_state(self, dag_id: str, run_id: str) -> str | None:
        """Return the state of a run: ``queued``, ``running``, ``success`` or ``failed``."""
        return self.api.run_state(dag_id, run_id)

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """Return the current state of every task instance of a run."""
        return self.api.task_instances(dag_id, run_id)

    def follow(self, dag_id: str, run_id: str, *, timeout: float, interval: float = 0.25) -> Iterator[StateChange]:
        """Yield each change of state of a run's task instances as it is seen, and last the end of the run.

        :param timeout: seconds until AirflowTimeout is raised.
        :param interval: seconds between polls; a shorter state may be missed.
        :raises AirflowTimeout: the run has not ended.
        :raises ChildEnded: a component ended.
        """
        started = time.time()
        known: dict[tuple[str, int], tuple[int, str | None]] = {}
        while True:
            run_state = self._ask(lambda: self.api.run_state(dag_id, run_id))
            instances = self._ask(lambda: self.api.task_instances(dag_id, run_id)) or []
            at = time.time()
            for ti in instances:
                key, now = (ti.task_id, ti.map_index), (ti.try_number, ti.state)
                if ti.state is not None and known.get(key) != now:
                    known[key] = now
                    yield StateChange(ti.task_id, ti.map_index, ti.try_number, ti.state, at, at - started)
            if run_state in FINAL_RUN_STATES:
                yield StateChange(None, -1, 0, run_state, at, at - started)
                return
            self.processes.check()
            if at - started > timeout:
                states = {key: state for key, (_, state) in known.items()}
                msg = f"run {run_id} of {dag_id} has not ended after {timeout:.0f} s: {states}"
                raise AirflowTimeout(msg)
            time.sleep(interval)

    def wait_for_run(self, dag_id: str, run_id: str, *, timeout: float = 120.0) -> list[StateChange]:
        """Follow a run to its end and return all changes of state; the last is the run's own."""
        return list(self.follow(dag_id, run_id, timeout=timeout))

    def xcom(self, dag_id: str, run_id: str, task_id: str, *, key: str = "return_value", map_index: int = -1) -> Any:
        """Return an XCom of a task, by default its return value.

        :raises LookupError: it does not exist.
        """
        return self.api.xcom(dag_id, run_id, task_id, key=key, map_index=map_index)

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Clear a task of a run and its downstream tasks, as the button on Airflow's page does."""
        self.api.clear(dag_id, run_id, task_id)

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Mark a task of a run as ``success`` or ``failed``, as the button on Airflow's page does."""
        self.api.mark(dag_id, run_id, task_id, state)

    def task_log(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, triggers: bool = True) -> str:
        """Return the logs of every attempt of a task, read from the log files.

        Lines of 3.x are JSON objects, those of 2.11 plain text.

        :param triggers: include the logs of its triggers, each after its attempt.
        """
        folder = self.home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
        if map_index >= 0:
            folder /= f"map_index={map_index}"
        files = [f for f in folder.glob("attempt=*") if triggers or ".trigger." not in f.name]
        files.sort(key=lambda f: [int(n) for n in re.findall(r"\d+", f.name)])
        return "".join(f.read_text(errors="replace") for f in files)

    # --- internals -------------------------------------------------------------------------------

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "airflow", *arguments]

    def _ask(self, question: Any) -> Any:
        try:
            return question()
        except ApiUnavailable:
            return None

    def _wait(self, ready: Any, *, timeout: float, what: str) -> None:
        deadline = time.monotonic() + timeout
        while not self._ask(ready):
            self.processes.check()
            if time.monotonic() > deadline:
                logs = "\n".join(tail(self.processes.log_path(c), lines=12) for c in self.components)
                msg = f"waited {timeout:.0f} s for {what}.\n{logs}"
                raise AirflowTimeout(msg)
            time.sleep(0.25)

    def _settings(self) -> dict[str, str]:
        # A busy timeout, since several processes write to the one SQLite file.
        database = f"sqlite:///{self.home / 'airflow.db'}?timeout=30"
        settings = {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags_folder),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
            "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
            "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }
        if self.version < (3, 0):
            return {
                **settings,
                # 2.11 refuses SQLite with anything but the SequentialExecutor, which runs one task at a
                # time inside the scheduler's loop; 3.x has no such rule.
                "_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1",
                "AIRFLOW__WEBSERVER__SECRET_KEY": secrets.token_hex(16),
            }
        return {
            **settings,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.port}/execution/",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{self.port}",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            # Without one, 3.0 signs with the issuer None, which today's PyJWT refuses.
            "AIRFLOW__API_AUTH__JWT_ISSUER": "json2video-tests",
            # A worker may notice so many seconds late that its task has deferred; a trigger holds its event back for
            # them and five more (docs/versions.md). The default of 5 would make each short render take ten.
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        }


def _clean_environment() -> dict[str, str]:
    """Return this process's environment without variables that would affect the new Airflow.

    PYTHONDONTWRITEBYTECODE would make every process compile some 4,000 modules again.
    """
    dropped = re.compile(r"_?AIRFLOW_|PYTEST_|COV_CORE_|PYTHONDONTWRITEBYTECODE$|PYTHONWARNINGS$")
    env = {k: v for k, v in os.environ.items() if not dropped.match(k)}
    env["PYTHONUNBUFFERED"] = "1"
    # The folder of this interpreter first: Airflow starts some of its parts by the name ``airflow``.
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
    if not _is_installed():
        env["PYTHONPATH"] = _with_root(env.get("PYTHONPATH"))
    return env


def _is_installed() -> bool:
    try:
        metadata.distribution("airflow-json2video")
    except metadata.PackageNotFoundError:
        return False
    return True


def _with_root(pythonpath: str | None) -> str:
    return os.pathsep.join(filter(None, [str(ROOT), pythonpath]))
