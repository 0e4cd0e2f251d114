"""The scalars of Movie JSON: a literal of some kind, the same as a string, or a ``{{ expression }}``.

Every scalar of the service may be a template string, and numbers occur as strings, so each kind accepts all three.
Ranges apply to literals only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from airflow_json2video.movie.findings import Severity
from airflow_json2video.movie.problems import EXPRESSION_SCHEMA, Kind, Problem, is_empty_object, json_type

__all__ = [
    "AnyValue",
    "Boolean",
    "Choice",
    "Color",
    "Condition",
    "JsonArray",
    "JsonObject",
    "Number",
    "Text",
    "Url",
]

_NUMERIC = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*\Z")
_NUMERIC_PATTERN = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_HEX_COLOR = re.compile(r"#([0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})\Z")
_NAMED_COLORS = frozenset(
    """transparent aliceblue antiquewhite aqua aquamarine azure beige bisque black blanchedalmond blue blueviolet brown
    burlywood cadetblue chartreuse chocolate coral cornflowerblue cornsilk crimson cyan darkblue darkcyan darkgoldenrod
    darkgray darkgreen darkgrey darkkhaki darkmagenta darkolivegreen darkorange darkorchid darkred darksalmon
    darkseagreen darkslateblue darkslategray darkslategrey darkturquoise darkviolet deeppink deepskyblue dimgray
    dimgrey dodgerblue firebrick floralwhite forestgreen fuchsia gainsboro ghostwhite gold goldenrod gray green
    greenyellow grey honeydew hotpink indianred indigo ivory khaki lavender lavenderblush lawngreen lemonchiffon
    lightblue lightcoral lightcyan lightgoldenrodyellow lightgray lightgreen lightgrey lightpink lightsalmon
    lightseagreen lightskyblue lightslategray lightslategrey lightsteelblue lightyellow lime limegreen linen magenta
    maroon mediumaquamarine mediumblue mediumorchid mediumpurple mediumseagreen mediumslateblue mediumspringgreen
    mediumturquoise mediumvioletred midnightblue mintcream mistyrose moccasin navajowhite navy oldlace olive olivedrab
    orange orangered orchid palegoldenrod palegreen paleturquoise palevioletred papayawhip peachpuff peru pink plum
    powderblue purple rebeccapurple red rosybrown royalblue saddlebrown salmon sandybrown seagreen seashell sienna
    silver skyblue slateblue slategray slategrey snow springgreen steelblue tan teal thistle tomato turquoise violet
    wheat white whitesmoke yellow yellowgreen""".split()  # noqa: SIM905
)


def _abbreviate(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


@dataclass(frozen=True)
class Number(Kind):
    """A number, a numeric string, or an expression.

    :param at_least: smallest allowed value. :param above: the value that must be exceeded.
    :param at_most: largest allowed value.
    :param also: values allowed in addition to the range, such as -1 for "as long as necessary".
    :param words_also: words allowed in place of a number, such as ``auto``.
    :param whole: a fraction is undocumented, so it is a warning.
    :param refuses_fractions: with *whole*: the live service refused a fraction, so it is an error.
    :param doubtful: a value outside the range is a warning, since the sources contradict each other.
    :param never_below: with *doubtful*: a value below this is still an error.
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    also: tuple[int, ...] = ()
    words_also: tuple[str, ...] = ()
    whole: bool = False
    refuses_fractions: bool = False
    doubtful: bool = False
    never_below: float | None = None

    def problem(self, value: Any) -> Problem | None:
        """Return the problem of *value*; see :meth:`Kind.problem`."""
        number: float
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            return Problem("wrong-type", f"must be {self.describe()}, got {json_type(value)}")
        if isinstance(value, str):
            if value in self.words_also:
                return None
            if not _NUMERIC.match(value):
                return Problem("wrong-type", f"must be {self.describe()}, got the text {_abbreviate(value)}")
            number = float(value)
        else:
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
        if not math.isfinite(number):
            return Problem("out-of-range", f"must be {self.describe()}, got {_abbreviate(value)}")
        if number in self.also:
            return None
        low = (self.at_least is not None and number < self.at_least) or (
            self.above is not None and number <= self.above
        )
        if low or (self.at_most is not None and number > self.at_most):
            is_certain = not self.doubtful or (self.never_below is not None and number < self.never_below)
            severity = Severity.ERROR if is_certain else Severity.WARNING
            return Problem("out-of-range", f"is {_abbreviate(value)}; write {self.describe()}", severity, closed=True)
        if self.whole and number != int(number):
            if self.refuses_fractions:
                message = f"is {_abbreviate(value)}; write a whole number: with a fraction the render fails"
                return Problem("not-whole", message)
            message = f"is {_abbreviate(value)}; write a whole number, since the service may refuse a fraction"
            return Problem("not-whole", message, Severity.WARNING, closed=True)
        return None

    def describe(self) -> str:
        """Return what is allowed, such as ``a whole number from -99 to 99``."""
        words = "a whole number" if self.whole else "a number"
        if self.at_least is not None and self.at_most is not None:
            words += f" from {self.at_least:g} to {self.at_most:g}"
        elif self.at_least is not None:
            words += f" of {self.at_least:g} or more"
        elif self.above is not None:
            words += f" greater than {self.above:g}"
        for value in (*self.also, *map(repr, self.words_also)):
            words += f", or {value}"
        return words

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema; see :meth:`Kind.json_schema`."""
        return self.bounded_schema()

    def bounded_schema(self) -> dict[str, Any]:
        """Return the JSON Schema with the bounds that are certain."""
        literal: dict[str, Any] = {"type": "integer" if self.whole else "number"}
        bounds = [("minimum", self.at_least), ("exclusiveMinimum", self.above), ("maximum", self.at_most)]
        if self.doubtful:
            bounds = [("minimum", self.never_below)]
        literal |= {key: bound for key, bound in bounds if bound is not None}
        choices = [literal]
        if self.also or self.words_also:
            choices.append({"enum": [*self.also, *self.words_also]})
        return {"anyOf": [*choices, {"type": "string", "pattern": _NUMERIC_PATTERN}, EXPRESSION_SCHEMA]}


@dataclass(frozen=True)
class Boolean(Kind):
    """A boolean, or an expression. ``"true"`` and 0/1 are preserved: it is unknown whether the service reads them."""

    def problem(self, value: Any) -> Problem | None:
        """Return the problem of *value*; see :meth:`Kind.problem`."""
        if isinstance(value, bool):
            return None
        if value in (0, 1) or (isinstance(value, str) and value.strip().lower() in ("true", "false")):
            return Problem("wrong-type", f"is {_abbreviate(value)}; write true or false", Severity.WARNING, closed=True)
        return Problem("wrong-type", f"must be true or false, got {json_type(value)}")

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema; see :meth:`Kind.json_schema`."""
        return {"anyOf": [{"type": "boolean"}, EXPRESSION_SCHEMA]}


