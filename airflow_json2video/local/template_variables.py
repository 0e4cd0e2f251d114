"""The variables of a template, described by their default values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["json_schema", "make_fields", "movie_object"]

# bool before int: a bool is an int.
_JSON_TYPES = (
    (bool, "boolean"),
    (int, "number"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
    (dict, "object"),
)
_MAKE_TYPES = {"boolean": "boolean", "number": "number", "string": "text", "array": "array", "object": "collection"}


def movie_object(movie: Any) -> dict[str, Any]:
    """Return a stored movie, an object or its JSON text, as an object; empty if it is neither."""
    if isinstance(movie, str):
        try:
            movie = json.loads(movie)
        except (ValueError, RecursionError):
            movie = None
    return movie if isinstance(movie, dict) else {}


def json_schema(movie: Any) -> dict[str, Any]:
    """Describe the variables as a JSON Schema (``format=jsonschema``)."""
    properties = {}
    for name, value in _variables(movie).items():
        kind = _kind(value)
        properties[name] = {"type": kind, "default": value} if kind else {"default": value}
    return {"type": "object", "properties": properties}


def make_fields(movie: Any) -> list[dict[str, Any]]:
    """Describe the variables as fields of a form (``format=make``).

    Every default is a text, as JavaScript would format it, and every template has two more fields.
    """
    fields = [_field(name, value) for name, value in _variables(movie).items()]
    for name, label, kind in (
        ("make_webhook_url", "Webhook URL", "url"),
        ("client_data", "Client data", "collection"),
    ):
        fields.append({"name": name, "label": label, "type": kind, "default": "", "help": "", "advanced": True})
    return fields


def _field(name: str, value: Any, *, nested: bool = True) -> dict[str, Any]:
    kind = _MAKE_TYPES.get(_kind(value) or "string", "text")
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        kind = "url"
    field: dict[str, Any] = {
        "name": name,
        "label": name.replace("_", " ").strip().capitalize() or name,
        "type": kind,
        "default": _javascript_text(value),
        "help": "",
    }
    inner = value[0] if isinstance(value, list) and value else value
    if nested and isinstance(inner, Mapping):
        field["spec"] = [_field(str(key), item, nested=False) for key, item in inner.items()]
    return field


def _javascript_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "[object Object]"
    if isinstance(value, list):
        return ",".join(_javascript_text(item) for item in value)
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _kind(value: Any) -> str | None:
    return next((label for type_, label in _JSON_TYPES if isinstance(value, type_)), None)


def _variables(movie: Any) -> dict[str, Any]:
    variables = movie_object(movie).get("variables")
    return variables if isinstance(variables, dict) else {}
