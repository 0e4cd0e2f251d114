"""Evaluate JSON2Video expressions: one grammar, and a policy for what the service does not document.

The grammar has the operators ``+ - * / %``, comparisons, ``and``, ``or``, ``not``, ``c ? a : b``, dots, brackets and a
few functions. It is read by a small parser and never by ``eval``. The policy of this module is strict: a value that is
not certain (an undefined variable, an unknown function, mixed types) raises :class:`UnknownValue`. The local service
has a lenient one, ``local.planning.evaluation``.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from airflow_json2video.movie.lexer import SegmentKind, has_expression, placeholders, segments, tokens

__all__ = ["Policy", "UnknownValue", "evaluate", "fill", "is_true", "resolve", "scope"]

MAX_DEPTH = 50
MAX_LENGTH = 10_000
MAX_NUMBER = 1e15
MAX_TEXT_LENGTH = 100_000


class UnknownValue(ValueError):
    """The value cannot be determined without the service."""


_CONSTANTS: Mapping[str, Any] = {"true": True, "false": False, "null": None, "none": None, "True": True, "False": False}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "min": lambda *numbers: min(numbers), "max": lambda *numbers: max(numbers),
    "ceil": math.ceil, "floor": math.floor, "abs": abs,
}  # fmt: skip
_COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "%": math.fmod,
}  # fmt: skip
_END = ("end", "")


class Policy:
    """How the values of an expression are interpreted. This policy is strict; a lenient one overrides it."""

    refusal: type[Exception] = UnknownValue
    """Raised for an expression that cannot be parsed or computed, or whose value is unknown."""

    def uncertain(self, reason: str) -> None:
        """Raise for something that is not documented; a lenient policy returns, to continue with the likely result."""
        raise self.refusal(reason)

    def undefined(self, name: str) -> Any:
        """Return the value of a name that is not defined, such as ``item`` or ``item.key``."""
        raise self.refusal(f"{name!r} has no value here")

    def is_true(self, value: Any) -> bool:
        """Return whether *value* is true in a ``condition``, before ``?``, and with and, or, not."""
        if isinstance(value, str) and value.strip().lower() in ("", "false", "0", "null"):
            if value:
                self.uncertain(f"it is not documented whether the text {value!r} is false")
            return False
        return bool(value)

    def number(self, value: Any) -> float:
        """Return *value* as an operand of a calculation."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.refusal(f"{_short(value)} is not a number")
        return value

    def text(self, value: Any) -> str:
        """Return *value* as it is inserted into a text."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (str, int)):
            return str(value)
        raise self.refusal(f"it is not documented how {_short(value)} is inserted into a text")

    def comparable(self, left: Any, right: Any) -> tuple[Any, Any]:
        """Return the two sides of a comparison in comparable types."""
        if isinstance(left, str) != isinstance(right, str):
            raise self.refusal(f"{_short(left)} is compared with {_short(right)}, which has another type")
        return left, right

    def member(self, value: Any, key: Any) -> Any:
        """Return the member *key* of *value*.

        :raises LookupError: it does not exist.
        """
        if not isinstance(value, Mapping):
            raise LookupError(key)
        return value[key]

    def call(self, name: str, arguments: list[Any]) -> Any:
        """Return the result of the function *name*."""
        if name not in _FUNCTIONS:
            raise self.refusal(f"the function {name!r} is not documented")
        return _FUNCTIONS[name](*map(self.number, arguments))


_STRICT = Policy()


def scope(variables: Any, outer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return *outer* updated with the variables of one node, evaluated in their order as by the service.

    A value that cannot be evaluated (it uses a name that is declared later, or not at all) remains an expression, so
    that using it raises :class:`UnknownValue`. If *variables* itself is an expression, it may declare any name, so no
    name is known.
    """
    if variables is None or (isinstance(variables, (list, tuple)) and not variables):  # PHP's empty object
        return outer
    if not isinstance(variables, Mapping):
        return {}
    filled = {**outer, **variables}
    before = {name: value for name, value in outer.items() if name not in variables}
    for name, value in variables.items():
        if isinstance(value, str) and has_expression(value):
            with suppress(UnknownValue):
                value = resolve(value, before)
            if not isinstance(value, (str, int, float)):  # it is not documented whether objects and arrays are copied
                value = variables[name]
            filled[name] = value
        before[name] = value
    return filled


