"""Resolve a submitted document: template, variables in three scopes, conditions and iteration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_json2video.local.planning.evaluation import EvaluationError, fill, truthy

__all__ = ["MAX_ELEMENTS", "MovieFault", "Resolved", "deep_merge", "merge_template", "resolve"]

MAX_ELEMENTS = 2_000
# What a template render takes from the request instead of from the template.
_OVERRIDES = (
    "resolution",
    "width",
    "height",
    "quality",
    "exports",
    "client-data",
    "fps",
    "cache",
    "id",
    "comment",
)


class MovieFault(Exception):
    """The movie cannot be rendered; the text is the render's message."""


class Resolved(dict[str, Any]):
    """A document without expressions. Scenes carry ``_scene``, elements ``_element``: their place from 1."""

    warnings: list[str]


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


def resolve(document: Mapping[str, Any]) -> Resolved:
    """Give the document with every expression computed, conditions applied and iteration spelled out.

    :raises MovieFault: an expression that cannot be computed, or far too many elements.
    """
    warnings: dict[str, None] = {}
    scope = _mapping(document.get("variables"))
    root = Resolved(
        {
            k: _filled(v, scope, "Movie", warnings)
            for k, v in document.items()
            if k not in ("scenes", "elements", "variables")
        }
    )
    declared = document.get("scenes")
    scenes: list[dict[str, Any]] = []
    by_id = {s.get("id"): s for s in _list(declared) if isinstance(s, Mapping) and isinstance(s.get("id"), str)}
    for number, scene in enumerate(_list(declared), start=1):
        if not isinstance(scene, Mapping):
            raise MovieFault(f"Scene #{number}: the scene is not an object")
        imported = by_id.get(scene.get("import"))
        if imported is not None and imported is not scene:
            scene = {**scene, "elements": [*_list(scene.get("elements")), *_list(imported.get("elements"))]}
        for variables in _iterations(scene, scope, number):
            resolved = _scene(scene, {**scope, **variables}, number, warnings)
            if resolved is not None:
                scenes.append(resolved)
            if sum(len(s["elements"]) + 1 for s in scenes) > MAX_ELEMENTS:
                raise MovieFault(f"The movie has more than {MAX_ELEMENTS} elements")
    root["scenes"] = scenes
    root["elements"] = _elements(document.get("elements"), scope, "Movie", warnings)
    root.warnings = list(warnings)
    return root


def _iterations(scene: Mapping[str, Any], scope: Mapping[str, Any], number: int) -> list[dict[str, Any]]:
    """Give the variables of each repetition: the item by its name, and its keys directly (both are documented)."""
    name = scene.get("iterate")
    if not name:
        return [{}]
    items = scope.get(str(name).strip("{} "))
    if not isinstance(items, list):
        raise MovieFault(f"Scene #{number}: the variable '{name}' to iterate over is not an array")
    alias = str(scene.get("iterate-as") or "item")
    return [{**(_mapping(item)), alias: item} for item in items]


def _scene(
    scene: Mapping[str, Any], scope: Mapping[str, Any], number: int, warnings: dict[str, None]
) -> dict[str, Any] | None:
    where = f"Scene #{number}"
    local = {**scope, **_mapping(_filled(scene.get("variables"), scope, where, warnings))}
    if not _kept(scene, local, where, warnings):
        return None
    skipped = ("elements", "variables", "condition", "iterate", "iterate-as", "import")
    resolved = {k: _filled(v, local, where, warnings) for k, v in scene.items() if k not in skipped}
    resolved["_scene"] = number
    resolved["elements"] = _elements(scene.get("elements"), local, where, warnings)
    return resolved


def _elements(elements: Any, scope: Mapping[str, Any], where: str, warnings: dict[str, None]) -> list[dict[str, Any]]:
    result = []
    for number, element in enumerate(_list(elements), start=1):
        here = f"{where}, element #{number}"
        if not isinstance(element, Mapping):
            raise MovieFault(f"{here}: the element is not an object")
        local = {**scope, **_mapping(_filled(element.get("variables"), scope, here, warnings))}
        if not _kept(element, local, here, warnings):
            continue
        resolved = {
            k: _filled(v, local, here, warnings) for k, v in element.items() if k not in ("variables", "condition")
        }
        resolved["_element"] = number
        result.append(resolved)
    return result


def _kept(node: Mapping[str, Any], scope: Mapping[str, Any], where: str, warnings: dict[str, None]) -> bool:
    return "condition" not in node or truthy(_filled(node["condition"], scope, where, warnings))


def _filled(value: Any, scope: Mapping[str, Any], where: str, warnings: dict[str, None]) -> Any:
    def missing(name: str) -> None:
        warnings[f"{where}: the variable '{name}' is not defined; it is taken as empty"] = None

    try:
        return _walk(value, scope, missing)
    except EvaluationError as error:
        raise MovieFault(f"{where}: {error}") from None
    except RecursionError:
        raise MovieFault(f"{where}: the document is nested too deeply") from None


def _walk(value: Any, scope: Mapping[str, Any], missing: Callable[[str], None]) -> Any:
    if isinstance(value, str):
        return fill(value, scope, missing=missing)
    if isinstance(value, list):
        return [_walk(item, scope, missing) for item in value]
    if isinstance(value, dict):
        return {key: _walk(item, scope, missing) for key, item in value.items()}
    return value


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
