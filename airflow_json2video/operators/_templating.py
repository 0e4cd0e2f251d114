"""Fill an operator's template fields: what the author of the DAG wrote is templated, what comes from elsewhere is data.

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
    from airflow.providers.common.compat.sdk import Context

__all__ = ["Fields", "Given", "find_file", "searched_folders"]

_NOTHING = "Nothing was submitted."
_MUST_HAVE_A_VALUE = frozenset(
    {"movie", "template", "variables", "webhook", "output_path", "report_path", "items", "source", "project"}
)
_OF_DATED_RUNS = {
    "ds": "(dag_run.logical_date or dag_run.run_after) | ds",
    "ds_nodash": "(dag_run.logical_date or dag_run.run_after) | ds_nodash",
    "ts": "(dag_run.logical_date or dag_run.run_after) | ts",
    "ts_nodash": "(dag_run.logical_date or dag_run.run_after) | ts_nodash",
    "ts_nodash_with_tz": "(dag_run.logical_date or dag_run.run_after) | ts_nodash_with_tz",
    "logical_date": "dag_run.logical_date or dag_run.run_after",
    "data_interval_start": "dag_run.data_interval_start or dag_run.run_after",
    "data_interval_end": "dag_run.data_interval_end or dag_run.run_after",
}
"""Names that only runs with a logical date have, and what every run has instead, from Airflow 2.11 on."""
_UNDEFINED = re.compile(r"'(\w+)' is undefined\Z")
_MISTAKES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class Given:
    """What a field was given.

    :ivar is_data: it does not stand in the DAG file, so it must not be templated.
    :ivar origin: where data comes from, as the subject of a sentence.
    """

    value: Any
    is_data: bool
    origin: str = ""


class Fields:
    """The template fields of one operator in one attempt.

    Airflow's own templating goes by the identity of objects, and takes what ``expand_kwargs()`` received from another
    task for the author's. So the mapping itself is asked where each value comes from.

    :param names: the operator's template fields.
    :param seen_oids: ids of values that Airflow knows to be data.
    """

    def __init__(
        self,
        operator: Any,
        names: Sequence[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: Collection[int],
    ) -> None:
        self.operator = operator
        self.names = tuple(names)
        self.context = context
        self.jinja_env = jinja_env
        self._seen_oids = set(seen_oids)
        self._mapping = _Mapping.of(operator, context)

    def given(self, name: str) -> Given:
        """Return the value of a field with its XCom read, and whether it is data; nothing is templated.

        :raises ConfigurationError: another task was to give it and gave None.
        """
        value = getattr(self.operator, name)
        if _is_reference(value):
            origin = _origin(value)
            value = value.resolve(self.context)
            if value is None and name in _MUST_HAVE_A_VALUE:
                raise ConfigurationError(
                    f"{name!r} is the result of {origin}, which returned nothing (None).",
                    advice=f"Return a value from that task, or leave {name!r} out. {_NOTHING}",
                )
            return Given(value, True, origin)
        if id(value) in self._seen_oids or self._mapping.is_data(name, value):
            return Given(value, True, "the task that this task is mapped over")
        return Given(value, False)

    def fill(self, *names: str) -> None:
        """Template what the author wrote in these fields, and put data in as it is.

        :raises ConfigurationError: an expression cannot be rendered; names it and its place.
        """
        for name in names:
            given = self.given(name)
            if given.is_data:
                value = given.value
            elif callable(given.value):  # Airflow 3: the author's own function makes the value
                value = given.value(context=self.context, jinja_env=self.jinja_env)
            else:
                value = self._rendered(given.value, name)
            setattr(self.operator, name, value)

    def fill_arguments(self, name: str) -> None:
        """Do the same for a field of named arguments, some of which a mapped function may have from another task."""
        arguments: Mapping[str, Any] = getattr(self.operator, name)
        filled = {
            key: value if self._mapping.is_data_argument(key, value) else self._rendered(value, at(name, str(key)))
            for key, value in arguments.items()
        }
        setattr(self.operator, name, filled)

    def render(self, text: str) -> Any:
        """Render a template of the author's.

        :raises TemplatingFailed: it cannot be rendered; says why, and what to write instead.
        """
        import jinja2
        from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

        try:
            return self.operator.render_template(text, self.context, self.jinja_env, set())
        except (AirflowFailException, AirflowSkipException):  # a macro of the author's decides about the task
            raise
        except jinja2.UndefinedError as error:
            found = _UNDEFINED.search(error.message or "")
            name = found.group(1) if found else None
            raise TemplatingFailed(self._why_undefined(name, str(error)), name=name) from error
        except jinja2.TemplateSyntaxError as error:
            three = " (for a brace next to a value write {{ '{' ~ value ~ '}' }})" if "{{{" in text else ""
            raise TemplatingFailed(f"Jinja cannot read it: {error.message}{three}") from error
        except (jinja2.TemplateError, *_MISTAKES) as error:
            raise TemplatingFailed(f"it cannot be rendered: {_in_words(error)}") from error
        except Exception as error:  # a lookup of a connection or a variable that failed, which may pass
            raise TemplatingFailed(f"it could not be rendered: {_in_words(error)}", retryable=True) from error

    def resolved(self, value: Any) -> Any:
        """Return what an XCom in the author's value holds; anything else as it is."""
        return value.resolve(self.context) if _is_reference(value) else value

    def _why_undefined(self, name: str | None, words: str) -> str:
        if name in _OF_DATED_RUNS and name not in self.context:
            return (
                f"this run has no '{name}': runs that were triggered by hand or by an asset have no logical date in "
                f"Airflow 3; write {{{{ {_OF_DATED_RUNS[name]} }}}}, or {{{{ run_id }}}} for a name"
            )
        return words

    def _rendered(self, value: Any, place: str) -> Any:
        if isinstance(value, str):
            try:
                return self.render(value) if value else value
            except TemplatingFailed as failed:
                raise _field_error(self.operator, value, place, failed) from failed
        if _is_reference(value):
            return value.resolve(self.context)
        if value is None or id(value) in self._seen_oids:
            return value
        if type(value) in (list, tuple):
            return type(value)(self._rendered(item, at(place, index)) for index, item in enumerate(value))
        if type(value) is dict:
            return {key: self._rendered(item, at(place, str(key))) for key, item in value.items()}
        # What only Airflow knows how to template: a path object, an object with template fields of its own.
        return self.operator.render_template(value, self.context, self.jinja_env, set(self._seen_oids))


