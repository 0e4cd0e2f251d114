"""Identify this Airflow deployment, since several deployments may share one JSON2Video account.

A deployment is its metadata database: a random id is stored there in a Variable, which every worker, triggerer and
command line can read. A connection's ``namespace`` takes precedence. The id is read whenever it is needed: a value
that a process has cached may have been overwritten by another process.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_json2video.airflow_variables import add_variable, is_multi_team, read_variable, variables_are_overwritten
from airflow_json2video.core.identity import (
    deployment_from_id,
    deployment_from_namespace,
    deployment_id,
    format_deployment,
    is_of_another_deployment,
    read_stamp,
)
from airflow_json2video.exceptions import Billing, ConfigurationError, Json2VideoError
from airflow_json2video.version_compat import attempt_is_current

if TYPE_CHECKING:
    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.task_log import TaskLog

__all__ = [
    "ID_VARIABLE",
    "SET_NAMESPACE",
    "aget_deployment",
    "get_deployment",
    "get_or_create_deployment",
    "require_not_of_another_deployment",
    "require_same_deployment",
    "require_unchanged_deployment",
]

ID_VARIABLE = "json2video_deployment_id"

_DESCRIPTION = (
    "Distinguishes the renders of this Airflow deployment from those of others that share a JSON2Video account. "
    "Do not delete or change it."
)
SET_NAMESPACE = "set 'namespace' in the extra of the connection, to another name in each deployment"
"""Part of the advice of an error."""

_ABSENCE_CHECKS = 3
"""Times that Airflow has to respond without the Variable before it counts as absent: Airflow 3 responds the same while
its database is unavailable."""
_ABSENCE_CHECK_INTERVAL = 0.3
"""Seconds."""
_MAX_STAGGER = 3.0
"""Seconds, at random, before the id is created, so that mapped tasks that start together rarely create it together."""
_SETTLE_INTERVAL = 1.0
"""Seconds after which an id that was written is read again, until it stays the same."""
_EQUAL_READINGS = 3
_MAX_READINGS = 30
_RETRY_DELAYS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between the tries to read the id while Airflow does not respond."""


