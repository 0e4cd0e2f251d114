"""Render an operator's template fields: the DAG author's text is rendered as Jinja, everything else is data.

Loaded when a task runs, not when its DAG file is parsed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.movie.expressions import TemplatingFailed
from airflow_json2video.movie.findings import at
from airflow_json2video.movie.lexer import SegmentKind, has_expression, names_of, segments, statement_names

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.common.compat.sdk import BaseOperator, Context

__all__ = ["Fields", "Given", "find_file", "searched_folders"]

_NOTHING = "Nothing was submitted."
_REQUIRED = frozenset(
    {"movie", "template", "variables", "webhook", "output_path", "report_path", "items", "source", "project"}
)
_LOGICAL_DATE_NAMES = {
    "ds": "(dag_run.logical_date or dag_run.run_after) | ds",
    "ds_nodash": "(dag_run.logical_date or dag_run.run_after) | ds_nodash",
    "ts": "(dag_run.logical_date or dag_run.run_after) | ts",
    "ts_nodash": "(dag_run.logical_date or dag_run.run_after) | ts_nodash",
    "ts_nodash_with_tz": "(dag_run.logical_date or dag_run.run_after) | ts_nodash_with_tz",
    "logical_date": "dag_run.logical_date or dag_run.run_after",
    "data_interval_start": "dag_run.data_interval_start or dag_run.run_after",
    "data_interval_end": "dag_run.data_interval_end or dag_run.run_after",
}
"""Names that only runs with a logical date have, and what to use in any run instead, from Airflow 2.11 on."""
_UNDEFINED = re.compile(r"'(\w+)' is undefined\Z")
_AUTHOR_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class Given:
    """The value of a field.

    :ivar is_data: the value is not written in the DAG file, so it must not be rendered.
    :ivar origin: where data comes from, as the subject of a sentence.
    """

    value: Any
    is_data: bool
    origin: str = ""


class Fields:
    """The template fields of one operator in one attempt.

    Airflow's own templating compares the identity of objects, and treats what ``expand_kwargs()`` received from another
    task as the author's. So the origin of each value is read from the mapping itself.

    :param names: the operator's template fields.
    :param seen_oids: ids of values that Airflow marks as data.
    """

    def __init__(
        self,
        operator: BaseOperator,
        names: Sequence[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: Collection[int],
    ) -> None:
        self._operator = operator
        self.names = tuple(names)
        self.context = context
        self.jinja_env = jinja_env
        self._seen_oids = set(seen_oids)
        self._mapping = _Mapping.of(operator, context)

    def value(self, name: str) -> Any:
        """Return the present value of a field."""
        return getattr(self._operator, name)

    def set(self, name: str, value: Any) -> None:
        """Set the value of a field."""
        setattr(self._operator, name, value)

    def given(self, name: str) -> Given:
        """Return the value of a field, with an XCom resolved, and whether it is data. Nothing is templated.

        :raises ConfigurationError: another task should return the value and returned None.
        """
        value = self.value(name)
        if _is_reference(value):
            origin = _origin(value)
            value = value.resolve(self.context)
            if value is None and name in _REQUIRED:
                raise ConfigurationError(
                    f"{name!r} is the result of {origin}, which returned nothing (None).",
                    advice=f"Return a value from that task, or omit {name!r}. {_NOTHING}",
                )
            return Given(value, True, origin)
        if id(value) in self._seen_oids or self._mapping.is_data(name, value):
            return Given(value, True, "the task that this task is mapped over")
        return Given(value, False)

    def fill(self, *names: str) -> None:
        """Template what the author wrote in these fields; data is used unchanged.

        :raises ConfigurationError: an expression cannot be filled; names it and its place.
        """
        for name in names:
            given = self.given(name)
            if given.is_data:
                value = given.value
            elif callable(given.value):  # Airflow 3: the author's function returns the value
                value = given.value(context=self.context, jinja_env=self.jinja_env)
            else:
                value = self._rendered(given.value, name)
            self.set(name, value)

    def fill_arguments(self, name: str) -> None:
        """Template a field of named arguments, some of which a mapped function may receive from another task."""
        arguments: Mapping[str, Any] = self.value(name)
        filled = {
            key: value if self._mapping.is_data_argument(key, value) else self._rendered(value, at(name, str(key)))
            for key, value in arguments.items()
        }
        self.set(name, filled)

    def render(self, text: str) -> Any:
        """Fill an expression of the author's.

        :raises TemplatingFailed: it cannot be filled; says why, and what to use instead.
        """
        import jinja2
        from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

        try:
            return self._operator.render_template(text, self.context, self.jinja_env, set())
        except (AirflowFailException, AirflowSkipException):  # raised by the author's macro, to end the task
            raise
        except jinja2.UndefinedError as error:
            found = _UNDEFINED.search(error.message or "")
            name = found.group(1) if found else None
            raise TemplatingFailed(self._why_undefined(name, str(error)), name=name) from error
        except jinja2.TemplateSyntaxError as error:
            three = " (for a brace next to a value write {{ '{' ~ value ~ '}' }})" if "{{{" in text else ""
            raise TemplatingFailed(f"Jinja cannot read it: {error.message}{three}") from error
        except (jinja2.TemplateError, *_AUTHOR_ERRORS) as error:
            raise TemplatingFailed(f"it cannot be filled: {_describe(error)}") from error
        except Exception as error:  # a lookup of a connection or a variable that failed, which may pass
            raise TemplatingFailed(f"it could not be filled: {_describe(error)}", retryable=True) from error

    def resolved(self, value: Any) -> Any:
        """Return the value of an XCom reference; any other value unchanged."""
        return value.resolve(self.context) if _is_reference(value) else value

    def _why_undefined(self, name: str | None, words: str) -> str:
        if name in _LOGICAL_DATE_NAMES and name not in self.context:
            return (
                f"this run has no '{name}': runs triggered manually or by an asset do not have a logical date in "
                f"Airflow 3; use {{{{ {_LOGICAL_DATE_NAMES[name]} }}}}, or {{{{ run_id }}}} for a name"
            )
        return words

    def _rendered(self, value: Any, place: str) -> Any:
        if isinstance(value, str):
            try:
                return self.render(value) if value else value
            except TemplatingFailed as failed:
                raise _field_error(self._operator.task_id, value, place, failed) from failed
        if _is_reference(value):
            return value.resolve(self.context)
        if value is None or id(value) in self._seen_oids:
            return value
        if type(value) in (list, tuple):
            return type(value)(self._rendered(item, at(place, index)) for index, item in enumerate(value))
        if type(value) is dict:
            return {key: self._rendered(item, at(place, str(key))) for key, item in value.items()}
        # What only Airflow can render: a path object, or an object with template fields.
        return self._operator.render_template(value, self.context, self.jinja_env, set(self._seen_oids))


@dataclass(frozen=True)
class _Mapping:
    """How a mapped task received its arguments.

    :ivar is_data_argument: whether the argument of that name came from another task.
    :ivar is_function: the arguments are a function's, not the operator's.
    """

    is_data_argument: Callable[[str, Any], bool]
    is_function: bool = False

    def is_data(self, name: str, value: Any) -> bool:
        """Whether the operator's own argument came from another task."""
        return not self.is_function and self.is_data_argument(name, value)

    @classmethod
    def of(cls, operator: BaseOperator, context: Context) -> _Mapping:
        """Read the mapped task in the DAG, which Airflow replaced by one operator per map index."""
        mapped = getattr(getattr(operator, "_dag", None), "task_dict", {}).get(operator.task_id)
        if mapped is None or not hasattr(mapped, "partial_kwargs"):
            return cls(lambda _name, _value: False)
        is_function = hasattr(mapped, "op_kwargs_expand_input")
        partial = mapped.partial_kwargs.get("op_kwargs") or {} if is_function else mapped.partial_kwargs
        try:
            value = (mapped.op_kwargs_expand_input if is_function else mapped.expand_input).value
            replaces_partial = not mapped._disallow_kwargs_override
        except AttributeError:  # another Airflow version stores it elsewhere: treat the values as data
            return cls(lambda name, value: not (name in partial and _is_same(value, partial[name])), is_function)
        if isinstance(value, Mapping):  # expand(); expand_kwargs() has a list, or a reference to one
            data = frozenset(name for name, values in value.items() if _is_reference(values))
            return cls(lambda name, _value: name in data, is_function)
        if not _is_reference(value) and isinstance(value[context["ti"].map_index], Mapping):
            return cls(lambda _name, _value: False, is_function)  # expand_kwargs([{...}, ...]) in the DAG file
        return cls(
            lambda name, value: not (name in partial and (not replaces_partial or _is_same(value, partial[name]))),
            is_function,
        )