def resolve(value: Any, variables: Mapping[str, Any]) -> Any:
    """Return *value* with its expressions replaced: a string that is one expression becomes its value.

    :raises UnknownValue: an expression cannot be evaluated with *variables*.
    """
    if not isinstance(value, str) or not has_expression(value):
        return value
    if any(part.kind not in (SegmentKind.TEXT, SegmentKind.EXPRESSION) for part in segments(value)):
        raise UnknownValue(f"{value!r} is not rendered yet")
    return fill(value, variables)


def fill(text: str, variables: Mapping[str, Any], *, policy: Policy = _STRICT) -> Any:
    """Replace the ``{{ expressions }}`` of *text*; the value of a single expression preserves its type.

    :raises UnknownValue: or the policy's refusal, as :func:`evaluate` does.
    """
    parts = placeholders(text)
    if len(parts) == 1 and parts[0].kind is SegmentKind.EXPRESSION:
        return evaluate(parts[0].source[2:-2], variables, policy=policy)
    filled: list[str] = []
    remaining = MAX_TEXT_LENGTH
    for part in parts:
        if part.kind is SegmentKind.TEXT:
            filled.append(part.source)
            continue
        filled.append(policy.text(evaluate(part.source[2:-2], variables, policy=policy)))
        remaining -= len(filled[-1])
        if remaining < 0:
            raise policy.refusal("the text becomes too long")
    return "".join(filled)


def evaluate(expression: str, variables: Mapping[str, Any], *, policy: Policy = _STRICT) -> Any:
    """Return the value of *expression*, the text between the braces.

    :param variables: values by name, including those of outer scopes.
    :raises UnknownValue: a name is not in *variables*, or the expression is not documented; another policy raises its
        own exception for an expression that cannot be parsed or computed.
    """
    if len(expression) > MAX_LENGTH:
        raise policy.refusal("the expression is too long")
    try:
        return _Reader(expression, variables, policy).whole()
    except policy.refusal:
        raise
    except (ArithmeticError, TypeError, ValueError) as error:
        raise policy.refusal(f"cannot compute '{expression.strip()[:80]}': {error}") from error


def is_true(value: Any) -> bool:
    """Return whether a ``condition`` of this value shows its scene or element.

    :raises UnknownValue: for the string forms of false, which are not documented.
    """
    return _STRICT.is_true(value)


