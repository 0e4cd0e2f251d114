"""What differs between Airflow 2.11 and 3.3. What common-compat covers is imported from there."""

from __future__ import annotations

import logging
import os
import re
import uuid
from collections.abc import Mapping
from datetime import timedelta
from importlib import import_module
from typing import Any, TypeVar, cast

from packaging import version

__all__ = [
    "as_outputs",
    "asset_state_stores",
    "attempt_is_current",
    "context_names",
    "earliest_submission_time",
    "end_superseded_attempt",
    "execution_deadline",
    "is_resumed",
    "mask_secret",
    "object_storage",
    "previous_attempt_ended_at",
    "previous_attempt_had_project",
    "previous_attempt_xcom_keys",
    "remote_executor",
    "shortest_deferral",
    "stats",
    "succeeded_attempts",
]

T = TypeVar("T")

_EXECUTOR_MARKS = {
    "AIRFLOW_IS_K8S_EXECUTOR_POD": "KubernetesExecutor",
    "AIRFLOW_IS_EXECUTOR_CONTAINER": "an executor of containers",
}
_LOCAL_EXECUTORS = ("", "LocalExecutor", "SequentialExecutor", "DebugExecutor", "InProcessExecutor")
_KEY = "json2video-key"
_ENDED = {"success", "failed", "skipped", "upstream_failed", "removed"}

_REPORT_MARGIN = 5.0
"""Seconds in which a scheduler reads an executor's report. Of 40 tasks that deferred at the same time on 2 cores, 15 to
35 failed when their triggers fired immediately (3.0 to 3.3), up to 7 after 7 seconds, and up to 1 after 9."""
_REPORT_MARGIN_PER_LOAD = 0.3
"""More seconds for each process that waits for a core: with 30 of them, reports were read up to 17 seconds late."""
_REPORT_MARGIN_LONGEST = 15.0


def attempt_is_current(ti: Any) -> bool:
    """Whether this process is still the running attempt of the task instance for Airflow.

    The scheduler fails an attempt that was stopped or swapped out for long, and its successor may have started when it
    resumes. One request to Airflow, none to the service.

    :param ti: the task instance of the task's context.
    :raises Exception: Airflow could not be reached, so it is unknown.
    """
    if not _has_sdk():
        return _is_current_in_database(ti)
    supervisor = _supervisor(ti)
    if supervisor is None:  # an operator that is run by hand, which has no successor
        return True
    from airflow.sdk.exceptions import AirflowRuntimeError
    from airflow.sdk.execution_time.comms import GetTaskStates, ValidateInletsAndOutlets

    try:
        # Each attempt has an id of its own, which the API server forgets when the next one is prepared.
        # Of the requests that need a known id, this one exists from 3.0 to 3.3.
        supervisor.send(ValidateInletsAndOutlets(ti_id=ti.id))
    except AirflowRuntimeError as error:
        if (error.error.detail or {}).get("status_code") in (404, 409, 410):
            return False
        raise
    # Marking a task does not change its id. If it was marked while this process was stopped, the process still runs.
    index = None if ti.map_index is None or ti.map_index < 0 else ti.map_index
    asked = GetTaskStates(dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=[ti.task_id], map_index=index)
    answer = supervisor.send(asked)
    label = ti.task_id if index is None else f"{ti.task_id}_{index}"
    return answer.task_states.get(ti.run_id, {}).get(label) not in _ENDED


def _supervisor(ti: Any) -> Any:
    """Return the connection of a task to its supervisor; None for an operator that is run by hand.

    :raises RuntimeError: this Airflow does not have it where it is expected. A successor could not be noticed, so
        nothing is submitted.
    """
    from airflow.sdk.execution_time import task_runner

    supervisor = getattr(task_runner, "SUPERVISOR_COMMS", None)
    if supervisor is None and isinstance(ti, task_runner.RuntimeTaskInstance):
        raise RuntimeError(
            "this version of Airflow has no task_runner.SUPERVISOR_COMMS, with which a task checks whether its "
            "attempt is still the running one. Upgrade airflow-json2video, or use an Airflow that it supports"
        )
    return supervisor


