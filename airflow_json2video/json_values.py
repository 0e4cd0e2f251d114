"""Convert a value to plain JSON, or name the place that JSON cannot represent and what to write instead.

A leaf module, without movies, HTTP or Airflow. It is used before anything is submitted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Set
from dataclasses import is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from os import PathLike
from typing import Any
from uuid import UUID

__all__ = ["NotJsonError", "replace_surrogates", "to_plain_json"]

_MAX_DEPTH = 200
_MAX_INTEGER_BITS = 13_000
"""About 3,900 digits; Python converts at most 4,300 of them to text."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_PLAIN_STEP = re.compile(r"[A-Za-z_][\w-]*\Z")


class NotJsonError(ValueError):
    """A value that JSON cannot represent.

    :ivar path: its place, such as ``scenes[0].duration``; empty for the outermost value.
    :ivar what: what the value is, such as ``a value of type date``.
    :ivar remedy: what to write instead, such as ``write value.isoformat()``.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self._steps: list[str | int] = []

    def at(self, step: str | int) -> NotJsonError:
        """Add the key or index of the enclosing value to the path, and return this error."""
        self._steps.append(step)
        return self

    @property
    def path(self) -> str:
        """The place of the value."""
        path = ""
        for step in reversed(self._steps):
            if isinstance(step, int):
                path += f"[{step}]"
            elif _PLAIN_STEP.match(step):
                path += f".{step}" if path else step
            else:
                path += f"[{step!r}]"
        return path if len(path) <= 200 else f"{path[:200]}..."

    def __str__(self) -> str:
        return f"{self.path or 'it'} is {self.what}; {self.remedy}"


def to_plain_json(value: Any) -> Any:
    """Return *value* as decoded JSON: dict, list, str, int, float, bool and None.

    Values that can be converted without loss are converted: NumPy numbers, mappings, tuples and string enums.

    :raises NotJsonError: *value* contains anything else.
    """
    return _plain(value, 0)


def replace_surrogates(value: Any) -> Any:
    """Return *value*, decoded JSON or text, with U+FFFD for each unpaired surrogate.

    JSON can contain an unpaired surrogate, but files, logs and Airflow's database cannot.
    """
    if isinstance(value, str):
        return value if value.isascii() else _SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {replace_surrogates(key): replace_surrogates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [replace_surrogates(item) for item in value]
    return value


def _plain(value: Any, depth: int) -> Any:
    kind = type(value)
    if value is None or kind is bool:
        return value
    if isinstance(value, str):
        if not value.isascii() and _SURROGATE.search(value):
            raise NotJsonError(
                "text with an unpaired surrogate (half a character)", "write the whole character, or remove it"
            )
        return value if kind is str else str.__str__(value)
    if isinstance(value, int):
        if value.bit_length() > _MAX_INTEGER_BITS:
            raise NotJsonError("an integer of thousands of digits", "write it as text")
        return value if kind is int else int.__index__(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotJsonError(
                f"{float(value)} (float)", _INSTEAD_OF_NAN if math.isnan(value) else "write a finite number"
            )
        return value if kind is float else float.__float__(value)
    if depth > _MAX_DEPTH:
        raise NotJsonError("nested too deeply, or contains itself", f"nest at most {_MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return _plain_mapping(value, depth)
    if isinstance(value, (list, tuple)):
        items = []
        for index, item in enumerate(value):
            try:
                items.append(_plain(item, depth + 1))
            except NotJsonError as error:
                raise error.at(index)  # noqa: B904 - the same error, with a longer path
        return items
    return _plain_scalar(value)


def _plain_mapping(value: Mapping[Any, Any], depth: int) -> dict[Any, Any]:
    found = {}
    for key, item in value.items():
        try:
            if not isinstance(key, (str, int, float, bool, type(None))):
                raise NotJsonError(f"under a key of type {type(key).__name__}", "write the key as text")
            found[_plain(key, depth)] = _plain(item, depth + 1)
        except NotJsonError as error:
            raise error.at(replace_surrogates(str(key)))  # noqa: B904 - the same error, with a longer path
    return found


def _plain_scalar(value: Any) -> Any:
    # Recognized without importing NumPy.
    if (
        getattr(getattr(value, "dtype", None), "kind", "") in ("b", "i", "u", "f")
        and getattr(value, "shape", None) == ()
    ):
        number = value.item()
        if type(number) in (bool, int, float):
            return _plain(number, 0)
    raise NotJsonError(f"a value of type {type(value).__name__}", _remedy(value))


_INSTEAD_OF_NAN = "write None for a missing value"


def _remedy(value: Any) -> str:
    name = type(value).__name__
    if name in ("NAType", "NaTType"):  # of pandas; NaTType is also a datetime
        return _INSTEAD_OF_NAN
    for kinds, remedy in _REMEDIES:
        if isinstance(value, kinds):
            return remedy
    if name in ("datetime64", "timedelta64"):
        return "write str(value)"
    for method in ("to_document", "model_dump", "tolist"):
        if callable(getattr(value, method, None)):
            return f"write value.{method}()"
    if is_dataclass(value):
        return "write dataclasses.asdict(value)"
    if hasattr(value, "__iter__"):
        return "write list(value)"
    return "write text, a number, true, false, null, a list or an object of these"


_REMEDIES: tuple[tuple[Any, str], ...] = (
    ((date, time), "write value.isoformat()"),
    (timedelta, "write value.total_seconds()"),
    (Decimal, "write float(value), or str(value) to preserve every digit"),
    ((UUID, PathLike), "write str(value)"),
    ((bytes, bytearray, memoryview), "write it as text, such as value.decode()"),
    (Enum, "write value.value"),
    (Set, "write sorted(value)"),
)
