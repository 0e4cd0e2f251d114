"""Queries to a running Airflow, with one interface for 2.11 and 3.x."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import requests

__all__ = ["AirflowApi", "ApiUnavailable", "OrmApi", "RestApi", "TaskInstance"]


class ApiUnavailable(ConnectionError):
    """Airflow does not respond now: it is starting, was killed, or failed on this query."""


@dataclass(frozen=True)
class TaskInstance:
    """A task instance at one point in time. Times are ISO 8601 strings, as in Airflow."""

    task_id: str
    map_index: int
    try_number: int
    state: str | None
    start_date: str | None
    end_date: str | None


class AirflowApi(Protocol):
    """The queries, which :class:`RestApi` and :class:`OrmApi` implement."""

    def health(self) -> Mapping[str, str]:
        """Return each component's health by its name with underscores."""

    def has_dag(self, dag_id: str) -> bool:
        """Return whether the DAG has been parsed."""

    def import_errors(self) -> list[str]:
        """Return the import errors of the DAG files."""

    def trigger(self, dag_id: str, *, run_id: str, conf: Mapping[str, Any]) -> None:
        """Start a run."""

    def runs(self, dag_id: str) -> list[str]:
        """Return the ids of a DAG's runs."""

    def run_state(self, dag_id: str, run_id: str) -> str | None:
        """Return a run's state."""

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """Return a run's task instances."""

    def xcom(self, dag_id: str, run_id: str, task_id: str, *, key: str, map_index: int) -> Any:
        """Return an XCom; raise LookupError if it does not exist."""

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Clear a task and its downstream tasks."""

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Mark a task as ``success`` or ``failed``, as the button on Airflow's page does."""