def _is_current_in_database(ti: Any) -> bool:
    """Airflow 2, where a worker may read the database."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    # A worker runs a task as a job. dag.test() does not, and leaves the row "scheduled".
    if not isinstance(ti, TaskInstance) or ti.job_id is None:
        return True
    keys = _row_of(ti)
    with create_session() as session:
        row = session.query(TaskInstance.try_number, TaskInstance.state).filter_by(**keys).one_or_none()
    # "airflow tasks test" has no row, or a row without a state.
    return row is None or (row.try_number == ti.try_number and row.state in (None, "running"))


def previous_attempt_xcom_keys(ti: Any) -> list[str] | None:
    """Return the keys of the XComs of the previous attempt; None where Airflow does not provide them (2.11).

    Airflow 3 sends them to an attempt that starts, which deletes these XComs before anything else.
    """
    context = getattr(ti, "_ti_context_from_server", None)
    return None if context is None else list(context.xcom_keys_to_clear or ())


def is_resumed(ti: Any) -> bool:
    """Whether the task resumes after a deferral; known from Airflow 3 on."""
    return getattr(getattr(ti, "_ti_context_from_server", None), "next_method", None) is not None


def succeeded_attempts(ti: Any) -> list[int]:
    """Return the previous attempts that succeeded; none where a worker has no database (3).

    An attempt that was marked as successful while it was deferred is not included, because it never resumed. One that
    was marked while it was not deferred is included, because it cannot be distinguished from a success of its own.
    """
    try:
        from airflow.models.taskinstance import TaskInstance
        from airflow.models.taskinstancehistory import TaskInstanceHistory
        from airflow.utils.session import create_session
    except ImportError:
        return []
    if not isinstance(ti, TaskInstance):
        return []
    with create_session() as session:
        rows = (
            session.query(TaskInstanceHistory.try_number)
            .filter_by(**_row_of(ti), state="success", next_method=None)
            .filter(TaskInstanceHistory.try_number < ti.try_number)
        )
        return [int(row.try_number) for row in rows]


_KEY_OF_AN_ATTEMPT = re.compile(r"json2video_(?!generation_)")


def previous_attempt_ended_at(ti: Any) -> float | None:
    """Return when Airflow ended the previous attempt, epoch seconds by Airflow's clock; None if it is unknown.

    From that moment on :func:`attempt_is_current` is False for the previous attempt.

    :param ti: the task instance of the task's context, which is not of the first attempt.
    """
    try:
        from airflow import __version__
        from airflow.sdk.execution_time import task_runner  # noqa: F401 - there is no such module before Airflow 3
    except ImportError:
        return _end_in_history(ti)
    # When a running attempt ends, the task instance gets a new id, which contains the time. Before 3.1.8, a scheduler
    # that resets the tasks of a dead one does not change their ids.
    number = uuid.UUID(str(ti.id)) if getattr(ti, "id", None) else None
    if number is None or number.version != 7 or version.parse(__version__) < version.parse("3.1.8"):
        return None
    # If an attempt fails while it is queued to resume, the next one has the same id. Such an attempt has deferred, and
    # every task of this package that defers after a submission has pushed an XCom before.
    keys = previous_attempt_xcom_keys(ti)
    if keys is None or any(_KEY_OF_AN_ATTEMPT.match(key) for key in keys):
        return None
    return (number.int >> 80) / 1000


def previous_attempt_had_project(ti: Any) -> bool:
    """Whether the previous attempt is known to have received the project of its render; always False on 2.11.

    It is False for an attempt that died during the submission, whatever the list shows of that attempt: a run that was
    deleted and created again under its id numbers its attempts from 1 again.
    """
    keys = previous_attempt_xcom_keys(ti)
    return keys is not None and "json2video_project" in keys


def _end_in_history(ti: Any) -> float | None:
    """Airflow 2, where a worker may read the database."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.taskinstancehistory import TaskInstanceHistory
    from airflow.utils.session import create_session

    if not isinstance(ti, TaskInstance):
        return None
    keys = {**_row_of(ti), "try_number": ti.try_number - 1}
    with create_session() as session:
        row = session.query(TaskInstanceHistory.end_date).filter_by(**keys).one_or_none()
    return None if row is None or row.end_date is None else float(row.end_date.timestamp())


