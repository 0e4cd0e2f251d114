"""The directive ``model-table``: the properties of a movie model as a table, read from the model itself."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class ModelTable(SphinxDirective):
    """``model-table:: Scene``: Python name, name in the document, default of the service, meaning.

    With ``:without: Element`` the properties that *Element* has too are left out.
    """

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {"without": str}

    def run(self) -> list[nodes.Node]:
        """Build the table."""
        module = importlib.import_module("airflow_json2video.movie")
        model = getattr(module, self.arguments[0])
        hidden: set[str] = set()
        for name in self.options.get("without", "").split():
            hidden |= set(getattr(module, name).model_fields)
        rows = [
            (name, field.alias or name, _default(field), field.description or "")
            for name, field in model.model_fields.items()
            if name not in hidden and name != "type"
        ]
        return [_table(("in Python", "in the document", "default", "meaning"), (20, 20, 12, 48), rows)]


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    extra = field.json_schema_extra
    return json.dumps(extra["default"]) if isinstance(extra, dict) and "default" in extra else ""


def _table(heads: tuple[str, ...], widths: tuple[int, ...], rows: list[tuple[str, str, str, str]]) -> nodes.table:
    table = nodes.table()
    group = nodes.tgroup(cols=len(heads))
    table += group
    group += [nodes.colspec(colwidth=width) for width in widths]
    head = nodes.thead()
    head += _row([nodes.Text(text) for text in heads])
    group += head
    body = nodes.tbody()
    for python, wire, default, meaning in rows:
        value: nodes.Node = nodes.Text(default)
        if default not in ("", "required"):
            value = nodes.literal(text=default)
        body += _row([nodes.literal(text=python), nodes.literal(text=wire), value, nodes.Text(meaning)])
    group += body
    return table


def _row(cells: list[nodes.Node]) -> nodes.row:
    row = nodes.row()
    row += [nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells]
    return row


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("model-table", ModelTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
