"""A stored template and the request that names it, put together as the service does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["deep_merge", "merge_template"]

# What a template render takes from the request instead of from the template.
_OVERRIDES = (
    *("resolution", "width", "height", "quality", "exports", "client-data"),
    *("fps", "cache", "id", "comment"),
)


def merge_template(request: Mapping[str, Any], template: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a request over the template that it names; its scenes and elements are ignored."""
    merged = {k: v for k, v in template.items() if k != "template"}
    merged |= {k: request[k] for k in _OVERRIDES if k in request}
    merged["variables"] = deep_merge(_mapping(template.get("variables")), _mapping(request.get("variables")))
    return merged


def deep_merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay *over* over *under*, objects within objects too; lists are replaced whole."""
    merged = dict(under)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = deep_merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