@dataclass(frozen=True)
class Text(Kind):
    """A string. A number or a boolean is preserved, with a warning, since the service may print it."""

    def problem(self, value: Any) -> Problem | None:
        """Return the problem of *value*, without showing it: it may be a password."""
        if isinstance(value, str):
            return None
        if isinstance(value, (bool, int, float)):
            message = f"must be a string, got {json_type(value)}; put it in quotes"
            return Problem("wrong-type", message, Severity.WARNING, closed=True)
        return Problem("wrong-type", f"must be a string, got {json_type(value)}")

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema; see :meth:`Kind.json_schema`."""
        return {"type": "string"}


@dataclass(frozen=True)
class Condition(Kind):
    """An expression, or a boolean; an empty string is false."""

    def problem(self, value: Any) -> Problem | None:
        """Return the problem of *value*; see :meth:`Kind.problem`."""
        if isinstance(value, (bool, int, float, str)):
            return None
        return Problem("wrong-type", f"must be a '{{{{ expression }}}}', got {json_type(value)}")

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema; see :meth:`Kind.json_schema`."""
        return {"type": ["string", "boolean"]}


@dataclass(frozen=True)
class Url(Text):
    """The URL of a file that the service downloads, so it must be public."""

    def problem(self, value: Any) -> Problem | None:
        """Return the problem of *value*; see :meth:`Kind.problem`."""
        if problem := super().problem(value):
            return problem
        text = str(value).strip()
        if not text or re.match(r"https?://[^/\s]", text, re.IGNORECASE):
            return None
        message = f"is {_abbreviate(value)}, which the service cannot download; write a public https:// URL"
        return Problem("not-a-url", message, Severity.WARNING)


