"""The media files that a movie uses. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_json2video.movie.evaluator import UnknownValue, resolve

__all__ = ["media_urls"]

_MEDIA = frozenset({"audio", "image", "video"})
_MAX_URLS = 200
"""A movie may repeat a scene ten thousand times."""
_MAX_ROUNDS = 10_000
_MAX_DEPTH = 20
"""Elements in elements, such as in a component of components."""


def media_urls(document: Mapping[str, Any]) -> list[str]:
    """Return the URLs of the images, videos and sounds of a movie, in order, without duplicates.

    Variables are resolved as far as the document itself contains their values. A URL that only the service knows is
    omitted, and so are those of a stored template.

    :param document: the document that is submitted.
    """
    found: dict[str, None] = {}
    for url in _Walk().movie(document):
        found.setdefault(url)
        if len(found) >= _MAX_URLS:
            break
    return list(found)


class _Walk:
    """One walk over a movie, with a limit on its work."""

    def __init__(self) -> None:
        self._rounds = 0

    def movie(self, document: Mapping[str, Any]) -> Iterator[str]:
        variables = _variables(document, {})
        yield from self._elements(document, variables, depth=0)
        for scene in _objects(document.get("scenes")):
            for scope in self._repeated(scene, variables):
                yield from self._elements(scene, _variables(scene, scope), depth=0)

    def _repeated(self, scene: Mapping[str, Any], variables: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Yield the variables of each repetition of a scene: the item by its name, and its keys directly."""
        name = scene.get("iterate")
        if not name:
            yield variables
            return
        items = variables.get(str(name).strip("{} "))
        alias = str(scene.get("iterate-as") or "item")
        for item in items if isinstance(items, list) else ():
            self._rounds += 1
            if self._rounds > _MAX_ROUNDS:
                return
            yield {**variables, **(item if isinstance(item, Mapping) else {}), alias: item}

    def _elements(self, parent: Mapping[str, Any], variables: Mapping[str, Any], *, depth: int) -> Iterator[str]:
        for element in _objects(parent.get("elements")):
            scope = _variables(element, variables)
            kind = element.get("type")
            if isinstance(kind, str) and kind in _MEDIA and (url := _url(element.get("src"), scope)):
                yield url
            if depth < _MAX_DEPTH:
                yield from self._elements(element, scope, depth=depth + 1)


def _url(src: Any, variables: Mapping[str, Any]) -> str | None:
    try:
        value = resolve(src, variables)
    except UnknownValue:
        return None
    return value.strip() if isinstance(value, str) and "://" in value else None


def _variables(node: Mapping[str, Any], outer: Mapping[str, Any]) -> Mapping[str, Any]:
    own = node.get("variables")
    return {**outer, **own} if isinstance(own, Mapping) and own else outer


def _objects(nodes: Any) -> list[Mapping[str, Any]]:
    return [node for node in nodes if isinstance(node, Mapping)] if isinstance(nodes, list) else []
