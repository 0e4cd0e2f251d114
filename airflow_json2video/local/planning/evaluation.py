"""The values of ``{{ expressions }}`` in Movie JSON: a small parser of its own, and never ``eval``.

Operators ``+ - * / %``, comparisons, ``and``, ``or``, ``not``, ``c ? a : b``, dots, brackets and a handful
of functions. What an undefined variable is worth is not documented: here it is nothing, with a warning.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["EvaluationError", "evaluate", "fill", "text_of", "truthy"]

MAX_DEPTH = 50
MAX_LENGTH = 10_000
MAX_RESULT = 100_000

_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?|\.\d+)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<string>'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\")"
    r"|(?P<sign>==|!=|<=|>=|&&|\|\||[-+*/%<>!?:().,\[\]]))"
)


class EvaluationError(ValueError):
    """An expression that cannot be read or computed."""


def _number(value: Any) -> float | int:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            raise EvaluationError(f"{value[:40]!r} is not a number") from None
        return int(number) if number.is_integer() else number
    if value is None:
        return 0
    raise EvaluationError(f"a {type(value).__name__} is not a number")


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": lambda *a: min(map(_number, a)),
    "max": lambda *a: max(map(_number, a)),
    "ceil": lambda a: math.ceil(_number(a)),
    "floor": lambda a: math.floor(_number(a)),
    "round": lambda a, n=0: round(_number(a), int(n)) if n else math.floor(_number(a) + 0.5),
    "abs": lambda a: abs(_number(a)),
    "length": lambda a: len(a) if isinstance(a, (str, list, dict)) else 0,
    "upper": lambda a: text_of(a).upper(),
    "lower": lambda a: text_of(a).lower(),
}
_CONSTANTS = {"true": True, "false": False, "null": None}


def truthy(value: Any) -> bool:
    """Whether a condition with this value keeps its scene or element; the texts false and 0 do not."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "false", "0", "null")
    return bool(value)


