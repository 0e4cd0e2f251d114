"""Render Airflow's expressions in a movie, and leave those of JSON2Video: both are written as ``{{ name }}``.

An expression is **Airflow's** if Airflow defines every name in it, **JSON2Video's** if the movie declares every name at
that place, and an error if it is both or neither. An expression without names is JSON2Video's. ``{% %}`` blocks exist
in Jinja only, so they are Airflow's. The text between ``{% raw %}`` and ``{% endraw %}`` is left to JSON2Video, which
also decides an ambiguous case.

Pure and cheap to import: no pydantic, no Jinja, no Airflow.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from airflow_json2video.movie.findings import Finding, Severity, at, invalid_movie
from airflow_json2video.movie.lexer import (
    FUNCTIONS,
    Names,
    Segment,
    SegmentKind,
    has_expression,
    names_in,
    names_of,
    segments,
    statement_names,
)

__all__ = [
    "FUNCTIONS",
    "JINJA_GLOBALS",
    "REMOVED_NAMES",
    "TemplatingFailed",
    "has_expression",
    "names_in",
    "render_airflow_expressions",
]

JINJA_GLOBALS = frozenset({"range", "dict", "lipsum", "cycler", "joiner", "namespace"})
"""Names that every Jinja environment defines."""

REMOVED_NAMES: Mapping[str, str] = {
    "execution_date": "dag_run.logical_date or dag_run.run_after",
    "next_ds": "data_interval_end | ds",
    "next_ds_nodash": "data_interval_end | ds_nodash",
    "next_execution_date": "data_interval_end",
    "prev_ds": "prev_data_interval_start_success | ds",
    "prev_ds_nodash": "prev_data_interval_start_success | ds_nodash",
    "prev_execution_date": "prev_data_interval_start_success",
    "prev_execution_date_success": "prev_start_date_success",
    "tomorrow_ds": "macros.ds_add(ds, 1)",
    "tomorrow_ds_nodash": "macros.ds_add(ds, 1) | replace('-', '')",
    "yesterday_ds": "macros.ds_add(ds, -1)",
    "yesterday_ds_nodash": "macros.ds_add(ds, -1) | replace('-', '')",
}
"""Names that Airflow 3 removed from the context, and what to write instead."""

# Private-use characters replace what Jinja must not see; {% raw %} would lose newlines with trim_blocks.
_NEEDS_HIDING = re.compile("\\{[{%#]|\ue0fa")
_MAX_SHOWN = 12


class TemplatingFailed(Exception):
    """Raised by a *render* function whose template could not be filled.

    :param why: what is wrong, and what to write instead; without a period at the end.
    :param name: the undefined name, if that is the reason.
    :param retryable: whether a retry may help, such as after a failed lookup.
    """

    def __init__(self, why: str, *, name: str | None = None, retryable: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.name = name
        self.retryable = retryable


@dataclass(frozen=True)
class _Scope:
    """The names that the movie declares at one place. *is_open*: there may be more, which are unknown."""

    names: frozenset[str] = frozenset()
    is_open: bool = False

    def declaring(self, variables: Any) -> _Scope:
        if variables is None:
            return self
        if not isinstance(variables, Mapping):
            return replace(self, is_open=True)
        return replace(self, names=self.names | {str(name) for name in variables})


def render_airflow_expressions(
    document: Any,
    *,
    airflow_names: Collection[str],
    render: Callable[[str], Any],
    resolve: Callable[[Any], Any] = lambda value: value,
    declared: Collection[str] | None = None,
    has_more_names: bool = False,
    columns: Collection[str] = (),
    source: str = "The movie",
) -> Any:
    """Return *document* with Airflow's expressions rendered and JSON2Video's unchanged.

    Every text in *document* is a template, so it must be the author's own text only. Merge data into the result of this
    function.

    :param document: a Movie JSON document, or ``{"template": ..., "variables": ...}``; it is not changed.
    :param airflow_names: the names that Airflow defines: the keys of the task's context, :data:`JINJA_GLOBALS`, the
        DAG's user-defined macros.
    :param render: renders a Jinja template. It is called only for strings with an expression of Airflow; its result,
        of any type (native rendering), replaces the string. It raises :class:`TemplatingFailed` for a template that
        cannot be filled.
    :param resolve: called with each value that is not a text, number or container; its result is data and replaces the
        value.
    :param declared: names of variables that the document receives from elsewhere. ``None`` for a stored template: they
        are unknown, and names that Airflow does not define are left to JSON2Video.
    :param has_more_names: the same for a movie: names that Airflow does not define are left to JSON2Video.
    :param columns: the names in *declared* that are columns of rows, for the message of an error.
    :param source: what the document is called in an error.
    :raises InvalidMovie: an expression belongs to both or to neither, mixes names of the two, or cannot be filled;
        lists each with its path and what to write instead.
    """
    walk = _Walk(frozenset(airflow_names), render, resolve, columns)
    unknown_template = isinstance(document, Mapping) and document.get("template") is not None and declared is None
    rendered = walk.movie(document, _Scope(frozenset(declared or ()), is_open=has_more_names or unknown_template))
    if walk.findings:
        raise invalid_movie(list(walk.findings), source=source).with_context(retryable=not walk.is_final)
    return rendered


@dataclass
class _Walk:
    airflow: frozenset[str]
    render: Callable[[str], Any]
    resolve: Callable[[Any], Any]
    columns: Collection[str]
    findings: dict[Finding, None] = field(default_factory=dict)
    is_final: bool = False
    failures: int = 0

    def movie(self, document: Any, scope: _Scope) -> Any:
        if not isinstance(document, Mapping):
            return self.value(document, "", _Scope())
        variables, scope = self.declarations(document, "", scope)

        def child(key: str, value: Any, path: str) -> Any:
            if key == "scenes" and isinstance(value, (list, tuple)):
                return [self.scene(item, at(path, i), scope, variables) for i, item in enumerate(value)]
            return self.member(key, value, path, scope)

        return self.members(document, "", variables, child)

    def scene(self, scene: Any, path: str, outer: _Scope, movie_variables: Any) -> Any:
        if not isinstance(scene, Mapping):
            return self.value(scene, path, outer)
        variables, scope = self.declarations(scene, path, _iterating(scene, outer, movie_variables))
        return self.members(scene, path, variables, lambda k, v, p: self.member(k, v, p, scope))

    def element(self, element: Any, path: str, outer: _Scope) -> Any:
        if not isinstance(element, Mapping):
            return self.value(element, path, outer)
        variables, scope = self.declarations(element, path, outer)
        return self.members(element, path, variables, lambda _, v, p: self.value(v, p, scope))

    def member(self, key: str, value: Any, path: str, scope: _Scope) -> Any:
        if key == "elements" and isinstance(value, (list, tuple)):
            return [self.element(item, at(path, i), scope) for i, item in enumerate(value)]
        return self.value(value, path, scope)

    @staticmethod
    def members(node: Mapping[str, Any], path: str, variables: Any, child: Callable[[str, Any, str], Any]) -> Any:
        return {
            key: variables if key == "variables" else child(key, value, at(path, str(key)))
            for key, value in node.items()
        }

    def declarations(self, node: Mapping[str, Any], path: str, outer: _Scope) -> tuple[Any, _Scope]:
        """Render the variables of *node*, and return them with the names that are declared below it."""
        if "variables" not in node:
            return None, outer
        variables, path = node["variables"], at(path, "variables")
        if not isinstance(variables, Mapping):
            rendered = self.value(variables, path, outer)
            return rendered, outer.declaring(rendered)
        scope = outer.declaring(variables)
        rendered = {}
        for name, value in variables.items():
            # {"ds": "{{ ds }}"} passes Airflow's value to the movie; a variable is never defined by itself.
            others = scope if name in outer.names else replace(scope, names=scope.names - {name})
            rendered[name] = self.value(value, at(path, str(name)), others)
        return rendered, scope

    def value(self, value: Any, path: str, scope: _Scope) -> Any:
        if isinstance(value, str):
            return self.text(value, path, scope)
        if isinstance(value, Mapping):
            return {key: self.value(item, at(path, str(key)), scope) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item, at(path, index), scope) for index, item in enumerate(value)]
        return value if value is None or isinstance(value, (int, float)) else self.resolve(value)

    def text(self, text: str, path: str, scope: _Scope) -> Any:
        if not has_expression(text):
            return text
        parts = segments(text)
        statements = [statement_names(part.body) for part in parts if part.kind is SegmentKind.STATEMENT]
        local = frozenset().union(*(bound for bound, _ in statements))
        offered = self.airflow | local
        scope = replace(scope, names=scope.names - local)
        for part in parts:
            if part.kind is SegmentKind.STATEMENT:
                self.statement(part, path, offered, scope)
        airflows = [self.belongs_to_airflow(part, path, offered, scope) for part in parts]
        if not any(airflows):
            return text
        hidden = _Placeholders()
        template = ""
        for part, belongs_to_airflow in zip(parts, airflows, strict=True):
            plain = part.kind is SegmentKind.TEXT and not _NEEDS_HIDING.search(part.source)
            shown = belongs_to_airflow or plain or part.kind is SegmentKind.COMMENT
            source = part.source if shown else hidden.hide(part.source)
            if plain or part.kind is SegmentKind.RAW:  # Jinja changes every line ending to \n
                source = source.replace("\r", hidden.hide("\r")) if "\r" in source else source
            template += source
        if template.endswith("\n"):  # Jinja removes the last newline of a template
            template = template[:-1] + hidden.hide("\n")
        if len(self.findings) > self.failures:  # an error will be raised
            return text
        try:
            return hidden.restored(self.render(template))
        except TemplatingFailed as failed:
            theirs = [part for part, belongs_to_airflow in zip(parts, airflows, strict=True) if belongs_to_airflow]
            self.failed(failed, theirs, path)
            return text

    def failed(self, failed: TemplatingFailed, parts: Sequence[Segment], path: str) -> None:
        named = [part for part in parts if failed.name in names_of(part.body).roots | names_of(part.body).called]
        part = (named or parts)[0]
        self.findings[Finding(Severity.ERROR, path, f"{part.source}: {failed.why}", "expression-failed")] = None
        self.failures += 1
        self.is_final |= not failed.retryable

    def statement(self, part: Segment, path: str, offered: frozenset[str], scope: _Scope) -> None:
        _, needed = statement_names(part.body)
        if missing := sorted(needed - offered):
            movies = [name for name in missing if name in scope.names]
            removed = next((name for name in missing if name in REMOVED_NAMES), None)
            if movies:
                because = f"{_listed(movies)} is the movie's, and {{% %}} is Airflow's; use a 'condition' of the movie"
            elif removed:
                because = _removed(removed)
            else:
                because = f"Airflow does not define {_listed(missing)}{self.hint(missing[0], offered)}"
            self.report(part, path, because)

    def belongs_to_airflow(self, part: Segment, path: str, offered: frozenset[str], scope: _Scope) -> bool:
        if part.kind in (SegmentKind.STATEMENT, SegmentKind.RAW):
            return True
        if part.kind is not SegmentKind.EXPRESSION:
            return False
        names = names_of(part.body)
        everything = names.roots | names.called
        if not everything:
            return False
        airflows = everything <= offered
        if self.belongs_to_movie(names, offered, scope):
            if airflows:
                self.report(
                    part,
                    path,
                    f"both Airflow and the movie define {_listed(everything)}; rename the movie's variable, or "
                    f"write {{% raw %}}{part.source}{{% endraw %}} to leave it to JSON2Video",
                )
            return False
        if not airflows:
            self.report(part, path, self.describe_conflict(part, names, offered, scope))
        return airflows

    @staticmethod
    def belongs_to_movie(names: Names, offered: frozenset[str], scope: _Scope) -> bool:
        known = names.roots <= scope.names or (scope.is_open and not (names.roots - scope.names) & offered)
        # The service has undocumented functions, so a function of the movie's names is considered its own.
        functions = names.called - FUNCTIONS - scope.names
        return known and not names.called & offered and (not functions or bool(names.roots) or scope.is_open)

    def describe_conflict(self, part: Segment, names: Names, offered: frozenset[str], scope: _Scope) -> str:
        everything = names.roots | names.called
        unknown = sorted(everything - offered - scope.names - (names.called & FUNCTIONS))
        removed = next((name for name in unknown if name in REMOVED_NAMES), None)
        if removed:
            return _removed(removed)
        if unknown and not (unknown == sorted(names.called - offered) and names.roots):
            near = self.hint(unknown[0], offered | scope.names)
            to_json2video = f"write {{% raw %}}{part.source}{{% endraw %}} to leave it to JSON2Video"
            if self.columns:
                columns = list(self.columns)
                shown = ", ".join(f"'{name}'" for name in columns[:_MAX_SHOWN]) + (
                    ", ..." if columns[_MAX_SHOWN:] else ""
                )
                return (
                    f"the rows have no column {_listed(unknown)}{near} (they have: {shown}); correct the name, set it "
                    f"for all rows in 'variables', or {to_json2video}"
                )
            return (
                f"{_listed(unknown)} is neither in Airflow's context nor declared by the movie here{near}; declare it "
                f"in 'variables', or {to_json2video}"
            )
        airflows = sorted(everything & offered)
        return (
            f"it mixes {_listed(airflows)} of Airflow with {_listed(everything - offered)} of JSON2Video; pass "
            f'Airflow\'s value to the movie, "variables": {{"value": "{{{{ {airflows[0]} }}}}"}}, and use value '
            f"in the expression"
        )

    def report(self, part: Segment, path: str, because: str) -> None:
        self.findings[Finding(Severity.ERROR, path, f"{part.source}: {because}", "expression-owner")] = None
        self.is_final = True

    def hint(self, name: str, known: Collection[str]) -> str:
        if len(self.findings) > _MAX_SHOWN:  # the search takes time, and the list is long already
            return ""
        near = get_close_matches(name, known, 1, 0.75)
        return f" (did you mean '{near[0]}'?)" if near else ""


class _Placeholders:
    """Replace text that Jinja must not see by placeholders, and restore it in the result.

    Data that Jinja inserts may contain any character, so a placeholder has a random part.
    """

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._mark = secrets.token_hex(8)
        self._placeholder = re.compile(f"\ue0fa{self._mark}:(\\d+)\ue0fa")

    def hide(self, source: str) -> str:
        self._texts.append(source)
        return f"\ue0fa{self._mark}:{len(self._texts) - 1}\ue0fa"

    def restored(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._placeholder.sub(lambda match: self._texts[int(match.group(1))], value)
        if isinstance(value, Mapping):
            return {self.restored(key): self.restored(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.restored(item) for item in value)
        return value


def _removed(name: str) -> str:
    return f"Airflow 3 removed '{name}'; write {{{{ {REMOVED_NAMES[name]} }}}}"


def _iterating(scene: Mapping[str, Any], outer: _Scope, movie_variables: Any) -> _Scope:
    """Add the names that ``iterate`` declares: the item and its keys (the documentation mentions both)."""
    name = scene.get("iterate")
    if name is None:
        return outer
    item = scene.get("iterate-as")
    names = {item if isinstance(item, str) else "item"}
    items = movie_variables.get(name) if isinstance(movie_variables, Mapping) and isinstance(name, str) else None
    if not isinstance(items, (list, tuple)):
        return _Scope(outer.names | names, is_open=True)
    keys = (str(key) for entry in items if isinstance(entry, Mapping) for key in entry)
    return replace(outer, names=outer.names | names | frozenset(keys))


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))
