"""Leniency: what the local service makes of an expression whose value the real one does not document.

An undefined variable is nothing, with a warning; texts and numbers mix; there are a few functions more. The
grammar is the movie's own, :mod:`airflow_json2video.movie.evaluator`.
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
"""Told what an operation costs, about a character read each; it may raise :class:`EvaluationError`."""

MAX_ITEMS = 1_000
"""Values of a list or an object that is written into a text."""
MAX_DIGITS = 15
"""Beyond them ``round`` changes nothing, or costs a power of ten of that many digits."""


class EvaluationError(ValueError):
    """An expression that cannot be read or computed."""


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
        """Go on with what seems likely."""

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
            raise self.refusal(f"a list or object of more than {MAX_ITEMS:,} values is not written into a text")
        if isinstance(value, str) and len(value) > strict.MAX_RESULT:
            raise self.refusal("the text grows too long")
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
    """Whether a condition with this value keeps its scene or element; the texts false and 0 do not."""
    return _LENIENT.is_true(value)


def text_of(value: Any) -> str:
    """Write a value into a surrounding text."""
    return _LENIENT.text(value)


def fill(text: str, scope: Mapping[str, Any], *, missing: Missing | None = None, spend: Spend | None = None) -> Any:
    """Fill the placeholders of a text; one that is the whole text, blanks aside, keeps its type.

    :param missing: told the name of each undefined variable.
    :param spend: told what each operation costs.
    :raises EvaluationError: an expression that cannot be read or computed.
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

    :raises EvaluationError: it cannot be read or computed.
    """
    return _whole(strict.evaluate(expression, scope, policy=_Lenient(missing)))


def _round(value: Any, digits: Any = 0) -> float:
    number = _LENIENT.number(value)
    places = max(-MAX_DIGITS, min(MAX_DIGITS, int(_LENIENT.number(digits))))
    return round(number, places) if places else math.floor(number + 0.5)


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _holds_more(value: Any, most: int) -> bool:
    """Say whether a list or an object holds more than *most* values, at all its levels."""
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
