"""Read the text of a movie file or of a value, and merge a stored template with a request."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from airflow_json2video.exceptions import ConfigurationError, InvalidMovie

__all__ = ["deep_merge", "load_document", "merge_template", "named_values"]


def load_document(text: str | bytes, *, source: str) -> dict[str, Any]:
    """Read the text of a movie file.

    :param text: JSON; bytes are UTF-8, with or without a byte order mark.
    :param source: what the text is called in messages, such as the file's name.
    :raises InvalidMovie: it is empty, not JSON (with line and column), or its root is not an object.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InvalidMovie(f"{source} is not UTF-8 text (byte {error.start}).") from error
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise InvalidMovie(f"{source} is empty; a movie is a JSON object such as {_SMALLEST}.")
    try:
        document = _parsed(text)
    except json.JSONDecodeError as error:
        start = text.lstrip()
        if not start.startswith(("{", "[")) or start.startswith("{{"):
            raise InvalidMovie(_not_json(text.strip(), source)) from error
        hint = _hint(text, error.pos)
        raise InvalidMovie(
            f"{source}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}{hint}."
        ) from error
    except ValueError as error:
        raise InvalidMovie(f"{source}: not JSON: {error}.") from error
    except RecursionError as error:
        raise InvalidMovie(f"{source}: nested too deeply to be a movie.") from error
    if isinstance(document, dict):
        return document
    found = "null" if document is None else f"{_ROOTS.get(type(document), 'a number')}"
    raise InvalidMovie(f"{source}: the root is {found}; a movie is a JSON object such as {_SMALLEST}.")


def named_values(option: str, pairs: Sequence[str]) -> dict[str, Any]:
    """Read ``NAME=VALUE`` pairs; a value that is not JSON is a string.

    :raises ConfigurationError: a pair has no ``=``.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise ConfigurationError(f"{option} must be NAME=VALUE, got {pair!r}.")
        try:
            values[name] = _parsed(value)
        except ValueError:
            values[name] = value
    return values


_SMALLEST = '{"scenes": [...]}'
_ROOTS: dict[type, str] = {list: "an array", str: "a string", bool: "a boolean"}


def _parsed(text: str) -> Any:
    return json.loads(text, parse_constant=_no_constant, parse_float=_finite)


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")


def _finite(word: str) -> float:
    number = float(word)
    if math.isinf(number):
        raise ValueError(f"the number {word[:40]} is too large")
    return number


def _not_json(text: str, source: str) -> str:
    shown = repr(text if len(text) <= 60 else text[:57] + "...")
    if text.startswith("{{"):
        then = "it is a Jinja expression; to use the result of a task pass the task's output, such as make_movie.output"
    elif "\n" not in text and text.lower().endswith((".yaml", ".yml", ".toml", ".jsonc", ".json5", ".txt")):
        then = "a movie file is JSON, and its name ends with .json"
    else:
        then = f"a movie is a JSON object such as {_SMALLEST}, or the path of a file that ends with .json"
    return f"{source}: the text {shown} is neither Movie JSON nor the path of a movie file: {then}."


def _hint(text: str, position: int) -> str:
    before = text[:position].rstrip()
    if text.startswith(("//", "/*", "#"), position):
        return " (JSON has no comments)"
    if before.endswith(",") or text[position : position + 1] == ",":
        return " (remove a superfluous comma)"
    if text.startswith("'", position):
        return " (write strings in double quotes)"
    return ""


# Properties of the request that replace those of the template.
_OVERRIDES = (
    *("resolution", "width", "height", "quality", "exports", "client-data"),
    *("fps", "cache", "id", "comment"),
)


def merge_template(request: Mapping[str, Any], template: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a request into the template that it names, as the service does; scenes and elements are ignored."""
    merged = {k: v for k, v in template.items() if k != "template"}
    merged |= {k: request[k] for k in _OVERRIDES if k in request}
    merged["variables"] = deep_merge(_mapping(template.get("variables")), _mapping(request.get("variables")))
    return merged


def deep_merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return *under* with the members of *over*; nested objects are merged, lists are replaced."""
    merged = dict(under)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = deep_merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
