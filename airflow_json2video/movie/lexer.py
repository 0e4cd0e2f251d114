"""The grammar that the expressions of Movie JSON and of Jinja share: braces, tokens and names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

__all__ = [
    "FUNCTIONS",
    "Names",
    "Segment",
    "SegmentKind",
    "has_expression",
    "names_in",
    "names_of",
    "placeholders",
    "segments",
    "statement_names",
    "tokens",
]

FUNCTIONS = frozenset({"min", "max", "ceil", "floor", "round", "abs"})
"""Functions of JSON2Video's expressions: the first three are documented, the others are likely."""

_WORDS = frozenset(
    "and or not in is if else elif true false none null True False None as import recursive".split()  # noqa: SIM905
)
_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<number>\d+(?:_\d+)*(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)
    | (?P<name>[^\W\d]\w*)
    | (?P<operator>\*\*|//|==|!=|<=|>=|&&|\|\||.)
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENING = re.compile(r"\{\{|\{%|\{\#")
_PLACEHOLDER = re.compile(r"\{\{")
_RAW = re.compile(r"\{%[-+]?\s*raw\s*[-+]?%\}")
_END_OF_RAW = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")
_COMMENT = re.compile(r"\{#(?=[\s-])")
_END_OF_COMMENT = re.compile(r"#\}")
_MAX_BRACES = 10  # nested in one expression


class SegmentKind(Enum):
    """The kind of a part of a string."""

    TEXT = "text"
    EXPRESSION = "{{ }}"
    STATEMENT = "{% %}"
    COMMENT = "{# #}"
    RAW = "{% raw %}"


@dataclass(frozen=True)
class Segment:
    """A part of a string.

    :param source: the text of the part, braces included; joined, the sources are the string.
    :param body: the text between the braces, without Jinja's whitespace control.
    """

    kind: SegmentKind
    source: str
    body: str = ""


def has_expression(text: str) -> bool:
    """Return whether *text* may contain an expression of either language, so that its value is unknown."""
    return "{{" in text or "{%" in text


def tokens(expression: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, text) of each token: ``string``, ``number``, ``name`` or ``operator``."""
    scan, position = _Scan(expression), 0
    while position < len(expression):
        kind, end = scan.token(position)
        if kind != "space":
            yield kind, expression[position:end]
        position = end


def segments(text: str) -> list[Segment]:
    """Split *text* into plain text, expressions, statements, comments and raw blocks.

    Braces inside quotes and nested braces belong to their expression; a brace that is not closed is text.
    """
    return _split(text, _OPENING)


def placeholders(text: str) -> list[Segment]:
    """Split *text* into plain text and expressions, as JSON2Video does, which has no blocks."""
    return _split(text, _PLACEHOLDER)


def _split(text: str, openings: re.Pattern[str]) -> list[Segment]:
    found: list[Segment] = []
    scan = _Scan(text)
    start = position = 0
    while opening := openings.search(text, position):
        segment = scan.segment_at(opening.start())
        if segment is None:
            position = opening.end()
            continue
        if opening.start() > start:
            found.append(Segment(SegmentKind.TEXT, text[start : opening.start()]))
        found.append(segment)
        start = position = opening.start() + len(segment.source)
    if start < len(text):
        found.append(Segment(SegmentKind.TEXT, text[start:]))
    return found


class _Scan:
    """Scans one text in time that is proportional to its length: positions from which no closing brace was found are
    remembered, so that the next opening brace does not scan them again.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._ends_of_strings: dict[str, list[int]] = {}
        self._steps: dict[int, tuple[int, int]] = {}  # from a token to its end, and its change of the depth
        # Positions and depths of braces from which no closing brace was found.
        self._dead_ends: dict[str, set[tuple[int, int]]] = {"}}": set(), "%}": set()}
        self._last = {closing: text.rfind(closing) for closing in self._dead_ends}
        self._no_end: set[re.Pattern[str]] = set()

    def segment_at(self, start: int) -> Segment | None:
        """Return the expression, statement, comment or raw block that begins at *start*; None if it is not closed."""
        text, opening = self._text, self._text[start : start + 2]
        if opening == "{#":
            # Only "{# " begins a comment, since a style sheet may contain "{#" ("@media{#id{...}}").
            end = self._end_of_block(_COMMENT, _END_OF_COMMENT, start)
            return None if end is None else Segment(SegmentKind.COMMENT, text[start:end])
        if opening == "{%" and (end := self._end_of_block(_RAW, _END_OF_RAW, start)) is not None:
            return Segment(SegmentKind.RAW, text[start:end])
        end = self._closing(start + 2, "}}" if opening == "{{" else "%}")
        if end is None:
            return None
        body = text[start + 2 : end].strip()
        if text[start + 2 : start + 3] in ("-", "+"):
            body = body[1:]
        if text[end - 1 : end] in ("-", "+"):
            body = body[:-1]
        kind = SegmentKind.EXPRESSION if opening == "{{" else SegmentKind.STATEMENT
        return Segment(kind, text[start : end + 2], body.strip())

    def token(self, position: int) -> tuple[str, int]:
        """Return the kind of the token at *position*, and its end."""
        if (quote := self._text[position]) in "'\"":
            end = self._end_of_string(quote, position + 1)
            return ("string", end) if end else ("operator", position + 1)
        match = _TOKEN.match(self._text, position)
        assert match is not None  # the last alternative matches any character
        return str(match.lastgroup), match.end()

    def _end_of_block(self, begin: re.Pattern[str], end: re.Pattern[str], start: int) -> int | None:
        opened = None if end in self._no_end else begin.match(self._text, start)
        if opened is None:
            return None
        closed = self._search(end, opened.end())
        if closed is None:
            self._no_end.add(end)
        return closed

    def _search(self, end: re.Pattern[str], position: int) -> int | None:
        found = end.search(self._text, position)
        return None if found is None else found.end()

    def _closing(self, position: int, closing: str) -> int | None:
        text, steps, dead_ends, last = self._text, self._steps, self._dead_ends[closing], self._last[closing]
        passed: list[tuple[int, int]] = []
        depth = 0
        while position <= last and depth <= _MAX_BRACES and (position, depth) not in dead_ends:
            if depth == 0 and text.startswith(closing, position):
                return position
            passed.append((position, depth))
            if (step := steps.get(position)) is None:
                _, end = self.token(position)
                step = steps[position] = (end, {"{": 1, "}": -1}.get(text[position:end], 0))
            position, depth = step[0], max(0, depth + step[1])
        dead_ends.update(passed)
        return None

    def _end_of_string(self, quote: str, inside: int) -> int:
        """Return the end of the string whose content begins at *inside*; 0 if it is not closed."""
        if quote not in self._ends_of_strings:
            text, length = self._text, len(self._text)
            ends = [0] * (length + 2)
            for i in range(length - 1, -1, -1):
                ends[i] = i + 1 if text[i] == quote else ends[i + 2 if text[i] == "\\" else i + 1]
            self._ends_of_strings[quote] = ends
        return self._ends_of_strings[quote][inside]


@dataclass(frozen=True)
class Names:
    """The root names of an expression: those used as values, and those called."""

    roots: frozenset[str]
    called: frozenset[str]


def names_of(expression: str) -> Names:
    """Return the root names of *expression*; names that are called are separate."""
    return _analyze(list(tokens(expression)))


def names_in(expression: str) -> frozenset[str]:
    """Return the root names that *expression* needs a value for, such as ``room`` in ``room.image | upper``.

    These are not included: attributes, filters after ``|``, tests after ``is``, keyword arguments, keywords of the two
    languages, and JSON2Video's functions if they are called.

    :param expression: the text between the braces.
    """
    names = names_of(expression)
    return names.roots | (names.called - FUNCTIONS)


def _analyze(parts: list[tuple[str, str]]) -> Names:
    roots: set[str] = set()
    called: set[str] = set()
    depth = 0
    for index, (kind, text) in enumerate(parts):
        depth += {"(": 1, ")": -1}.get(text, 0) if kind == "operator" else 0
        if kind != "name" or text in _WORDS:
            continue
        before = parts[index - 1][1] if index else ""
        after = parts[index + 1][1] if index + 1 < len(parts) else ""
        is_test = before == "is" or (before == "not" and index > 1 and parts[index - 2][1] == "is")
        is_keyword = after == "=" and depth > 0
        if before in (".", "|") or is_test or is_keyword:
            continue
        (called if after == "(" else roots).add(text)
    return Names(frozenset(roots), frozenset(called))


def statement_names(body: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that a statement binds, and those that it needs."""
    parts = list(tokens(body))
    tag = parts[0][1] if parts else ""
    rest = parts[1:]
    words = [text for _, text in rest]
    bound: set[str] = set()
    if tag == "for" and "in" in words:
        cut = words.index("in")
        bound = {"loop", *(text for kind, text in rest[:cut] if kind == "name")}
        rest = rest[cut + 1 :]
    elif tag == "set":
        cut = words.index("=") if "=" in words else 1
        bound = {text for kind, text in rest[:cut] if kind == "name"}
        rest = rest[cut:]
    elif tag == "with":
        bound = {rest[i][1] for i in range(len(rest) - 1) if rest[i][0] == "name" and rest[i + 1][1] == "="}
    elif tag == "macro":
        bound = {"varargs", "kwargs", "caller", *(text for kind, text in rest if kind == "name")}
        rest = []
    elif tag == "call" and words[:1] == ["("]:
        cut = words.index(")") if ")" in words else 0
        bound = {text for kind, text in rest[:cut] if kind == "name"}
        rest = rest[cut + 1 :]
    elif tag in ("import", "from", "include", "extends", "block", "filter", "raw", "endraw"):
        bound = {text for kind, text in rest if kind == "name"} if tag in ("import", "from") else set()
        rest = []
    names = _analyze(rest)
    return frozenset(bound), (names.roots | names.called) - bound