def get_or_create_deployment(
    namespace: str | None,
    *,
    ti: Any,
    log: TaskLog,
    before_creating: Callable[[], None] = lambda: None,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Return the deployment of a task, as a stamp names it. An id is created if the database has none.

    :param namespace: of the task's connection.
    :param before_creating: called if the database has no id; raises if an earlier attempt may have had one.
    :raises Json2VideoError: the deployment is unknown. A retry may help.
    """
    if (known := _with_retries(lambda: get_deployment(namespace), sleep)) is not None:
        return known
    new = secrets.token_hex(16)
    value = _create(new, ti, before_creating, sleep)
    if value == new:
        log.warning(
            "This deployment had no id; it is %s from now on (Variable %s). If it has submitted renders before, the "
            "Variable was deleted or cannot be decrypted: they are not found until it is restored.",
            value,
            ID_VARIABLE,
        )
    return deployment_from_id(value)


def _with_retries(read: Callable[[], str | None], sleep: Callable[[float], None]) -> str | None:
    for delay in (*_RETRY_DELAYS, None):
        try:
            return read()
        except Json2VideoError:
            if delay is None:
                raise
            sleep(delay)
    return None


def get_deployment(namespace: str | None) -> str | None:
    """Return this deployment; None if it has no id, and so has submitted no render. Creates nothing.

    :raises Json2VideoError: the deployment is unknown.
    """
    if namespace is not None:
        return deployment_from_namespace(namespace)
    value = _read()
    return None if value is None else deployment_from_id(value)


async def aget_deployment(namespace: str | None) -> str | None:
    """Return what :func:`get_deployment` does, without blocking the event loop of a triggerer."""
    from asgiref.sync import sync_to_async  # how Airflow 3 lets a trigger read a Variable

    return await sync_to_async(get_deployment)(namespace)


def require_same_deployment(
    namespace: str | None, deployment: str, *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Check, right before something is paid for, that its stamp carries the id that a later attempt will search for.

    :raises Json2VideoError: the id has changed, or is unknown.
    """
    if _with_retries(lambda: get_deployment(namespace), sleep) != deployment:
        raise Json2VideoError(
            f"The id of this deployment (Variable {ID_VARIABLE!r}) has changed since this attempt began.",
            retryable=True,
            advice="Nothing was submitted. A retry uses the current id. Do not change the Variable.",
        )


def require_unchanged_deployment(deployment: str, *, before: str | None) -> None:
    """Check that an attempt which continues in another process still finds what it submitted.

    :param before: the deployment that it submitted as; None if it did not record it.
    :raises Json2VideoError: the deployment is another one now.
    """
    if before is None or before == deployment:
        return
    value = deployment_id(before)
    restored = f"airflow variables set {ID_VARIABLE} {value}" if value else "the 'namespace' of the connection"
    raise Json2VideoError(
        f"This attempt began as a task of the deployment {format_deployment(before)}, which is "
        f"{format_deployment(deployment)} now. What it may have submitted would not be found.",
        retryable=False,
        billing=Billing.UNKNOWN,
        advice=f"Restore it ({restored}), then clear the task. Nothing more was submitted.",
    )


def require_not_of_another_deployment(hook: Json2VideoHook, project: str) -> None:
    """Check, before a render's file is deleted, that no other deployment submitted it.

    :raises ConfigurationError: another one did. :raises Json2VideoError: that is unknown.
    """
    movie = hook.get_movie(project, with_document=True).movie
    ours = get_deployment(hook.settings.namespace)
    stamp = read_stamp(movie.client_data, movie.json_text)
    if stamp is not None and is_of_another_deployment(movie.client_data, movie.json_text, ours=ours):
        raise ConfigurationError(
            f"Render {project} was submitted by another deployment ({format_deployment(stamp.deployment)}), so its "
            "file is not deleted.",
            project=project,
            advice="Delete it there, or give both deployments the same 'namespace' in the extra of the connection.",
        )


def _read() -> str | None:
    try:
        value = read_variable(ID_VARIABLE)
    except Exception as error:
        raise _unknown(f"{type(error).__name__}: {error}") from error
    if value is not None and not value.strip():
        raise _unknown("it is empty")
    return None if value is None else value.strip()


def _create(new: str, ti: Any, before_creating: Callable[[], None], sleep: Callable[[float], None]) -> str:
    if is_multi_team():
        raise _unknown("in multi-team mode a Variable belongs to one team, and the other teams cannot see it")
    before_creating()
    problem: Exception | None = None
    if not variables_are_overwritten():
        problem, value = _add(new), _read()
    else:
        # Nothing may come between the last check and the creation.
        if not _appears_late(ti, sleep):
            problem = _add(new)
        value = _read_until_stable(sleep)
    if value is None:
        raise _unknown(f"{type(problem).__name__}: {problem}" if problem else "it was added, and cannot be read")
    return value


def _add(new: str) -> Exception | None:
    try:
        add_variable(ID_VARIABLE, new, description=_DESCRIPTION)
    except Exception as error:  # the Variable may exist nevertheless, or another task may have added it
        return error
    return None


def _read_until_stable(sleep: Callable[[float], None]) -> str | None:
    """Return the id once it has stayed the same for several readings, whoever wrote it last."""
    value, equal = _read(), 0
    for _ in range(_MAX_READINGS):
        sleep(_SETTLE_INTERVAL)
        before, value = value, _read()
        equal = equal + 1 if value == before else 0
        if equal == _EQUAL_READINGS:
            return value
    return None


def _appears_late(ti: Any, sleep: Callable[[float], None]) -> bool:
    """Return whether an id appears while its absence is being confirmed. If not, there is certainly none."""
    sleep(random.uniform(0.0, _MAX_STAGGER))  # noqa: S311
    for _ in range(_ABSENCE_CHECKS):
        sleep(_ABSENCE_CHECK_INTERVAL)
        try:
            attempt_is_current(ti)  # only that Airflow responds matters here, and not what
        except Exception as error:
            raise _unknown(f"{type(error).__name__}: {error}") from error
        if _read() is not None:
            return True
    return False


def _unknown(why: str) -> Json2VideoError:
    return Json2VideoError(
        f"The id of this deployment (Variable {ID_VARIABLE!r}) is unknown: {why}.",
        retryable=True,
        advice="Without it, a render of another deployment with the same account could be reused by mistake. "
        "Make the Variable readable again (after a change of the Fernet key: airflow rotate-fernet-key), or "
        f"{SET_NAMESPACE}. Nothing was submitted.",
    )
