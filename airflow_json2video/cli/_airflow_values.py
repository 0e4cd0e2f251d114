"""The Airflow expressions of a movie file, filled with values of the command line.

An expression without a value is an error: JSON2Video would render, and bill, its text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.movie.expressions import (
    JINJA_GLOBALS,
    REMOVED_NAMES,
    TemplatingFailed,
    render_airflow_expressions,
)
from airflow_json2video.movie.lexer import SegmentKind, has_expression, segments, tokens

__all__ = ["fill_expressions"]

_NAMES = frozenset(
    {
        "asset_state_store", "conf", "conn", "dag", "dag_run", "data_interval_end", "data_interval_start", "ds",
        "ds_nodash", "exception", "expanded_ti_count", "inlet_events", "inlets", "logical_date", "macros",
        "map_index_template", "outlet_events", "outlets", "params", "partition_date", "partition_key",
        "prev_data_interval_end_success", "prev_data_interval_start_success", "prev_end_date_success",
        "prev_start_date_success", "reason", "run_id", "task", "task_instance", "task_instance_key_str",
        "task_reschedule_count", "task_state_store", "templates_dict", "test_mode", "ti", "triggering_asset_events",
        "triggering_dataset_events", "try_number", "ts", "ts_nodash", "ts_nodash_with_tz", "var",
    }
)  # fmt: skip
"""The names of the template context in Airflow 2.11 to 3.4; the command line runs without Airflow."""


def fill_expressions(
    document: dict[str, Any], *, variables: Mapping[str, Any], params: Mapping[str, Any], source: str
) -> Any:
    """Return *document* with its variables and Airflow expressions filled in. Values are never templates themselves.

    :param variables: override the movie's own.
    :param params: by name: ``shop`` fills ``{{ params.shop }}``; ``ds`` and ``var.value.x`` fill those names.
    :raises InvalidMovie: an Airflow expression has no value; lists each with its path and the option to pass.
    """
    own = document.get("variables")
    own = own if isinstance(own, dict) else {}
    if variables:
        document = {**document, "variables": {name: value for name, value in own.items() if name not in variables}}
    # A movie that was not written for Airflow may have a variable with the name of an Airflow variable.
    own_names = {name for name, value in own.items() if not (isinstance(value, str) and has_expression(value))}
    offered = (_NAMES | REMOVED_NAMES.keys()) - own_names - variables.keys()
    values = _Values(params, offered)
    document = render_airflow_expressions(
        document,
        airflow_names=offered | JINJA_GLOBALS,
        render=values.render,
        declared=variables,
        has_more_names=True,
        source=source,
    )
    if variables:
        document = {**document, "variables": {**document["variables"], **variables}}
    return document


class _Values:
    """The values of the command line, as the context of a template."""

    def __init__(self, params: Mapping[str, Any], offered: frozenset[str]) -> None:
        self._offered = offered
        self._context: dict[str, Any] = {"params": {}}
        for name, value in params.items():
            first, *rest = name.split(".")
            if first not in offered:
                first, rest = "params", [first, *rest]
            *parents, last = [first, *rest]
            node = self._context
            for parent in parents:
                node = node.setdefault(parent, {})
                if not isinstance(node, dict):
                    raise ConfigurationError(f"--param {name}: {parent!r} has a value already.")
            node[last] = value

    def render(self, text: str) -> Any:
        """Render a template.

        :raises TemplatingFailed: a value is missing, or it cannot be filled without Airflow.
        """
        import jinja2
        from jinja2.sandbox import SandboxedEnvironment

        missing = [name for name in dict.fromkeys(self._references(text)) if not self._is_given(name)]
        if missing:
            needed = " ".join(f"--param {name.removeprefix('params.')}=VALUE" for name in missing)
            raise TemplatingFailed(
                f"only Airflow can fill this; pass {needed}, or set a variable of the movie with --var NAME=VALUE",
                name=missing[0].partition(".")[0],
            )
        environment = SandboxedEnvironment(undefined=jinja2.StrictUndefined)
        environment.filters.update(_FILTERS)
        try:
            return environment.from_string(text).render(self._context)
        except Exception as error:  # an expression can raise any exception
            raise TemplatingFailed(f"cannot be filled without Airflow: {error}") from error

    def _references(self, text: str) -> Iterator[str]:
        """Yield the Airflow names in a template, with their members: ``params.shop``."""
        for part in segments(text):
            if part.kind not in (SegmentKind.EXPRESSION, SegmentKind.STATEMENT):
                continue
            name: list[str] = []
            before = ""
            for kind, word in [*tokens(part.body), ("end", "")]:
                if kind == "name" and name and before == ".":
                    name.append(word)
                elif not (name and word == "."):
                    if name:
                        yield ".".join(name)
                    is_airflow_name = kind == "name" and word in self._offered and before not in (".", "|")
                    name = [word] if is_airflow_name else []
                before = word

    def _is_given(self, name: str) -> bool:
        node: Any = self._context
        for step in name.split("."):
            if not isinstance(node, dict):
                return True  # a method or an attribute of a value: Jinja resolves it
            if step not in node:
                return False
            node = node[step]
        return name != "params"


_FILTERS = {
    "ds": lambda value: str(value)[:10],
    "ds_nodash": lambda value: str(value)[:10].replace("-", ""),
    "ts": str,
}
"""The filters of Airflow that work on the text of a date."""
