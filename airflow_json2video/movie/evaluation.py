"""What a JSON2Video expression comes to, where that is certain: literals, variables, operators, three functions.

Undefined variables, unknown functions and mixed types are :class:`NotKnown` rather than a guess, since
the service does not document them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from airflow_json2video.movie.lexing import SegmentKind, segments, tokens

__all__ = ["NotKnown", "evaluate", "is_true", "resolve"]


class NotKnown(ValueError):
    """The value cannot be told without the service."""


_CONSTANTS: Mapping[str, Any] = {"true": True, "false": False, "null": None, "none": None, "True": True, "False": False}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "min": min, "max": max, "ceil": math.ceil, "floor": math.floor, "abs": abs,
}  # fmt: skip
_END = ("end", "")


def resolve(value: Any, variables: Mapping[str, Any]) -> Any:
    """Give *value* with its expressions replaced: a string that is one expression becomes its value.

    :raises NotKnown: if an expression cannot be evaluated with *variables*.
    """
    if not isinstance(value, str) or "{{" not in value:
        if isinstance(value, str) and "{%" in value:
            raise NotKnown(f"{value!r} is not rendered yet")
        return value
    parts = segments(value)
    if any(part.kind not in (SegmentKind.TEXT, SegmentKind.EXPRESSION) for part in parts):
        raise NotKnown(f"{value!r} is not rendered yet")
    if len(parts) == 1 and parts[0].kind is SegmentKind.EXPRESSION:
        return evaluate(parts[0].source[2:-2], variables)
    return "".join(
        _text(evaluate(part.source[2:-2], variables)) if part.kind is SegmentKind.EXPRESSION else part.source
        for part in parts
    )


def evaluate(expression: str, variables: Mapping[str, Any]) -> Any:
    """Evaluate what stands between the braces.

    :param variables: values by name, the innermost scope's already over the outer ones.
    :raises NotKnown: if a name is not among *variables*, or the expression is not of the documented kind.
    """
    reader = _Reader(expression, variables)
    try:
        value = reader.ternary()
        if reader.next != _END:
            raise NotKnown(f"{expression!r} is not a documented expression")
    except (TypeError, ZeroDivisionError, OverflowError, RecursionError) as error:
        raise NotKnown(f"{expression!r}: {error}") from error
    return value


def is_true(value: Any) -> bool:
    """Say whether a ``condition`` of this value keeps its scene or element.

    :raises NotKnown: for the string forms of false, whose meaning is not documented.
    """
    if isinstance(value, str) and value.strip().lower() in ("false", "0", "null"):
        raise NotKnown(f"whether the text {value!r} counts as false is not documented")
    return bool(value)


class _Reader:
    """Recursive descent: ternary, or, and, comparison, sum, product, sign, call and member."""

    def __init__(self, expression: str, variables: Mapping[str, Any]) -> None:
        self._tokens = [*tokens(expression), _END]
        self._position = 0
        self._variables = variables
        self._expression = expression

    @property
    def next(self) -> tuple[str, str]:
        return self._tokens[self._position]

    def _take(self) -> tuple[str, str]:
        token = self.next
        if token != _END:
            self._position += 1
        return token

    def _accept(self, *texts: str) -> str | None:
        kind, text = self.next
        if kind in ("operator", "name") and text in texts:
            self._position += 1
            return text
        return None

    def _expect(self, text: str) -> None:
        if self._accept(text) is None:
            raise NotKnown(f"{self._expression!r} is not a documented expression")

    def ternary(self) -> Any:
        condition = self._either()
        if not self._accept("?"):
            return condition
        first = self.ternary()
        self._expect(":")
        second = self.ternary()
        return first if condition else second

    def _either(self) -> Any:
        value = self._both()
        while self._accept("or", "||"):
            other = self._both()
            value = value or other
        return value

    def _both(self) -> Any:
        value = self._comparison()
        while self._accept("and", "&&"):
            other = self._comparison()
            value = value and other
        return value

    def _comparison(self) -> Any:
        left = self._sum()
        while operator := self._accept("==", "!=", "<=", ">=", "<", ">"):
            right = self._sum()
            if isinstance(left, str) != isinstance(right, str):
                raise NotKnown(f"{self._expression!r} compares a string with something else")
            left = {
                "==": lambda a, b: a == b,
                "!=": lambda a, b: a != b,
                "<": lambda a, b: a < b,
                ">": lambda a, b: a > b,
                "<=": lambda a, b: a <= b,
                ">=": lambda a, b: a >= b,
            }[operator](left, right)
        return left

    def _sum(self) -> Any:
        value = self._product()
        while operator := self._accept("+", "-"):
            other = self._product()
            if operator == "+" and isinstance(value, str) and isinstance(other, str):
                value += other
            else:
                a, b = self._number(value), self._number(other)
                value = a + b if operator == "+" else a - b
        return value

    def _product(self) -> Any:
        value = self._sign()
        while operator := self._accept("*", "/"):
            a, b = self._number(value), self._number(self._sign())
            value = a * b if operator == "*" else a / b
        return value

    def _sign(self) -> Any:
        return -self._number(self._sign()) if self._accept("-") else self._member()

    def _member(self) -> Any:
        value = self._primary()
        while self._accept("."):
            kind, key = self._take()
            if kind != "name" or not isinstance(value, Mapping) or key not in value:
                raise NotKnown(f"{self._expression!r}: there is no {key!r}")
            value = value[key]
        return value

    def _primary(self) -> Any:
        if self._accept("("):
            value = self.ternary()
            self._expect(")")
            return value
        kind, text = self._take()
        if kind == "number":
            return float(text) if set(text) & set(".eE") else int(text)
        if kind == "string" and "\\" not in text:
            return text[1:-1]
        if kind == "name" and self.next == ("operator", "("):
            return self._call(text)
        if kind == "name" and text in self._variables:
            value = self._variables[text]
            if isinstance(value, str) and ("{{" in value or "{%" in value):
                raise NotKnown(f"the variable {text!r} is itself an expression")
            return value
        if kind == "name" and text in _CONSTANTS:
            return _CONSTANTS[text]
        if kind == "name":
            raise NotKnown(f"{text!r} has no value here")
        raise NotKnown(f"{self._expression!r} is not a documented expression")

    def _call(self, name: str) -> Any:
        if name not in _FUNCTIONS:
            raise NotKnown(f"the function {name!r} is not documented")
        self._expect("(")
        arguments = []
        while not self._accept(")"):
            arguments.append(self._number(self.ternary()))
            if self.next != ("operator", ")"):
                self._expect(",")
        try:
            return _FUNCTIONS[name](*arguments) if arguments else _FUNCTIONS[name]()
        except (TypeError, ValueError) as error:
            raise NotKnown(f"{self._expression!r}: {error}") from error

    def _number(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise NotKnown(f"{self._expression!r} calculates with something that is no number")
        return value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int)):
        return str(value)
    raise NotKnown(f"how {value!r} is written into a text is not documented")
