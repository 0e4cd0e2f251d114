"""What differs between Airflow 2.11 and 3.3, in one place. Names that do not differ come from common-compat."""

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
    "add_variable",
    "as_outputs",
    "asset_stores",
    "attempt_is_current",
    "context_names",
    "end_superseded_attempt",
    "execution_deadline",
    "is_multi_team",
    "is_resumed",
    "mask_secret",
    "object_storage",
    "previous_attempt_ended_at",
    "previous_attempt_had_project",
    "read_variable",
    "remote_executor",
    "run_began",
    "shortest_deferral",
    "stats",
    "succeeded_attempts",
    "variables_are_overwritten",
    "xcom_keys_of_the_attempt_before",
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
35 failed when their triggers fired at once (3.0 to 3.3), up to 7 after 7 seconds, and up to 1 after 9."""
_REPORT_MARGIN_PER_LOAD = 0.3
"""Seconds more for each process that waits for a core: at 30 of them, reports were read up to 17 seconds late."""
_REPORT_MARGIN_LONGEST = 15.0


def attempt_is_current(ti: Any) -> bool:
    """Whether Airflow still takes this process for the running attempt of the task instance.

    An attempt that was stopped or swapped out for long is given up by the scheduler, and its successor
    may have started when it wakes. One request to Airflow, nothing to the service.

    :param ti: the task instance of the task's context.
    :raises Exception: Airflow could not be asked, so it is not known.
    """
    if not _has_sdk():
        return _is_current_in_database(ti)
    supervisor = _supervisor(ti)
    if supervisor is None:  # no supervisor, no successor: an operator that is run by hand
        return True
    from airflow.sdk.exceptions import AirflowRuntimeError
    from airflow.sdk.execution_time.comms import GetTaskStates, ValidateInletsAndOutlets

    try:
        # Each attempt has an id of its own, which the API server forgets when the next one is prepared.
        # Of the questions that only a known id may ask, this one is answered from 3.0 to 3.3.
        supervisor.send(ValidateInletsAndOutlets(ti_id=ti.id))
    except AirflowRuntimeError as error:
        if (error.error.detail or {}).get("status_code") in (404, 409, 410):
            return False
        raise
    # A person's mark leaves the id as it is. One that falls while this process is stopped has not ended it yet.
    index = None if ti.map_index is None or ti.map_index < 0 else ti.map_index
    asked = GetTaskStates(dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=[ti.task_id], map_index=index)
    answer = supervisor.send(asked)
    label = ti.task_id if index is None else f"{ti.task_id}_{index}"
    return answer.task_states.get(ti.run_id, {}).get(label) not in _ENDED


def _supervisor(ti: Any) -> Any:
    """Return what a task asks its supervisor through; None for an operator that is run by hand and has none.

    :raises RuntimeError: the task has one, and this Airflow has it where it is not looked for. A successor could not
        be noticed then, so nothing is submitted.
    """
    from airflow.sdk.execution_time import task_runner

    supervisor = getattr(task_runner, "SUPERVISOR_COMMS", None)
    if supervisor is None and isinstance(ti, task_runner.RuntimeTaskInstance):
        raise RuntimeError(
            "this version of Airflow has no task_runner.SUPERVISOR_COMMS, through which a task asks whether its "
            "attempt is still the running one. Upgrade airflow-json2video, or use an Airflow that it supports"
        )
    return supervisor


def _is_current_in_database(ti: Any) -> bool:
    """Airflow 2, where a worker may read the database."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    # A worker runs a task as a job of its own. dag.test() does not, and leaves the row "scheduled".
    if not isinstance(ti, TaskInstance) or ti.job_id is None:
        return True
    keys = _row_of(ti)
    with create_session() as session:
        row = session.query(TaskInstance.try_number, TaskInstance.state).filter_by(**keys).one_or_none()
    # "airflow tasks test" has no state, and no row.
    return row is None or (row.try_number == ti.try_number and row.state in (None, "running"))


def read_variable(key: str) -> str | None:
    """Return the value of a Variable of the metadata database; None if the database has no such Variable.

    ``Variable.get`` cannot be asked: it takes a database that does not answer, and a value that cannot be decrypted,
    for a Variable that does not exist. Behind the Execution API, 3.0 to 3.2 do so even here; 3.3 can be asked for
    the names.

    :raises Exception: it is unknown, or the value cannot be decrypted.
    """
    comms = _supervisor_comms()
    if comms is None:
        return _value_in_database(key)
    messages = import_module("airflow.sdk.execution_time.comms")
    answer = _sent(comms, messages.GetVariable(key=key))
    if answer is not None:
        if answer.value is None:
            raise RuntimeError(f"Variable {key!r} exists, and has no value")
        return str(answer.value)
    if hasattr(messages, "GetVariableKeys"):
        names = _sent(comms, messages.GetVariableKeys(prefix=key, limit=1000, offset=0))
        if key in names.keys:
            raise RuntimeError(f"Variable {key!r} exists, and its value cannot be read")
    return None