@dataclass(frozen=True)
class Color(Text):
    """``#RRGGBB``, ``transparent``, or a CSS name. Other CSS colors are a warning."""

    def problem(self, value: Any) -> Problem | None:
        """Return the problem of *value*; see :meth:`Kind.problem`."""
        if problem := super().problem(value):
            return problem
        if _HEX_COLOR.match(str(value)) or str(value).lower() in _NAMED_COLORS:
            return None
        message = f"is {_abbreviate(value)}; write the color as '#RRGGBB', 'transparent' or a CSS name"
        return Problem("unknown-value", message, Severity.WARNING)


@dataclass(frozen=True)
class Choice(Text):
    """One of some words.

    :param words: the documented words.
    :param closed: the documentation lists all words; an open set accepts any word.
    :param certain: with *closed*: another word is an error instead of a warning.
    """

    words: tuple[str, ...] = ()
    closed: bool = True
    certain: bool = False

    def problem(self, value: Any) -> Problem | None:
        """Return the problem of *value*; see :meth:`Kind.problem`."""
        if problem := super().problem(value):
            return problem
        if value in self.words:
            return None
        near = get_close_matches(str(value).lower(), self.words, 1, 0.75)
        if not self.closed:
            if not near:
                return None
            message = f"is {_abbreviate(value)}, which is not documented; did you mean {near[0]!r}?"
            return Problem("unknown-value", message, Severity.WARNING)
        hint = f"did you mean {near[0]!r}? Documented: " if near else "write one of "
        return Problem(
            "unknown-value",
            f"is {_abbreviate(value)}, which is unknown; {hint}{', '.join(self.words)}",
            Severity.ERROR if self.certain else Severity.WARNING,
            closed=True,
        )

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema; see :meth:`Kind.json_schema`."""
        return {"anyOf": [{"enum": list(self.words)}, EXPRESSION_SCHEMA if self.closed else {"type": "string"}]}


@dataclass(frozen=True)
class AnyValue(Kind):
    """A string or a number, as in CSS."""

    def problem(self, value: Any) -> Problem | None:
        """Return the problem of *value*; see :meth:`Kind.problem`."""
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            return None
        message = f"is {json_type(value)}; write a string or a number"
        return Problem("wrong-type", message, Severity.WARNING, closed=True)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema; see :meth:`Kind.json_schema`."""
        return {"type": ["string", "number"]}


@dataclass(frozen=True)
class JsonObject(Kind):
    """An object with any members, or an expression whose value is an object."""

    def problem(self, value: Any) -> Problem | None:
        """Return the problem of *value*; see :meth:`Kind.problem`."""
        if isinstance(value, Mapping) or is_empty_object(value):
            return None
        return Problem("wrong-type", f"must be an object, got {json_type(value)}")

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema; see :meth:`Kind.json_schema`."""
        return {"anyOf": [{"type": "object"}, EXPRESSION_SCHEMA]}


@dataclass(frozen=True)
class JsonArray(Kind):
    """An array with any items, or an expression whose value is an array."""

    def problem(self, value: Any) -> Problem | None:
        """Return the problem of *value*; see :meth:`Kind.problem`."""
        if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
            return None
        return Problem("wrong-type", f"must be an array, got {json_type(value)}")

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema; see :meth:`Kind.json_schema`."""
        return {"anyOf": [{"type": "array"}, EXPRESSION_SCHEMA]}
