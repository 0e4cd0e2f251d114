"""What the operators share: the connection, how a failure ends a task, and the validation of arguments."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_json2video.exceptions import ConfigurationError, Json2VideoError

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.common.compat.sdk import Context

    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.operators._templating import Fields

__all__ = [
    "Json2VideoApiOperator",
    "Json2VideoBaseOperator",
    "TemplatedFields",
    "default_deferrable",
    "fail_task",
    "path_to_str",
    "refuse_arguments",
    "to_seconds",
    "validate_choice",
    "validate_credits",
    "validate_store",
    "validate_wait_for_credits",
]

STORABLE_FILES = ("video", "subtitles", "thumbnail")


class TemplatedFields(BaseOperator):
    """Has template fields in which only the DAG author's text is rendered as Jinja; data is used unchanged."""

    # Airflow would open any value with such a suffix, wherever it came from. A movie file is read when the task runs.
    template_ext: Sequence[str] = ()
    _are_filled = False

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Any,
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        # Airflow 2.11 to 3.4 call this on mapped and unmapped tasks, and intend it to be overridden.
        if parent is not self:
            super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)
            return
        if self._are_filled:  # a second time, rendered values would be rendered again
            return
        from airflow_json2video.operators._templating import Fields

        try:
            self._fill_fields(Fields(self, template_fields, context, jinja_env, seen_oids))
        except Json2VideoError as error:
            self._fail(error, context)
        self._are_filled = True

    def _fill_fields(self, fields: Fields) -> None:
        fields.fill(*fields.names)

    def _fail(self, error: Json2VideoError, context: Context) -> NoReturn:  # noqa: ARG002
        fail_task(error, log=self.log)


class Json2VideoBaseOperator(TemplatedFields):
    """Has a connection to JSON2Video.

    :param json2video_conn_id: the connection that holds the API key (templated).
    """

    ui_color = "#eef0ff"

    def __init__(self, *, json2video_conn_id: str = "json2video_default", **kwargs: Any) -> None:
        try:
            super().__init__(**kwargs)
        except Exception as error:
            if "nvalid arguments" in str(error) and (advice := _suggest_arguments(type(self), kwargs)):
                raise TypeError(f"{type(self).__name__}, task {kwargs.get('task_id')!r}: {advice}") from None
            raise
        self.json2video_conn_id = json2video_conn_id

    @cached_property
    def hook(self) -> Json2VideoHook:
        """The hook of this task's connection."""
        from airflow_json2video.hooks.json2video import Json2VideoHook

        return Json2VideoHook(self.json2video_conn_id)


class Json2VideoApiOperator(Json2VideoBaseOperator):
    """Calls JSON2Video once. A failure that a retry cannot help fails the task without one."""

    def execute(self, context: Context) -> Any:
        """Carry out the call; what a retry cannot help fails the task without one."""
        from airflow_json2video.version_compat import as_outputs

        try:
            return as_outputs(self, self._run(context))
        except Json2VideoError as error:
            fail_task(error, log=self.log)

    def _run(self, context: Context) -> Any:
        """Carry out the call, and return the task's result.

        :raises Json2VideoError: it failed; the error says whether a retry can help.
        """
        raise NotImplementedError


def refuse_arguments(operator: BaseOperator, message: str) -> NoReturn:
    """Raise on invalid arguments: in the DAG file, or without a retry in a task that got them by mapping.

    :raises ConfigurationError: in a DAG file.
    """
    if not getattr(operator, "_BaseOperator__from_mapped", False):
        raise ConfigurationError(message)
    fail_task(
        ConfigurationError(
            message,
            advice="This task is mapped, and one of its values for this map index is None or must not be set. "
            "Correct what the upstream task returns. Nothing was submitted.",
        ),
        log=operator.log,
    )


def fail_task(error: Json2VideoError, *, log: Any, retryable_as: type[Exception] | None = None) -> NoReturn:
    """Log *error* once, and fail the task: without a retry where a retry cannot help, else so that Airflow retries it.

    Airflow logs the exception as well, with its traceback, so the exception's text is only the headline.
    :func:`~airflow_json2video.exceptions.find_error` finds the error in either exception.

    :param retryable_as: class of the exception for a failure that is retried, if it must be one of Airflow's.
    """
    error = error.report(log)
    if error.retryable and retryable_as is None:
        raise error from None
    from airflow.providers.common.compat.sdk import AirflowFailException

    failure = (retryable_as if error.retryable and retryable_as else AirflowFailException)(error.headline)
    failure.json2video_error = error  # type: ignore[attr-defined]
    raise failure from None


