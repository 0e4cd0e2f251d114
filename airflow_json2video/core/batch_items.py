"""Build the items of a batch from its rows: keys, documents, and every mistake in them. Pure.

Everything is checked before anything is submitted, so that a mistake in the last row costs nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from airflow_json2video.exceptions import ConfigurationError, InvalidMovie
from airflow_json2video.json_values import NotJsonError, to_plain_json
from airflow_json2video.movie.lexer import has_expression, names_in, placeholders

__all__ = ["MAX_ITEMS", "BatchItems", "columns_of", "needed_names", "rows_of"]

MAX_ITEMS = 10_000
"""Items of a batch. Split more into several batches, so that the state of each task stays manageable."""
_MAX_KEY_LENGTH = 200
_MAX_PROBLEMS_SHOWN = 10
_NOTHING = "Nothing was submitted."


def rows_of(rows: Iterable[Any], *, source: str, key: str | None = None) -> list[dict[str, Any]]:
    """Return the rows of a batch, each a mapping of plain JSON.

    :param source: name of the rows in a message, such as the file's path.
    :param key: name of the column with a row's key, for the message.
    :raises ConfigurationError: there are more than :data:`MAX_ITEMS` rows, one is not a mapping, or has a value that
        JSON cannot represent; lists the first rows concerned.
    """
    plain_rows: list[dict[str, Any]] = []
    problems: list[str] = []
    for row in islice(rows, MAX_ITEMS + 1):
        to_document = getattr(row, "to_document", None)
        row = row if to_document is None else to_document()
        if not isinstance(row, Mapping):
            raise ConfigurationError(
                f"{source}: row {len(plain_rows) + 1} must be an object of names and values, got {type(row).__name__}.",
                advice=_NOTHING,
            )
        plain, mistakes = _plain_row({str(name): value for name, value in row.items()})
        plain_rows.append(plain)
        problems += [f"{_where(len(plain_rows), plain.get(key) if key else None)}: {each}" for each in mistakes]
    if len(plain_rows) > MAX_ITEMS:
        raise ConfigurationError(
            f"{source} has more than {MAX_ITEMS:,} rows, the maximum of one batch.",
            advice=f"Split it into several batches. {_NOTHING}",
        )
    if problems:
        raise ConfigurationError(
            _format_problems(f"values of {source} cannot be represented in JSON", problems, of=None),
            advice=f"Convert them where the rows are created; in a file, store such a column as text. {_NOTHING}",
        )
    return plain_rows


def _plain_row(row: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a row as plain JSON, and the values that JSON cannot represent."""
    plain, mistakes = {}, []
    for name, value in row.items():
        try:
            plain[to_plain_json(name)] = to_plain_json(value)
        except NotJsonError as error:
            path = error.at(name).path
            mistakes.append(f"{path!r} is {error.what}; {error.remedy}")
    return plain, mistakes


def _where(number: int, key: Any) -> str:
    """Name a row in a message."""
    shown = "" if key is None or isinstance(key, (dict, list)) else str(key).strip()[:_MAX_KEY_LENGTH]
    return f"row {number} ({shown})" if shown and shown != str(number) else f"row {number}"