def find_file(path: str, jinja_env: jinja2.Environment) -> Path | None:
    """Return the file that a relative path names in the DAG file's folder or the DAG's ``template_searchpath``."""
    candidates = (Path(folder, path).absolute() for folder in searched_folders(jinja_env))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def searched_folders(jinja_env: jinja2.Environment) -> list[str]:
    """Return the folders that are searched for a DAG's files."""
    return [str(folder) for folder in getattr(jinja_env.loader, "searchpath", [])]


def _is_reference(value: Any) -> bool:
    """Return whether *value* refers to another task's result: an XCom, or an argument of a mapped task group."""
    return not isinstance(value, (type, os.PathLike)) and callable(getattr(value, "resolve", None))


def _is_same(value: Any, written: Any) -> bool:
    return value is written or (type(value) is type(written) and bool(value == written))


def _origin(reference: Any) -> str:
    try:
        tasks = dict.fromkeys(operator.task_id for operator, _ in reference.iter_references())
    except Exception:  # the error is still useful without the task's id
        tasks = {}
    return f"the task {' and '.join(map(repr, tasks))}" if tasks else "another task"


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": .")


def _field_error(task_id: str, text: str, place: str, failed: TemplatingFailed) -> ConfigurationError:
    parts = list(_jinja_parts(text))
    named = [source for source, names in parts if failed.name in names]
    expression = (named or [source for source, _ in parts] or [text])[0]
    return ConfigurationError(
        f"Task {task_id!r}, {place}: {expression}: {failed.why}.", advice=_NOTHING, retryable=failed.retryable
    )


def _jinja_parts(text: str) -> Iterator[tuple[str, frozenset[str]]]:
    if not has_expression(text):
        return
    for part in segments(text):
        if part.kind is SegmentKind.EXPRESSION:
            names = names_of(part.body)
            yield part.source, names.roots | names.called
        elif part.kind is SegmentKind.STATEMENT:
            yield part.source, statement_names(part.body)[1]
