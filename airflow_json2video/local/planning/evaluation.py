"""Lenient evaluation of expressions whose value the real service does not document.

An undefined variable is empty, with a warning; texts and numbers can be mixed; there are a few more functions. The
grammar is that of movies, :mod:`airflow_json2video.movie.evaluator`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from airflow_json2video.movie import evaluator as strict
from airflow_json2video.movie.lexer import SegmentKind, placeholders

__all__ = ["EvaluationError", "evaluate", "fill", "text_of", "truthy"]

Missing = Callable[[str], None]
Spend = Callable[[int], None]
"""Called with the cost of an operation, in characters processed; it can raise :class:`EvaluationError`."""

MAX_ITEMS = 1_000
"""Maximum values of a list or an object that is written into a text."""
MAX_DIGITS = 15
"""Maximum digits of ``round``; more have no effect, or compute a huge power of ten."""


class EvaluationError(ValueError):
    """An expression that cannot be parsed or computed."""


class _Lenient(strict.Policy):
    refusal = EvaluationError

    def __init__(self, missing: Missing | None = None, spend: Spend | None = None) -> None:
        self._missing = missing
        self._spend = spend

    def _cost(self, *values: Any) -> None:
        if self._spend:
            self._spend(1 + sum(len(value) for value in values if isinstance(value, str)))

    def is_true(self, value: Any) -> bool:
        self._cost(value)
        return super().is_true(value)

    def uncertain(self, reason: str) -> None:
        """Continues with a likely value."""

    def undefined(self, name: str) -> None:
        if self._missing:
            self._missing(name[:60])

    def number(self, value: Any) -> float:
        self._cost(value)
        if value is None or isinstance(value, bool):
            return int(value or 0)
        if isinstance(value, str):
            try:
                value = _whole(float(value))
            except ValueError:
                raise self.refusal(f"{value[:40]!r} is not a number") from None
        return super().number(value)

    def text(self, value: Any) -> str:
        self._cost(value)
        if isinstance(value, bool):
            return super().text(value)
        if isinstance(value, (list, dict)) and _holds_more(value, MAX_ITEMS):
            raise self.refusal(f"a list or object of more than {MAX_ITEMS:,} values cannot be written into a text")
        if isinstance(value, str) and len(value) > strict.MAX_TEXT_LENGTH:
            raise self.refusal("the text becomes too long")
        return "" if value is None else str(_whole(value))

    def comparable(self, left: Any, right: Any) -> tuple[Any, Any]:
        self._cost(left, right)
        if type(left) is type(right) or isinstance(left, (list, dict)) or isinstance(right, (list, dict)):
            return left, right
        try:
            return self.number(left), self.number(right)
        except EvaluationError:
            return self.text(left), self.text(right)

    def member(self, value: Any, key: Any) -> Any:
        self._cost(value)
        if isinstance(value, (list, str)):
            if key == "length":
                return len(value)
            if isinstance(key, (int, float)) and 0 <= int(key) < len(value):
                return value[int(key)]
        return super().member(value, self.text(key))

    def call(self, name: str, arguments: list[Any]) -> Any:
        self._cost(*arguments)
        return _FUNCTIONS[name](*arguments) if name in _FUNCTIONS else super().call(name, arguments)


_LENIENT = _Lenient()


def truthy(value: Any) -> bool:
    """Return whether a condition with this value is true; the texts false and 0 are not."""
    return _LENIENT.is_true(value)


def text_of(value: Any) -> str:
    """Format a value for a surrounding text."""
    return _LENIENT.text(value)


def fill(text: str, scope: Mapping[str, Any], *, missing: Missing | None = None, spend: Spend | None = None) -> Any:
    """Fill the placeholders of a text. A placeholder that is the whole text keeps the type of its value.

    :param missing: called with the name of each undefined variable.
    :param spend: called with the cost of each operation.
    :raises EvaluationError: an expression cannot be parsed or computed.
    """
    if "{{" not in text:
        return text
    bare = text.strip()
    may_be_whole = bare != text and bare.startswith("{{") and bare.endswith("}}")
    if may_be_whole and [part.kind for part in placeholders(bare)] == [SegmentKind.EXPRESSION]:
        text = bare
    return _whole(strict.fill(text, scope, policy=_Lenient(missing, spend)))


def evaluate(expression: str, scope: Mapping[str, Any], *, missing: Missing | None = None) -> Any:
    """Compute one expression in a scope of variables.

    :raises EvaluationError: it cannot be parsed or computed.
    """
    return _whole(strict.evaluate(expression, scope, policy=_Lenient(missing)))


def _round(value: Any, digits: Any = 0) -> float:
    number = _LENIENT.number(value)
    places = max(-MAX_DIGITS, min(MAX_DIGITS, int(_LENIENT.number(digits))))
    return round(number, places) if places else math.floor(number + 0.5)


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _holds_more(value: Any, most: int) -> bool:
    """Return whether a list or an object has more than *most* values, on all levels together."""
    waiting, count = [value], 0
    while waiting and count <= most:
        item = waiting.pop()
        inner = list(item.values()) if isinstance(item, dict) else item if isinstance(item, list) else ()
        count += len(inner)
        waiting.extend(inner if count <= most else ())
    return count > most


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "round": _round,
    "length": lambda value: len(value) if isinstance(value, (str, list, dict)) else 0,
    "upper": lambda value: text_of(value).upper(),
    "lower": lambda value: text_of(value).lower(),
}
