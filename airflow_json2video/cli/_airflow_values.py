"""What Airflow would fill in a movie file, filled on the command line, or refused: a render is paid for either way.

Loaded when a command runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.movie.expressions import (
    JINJA_GLOBALS,
    REMOVED_NAMES,
    ExpressionFailed,
    render_airflow_expressions,
)
from airflow_json2video.movie.lexer import SegmentKind, has_expression, segments, tokens

__all__ = ["filled"]

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
"""What a template may use in Airflow 2.11 to 3.4. The command line has no Airflow to ask."""


def filled(document: dict[str, Any], *, variables: Mapping[str, Any], params: Mapping[str, Any], source: str) -> Any:
    """Return *document* with its variables and Airflow's expressions filled in. Given values are never templates.

    :param variables: laid over the movie's own.
    :param params: by name: ``shop`` fills ``{{ params.shop }}``, ``ds`` and ``var.value.x`` fill what is called so.
    :raises InvalidMovie: an expression is Airflow's and has no value; lists each with its path and what to write.
    """
    own = document.get("variables")
    own = own if isinstance(own, dict) else {}
    if variables:
        document = {**document, "variables": {name: value for name, value in own.items() if name not in variables}}
    # A movie that was never meant for Airflow may call a variable as Airflow calls something.
    movies = {name for name, value in own.items() if not (isinstance(value, str) and has_expression(value))}
    offered = (_NAMES | REMOVED_NAMES.keys()) - movies - variables.keys()
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
    """The values that the command line gives, as a template's context."""

    def __init__(self, params: Mapping[str, Any], offered: frozenset[str]) -> None:
        self._offered = offered
        self._context: dict[str, Any] = {"params": {}}
        for name, value in params.items():
            first, *rest = name.split(".")
            if first not in offered:
                first, rest = "params", [first, *rest]
            *folders, last = [first, *rest]
            node = self._context
            for folder in folders:
                node = node.setdefault(folder, {})
                if not isinstance(node, dict):
                    raise ConfigurationError(f"--param {name}: {folder!r} has a value already")
            node[last] = value

    def render(self, text: str) -> Any:
        """Render a template.

        :raises ExpressionFailed: a value is missing, or it cannot be rendered without Airflow.
        """
        import jinja2
        from jinja2.sandbox import SandboxedEnvironment

        missing = [name for name in dict.fromkeys(self._references(text)) if not self._is_given(name)]
        if missing:
            needed = " ".join(f"--param {name.removeprefix('params.')}=VALUE" for name in missing)
            raise ExpressionFailed(
                f"only Airflow can fill this; give {needed}, or a variable of the movie with --var NAME=VALUE",
                name=missing[0].partition(".")[0],
            )
        environment = SandboxedEnvironment(undefined=jinja2.StrictUndefined)
        environment.filters.update(_FILTERS)
        try:
            return environment.from_string(text).render(self._context)
        except Exception as error:  # an expression of the file can fail in any way
            raise ExpressionFailed(f"it cannot be filled without Airflow: {error}") from error

    def _references(self, text: str) -> Iterator[str]:
        """Return what a template names of Airflow's, with its members: ``params.shop``."""
        for part in segments(text):
            if part.kind not in (SegmentKind.EXPRESSION, SegmentKind.STATEMENT):
                continue
            chain: list[str] = []
            before = ""
            for kind, word in [*tokens(part.body), ("end", "")]:
                if kind == "name" and chain and before == ".":
                    chain.append(word)
                elif not (chain and word == "."):
                    if chain:
                        yield ".".join(chain)
                    is_airflows = kind == "name" and word in self._offered and before not in (".", "|")
                    chain = [word] if is_airflows else []
                before = word

    def _is_given(self, name: str) -> bool:
        node: Any = self._context
        for step in name.split("."):
            if not isinstance(node, dict):
                return True  # a method or a part of a value, which Jinja knows about
            if step not in node:
                return False
            node = node[step]
        return name != "params"


_FILTERS = {
    "ds": lambda value: str(value)[:10],
    "ds_nodash": lambda value: str(value)[:10].replace("-", ""),
    "ts": str,
}
"""Those of Airflow's filters that work on the text of a date."""