_COMMON_MISTAKES = {
    "conn_id": "json2video_conn_id",
    "connection_id": "json2video_conn_id",
    "timeout": "render_timeout",
    "poke_interval": "poll_interval",
    "max_cost": "max_credits",
    "output": "output_path",
    "template_id": "template",
}
"""Arguments of other operators, and the ones that are meant."""


def _suggest_arguments(operator: type[BaseOperator], given: Mapping[str, Any]) -> str:
    """Return a hint for each unknown argument that resembles a known one; empty if none does."""
    import inspect
    from difflib import get_close_matches

    taken: set[str] = set()
    known: set[str] = set()
    for cls in operator.__mro__:
        parameters = inspect.signature(vars(cls).get("__init__", object.__init__)).parameters
        names = {name for name in parameters if name not in ("self", "args", "kwargs")}
        taken |= names
        known |= names if issubclass(cls, Json2VideoBaseOperator) else set()
    hints = []
    for name in given:
        if name not in taken and not name.startswith("_"):
            near = (
                [_COMMON_MISTAKES[name]]
                if _COMMON_MISTAKES.get(name) in known
                else get_close_matches(name, sorted(known), 1, 0.7)
            )
            hints += [f"unknown argument {name!r}, did you mean {near[0]!r}?"] if near else []
    return " ".join(hints)


def validate_credits(name: str, value: float | None) -> float | None:
    """Return a limit in credits; None means no limit.

    :raises ConfigurationError: the value is not a number from 0.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise ConfigurationError(f"{name} must be a number of credits from 0, got {value!r}.")
    return float(value)


def default_deferrable() -> bool:
    """Return the default of ``deferrable``: True, unless the installation sets ``default_deferrable`` to False.

    Only the environment variable counts: Airflow writes ``default_deferrable = false`` into every new ``airflow.cfg``,
    so that line does not show a choice of the installation.
    """
    from airflow.providers.common.compat.sdk import conf

    is_set = os.environ.get("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE")
    return bool(conf.getboolean("operators", "default_deferrable")) if is_set else True


def validate_wait_for_credits(value: Any) -> Any:
    """Return the limit of a wait for credits as it was given; text and XComs are read when the task runs.

    :raises ConfigurationError: the value cannot be a limit.
    """
    if value is None or isinstance(value, (timedelta, dt.datetime, dt.time, str)) or hasattr(value, "resolve"):
        return value
    raise ConfigurationError(
        "wait_for_credits must be a timedelta, a datetime, a time of day or either of the last two as ISO text, got "
        f"{value!r}."
    )


def validate_store(store: Sequence[str], *, delete_remote: bool, output_path: Any) -> tuple[str, ...]:
    """Return the files of a render to store: the video, and with it the subtitles and the thumbnail.

    :raises ConfigurationError: a name is unknown, the video is missing, or there is no path to store the files at.
    """
    allowed = ", ".join(map(repr, STORABLE_FILES))
    if isinstance(store, str) or not isinstance(store, Sequence) or not set(store) <= set(STORABLE_FILES):
        raise ConfigurationError(f"store must be a tuple of {allowed}, got {store!r}.")
    if "video" not in store:
        raise ConfigurationError(f"store must include 'video', got {store!r}.")
    if output_path is None and (len(set(store)) > 1 or delete_remote):
        raise ConfigurationError("store and delete_remote need an output_path.")
    return tuple(name for name in STORABLE_FILES if name in store)


def validate_choice(name: str, value: Any, allowed: tuple[str, ...]) -> Any:
    """Return the value if it is one of *allowed*.

    :raises ConfigurationError: it is not.
    """
    if value not in allowed:
        raise ConfigurationError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}.")
    return value


def to_seconds(name: str, value: float | timedelta) -> float:
    """Return a duration in seconds.

    :raises ConfigurationError: the value is not a number above 0.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < float("inf"):
        raise ConfigurationError(
            f"{name} must be a number of seconds above 0, or a timedelta such as timedelta(hours=1), got {value!r}."
        )
    return float(seconds)


def path_to_str(path: Any) -> Any:
    """Return a path object as text, which Airflow can store and render; an XCom reference stays unchanged."""
    return str(path) if isinstance(path, os.PathLike) or hasattr(path, "conn_id") else path