class _Reader:
    """A recursive descent parser that evaluates: ternary, or, and, comparison, sum, product, sign, member."""

    def __init__(self, expression: str, variables: Mapping[str, Any], policy: Policy) -> None:
        self._tokens = [*tokens(expression), _END]
        self._position = 0
        self._depth = 0
        self._variables = variables
        self._expression = expression
        self._policy = policy

    def _take(self) -> tuple[str, str]:
        token = self._tokens[self._position]
        if token != _END:
            self._position += 1
        return token

    def _accept(self, *texts: str) -> str | None:
        kind, text = self._tokens[self._position]
        if kind in ("operator", "name") and text in texts:
            self._position += 1
            return text
        return None

    def _expect(self, text: str) -> None:
        if self._accept(text) is None:
            raise self._unreadable()

    def _unreadable(self) -> Exception:
        return self._policy.refusal(f"cannot read the expression '{self._expression.strip()[:80]}'")

    def _uncertain(self, what: str) -> None:
        self._policy.uncertain(f"{self._expression.strip()[:80]!r}: {what} is not documented")

    def whole(self) -> Any:
        value = self._ternary()
        if self._tokens[self._position] != _END:
            raise self._unreadable()
        return value

    def _ternary(self) -> Any:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._policy.refusal("the expression is nested too deeply")
        value = self._either()
        if self._accept("?"):
            first = self._ternary()
            self._expect(":")
            second = self._ternary()
            value = first if self._policy.is_true(value) else second
        self._depth -= 1
        return value

    def _either(self) -> Any:
        value = self._both()
        while self._accept("or", "||"):
            other = self._both()
            value = value if self._policy.is_true(value) else other
        return value

    def _both(self) -> Any:
        value = self._comparison()
        while self._accept("and", "&&"):
            other = self._comparison()
            value = other if self._policy.is_true(value) else value
        return value

    def _comparison(self) -> Any:
        value = self._sum()
        while sign := self._accept(*_COMPARISONS):
            value = bool(_COMPARISONS[sign](*self._policy.comparable(value, self._sum())))
        return value

    def _sum(self) -> Any:
        value = self._product()
        while sign := self._accept("+", "-"):
            other = self._product()
            texts = isinstance(value, str) + isinstance(other, str)
            value = self._joined(value, other) if sign == "+" and texts else self._computed(sign, value, other)
        return value

    def _joined(self, left: Any, right: Any) -> str:
        if not (isinstance(left, str) and isinstance(right, str)):
            self._uncertain("adding a text and another type")
        text = self._policy.text(left) + self._policy.text(right)
        if len(text) > MAX_TEXT_LENGTH:
            raise self._policy.refusal("the text becomes too long")
        return text

    def _product(self) -> Any:
        value = self._sign()
        while sign := self._accept("*", "/", "%"):
            if sign == "%":
                self._uncertain("%")
            value = self._computed(sign, value, self._sign())
        return value

    def _computed(self, sign: str, left: Any, right: Any) -> float:
        number: float = _ARITHMETIC[sign](self._policy.number(left), self._policy.number(right))
        if not abs(number) <= MAX_NUMBER:
            raise self._policy.refusal("the number becomes too large")
        return number

    def _sign(self) -> Any:
        signs = []
        while sign := self._accept("-", "+", "not", "!"):
            if sign != "-":
                self._uncertain(sign)
            signs.append(sign)
        value = self._member()
        for sign in reversed(signs):
            if sign in ("not", "!"):
                value = not self._policy.is_true(value)
            else:
                value = self._policy.number(value) * (-1 if sign == "-" else 1)
        return value

    def _member(self) -> Any:
        start = self._position
        value = self._primary()
        while sign := self._accept(".", "["):
            if sign == ".":
                kind, key = self._take()
                if kind != "name":
                    raise self._unreadable()
            else:
                self._uncertain("[")
                key = self._ternary()
                self._expect("]")
            path = "".join(text for _, text in self._tokens[start : self._position])
            try:
                value = self._known(path, self._policy.member(value, key))
            except LookupError:
                value = self._policy.undefined(path)
        return value

    def _known(self, name: str, value: Any) -> Any:
        if isinstance(value, str) and has_expression(value):
            self._uncertain(f"the value of {name!r}, itself an expression,")
        return value

    def _primary(self) -> Any:
        if self._accept("("):
            value = self._ternary()
            self._expect(")")
            return value
        kind, text = self._take()
        if kind == "number":
            return float(text) if set(text) & set(".eE") else int(text)
        if kind == "string":
            if "\\" in text:
                self._uncertain("a backslash in a text")
            return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
        if kind != "name":
            raise self._unreadable()
        if self._accept("("):
            return self._policy.call(text, self._arguments())
        if text in self._variables:
            return self._known(text, self._variables[text])
        return _CONSTANTS[text] if text in _CONSTANTS else self._policy.undefined(text)

    def _arguments(self) -> list[Any]:
        arguments = []
        while not self._accept(")"):
            arguments.append(self._ternary())
            if not self._accept(","):
                self._expect(")")
                break
        return arguments


def _short(value: Any) -> str:
    return repr(value)[:40] if isinstance(value, (str, int, float)) else f"a {type(value).__name__}"