def _row_of(ti: Any) -> dict[str, Any]:
    return {name: getattr(ti, name) for name in ("dag_id", "run_id", "task_id", "map_index")}


def asset_state_stores(trigger: Any) -> list[Any]:
    """Return the state store of each asset that an event trigger watches; none before Airflow 3.3."""
    accessors = getattr(trigger, "asset_state_store", None)
    if accessors is None:
        return []
    # Equal triggers of several assets are one trigger, which does not know its assets.
    stores = [*getattr(accessors, "_by_name", {}).values(), *getattr(accessors, "_by_uri", {}).values()]
    return stores or [accessors]


def execution_deadline(ti: Any, execution_timeout: timedelta, *, now: float) -> float:
    """Return the time, in epoch seconds, at which a deferred task stops waiting because of its execution_timeout.

    The timeout starts with the attempt. Airflow 3 leaves the execution_timeout of a deferred task to the operator.
    Airflow 2 fails a task that resumes after it, so resuming needs a margin there.
    """
    seconds = execution_timeout.total_seconds()
    start = getattr(ti, "start_date", None)
    begun = start.timestamp() if start is not None else now
    margin = min(30.0, seconds / 10) if hasattr(ti, "refresh_from_db") else 0.0
    return float(begun + seconds - margin)


def remote_executor(task: Any) -> str | None:
    """Return the executor that runs this task, if it may run tasks on several machines; None for a local one.

    A worker of Airflow 3 may have no configuration file. Then only its environment is known, where the pods and
    containers of executors have a mark. The commands that start a Celery or Edge worker need the executor's name in
    the configuration.

    :param task: the operator, which may choose its executor.
    """
    from airflow.configuration import conf

    for mark, executor in _EXECUTOR_MARKS.items():
        if os.environ.get(mark):
            return executor
    # Such as "LocalExecutor,mine:company.executors.MyExecutor;team_a=CeleryExecutor"; a task may choose by alias.
    configured = [entry.strip() for entry in re.split("[,;]", conf.get("core", "executor", fallback=""))]
    chosen = getattr(task, "executor", None) or configured[0]
    entry = next((entry for entry in configured if entry.partition(":")[0] == chosen), str(chosen))
    name = re.split("[:=.]", entry)[-1]
    return None if name in _LOCAL_EXECUTORS else name


def earliest_submission_time(context: Mapping[str, Any]) -> float | None:
    """Return a time, in epoch seconds, before which no attempt of the run can have submitted anything.

    It is a day before the run's start, because clocks differ. Airflow forgets that start when a run is cleared; then it
    is the time for which the run was scheduled, which is never later. None if Airflow knows neither.
    """
    run = context.get("dag_run")
    began = start = getattr(run, "start_date", None)
    if began is None or getattr(run, "clear_number", None) != 0 or _was_cleared(context):
        # The first exists from Airflow 3 on. A run of Airflow 2 starts after both of the others.
        names = ("run_after",) if hasattr(run, "run_after") else ("logical_date", "data_interval_end")
        planned = [moment for name in names if (moment := getattr(run, name, None)) is not None]
        began = max(planned, default=None)
        if began is not None and start is not None and began > start:  # a date in the future, set manually
            began = None
    return None if began is None else float(began.timestamp()) - 86400.0


def _was_cleared(context: Mapping[str, Any]) -> bool:
    """Whether the task was cleared; a run that was queued again manually may not have counted it (2.11 to 3.1)."""
    ti, task = context.get("ti"), context.get("task")
    return ti is not None and task is not None and ti.max_tries != task.retries


def end_superseded_attempt() -> None:
    """Exit the process if a failure would fail the next attempt: Airflow 2 has one row for all attempts of a task.

    From Airflow 3 on each attempt has its own row, and this does nothing.
    """
    if not _has_sdk():
        logging.shutdown()
        os._exit(0)