def add_variable(key: str, value: str, *, description: str) -> None:
    """Add a Variable to the metadata database. One that exists stays, except where :func:`variables_are_overwritten`.

    :raises Exception: it is unknown whether it was added.
    """
    comms = _supervisor_comms()
    if comms is not None:
        messages = import_module("airflow.sdk.execution_time.comms")
        _sent(comms, messages.PutVariable(key=key, value=value, description=description))
        return
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy.exc import IntegrityError

    try:
        with create_session() as session:
            session.add(Variable(key=key, val=value, description=description))  # type: ignore[no-untyped-call]
    except IntegrityError:  # another process was first
        return


def is_multi_team() -> bool:
    """Whether Airflow (3.2 and later) serves several teams, each with Variables of its own."""
    from airflow.providers.common.compat.sdk import conf

    return bool(conf.getboolean("core", "multi_team", fallback=False))


def variables_are_overwritten() -> bool:
    """Whether :func:`add_variable` overwrites: the Execution API of Airflow 3 has no other way to write one."""
    return _supervisor_comms() is not None


def _supervisor_comms() -> Any:
    """Return the way to the Execution API; None where this process has the database itself.

    That is Airflow 2, a command, and ``dag.test()``, whose supervisor is an object in the same process.
    """
    try:
        from airflow.sdk.execution_time import task_runner
    except ImportError:
        return None
    comms = getattr(task_runner, "SUPERVISOR_COMMS", None)
    return None if hasattr(comms, "supervisor") else comms


def _sent(comms: Any, message: Any) -> Any:
    """Send a request of the Execution API and return the answer; None for "not found"."""
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse

    try:
        answer = comms.send(message)
    except AirflowRuntimeError as error:
        if error.error.error is not ErrorType.VARIABLE_NOT_FOUND:
            raise
        return None
    if isinstance(answer, ErrorResponse):  # what the API server refused is raised, and "not found" is returned
        if answer.error is not ErrorType.VARIABLE_NOT_FOUND:
            raise AirflowRuntimeError(answer)
        return None
    return answer


def _value_in_database(key: str) -> str | None:
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        row = session.scalars(select(Variable).where(Variable.key == key)).one_or_none()
        if row is None:
            return None
        value: str | None = row.val
    if value is None:
        raise RuntimeError(f"Variable {key!r} exists, and its value cannot be decrypted")
    return value


def xcom_keys_of_the_attempt_before(ti: Any) -> list[str] | None:
    """Give the keys of the XComs that the attempt before this one left; None where Airflow does not tell (2.11).

    Airflow 3 sends them to an attempt that starts, for it to delete them before anything else.
    """
    told = getattr(ti, "_ti_context_from_server", None)
    return None if told is None else list(told.xcom_keys_to_clear or ())


def is_resumed(ti: Any) -> bool:
    """Whether the task goes on after a deferral; known from Airflow 3 on."""
    return getattr(getattr(ti, "_ti_context_from_server", None), "next_method", None) is not None


def succeeded_attempts(ti: Any) -> list[int]:
    """Give the attempts before this one that succeeded; none where a worker has no database (3).

    An attempt that a person marked as successful while it was deferred is not among them: it never came back. One
    that a person marked when it was not deferred is, since nothing tells it from a success of its own.
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


_LEFT_BY_AN_ATTEMPT = re.compile(r"json2video_(?!generation_)")


def previous_attempt_ended_at(ti: Any) -> float | None:
    """Return when Airflow ended the attempt before this one, epoch seconds by Airflow's clock; None if it is unknown.

    From that moment on :func:`attempt_is_current` is False for the previous attempt.

    :param ti: the task instance of the task's context, which is not of the first attempt.
    """
    try:
        from airflow import __version__
        from airflow.sdk.execution_time import task_runner  # noqa: F401 - there is no such module before Airflow 3
    except ImportError:
        return _end_in_history(ti)
    # What ends a running attempt gives the task instance a new id at that moment, which says when. Before 3.1.8, a
    # scheduler that resets the tasks of a dead one leaves them their id.
    number = uuid.UUID(str(ti.id)) if getattr(ti, "id", None) else None
    if number is None or number.version != 7 or version.parse(__version__) < version.parse("3.1.8"):
        return None
    # An attempt that is failed while it is queued to resume leaves its id to the next. It has deferred, and every
    # task of ours that defers with something submitted has left an XCom before.
    keys = xcom_keys_of_the_attempt_before(ti)
    if keys is None or any(_LEFT_BY_AN_ATTEMPT.match(key) for key in keys):
        return None
    return (number.int >> 80) / 1000


def previous_attempt_had_project(ti: Any) -> bool:
    """Whether the attempt before this one is known to have received the project of what it submitted; not on 2.11.

    Not so for one that died while it was sending, whatever the list shows of that attempt: a run that was deleted and
    made again under its id numbers its attempts from 1 again.
    """
    keys = xcom_keys_of_the_attempt_before(ti)
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


def asset_stores(trigger: Any) -> list[Any]:
    """Give the store of each asset that an event trigger watches; none before Airflow 3.3, which has no such stores."""
    accessors = getattr(trigger, "asset_state_store", None)
    if accessors is None:
        return []
    # Equal triggers of several assets are one, and the trigger is not told which assets they are.
    stores = [*getattr(accessors, "_by_name", {}).values(), *getattr(accessors, "_by_uri", {}).values()]
    return stores or [accessors]


def execution_deadline(ti: Any, execution_timeout: timedelta, *, now: float) -> float:
    """Give the moment, in epoch seconds, at which a deferred task stops waiting because of its execution_timeout.

    It counts from the start of the attempt. Airflow 3 leaves a deferred task's execution_timeout to the
    operator. Airflow 2 fails a task that resumes later than that, so there the way back needs a margin.
    """
    seconds = execution_timeout.total_seconds()
    start = getattr(ti, "start_date", None)
    begun = start.timestamp() if start is not None else now
    margin = min(30.0, seconds / 10) if hasattr(ti, "refresh_from_db") else 0.0
    return float(begun + seconds - margin)


def remote_executor(task: Any) -> str | None:
    """Return the executor that runs this task, if it may run tasks on several machines; None for a local one.

    A worker of Airflow 3 may lack the configuration file, and then knows only what its environment says: the pods and
    containers of executors are marked there. The commands that start a worker of Celery or Edge need the executor's
    name in the configuration.

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


