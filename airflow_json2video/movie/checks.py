"""Check a movie before it is billed.

The service validates late and leniently: most mistakes are accepted, and become visible only when the render has
failed, or never (a webhook that is not called). The models check single values; the rules here check how they
combine. A rule reports an ERROR only for what is certainly wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from airflow_json2video.movie.base import findings_from_error
from airflow_json2video.movie.estimation import NO_LENGTH, Overlap, estimate
from airflow_json2video.movie.findings import Finding, Severity, at, invalid_movie
from airflow_json2video.movie.lexer import has_expression
from airflow_json2video.movie.movie import Movie
from airflow_json2video.movie.problems import Purpose
from airflow_json2video.movie.unknown_keys import key_findings

__all__ = ["check", "require_valid"]

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING
_TEMPLATE_ID_LENGTH = 20
_NODE = re.compile(r"(scenes\[\d+\])?\.?(?:elements\[\d+\])?")
_MIN_DURATION = 1.0  # seconds; below it the service reports "Movie duration cannot be zero"

Findings = Iterator[Finding]


def check(document: Mapping[str, Any] | Movie) -> list[Finding]:
    """Return everything that is wrong or doubtful in *document*, errors first.

    It does not raise: a document that is not an object is one finding.

    :param document: decoded Movie JSON (or ``{"template": ..., "variables": ...}``), or a model. ``{{ expressions }}``
        are unknown values, so a document can be checked before they are rendered.
    """
    if isinstance(document, Movie):
        document = document.to_document()
    if not isinstance(document, Mapping):
        return [Finding(_ERROR, "", 'a movie is a JSON object; write {"scenes": [...]}', "not-an-object")]
    found = [_adjusted(finding, document) for finding in _value_findings(document)]
    found += key_findings(document)
    for rule in _RULES:
        found += rule(document)
    if skipped := frozenset(_skipped(document)):
        found = [replace(each, severity=_WARNING) if _is_in(each.path, skipped) else each for each in found]
    return sorted(dict.fromkeys(found), key=lambda finding: finding.severity is _WARNING)


def require_valid(document: Mapping[str, Any] | Movie, *, source: str = "The movie") -> list[Finding]:
    """Check *document*, and return the warnings.

    :param source: what the document is called in the error, such as the file's name.
    :raises InvalidMovie: something is certainly wrong. The message lists every error with its path, one per line; the
        ``findings`` of the error include the warnings.
    """
    found = check(document)
    if any(finding.severity is _ERROR for finding in found):
        raise invalid_movie(found, source=source)
    return found


def _value_findings(document: Mapping[str, Any]) -> list[Finding]:
    try:
        Movie.model_validate(document, context=Purpose.CHECK)
    except ValidationError as error:
        return findings_from_error(error)
    return []


def _adjusted(finding: Finding, document: Mapping[str, Any]) -> Finding:
    """Return *finding* as an error if it is about a width or height that is used: one without a preset."""
    used = document.get("resolution") in (None, "custom") and document.get("template") is None
    if used and finding.path in ("width", "height") and finding.code == "out-of-range":
        return replace(finding, severity=_ERROR)
    return finding


def _skipped(movie: Mapping[str, Any]) -> Iterator[str]:
    """Return the paths of the scenes and elements that are never shown, where nothing is certainly wrong."""
    scenes = _nodes(movie, "scenes", "")
    for path, node in [*scenes, *((path, element) for path, element, _ in _elements(movie))]:
        if _is_shown(node) is False:
            yield path


def _is_in(path: str, skipped: frozenset[str]) -> bool:
    node = _NODE.match(path)
    return node is not None and not skipped.isdisjoint((node.group(), node.group(1)))


def _scenes_or_template(movie: Mapping[str, Any]) -> Findings:
    if movie.get("template") is None:
        if movie.get("scenes") is None:
            yield Finding(_ERROR, "", "needs 'scenes', or the 'template' to render", "scenes-or-template")
        return
    template = movie["template"]
    if isinstance(template, str) and not has_expression(template) and len(template) != _TEMPLATE_ID_LENGTH:
        message = f"has {len(template)} characters; write the template's id, which has {_TEMPLATE_ID_LENGTH}"
        yield Finding(_ERROR, "template", message, "template-id")
    for key in ("scenes", "elements"):
        if movie.get(key):
            message = f"is ignored together with 'template'; remove it, or remove 'template' to render these {key}"
            yield Finding(_WARNING, key, message, "ignored-with-template")


def _frame(movie: Mapping[str, Any]) -> Findings:
    given = [key for key in ("width", "height") if movie.get(key) is not None]
    preset = movie.get("resolution")
    if preset in (None, "custom"):
        if len(given) == 1 and movie.get("template") is None:
            other = "height" if given == ["width"] else "width"
            message = f"requires {other!r}; write both, or neither for 640x360"
            yield Finding(_WARNING, given[0], message, "incomplete-frame-size")
    elif isinstance(preset, str) and not has_expression(preset):
        for key in given:
            message = f'is not used with resolution {preset!r}; write "resolution": "custom" to use it'
            yield Finding(_WARNING, key, message, "unused-size")


def _sources(movie: Mapping[str, Any]) -> Findings:
    # How a scene refers to a preloaded asset is not documented, so with one a missing source may be correct.
    certain = not movie.get("preload")
    for path, element, scene in _elements(movie):
        shown = {_is_shown(node) for node in (scene or {}, element)}
        if False in shown:
            continue  # "src" and "condition" are often the same variable, which is empty
        missing = _ERROR if certain and None not in shown else _WARNING
        kind = element.get("type")
        src, prompt = _is_set(element, "src"), _is_set(element, "prompt")
        if kind in ("image", "video"):
            if not src and not prompt:
                message = f"{_with_article(kind)} needs 'src' (a public URL), or 'prompt' and 'model'"
                yield Finding(missing, at(path, "src"), message, "missing-source")
            elif src and prompt and not (_may_vary(element["src"]) or _may_vary(element["prompt"])):
                message = "'src' and 'prompt' exclude each other; write 'src' to download it or 'prompt' to generate it"
                yield Finding(_ERROR, at(path, "prompt"), message, "two-sources")
            elif prompt and not src and not _is_set(element, "model"):
                message = "is missing; 'prompt' requires a model, such as 'flux-schnell' for an image"
                yield Finding(_WARNING, at(path, "model"), message, "missing-model")
        elif kind == "html" and not src and not _is_set(element, "html"):
            message = "an html element needs 'html' (the markup) or 'src' (a page)"
            yield Finding(missing, at(path, "html"), message, "missing-source")
        elif kind == "audio" and "src" in element and not src:
            message = "is empty; write the public URL of a sound file"
            yield Finding(missing, at(path, "src"), message, "missing-source")


def _element_types(movie: Mapping[str, Any]) -> Findings:
    from airflow_json2video.movie.elements import ELEMENT_TYPES

    for path, element, _ in _elements(movie):
        kind, place = element.get("type"), at(path, "type")
        known = ", ".join(ELEMENT_TYPES)
        if kind is None:
            yield Finding(_ERROR, place, f"is required; write one of {known}", "missing-type")
        elif kind == "template":
            message = "'template' is no longer an element; write 'component', or the movie's own 'template'"
            yield Finding(_ERROR, place, message, "removed-type")
        elif not isinstance(kind, str):
            yield Finding(_ERROR, place, f"must be a string; write one of {known}", "wrong-type")
        elif kind not in ELEMENT_TYPES and not has_expression(kind):
            near = get_close_matches(kind.lower(), ELEMENT_TYPES, 1, 0.75)
            if near:
                message = f"{kind!r} is not an element type; did you mean {near[0]!r}? Known: {known}"
                yield Finding(_ERROR, place, message, "unknown-type")
                continue
            message = (
                f"{kind!r} is unknown here and is sent unchanged; if JSON2Video does not know it either, the "
                f"render fails (free of charge). Known: {known}"
            )
            yield Finding(_WARNING, place, message, "unknown-type")


def _subtitles(movie: Mapping[str, Any]) -> Findings:
    places = [
        (path, element, scene)
        for path, element, scene in _elements(movie)
        if element.get("type") == "subtitles" and _is_shown(element) is not False
    ]
    for path, _, scene in places:
        if scene is not None:
            message = "write subtitles in the movie's own 'elements'; in a scene they may be ignored"
            yield Finding(_WARNING, path, message, "subtitles-in-scene")
    own = [(path, element) for path, element, scene in places if scene is None]
    for path, element in own[1:]:
        # Elements with conditions may exclude each other.
        severity = _ERROR if _is_shown(element) and _is_shown(own[0][1]) else _WARNING
        yield Finding(severity, path, "at most one subtitles element is allowed; remove this one", "two-subtitles")


def _iteration(movie: Mapping[str, Any]) -> Findings:
    variables = movie.get("variables")
    scenes = list(_nodes(movie, "scenes", ""))
    ids = [scene.get("id") for _, scene in scenes]
    for path, scene in scenes:
        name, imported = scene.get("iterate"), scene.get("import")
        if isinstance(name, str) and not has_expression(name):
            place = at(path, "iterate")
            if not isinstance(variables, Mapping) or name not in variables:
                if variables is None or isinstance(variables, Mapping):
                    message = f"{name!r} is not in the movie's 'variables'; add it as an array, or correct the name"
                    yield Finding(_WARNING, place, message, "unknown-variable")
            elif not isinstance(variables[name], (list, str)) or (
                isinstance(variables[name], str) and not has_expression(variables[name])
            ):
                message = f"the variable {name!r} is not an array; write an array with one item for each repetition"
                yield Finding(_ERROR, place, message, "not-an-array")
        if isinstance(imported, str) and not has_expression(imported) and imported not in ids:
            message = f"there is no scene with the id {imported!r}; write the id of another scene"
            yield Finding(_WARNING, at(path, "import"), message, "unknown-scene")


def _length(movie: Mapping[str, Any]) -> Findings:
    if movie.get("template") is None and isinstance(movie.get("scenes"), (list, tuple)):
        plan = estimate(movie, overlap=Overlap.IGNORED)
        reasons = {unknown.reason for unknown in plan.unknown}
        if plan.at_least < _MIN_DURATION and (plan.at_most < _MIN_DURATION or reasons == {NO_LENGTH}):
            message = (
                "its length cannot be derived, and a movie under one second may fail with 'Movie duration cannot be "
                "zero'; write the 'duration' of a scene or an element"
            )
            yield Finding(_WARNING, "scenes", message, "zero-length")


def _transitions(movie: Mapping[str, Any]) -> Findings:
    if movie.get("template") is not None or not isinstance(movie.get("scenes"), (list, tuple)):
        return
    spans = {span.path: span for span in estimate(movie, overlap=Overlap.IGNORED).scenes}
    scenes = list(_nodes(movie, "scenes", ""))
    for index, (path, scene) in enumerate(scenes):
        transition = scene.get("transition")
        duration = _literal_number(transition.get("duration")) if isinstance(transition, Mapping) else None
        if duration is None or index == 0:
            continue
        adjacent = [(scenes[index - 1][0], "the previous scene"), (path, "its own scene")]
        for neighbor, words in adjacent:
            length = spans[neighbor].duration if neighbor in spans else None
            if length is not None and duration >= length:
                severity = _ERROR if duration > length else _WARNING
                message = f"the transition ({duration:g} s) must be shorter than {words} ({length:g} s)"
                yield Finding(severity, at(at(path, "transition"), "duration"), message, "long-transition")
                break


def _endless_loops(movie: Mapping[str, Any]) -> Findings:
    for path, element, _ in _elements(movie):
        if element.get("type") in ("video", "audio") and _literal_number(element.get("loop")) == -1:
            duration = element.get("duration")
            if duration is None or _literal_number(duration) == -1:
                message = 'with loop -1 it may play only once; write "duration": -2'
                yield Finding(_WARNING, at(path, "duration"), message, "endless-loop")


def _exports(movie: Mapping[str, Any]) -> Findings:
    from airflow_json2video.movie.exports import DESTINATION_TYPES

    known = ", ".join(DESTINATION_TYPES)
    exports = list(_nodes(movie, "exports", ""))
    if len(exports) > 1:
        message = "the service may ignore all exports but the first; put all destinations into the first"
        yield Finding(_WARNING, exports[1][0], message, "several-exports")
    for export_path, export in exports:
        if not export.get("destinations"):
            message = "is required; list the destinations of the movie"
            yield Finding(_WARNING, at(export_path, "destinations"), message, "missing-property")
        for path, destination in _nodes(export, "destinations", export_path):
            kind = destination.get("type")
            if destination.get("id") is not None:
                if kind is not None:
                    message = "the type of a connection cannot be overridden; remove 'type'"
                    yield Finding(_WARNING, at(path, "type"), message, "type-with-id")
            elif kind is None:
                message = f"is required; write one of {known}, or the 'id' of a dashboard connection"
                yield Finding(_ERROR, at(path, "type"), message, "missing-type")
            elif isinstance(kind, str) and kind not in DESTINATION_TYPES and not has_expression(kind):
                message = f"{kind!r} is not documented and is sent unchanged. Documented: {known}"
                yield Finding(_WARNING, at(path, "type"), message, "unknown-type")
            if destination.get("password"):
                message = (
                    "the service stores and lists the document, including this password; store it in a "
                    "dashboard connection and write its 'id'"
                )
                yield Finding(_WARNING, at(path, "password"), message, "inline-credentials")
            yield from _endpoint(destination.get("endpoint"), at(path, "endpoint"))


def _endpoint(endpoint: Any, path: str) -> Findings:
    if not isinstance(endpoint, str) or has_expression(endpoint):
        return
    try:
        scheme = urlsplit(endpoint.strip()).scheme.lower()
    except ValueError:
        scheme = ""
    if scheme == "http":
        message = "the service calls https:// URLs only; write one with a valid certificate"
        yield Finding(_WARNING, path, message, "insecure-endpoint")
    elif scheme != "https":
        yield Finding(_ERROR, path, "is not a URL; write one that begins with https://", "not-a-url")


def _variable_names(movie: Mapping[str, Any]) -> Findings:
    places = [("", movie), *_nodes(movie, "scenes", ""), *((path, node) for path, node, _ in _elements(movie))]
    for path, node in places:
        variables = node.get("variables")
        for name in variables if isinstance(variables, Mapping) else ():
            # "@name" and "?name" are form metadata of templates: the choices of a field, and its help text.
            plain = name[1:] if isinstance(name, str) and name[:1] in ("@", "?") else name
            if not (isinstance(plain, str) and plain.isascii() and plain.isidentifier() and plain[0] != "_"):
                place = at(at(path, "variables"), str(name))
                message = f"expressions cannot use the name {name!r}; use letters, digits and '_', a letter first"
                yield Finding(_WARNING, place, message, "variable-name")


_RULES: tuple[Callable[[Mapping[str, Any]], Findings], ...] = (
    _scenes_or_template,
    _frame,
    _element_types,
    _sources,
    _subtitles,
    _iteration,
    _length,
    _transitions,
    _endless_loops,
    _exports,
    _variable_names,
)


def _nodes(parent: Mapping[str, Any], key: str, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    children = parent.get(key)
    for index, child in enumerate(children if isinstance(children, (list, tuple)) else ()):
        if isinstance(child, Mapping):
            yield at(at(path, key), index), child


def _elements(movie: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any] | None]]:
    """Yield each element with its path and its scene; the scene is None for the movie's own elements."""
    for path, scene in _nodes(movie, "scenes", ""):
        for place, element in _nodes(scene, "elements", path):
            yield place, element, scene
    for place, element in _nodes(movie, "elements", ""):
        yield place, element, None


def _is_shown(node: Mapping[str, Any]) -> bool | None:
    """Return whether the condition of a node is true; None if it depends on an expression."""
    condition = node.get("condition")
    if isinstance(condition, str):
        return False if not condition.strip() else None
    return True if condition is None else bool(condition)


def _may_vary(value: Any) -> bool:
    return isinstance(value, str) and has_expression(value)


def _is_set(node: Mapping[str, Any], key: str) -> bool:
    value = node.get(key)
    return bool(value.strip()) if isinstance(value, str) else value is not None


def _literal_number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _with_article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
