"""Resolve a submitted document: template, variables in three scopes, conditions and iteration."""

from __future__ import annotations

import time
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from airflow_json2video.local.limits import LIMITS, Limits
from airflow_json2video.local.planning.evaluation import EvaluationError, fill, truthy

__all__ = ["MovieFault", "Resolved", "resolve"]

Scope = ChainMap[str, Any]
"""Variables by name, the innermost first. Chained, because a copy per element would be expensive."""

_VALUE = 5  # cost of visiting a value, in the unit of ``Limits.work``
_SCOPING = ("variables", "condition")


class MovieFault(Exception):
    """The movie cannot be rendered; the message is that of the render."""


class Resolved(dict[str, Any]):
    """A document without expressions. Scenes have ``_scene`` and elements ``_element``: their position from 1."""

    warnings: list[str]


def resolve(document: Mapping[str, Any], *, limits: Limits = LIMITS) -> Resolved:
    """Return the document with expressions computed, conditions applied and iterations expanded.

    :raises MovieFault: an expression cannot be computed, or the movie exceeds a limit.
    """
    try:
        return _Resolver(limits).movie(document)
    except RecursionError:
        raise MovieFault("The document is nested too deeply") from None


class _Resolver:
    """One resolution, with its warnings and its remaining budget."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._warnings: dict[str, None] = {}
        self._elements = self._repetitions = self._spent = 0
        self._deadline = time.monotonic() + limits.resolve_seconds

    def movie(self, document: Mapping[str, Any]) -> Resolved:
        scope = self._declared(document.get("variables"), None, "Movie")
        root = Resolved(
            {
                k: self._filled(v, scope, "Movie")
                for k, v in document.items()
                if k not in ("scenes", "elements", "variables")
            }
        )
        declared = _list(document.get("scenes"))
        by_id = {s.get("id"): s for s in declared if isinstance(s, Mapping) and isinstance(s.get("id"), str)}
        scenes: list[dict[str, Any]] = []
        for number, scene in enumerate(declared, start=1):
            if not isinstance(scene, Mapping):
                raise MovieFault(f"Scene #{number}: the scene is not an object")
            # One level only: imports of an imported scene are not followed, so that there is no cycle.
            name = scene.get("import")
            imported = by_id.get(name) if isinstance(name, str) else None
            if imported is not None and imported is not scene:
                scene = {**scene, "elements": [*_list(scene.get("elements")), *_list(imported.get("elements"))]}
            for variables in self._rounds(scene, scope, number):
                resolved = self._scene(scene, scope.new_child(variables), number)
                if resolved is not None:
                    scenes.append(resolved)
        root["scenes"] = scenes
        root["elements"] = self._list_of(document.get("elements"), scope, "Movie")
        root.warnings = list(self._warnings)
        return root

    def _rounds(self, scene: Mapping[str, Any], scope: Scope, number: int) -> Iterator[dict[str, Any]]:
        """Return the variables of each iteration: the item by its name, and its keys directly (both are documented)."""
        name = scene.get("iterate")
        if not name:
            yield {}
            return
        items = scope.get(str(name).strip("{} "))
        if not isinstance(items, list):
            raise MovieFault(f"Scene #{number}: the variable '{name}' to iterate over is not an array")
        self._repetitions += len(items)
        if self._repetitions > self._limits.repetitions:
            raise MovieFault(f"Scene #{number}: the movie repeats scenes more than {self._limits.repetitions:,} times")
        alias = str(scene.get("iterate-as") or "item")
        for item in items:
            yield {**(_mapping(item)), alias: item}

    def _scene(self, scene: Mapping[str, Any], scope: Scope, number: int) -> dict[str, Any] | None:
        where = f"Scene #{number}"
        local = self._declared(scene.get("variables"), scope, where)
        if not self._is_included(scene, local, where):
            return None
        self._count(where)
        skipped = ("elements", "variables", "condition", "iterate", "iterate-as", "import")
        resolved = {k: self._filled(v, local, where) for k, v in scene.items() if k not in skipped}
        resolved["_scene"] = number
        resolved["elements"] = self._list_of(scene.get("elements"), local, where)
        return resolved

    def _declared(self, variables: Any, outer: Scope | None, where: str) -> Scope:
        """Fill variables in their order, as in the service's tutorial, so that one can use those before it.

        The values in arrays and objects of the movie are not filled: they can name the item of an iteration.
        """
        scope: Scope = ChainMap() if outer is None else outer.new_child({})
        if isinstance(variables, str):
            variables = self._filled(variables, scope, where)
        for name, value in _mapping(variables).items():
            is_filled = outer is not None or isinstance(value, str)
            scope[name] = self._filled(value, scope, where) if is_filled else value
        return scope

    def _list_of(self, elements: Any, scope: Scope, where: str) -> list[dict[str, Any]]:
        result = []
        for number, element in enumerate(_list(elements), start=1):
            here = f"{where}, element #{number}"
            if not isinstance(element, Mapping):
                raise MovieFault(f"{here}: the element is not an object")
            local = self._declared(element.get("variables"), scope, here)
            if not self._is_included(element, local, here):
                continue
            self._count(here)
            resolved = {k: self._filled(v, local, here) for k, v in element.items() if k not in _SCOPING}
            resolved["_element"] = number
            result.append(self._bounded(resolved, here))
        return result

    def _count(self, where: str) -> None:
        self._elements += 1
        if self._elements > self._limits.elements:
            raise MovieFault(f"{where}: the movie has more than {self._limits.elements:,} scenes and elements")

    def _bounded(self, element: dict[str, Any], where: str) -> dict[str, Any]:
        """Cut off a text that exceeds the limit."""
        text = element.get("text")
        if element.get("type") == "text" and isinstance(text, str) and len(text) > self._limits.text:
            element["text"] = text[: self._limits.text]
            self._warnings[f"{where}: the text was cut to {self._limits.text:,} characters"] = None
        return element

    def _is_included(self, node: Mapping[str, Any], scope: Scope, where: str) -> bool:
        return "condition" not in node or truthy(self._filled(node["condition"], scope, where))

    def _filled(self, value: Any, scope: Scope, where: str) -> Any:
        def missing(name: str) -> None:
            self._warnings[f"{where}: the variable '{name}' is not defined; it is treated as empty"] = None

        try:
            return self._walk(value, scope, missing)
        except EvaluationError as error:
            raise MovieFault(f"{where}: {error}") from None
        except RecursionError:
            raise MovieFault(f"{where}: the document is nested too deeply") from None

    def _walk(self, value: Any, scope: Scope, missing: Callable[[str], None]) -> Any:
        self._spend(_VALUE)
        if isinstance(value, str):
            if "{{" not in value:
                return value
            # Each placeholder can be scanned to the end of the text before it proves not to be one.
            self._spend(len(value) * value.count("{{"))
            filled = fill(value, scope, missing=missing, spend=self._spend)
            self._spend(len(filled) if isinstance(filled, str) else 0)
            return filled
        if isinstance(value, list):
            return [self._walk(item, scope, missing) for item in value]
        if isinstance(value, dict):
            return {key: self._walk(item, scope, missing) for key, item in value.items()}
        return value

    def _spend(self, work: int) -> None:
        self._spent += work
        if self._spent > self._limits.work or time.monotonic() > self._deadline:
            raise EvaluationError(
                "the movie has more, longer or more often repeated expressions than can be computed here"
            )


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