def _has_sdk() -> bool:
    """Whether this is Airflow 3, where a task has a supervisor, a row of its own, and no database."""
    try:
        import_module("airflow.sdk")
    except ImportError:
        return False
    return True


def shortest_deferral() -> float:
    """Return the minimum time for which a task must stay deferred, in seconds from the start of its trigger.

    An executor reports the end of the process that deferred shortly after the deferral. From Airflow 3 on, the
    LocalExecutor has no record of what it runs, so a scheduler that reads this report when the trigger has fired and
    the task is scheduled, queued or running again finds no reason for it, and fails the attempt ("finished
    with state success, but the task instance's state attribute is queued"). The report takes up to
    ``[workers] min_heartbeat_interval`` (5 s): the supervisor sleeps so long if the process closes its sockets
    shortly before it exits. Airflow 2 queues such a task only when its executor has seen the first process end.
    """
    if not _has_sdk():
        return 0.0
    from airflow.providers.common.compat.sdk import conf

    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    interval = float(conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0))
    return interval + _REPORT_MARGIN + min(load * _REPORT_MARGIN_PER_LOAD, _REPORT_MARGIN_LONGEST)


def as_outputs(task: object, result: T) -> T:
    """Return a task's result; on 3.0 without the values that are None if each value becomes an XCom.

    Airflow 3.0 rejects an XCom that is None. A task that pulls it gets None in any case.
    """
    from airflow import __version__

    if __version__.startswith("3.0.") and getattr(task, "multiple_outputs", False) and isinstance(result, dict):
        return cast("T", {name: value for name, value in result.items() if value is not None})
    return result


def context_names() -> frozenset[str]:
    """Names that this Airflow's task context may offer to a template."""
    for module in ("airflow.sdk.definitions.context", "airflow.utils.context"):  # 3.1 and later; 2.11 and 3.0
        try:
            return frozenset(import_module(module).KNOWN_CONTEXT_KEYS)
        except (ImportError, AttributeError):
            continue
    return frozenset()


def stats(*, in_triggerer: bool = False) -> Any:
    """Return the ``Stats`` that Airflow has set up in this kind of process.

    From 3.2 on there are two of them, and a metric that is sent to the other one is lost: a task's process sets up the
    SDK's, the triggerer the core's.
    """
    modules = ["airflow.sdk.observability.stats", "airflow.observability.stats"]
    for module in [*(reversed(modules) if in_triggerer else modules), "airflow.stats"]:
        try:
            return import_module(module).Stats
        except ImportError:
            continue
    raise ImportError("this Airflow has no Stats")


def mask_secret(secret: str) -> None:
    """Make Airflow replace *secret* with ``***`` in this process's logs, in its usual encodings."""
    from airflow_json2video.api.redaction import encoded_forms

    for module in ("airflow.sdk.log", "airflow.sdk.execution_time.secrets_masker", "airflow.utils.log.secrets_masker"):
        try:
            mask = import_module(module).mask_secret
        except (ImportError, AttributeError):
            continue
        for spelling in encoded_forms(secret):
            mask(spelling)
        return


def object_storage(path: str) -> tuple[Any, str]:
    """Return the file system (fsspec) of a path, and the path in it, as Airflow's ``ObjectStoragePath`` does.

    That class itself breaks with some releases of the library on which it is based; the store below it does not.

    :param path: ``s3://connection@bucket/key``; the connection is optional.
    :raises Exception: the scheme is unknown, or its package or connection does not exist.
    """
    scheme, _, rest = path.partition("://")
    host, slash, key = rest.partition("/")
    conn_id, _, host = host.rpartition("@")
    for module in ("airflow.sdk.io", "airflow.io.store"):  # 3.0 and later; 2.11
        try:
            attach = import_module(module).attach
        except (ImportError, AttributeError):
            continue
        fs = attach(scheme, conn_id or None).fs
        key = key.rstrip("/")
        # A name may contain characters that are special in a URL, so the file system gets a placeholder for the key.
        inside = str(fs._strip_protocol(f"{scheme}://{host}{slash}{_KEY if key else ''}"))
        return fs, inside.replace(_KEY, key)
    raise ImportError("this Airflow has no object storage")
