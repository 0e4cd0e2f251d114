"""What a JSON2Video expression comes to: one grammar, and a policy for what the service does not document.

Operators ``+ - * / %``, comparisons, ``and``, ``or``, ``not``, ``c ? a : b``, dots, brackets and a handful of
functions, read by a small parser and never by ``eval``. The policy of this module is the strict one: where a
value is not certain (an undefined variable, an unknown function, mixed types) it is :class:`UnknownValue` rather
than a guess. The local service has a lenient one, ``local.planning.evaluation``.
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
MAX_RESULT = 100_000


class UnknownValue(ValueError):
    """The value cannot be told without the service."""


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
    """What is made of the values that an expression meets. This one is strict; a lenient one overrides."""

    refusal: type[Exception] = UnknownValue
    """Raised for an expression that cannot be read or computed, or whose value is not known."""

    def uncertain(self, reason: str) -> None:
        """Decide on what is not documented: raise, or return to go on with what seems likely."""
        raise self.refusal(reason)

    def undefined(self, name: str) -> Any:
        """Give the value of a name, ``item`` or ``item.key``, that is not defined."""
        raise self.refusal(f"{name!r} has no value here")

    def is_true(self, value: Any) -> bool:
        """Say whether *value* counts as true: in a ``condition``, before ``?``, with and, or, not."""
        if isinstance(value, str) and value.strip().lower() in ("", "false", "0", "null"):
            if value:
                self.uncertain(f"whether the text {value!r} counts as false is not documented")
            return False
        return bool(value)

    def number(self, value: Any) -> float:
        """Give *value* as something to calculate with."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.refusal(f"{_short(value)} is not a number")
        return value

    def text(self, value: Any) -> str:
        """Give *value* as it is written into a text."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (str, int)):
            return str(value)
        raise self.refusal(f"how {_short(value)} is written into a text is not documented")

    def comparable(self, left: Any, right: Any) -> tuple[Any, Any]:
        """Give the two sides of a comparison in types that compare."""
        if isinstance(left, str) != isinstance(right, str):
            raise self.refusal(f"{_short(left)} is compared with {_short(right)}, of another type")
        return left, right

    def member(self, value: Any, key: Any) -> Any:
        """Give what *value* holds under *key*.

        :raises LookupError: if there is nothing.
        """
        if not isinstance(value, Mapping):
            raise LookupError(key)
        return value[key]

    def call(self, name: str, arguments: list[Any]) -> Any:
        """Give the result of the function *name*."""
        if name not in _FUNCTIONS:
            raise self.refusal(f"the function {name!r} is not documented")
        return _FUNCTIONS[name](*map(self.number, arguments))


_STRICT = Policy()


def scope(variables: Any, outer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return *outer* with the variables of one node laid over it, filled as the service fills them: in their order.

    A value that cannot be filled (it names what is declared later, or nowhere) stays an expression, so that
    whatever uses it is :class:`UnknownValue`. What stands in place of the object may declare any name, so with an
    expression there no name is known.
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
            if not isinstance(value, (str, int, float)):  # whether an object or array is taken over is not documented
                value = variables[name]
            filled[name] = value
        before[name] = value
    return filled


def resolve(value: Any, variables: Mapping[str, Any]) -> Any:
    """Give *value* with its expressions replaced: a string that is one expression becomes its value.

    :raises UnknownValue: if an expression cannot be evaluated with *variables*.
    """
    if not isinstance(value, str) or not has_expression(value):
        return value
    if any(part.kind not in (SegmentKind.TEXT, SegmentKind.EXPRESSION) for part in segments(value)):
        raise UnknownValue(f"{value!r} is not rendered yet")
    return fill(value, variables)


def fill(text: str, variables: Mapping[str, Any], *, policy: Policy = _STRICT) -> Any:
    """Fill the ``{{ expressions }}`` of *text*; one that is the whole text keeps its type.

    :raises UnknownValue: or the policy's refusal, as :func:`evaluate` does.
    """
    parts = placeholders(text)
    if len(parts) == 1 and parts[0].kind is SegmentKind.EXPRESSION:
        return evaluate(parts[0].source[2:-2], variables, policy=policy)
    filled: list[str] = []
    room = MAX_RESULT
    for part in parts:
        if part.kind is SegmentKind.TEXT:
            filled.append(part.source)
            continue
        filled.append(policy.text(evaluate(part.source[2:-2], variables, policy=policy)))
        room -= len(filled[-1])
        if room < 0:
            raise policy.refusal("the text grows too long")
    return "".join(filled)


def evaluate(expression: str, variables: Mapping[str, Any], *, policy: Policy = _STRICT) -> Any:
    """Evaluate what stands between the braces.

    :param variables: values by name, the innermost scope's already over the outer ones.
    :raises UnknownValue: if a name is not among *variables*, or the expression is not of the documented kind; with
        another policy its refusal, for what cannot be read or computed.
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
    """Say whether a ``condition`` of this value keeps its scene or element.

    :raises UnknownValue: for the string forms of false, whose meaning is not documented.
    """
    return _STRICT.is_true(value)


class _Reader:
    """Recursive descent, computing while it reads: ternary, or, and, comparison, sum, product, sign, member."""

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
            self._uncertain("to add a text and something else")
        text = self._policy.text(left) + self._policy.text(right)
        if len(text) > MAX_RESULT:
            raise self._policy.refusal("the text grows too long")
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
            raise self._policy.refusal("the number grows too large")
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