def run_began(context: Mapping[str, Any]) -> float | None:
    """Return a moment, in epoch seconds, before which no attempt of the run can have submitted anything.

    It is a day before the run's start, since clocks differ. Airflow forgets that start when a run is cleared; then it
    is the moment for which the run was scheduled, which is never later. None where Airflow does not say.
    """
    run = context.get("dag_run")
    began = start = getattr(run, "start_date", None)
    if began is None or getattr(run, "clear_number", None) != 0 or _was_cleared(context):
        # The first exists from Airflow 3 on. A run of Airflow 2 starts after both of the others.
        names = ("run_after",) if hasattr(run, "run_after") else ("logical_date", "data_interval_end")
        planned = [moment for name in names if (moment := getattr(run, name, None)) is not None]
        began = max(planned, default=None)
        if began is not None and start is not None and began > start:  # a date in the future, chosen by a person
            began = None
    return None if began is None else float(began.timestamp()) - 86400.0


def _was_cleared(context: Mapping[str, Any]) -> bool:
    """Whether the task was cleared, which a run that was queued again by hand need not have counted (2.11 to 3.1)."""
    ti, task = context.get("ti"), context.get("task")
    return ti is not None and task is not None and ti.max_tries != task.retries


def end_superseded_attempt() -> None:
    """End this process where failing would fail another: Airflow 2 keeps one row for all attempts of a task.

    From Airflow 3 each attempt has its own, and this does nothing.
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
    """Return the seconds that a task must stay deferred at least, counted from the start of its trigger.

    An executor reports the end of the process that deferred a little after the deferral. From Airflow 3 on, the
    LocalExecutor has no record of what it runs, so a scheduler that reads this report when the trigger has fired and
    the task is scheduled, queued or running again finds nothing that explains it, and fails the attempt ("finished
    with state success, but the task instance's state attribute is queued"). The report takes up to
    ``[workers] min_heartbeat_interval`` (5 s): the supervisor sleeps so long if the process closes its sockets a
    moment before it is gone. Airflow 2 queues such a task only when its executor has seen the first process end.
    """
    if not _has_sdk():
        return 0.0
    from airflow.providers.common.compat.sdk import conf

    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    interval = float(conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0))
    return interval + _REPORT_MARGIN + min(load * _REPORT_MARGIN_PER_LOAD, _REPORT_MARGIN_LONGEST)


def as_outputs(operator: Any, result: T) -> T:
    """Return a task's result, on 3.0 without what is None if each value becomes an XCom: it refuses such an XCom.

    A task that pulls it gets None all the same.
    """
    from airflow import __version__

    if __version__.startswith("3.0.") and getattr(operator, "multiple_outputs", False) and isinstance(result, dict):
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
    """Give the ``Stats`` that Airflow has set up in this kind of process.

    From 3.2 there are two of them, and a metric sent to the other one is lost: a task's process sets up the
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
    """Have Airflow replace *secret* by ``***`` in this process's logs, in its usual spellings."""
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
    """Give the file system (fsspec) of a path, and the path in it, as Airflow's ``ObjectStoragePath`` does.

    That class itself breaks with some releases of the library that it stands on; the store beneath it does not.

    :param path: ``s3://connection@bucket/key``; the connection may be left out.
    :raises Exception: the scheme, its package or its connection is not there.
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
        # A name may have characters that are special in a URL, so the file system only sees where the key stands.
        inside = str(fs._strip_protocol(f"{scheme}://{host}{slash}{_KEY if key else ''}"))
        return fs, inside.replace(_KEY, key)
    raise ImportError("this Airflow has no object storage")