def text_of(value: Any) -> str:
    """Write a value into a surrounding text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def fill(text: str, scope: Mapping[str, Any], *, missing: Callable[[str], None] | None = None) -> Any:
    """Fill the placeholders of a text; one that is the whole text keeps its type.

    :param missing: told the name of each undefined variable.
    :raises EvaluationError: an expression that cannot be read or computed.
    """
    if "{{" not in text:
        return text
    whole = _PLACEHOLDER.fullmatch(text.strip())
    if whole and "}}" not in whole.group(1):
        return evaluate(whole.group(1), scope, missing=missing)
    filled = _PLACEHOLDER.sub(lambda m: text_of(evaluate(m.group(1), scope, missing=missing)), text)
    if len(filled) > MAX_RESULT:
        raise EvaluationError("the text grows too long")
    return filled


def evaluate(expression: str, scope: Mapping[str, Any], *, missing: Callable[[str], None] | None = None) -> Any:
    """Compute one expression in a scope of variables.

    :raises EvaluationError: it cannot be read or computed.
    """
    if len(expression) > MAX_LENGTH:
        raise EvaluationError("the expression is too long")
    parser = _Parser(expression, scope, missing)
    try:
        value = parser.ternary()
        parser.finish()
    except (ArithmeticError, TypeError, OverflowError) as error:
        raise EvaluationError(f"cannot compute '{expression.strip()[:80]}': {error}") from None
    return value


class _Parser:
    """Recursive descent; it computes while it reads."""

    def __init__(self, source: str, scope: Mapping[str, Any], missing: Callable[[str], None] | None) -> None:
        self._source = source
        self._scope = scope
        self._missing = missing
        self._depth = 0
        self._tokens: list[tuple[str, str]] = []
        position = 0
        while source[position:].strip():
            match = _TOKEN.match(source, position)
            if match is None:
                raise self._unreadable()
            self._tokens.append((match.lastgroup or "", match.group(match.lastgroup or 0)))
            position = match.end()
        self._next = 0

    def _unreadable(self) -> EvaluationError:
        return EvaluationError(f"cannot read the expression '{self._source.strip()[:80]}'")

    def _peek(self) -> str:
        kind, text = self._tokens[self._next] if self._next < len(self._tokens) else ("", "")
        return "" if kind == "string" else text

    def _take(self, *wanted: str) -> str | None:
        text = self._peek()
        if text and text in wanted:
            self._next += 1
            return text
        return None

    def _need(self, sign: str) -> None:
        if not self._take(sign):
            raise self._unreadable()

    def finish(self) -> None:
        if self._next != len(self._tokens):
            raise self._unreadable()

    def ternary(self) -> Any:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise EvaluationError("the expression is nested too deeply")
        value = self._either()
        if self._take("?"):
            yes = self.ternary()
            self._need(":")
            no = self.ternary()
            value = yes if truthy(value) else no
        self._depth -= 1
        return value

    def _either(self) -> Any:
        value = self._both()
        while self._take("or", "||"):
            other = self._both()
            value = value if truthy(value) else other
        return value

    def _both(self) -> Any:
        value = self._comparison()
        while self._take("and", "&&"):
            other = self._comparison()
            value = other if truthy(value) else value
        return value

    def _comparison(self) -> Any:
        value = self._sum()
        while sign := self._take("==", "!=", "<", ">", "<=", ">="):
            value = _compare(sign, value, self._sum())
        return value

    def _sum(self) -> Any:
        value = self._product()
        while sign := self._take("+", "-"):
            other = self._product()
            if sign == "-":
                value = _number(value) - _number(other)
            elif isinstance(value, str) or isinstance(other, str):
                value = text_of(value) + text_of(other)
                if len(value) > MAX_RESULT:
                    raise EvaluationError("the text grows too long")
            else:
                value = _number(value) + _number(other)
        return value

    def _product(self) -> Any:
        value = self._unary()
        while sign := self._take("*", "/", "%"):
            left, right = _number(value), _number(self._unary())
            value = left * right if sign == "*" else left / right if sign == "/" else math.fmod(left, right)
            if abs(value) > 1e15:
                raise EvaluationError("the number grows too large")
            if isinstance(value, float) and value.is_integer():
                value = int(value)
        return value

    def _unary(self) -> Any:
        signs = []
        while sign := self._take("-", "+", "not", "!"):
            signs.append(sign)
        value = self._member()
        for sign in reversed(signs):
            value = not truthy(value) if sign in ("not", "!") else _number(value) * (-1 if sign == "-" else 1)
        return value

    def _member(self) -> Any:
        value = self._primary()
        while True:
            if self._take("."):
                key: Any = self._tokens[self._next][1] if self._next < len(self._tokens) else ""
                self._next += 1
            elif self._take("["):
                key = self.ternary()
                self._need("]")
            else:
                return value
            value = self._inside(value, key)

    def _inside(self, value: Any, key: Any) -> Any:
        if isinstance(value, Mapping) and str(key) in value:
            return value[str(key)]
        if isinstance(value, (list, str)):
            if key == "length":
                return len(value)
            if isinstance(key, (int, float)) and 0 <= int(key) < len(value):
                return value[int(key)]
        if self._missing:
            self._missing(f"{self._source.strip()[:60]}")
        return None

    def _primary(self) -> Any:
        if self._next >= len(self._tokens):
            raise self._unreadable()
        kind, text = self._tokens[self._next]
        self._next += 1
        if kind == "number":
            return float(text) if "." in text else int(text)
        if kind == "string":
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        if text == "(":
            value = self.ternary()
            self._need(")")
            return value
        if kind != "name":
            raise self._unreadable()
        if self._peek() == "(" and text in _FUNCTIONS:
            return self._call(text)
        if text in self._scope:
            return self._scope[text]
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if self._missing:
            self._missing(text)
        return None

    def _call(self, name: str) -> Any:
        self._need("(")
        arguments = []
        while not self._take(")"):
            arguments.append(self.ternary())
            if not self._take(","):
                self._need(")")
                break
        try:
            return _FUNCTIONS[name](*arguments)
        except (TypeError, ValueError) as error:
            raise EvaluationError(f"{name}(): {error}") from None


def _compare(sign: str, left: Any, right: Any) -> bool:
    if type(left) is not type(right) and not isinstance(left, (list, dict)) and not isinstance(right, (list, dict)):
        try:
            left, right = _number(left), _number(right)
        except EvaluationError:
            left, right = text_of(left), text_of(right)
    if sign == "==":
        return bool(left == right)
    if sign == "!=":
        return bool(left != right)
    if sign == "<":
        return bool(left < right)
    if sign == ">":
        return bool(left > right)
    return bool(left <= right) if sign == "<=" else bool(left >= right)