@dataclass(frozen=True)
class _Mapping:
    """What is known of how a mapped task got its arguments.

    :ivar is_data_argument: whether the argument of that name came from another task.
    :ivar is_function: the arguments are those of a function, and not the operator's own.
    """

    is_data_argument: Callable[[str, Any], bool]
    is_function: bool = False

    def is_data(self, name: str, value: Any) -> bool:
        """Whether the operator's own argument came from another task."""
        return not self.is_function and self.is_data_argument(name, value)

    @classmethod
    def of(cls, operator: Any, context: Context) -> _Mapping:
        """Ask the mapped task in the DAG, which Airflow has replaced by one operator for each index."""
        mapped = getattr(getattr(operator, "_dag", None), "task_dict", {}).get(operator.task_id)
        if mapped is None or not hasattr(mapped, "partial_kwargs"):
            return cls(lambda _name, _value: False)
        is_function = hasattr(mapped, "op_kwargs_expand_input")
        partial = mapped.partial_kwargs.get("op_kwargs") or {} if is_function else mapped.partial_kwargs
        try:
            value = (mapped.op_kwargs_expand_input if is_function else mapped.expand_input).value
            replaces_partial = not mapped._disallow_kwargs_override
        except AttributeError:  # this Airflow keeps it elsewhere: data wins
            return cls(lambda name, value: not (name in partial and _is_same(value, partial[name])), is_function)
        if isinstance(value, Mapping):  # expand(); expand_kwargs() has a list, or what stands for one
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
    """Return the folders in which a DAG's files are looked for."""
    return [str(folder) for folder in getattr(jinja_env.loader, "searchpath", [])]


def _is_reference(value: Any) -> bool:
    """Whether *value* stands for what another task gives: an XCom, or an argument of a mapped task group."""
    return not isinstance(value, (type, os.PathLike)) and callable(getattr(value, "resolve", None))


def _is_same(value: Any, written: Any) -> bool:
    return value is written or (type(value) is type(written) and bool(value == written))


def _origin(reference: Any) -> str:
    try:
        tasks = dict.fromkeys(operator.task_id for operator, _ in reference.iter_references())
    except Exception:  # not worth more than the word
        tasks = {}
    return f"the task {' and '.join(map(repr, tasks))}" if tasks else "another task"


def _in_words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": .")


def _field_error(operator: Any, text: str, place: str, failed: TemplatingFailed) -> ConfigurationError:
    parts = list(_jinjas(text))
    named = [source for source, names in parts if failed.name in names]
    expression = (named or [source for source, _ in parts] or [text])[0]
    return ConfigurationError(
        f"Task {operator.task_id!r}, {place}: {expression}: {failed.why}.", advice=_NOTHING, retryable=failed.retryable
    )


def _jinjas(text: str) -> Iterator[tuple[str, frozenset[str]]]:
    if not has_expression(text):
        return
    for part in segments(text):
        if part.kind is SegmentKind.EXPRESSION:
            names = names_of(part.body)
            yield part.source, names.roots | names.called
        elif part.kind is SegmentKind.STATEMENT:
            yield part.source, statement_names(part.body)[1]