class RestApi:
    """The REST API v2 of Airflow 3.x with the simple auth manager, where every user is an admin."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy on loopback

    def health(self) -> Mapping[str, str]:
        answer = self._call("GET", "/api/v2/monitor/health", signed=False)
        health = {name: str(part.get("status")) for name, part in answer.items() if isinstance(part, dict)}
        # The API that tasks report to is built at its first call, which takes seconds. Called here, it is
        # part of the start, instead of the first task, where it would hold a worker slot.
        return {**health, "execution_api": str(self._call("GET", "/execution/health", signed=False)["status"])}

    def has_dag(self, dag_id: str) -> bool:
        try:
            self._call("GET", f"/api/v2/dags/{quote(dag_id)}")
        except LookupError:
            return False
        return True

    def import_errors(self) -> list[str]:
        answer = self._call("GET", "/api/v2/importErrors")
        return [f"{e['filename']}:\n{e['stack_trace']}" for e in answer["import_errors"]]

    def trigger(self, dag_id: str, *, run_id: str, conf: Mapping[str, Any]) -> None:
        body = {"dag_run_id": run_id, "conf": conf, "logical_date": None}
        self._call("POST", f"/api/v2/dags/{quote(dag_id)}/dagRuns", body=body)

    def runs(self, dag_id: str) -> list[str]:
        answer = self._call("GET", f"/api/v2/dags/{quote(dag_id)}/dagRuns?limit=1000")
        return [run["dag_run_id"] for run in answer["dag_runs"]]

    def run_state(self, dag_id: str, run_id: str) -> str | None:
        state: str | None = self._call("GET", self._run(dag_id, run_id))["state"]
        return state

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        answer = self._call("GET", f"{self._run(dag_id, run_id)}/taskInstances?limit=1000")
        return [
            TaskInstance(
                task_id=ti["task_id"],
                map_index=ti["map_index"],
                try_number=ti["try_number"],
                state=ti["state"],
                start_date=ti["start_date"],
                end_date=ti["end_date"],
            )
            for ti in answer["task_instances"]
        ]

    def xcom(self, dag_id: str, run_id: str, task_id: str, *, key: str, map_index: int) -> Any:
        path = f"{self._run(dag_id, run_id)}/taskInstances/{quote(task_id)}/xcomEntries/{quote(key)}"
        return self._call("GET", f"{path}?map_index={map_index}&deserialize=false&stringify=false")["value"]

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": [task_id],
            "include_downstream": True,
            "only_failed": False,
            "reset_dag_runs": True,
        }
        self._call("POST", f"/api/v2/dags/{quote(dag_id)}/clearTaskInstances", body=body)

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        self._call("PATCH", f"{self._run(dag_id, run_id)}/taskInstances/{quote(task_id)}", body={"new_state": state})

    @staticmethod
    def _run(dag_id: str, run_id: str) -> str:
        return f"/api/v2/dags/{quote(dag_id)}/dagRuns/{quote(run_id)}"

    def _call(self, method: str, path: str, *, body: object = None, signed: bool = True) -> Any:
        try:
            if signed and "Authorization" not in self._session.headers:
                token = self._session.get(f"{self.url}/auth/token", timeout=10)
                token.raise_for_status()
                self._session.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
            answer = self._session.request(method, self.url + path, json=body, timeout=30)
        except requests.RequestException as error:
            raise ApiUnavailable(str(error)) from error
        if answer.status_code == 401:  # the API server was restarted, or the token is a day old
            self._session.headers.pop("Authorization", None)
        if answer.status_code == 404:
            raise LookupError(answer.text)
        if answer.status_code >= 500 or answer.status_code == 401:
            raise ApiUnavailable(answer.text)
        if not answer.ok:
            msg = f"{method} {path}: {answer.status_code} {answer.text}"
            raise RuntimeError(msg)
        return answer.json() if answer.content else None


class OrmApi:
    """The same queries to Airflow 2.11, by a helper process that reads and writes its database.

    :param helper: ``python -m tests.support.airflow2_orm`` in that Airflow's environment, with pipes.
    """

    def __init__(self, helper: subprocess.Popen[bytes]) -> None:
        self._helper = helper
        self._lock = threading.Lock()

    def health(self) -> Mapping[str, str]:
        answer: dict[str, str] = self._call("health")
        return answer

    def has_dag(self, dag_id: str) -> bool:
        return bool(self._call("has_dag", dag_id=dag_id))

    def import_errors(self) -> list[str]:
        answer: list[str] = self._call("import_errors")
        return answer

    def trigger(self, dag_id: str, *, run_id: str, conf: Mapping[str, Any]) -> None:
        self._call("trigger", dag_id=dag_id, run_id=run_id, conf=conf)

    def runs(self, dag_id: str) -> list[str]:
        found: list[str] = self._call("runs", dag_id=dag_id)
        return found

    def run_state(self, dag_id: str, run_id: str) -> str | None:
        state: str | None = self._call("run_state", dag_id=dag_id, run_id=run_id)
        return state

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        return [TaskInstance(**ti) for ti in self._call("task_instances", dag_id=dag_id, run_id=run_id)]

    def xcom(self, dag_id: str, run_id: str, task_id: str, *, key: str, map_index: int) -> Any:
        found = self._call("xcom", dag_id=dag_id, run_id=run_id, task_id=task_id, key=key, map_index=map_index)
        if not found:
            msg = f"no XCom {key} of {dag_id}.{task_id} in {run_id}"
            raise LookupError(msg)
        return found[0]

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        self._call("clear", dag_id=dag_id, run_id=run_id, task_id=task_id)

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        self._call("mark", dag_id=dag_id, run_id=run_id, task_id=task_id, state=state)

    def _call(self, question: str, **arguments: object) -> Any:
        if self._helper.stdin is None or self._helper.stdout is None:
            msg = "the helper has to be started with pipes"
            raise ValueError(msg)
        with self._lock:
            try:
                self._helper.stdin.write(json.dumps([question, arguments]).encode() + b"\n")
                self._helper.stdin.flush()
                line = self._helper.stdout.readline()
            except OSError as error:
                raise ApiUnavailable(str(error)) from error
        if not line:
            msg = "the ORM helper has ended"
            raise ApiUnavailable(msg)
        answer = json.loads(line)
        if "error" in answer:
            if answer["passing"]:
                raise ApiUnavailable(answer["error"])
            raise RuntimeError(answer["error"])
        return answer["value"]
