"""Variables of Airflow's metadata database: read and added exactly, in a worker, a command or a triggerer."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["add_variable", "is_multi_team", "read_variable", "variables_are_overwritten"]


def read_variable(key: str) -> str | None:
    """Return the value of a Variable of the metadata database; None if the database has no such Variable.

    ``Variable.get`` is not usable: for a database that does not answer, and for a value that cannot be decrypted, it
    reports that the Variable does not exist. Behind the Execution API, 3.0 to 3.2 do so even here; 3.3 can list the
    names.

    :raises Exception: it is unknown, or the value cannot be decrypted.
    """
    comms = _supervisor_comms()
    if comms is None:
        return _value_in_database(key)
    messages = import_module("airflow.sdk.execution_time.comms")
    answer = _sent(comms, messages.GetVariable(key=key))
    if answer is not None:
        if answer.value is None:
            raise RuntimeError(f"Variable {key!r} exists but has no value")
        return str(answer.value)
    if hasattr(messages, "GetVariableKeys"):
        names = _sent(comms, messages.GetVariableKeys(prefix=key, limit=1000, offset=0))
        if key in names.keys:
            raise RuntimeError(f"Variable {key!r} exists but its value cannot be read")
    return None


def add_variable(key: str, value: str, *, description: str) -> None:
    """Add a Variable to the metadata database. An existing one is unchanged, unless :func:`variables_are_overwritten`.

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
    """Whether Airflow (3.2 and later) serves several teams, each with its own Variables."""
    from airflow.providers.common.compat.sdk import conf

    return bool(conf.getboolean("core", "multi_team", fallback=False))


def variables_are_overwritten() -> bool:
    """Whether :func:`add_variable` overwrites, because the Execution API of Airflow 3 can write in no other way."""
    return _supervisor_comms() is not None


def _supervisor_comms() -> Any:
    """Return the connection to the Execution API; None where this process has access to the database.

    The latter is the case in Airflow 2, in a command, and in ``dag.test()``, whose supervisor runs in the process.
    """
    try:
        from airflow.sdk.execution_time import task_runner
    except ImportError:
        return None
    comms = getattr(task_runner, "SUPERVISOR_COMMS", None)
    return None if hasattr(comms, "supervisor") else comms


def _sent(comms: Any, message: Any) -> Any:
    """Send a request of the Execution API and return its response; None for "not found"."""
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse

    try:
        answer = comms.send(message)
    except AirflowRuntimeError as error:
        if error.error.error is not ErrorType.VARIABLE_NOT_FOUND:
            raise
        return None
    if isinstance(answer, ErrorResponse):  # most errors are raised, but "not found" is returned
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
        raise RuntimeError(f"Variable {key!r} exists but its value cannot be decrypted")
    return value
