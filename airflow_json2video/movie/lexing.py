"""The grammar that Movie JSON's expressions and Jinja's share: braces, tokens, and the names that matter."""

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
"""Functions of JSON2Video's expressions: the first three documented, the others their likely siblings."""

_WORDS = frozenset(
    "and or not in is if else elif true false none null True False None as import recursive".split()  # noqa: SIM905
)
_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<string>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")
    | (?P<number>\d+(?:_\d+)*(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)
    | (?P<name>[^\W\d]\w*)
    | (?P<operator>\*\*|//|==|!=|<=|>=|&&|\|\||.)
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENING = re.compile(r"\{\{|\{%|\{\#")
_PLACEHOLDER = re.compile(r"\{\{")
_RAW = re.compile(r"\{%[-+]?\s*raw\s*[-+]?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\}", re.DOTALL)
_COMMENT = re.compile(r"\{#(?=[\s-]).*?#\}", re.DOTALL)
_MAX_BRACES = 20  # nested in one expression


class SegmentKind(Enum):
    """What a part of a string is."""

    TEXT = "text"
    EXPRESSION = "{{ }}"
    STATEMENT = "{% %}"
    COMMENT = "{# #}"
    RAW = "{% raw %}"


@dataclass(frozen=True)
class Segment:
    """A part of a string.

    :param source: as written, braces included; the sources of all segments make up the string.
    :param body: what is between the braces, without Jinja's whitespace control.
    """

    kind: SegmentKind
    source: str
    body: str = ""


def has_expression(text: str) -> bool:
    """Say whether *text* may hold an expression of either owner, so that its value is not known yet."""
    return "{{" in text or "{%" in text


def tokens(expression: str) -> Iterator[tuple[str, str]]:
    """Give (kind, text) of each token: ``string``, ``number``, ``name`` or ``operator``."""
    for match in _TOKEN.finditer(expression):
        if match.lastgroup != "space":
            yield str(match.lastgroup), match.group()


def segments(text: str) -> list[Segment]:
    """Cut *text* into plain text, expressions, statements, comments and raw blocks.

    Braces inside quotes and nested braces belong to their expression; what never closes is text.
    """
    return _cut(text, _OPENING)


def placeholders(text: str) -> list[Segment]:
    """Cut *text* as JSON2Video does, which knows no blocks: into plain text and expressions."""
    return _cut(text, _PLACEHOLDER)


def _cut(text: str, openings: re.Pattern[str]) -> list[Segment]:
    found: list[Segment] = []
    start = position = 0
    while opening := openings.search(text, position):
        segment = _segment_at(text, opening.start())
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


def _segment_at(text: str, start: int) -> Segment | None:
    opening = text[start : start + 2]
    if opening == "{#":
        # Of "{#", which a style sheet holds as well ("@media{#id{...}}"), only "{# " begins a comment.
        comment = _COMMENT.match(text, start)
        return Segment(SegmentKind.COMMENT, comment.group()) if comment else None
    if opening == "{%" and (raw := _RAW.match(text, start)):
        return Segment(SegmentKind.RAW, raw.group())
    end = _closing(text, start + 2, "}}" if opening == "{{" else "%}")
    if end is None:
        return None
    body = text[start + 2 : end].strip()
    if text[start + 2 : start + 3] in ("-", "+"):
        body = body[1:]
    if text[end - 1 : end] in ("-", "+"):
        body = body[:-1]
    kind = SegmentKind.EXPRESSION if opening == "{{" else SegmentKind.STATEMENT
    return Segment(kind, text[start : end + 2], body.strip())


def _closing(text: str, position: int, closing: str) -> int | None:
    depth = 0
    # The two bounds keep a text of many braces that never close from being read again and again to its end.
    last = text.rfind(closing)
    while position <= last and depth <= _MAX_BRACES:
        if depth == 0 and text.startswith(closing, position):
            return position
        match = _TOKEN.match(text, position)
        assert match is not None  # the last alternative takes any character
        depth = max(0, depth + {"{": 1, "}": -1}.get(match.group(), 0))
        position = match.end()
    return None


@dataclass(frozen=True)
class Names:
    """Root names of an expression: those used as values, and those called."""

    roots: frozenset[str]
    called: frozenset[str]


def names_of(expression: str) -> Names:
    """Give the root names of *expression*, called ones apart."""
    return _analyse(list(tokens(expression)))


def names_in(expression: str) -> frozenset[str]:
    """Give the root names that *expression* needs a value for: ``room`` of ``room.image | upper``.

    Left out: attributes, filters after ``|``, tests after ``is``, keyword arguments, words of the two
    languages, and JSON2Video's own functions where they are called.

    :param expression: what stands between the braces.
    """
    names = names_of(expression)
    return names.roots | (names.called - FUNCTIONS)


def _analyse(parts: list[tuple[str, str]]) -> Names:
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
    """Give the names that a statement binds, and those that it needs."""
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
    names = _analyse(rest)
    return frozenset(bound), (names.roots | names.called) - bound