def columns_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of all rows, in the order of their first appearance."""
    return list(dict.fromkeys(name for row in rows for name in row))


@dataclass(frozen=True)
class BatchItems:
    """The items of a batch. A document is built on demand, so that little memory is used.

    :ivar keys: of the items, in the order of the rows.
    :param rows: the variables of each item, or its whole movie if there is no *base*.
    :param base: the document that all items share: a movie, or ``{"template": id}``, with common variables.
    """

    keys: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    base: Mapping[str, Any] | None

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], *, base: Mapping[str, Any] | None, key: str | None) -> BatchItems:
        """Build the items of some rows.

        :param key: name of the column with a row's key; ``None``: the key is the row's number, from 1.
        :raises ConfigurationError: keys are missing, duplicate or too long; lists the first rows concerned.
        """
        keys = [str(number) for number in range(1, len(rows) + 1)] if key is None else _keys(rows, key)
        return cls(keys=keys, rows=rows, base=base)

    def __len__(self) -> int:
        return len(self.rows)

    def document(self, index: int) -> dict[str, Any]:
        """Return the document to render for one item."""
        if self.base is None:
            return dict(self.rows[index])
        variables = {n: v for n, v in (self.base.get("variables") or {}).items() if v is not None}
        variables.update((n, v) for n, v in self.rows[index].items() if v is not None)
        return {**self.base, "variables": variables}

    def digest(self) -> str:
        """Return a hash of all documents; it changes with the rows and their order."""
        whole = hashlib.sha256(_canonical(self.base))
        for key, row in zip(self.keys, self.rows, strict=True):
            whole.update(_canonical([key, row]))
        return whole.hexdigest()[:24]

    def require_complete(self, *, schema: Mapping[str, Any] | None = None, only: Sequence[int] | None = None) -> None:
        """Check that every row has a value for every required variable.

        :param schema: the JSON Schema of a template's variables, if there is a template.
        :param only: the items to check. Default: all.
        :raises ConfigurationError: lists the first rows concerned, with the missing names.
        """
        if self.base is None:
            return
        needed = needed_names(self.base) if schema is None else _required(schema)
        common = {name for name, value in (self.base.get("variables") or {}).items() if value is not None}
        problems = []
        for index in range(len(self)) if only is None else only:
            row = self.rows[index]
            missing = [name for name in needed if name not in common and row.get(name) is None]
            if missing:
                problems.append(f"{self.where(index)} has no {', '.join(map(repr, missing))}")
        if problems:
            whose = "the movie uses but does not set" if schema is None else "the template requires"
            raise ConfigurationError(
                _format_problems(f"rows lack variables that {whose}", problems, of=len(self)), advice=_NOTHING
            )

    def require_valid(self) -> list[str]:
        """Check every document.

        :returns: possible mistakes in the documents, each message once.
        :raises InvalidMovie: some documents are certainly wrong; lists the first ones.
        """
        from airflow_json2video.movie.checks import check
        from airflow_json2video.movie.findings import Severity

        warnings: dict[str, int] = {}
        problems = []
        for index in range(len(self)):
            errors = []
            for recovery in check(self.document(index)):
                text = f"{recovery.path or 'movie'}: {recovery.message}"
                if recovery.severity is Severity.ERROR:
                    errors.append(text)
                else:
                    warnings[text] = warnings.get(text, 0) + 1
            if errors:
                problems.append(f"{self.where(index)}: {'; '.join(errors[:3])}")
        if problems:
            raise InvalidMovie(_format_problems("documents are certainly wrong", problems, of=len(self)))
        return [f"{text} ({count} of {len(self)} items)" for text, count in warnings.items()]

    def where(self, index: int) -> str:
        """Name an item in a message."""
        return _where(index + 1, self.keys[index])


def needed_names(movie: Mapping[str, Any]) -> list[str]:
    """Return the names that expressions of a movie use and that no scene or element declares as its own variables.

    A scene that iterates declares the keys of its items as well, which look like variables: only the list that it
    iterates over counts.
    """
    found: dict[str, None] = {}

    def walk(node: Any, local: frozenset[str]) -> None:
        if isinstance(node, str):
            if has_expression(node):
                for part in placeholders(node):
                    found.update(dict.fromkeys(sorted(names_in(part.body) - local)))
            return
        if isinstance(node, Mapping):
            own = node.get("variables")
            inside = local | frozenset(own) if isinstance(own, Mapping) else local
            if isinstance(node.get("iterate"), str):
                if node["iterate"] not in local:
                    found[node["iterate"]] = None
                return
            for name, value in node.items():
                walk(value, local if name == "variables" else inside)
        elif isinstance(node, (list, tuple)):
            for value in node:
                walk(value, local)

    for name, value in movie.items():
        if name not in ("variables", "client-data"):
            walk(value, frozenset())
    return list(found)


def _required(schema: Mapping[str, Any]) -> list[str]:
    required = schema.get("required")
    return [str(name) for name in required] if isinstance(required, (list, tuple)) else []


def _keys(rows: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    keys: list[str] = []
    problems: list[str] = []
    first: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        value = row.get(name)
        key = "" if value is None else str(value).strip()
        if not key:
            problems.append(f"row {number} has no key")
        elif len(key) > _MAX_KEY_LENGTH or not key.isprintable():
            problems.append(
                f"row {number} ({key[:40]!r}...) has a key of over {_MAX_KEY_LENGTH} or of unprintable characters"
            )
        elif key in first:
            problems.append(f"row {number} ({key}) has the key of row {first[key]}")
        first.setdefault(key, number)
        keys.append(key)
    if problems:
        what = f"rows have no usable key (item_key={name!r})"
        raise ConfigurationError(
            _format_problems(what, problems, of=len(rows)), advice=f"Each row needs its own key. {_NOTHING}"
        )
    return keys


def _format_problems(what: str, problems: Sequence[str], *, of: int | None) -> str:
    more = [f"and {len(problems) - _MAX_PROBLEMS_SHOWN} more"] if len(problems) > _MAX_PROBLEMS_SHOWN else []
    count = f"{len(problems)}" if of is None else f"{len(problems)} of {of}"
    return "\n  ".join([f"{count} {what}:", *problems[:_MAX_PROBLEMS_SHOWN], *more])


def _canonical(value: Any) -> bytes:
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=repr).encode()
    except TypeError:  # names of several types, which the check of the documents reports
        return repr(value).encode()
