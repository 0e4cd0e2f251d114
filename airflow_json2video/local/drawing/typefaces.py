"""Selects the bundled face of each character, and positions the pieces of a line."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path

from PIL import ImageFont, features

__all__ = ["Piece", "Typeface", "clusters", "is_right_to_left"]

_FONTS = Path(__file__).parent / "fonts"
_REGULAR, _BOLD, _FALLBACK = "Roboto-Regular.ttf", "Roboto-Bold.ttf", "DejaVuSans.ttf"
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_NO_CHARACTER = "\U0010ffff"
# The layout engine that joins Arabic letters and orders lines of both directions; Pillow's wheels include it.
_SHAPES = features.check("raqm")


@dataclass(frozen=True)
class Piece:
    """A part of a line that is drawn together, with one face, *x* pixels from the line's start."""

    text: str
    x: float
    face: ImageFont.FreeTypeFont
    thick: int
    """Pixels of stroke that replace a missing bold face."""
    direction: str | None
    unit: int
    """Index of its word or letter, if these appear separately."""


@dataclass(frozen=True)
class _Run:
    """A part of a line with one face; with a direction it is laid out as a whole and without spacing."""

    face: ImageFont.FreeTypeFont
    text: str
    direction: str | None = None

    @property
    def length(self) -> float:
        return self.face.getlength(self.text, direction=self.direction)


class Typeface:
    """Roboto at a size, and DejaVu Sans for each run of characters that Roboto lacks.

    Text from right to left is drawn with the fallback and as a whole, because the layout engine can order only what it
    gets in one call: the whole line, if its paragraph runs from right to left, or else the part from the first to the
    last such letter.

    :param size: pixels.
    :param spacing: pixels after each letter; joined scripts are not spaced.
    """

    def __init__(self, *, size: int, bold: bool = False, spacing: float = 0.0) -> None:
        self._main = _face(_BOLD if bold else _REGULAR, size)
        self._wanted = _BOLD if bold else _REGULAR
        self._fallback = _face(_FALLBACK, size)
        self._thick = max(1, round(size / 28)) if bold else 0
        self._spacing = spacing
        self.ascent, self.descent = self._main.getmetrics()

    def lacking(self, text: str) -> str:
        """Return the characters that no bundled face contains; a box is drawn for each."""
        found = {c for c in text if not _has(self._wanted, c) and not _has(_FALLBACK, c)}
        return "".join(sorted(found))

    def length(self, line: str, *, rtl: bool = False) -> float:
        """Measure a line in pixels."""
        runs = self._runs(line, rtl=rtl)
        spaced = sum(1 if run.direction else len(clusters(run.text)) for run in runs)
        return sum(run.length for run in runs) + self._spacing * max(0, spaced - 1)

    def pieces(
        self, line: str, *, rtl: bool = False, by: str = "whole", first: int = 0, gap: float = 0.0
    ) -> list[Piece]:
        """Return the pieces of a line.

        :param by: ``whole``, ``word`` or ``letter``: the unit that appears separately. Text from right to left appears
            as a whole.
        :param first: index of the first unit of the line.
        :param gap: pixels added after each word, as for justified text.
        """

        def apart(item: tuple[str, int, int]) -> tuple[int, int, bool]:
            cluster, word, letter = item
            single = bool(self._spacing) or by == "letter"
            return (word if gap or by != "whole" else 0, letter if single else 0, single and cluster.isspace())

        pieces: list[Piece] = []
        x, word, letter = 0.0, 0, 0
        for run in self._runs(line, rtl=rtl):
            face = run.face
            if run.direction:
                unit = {"word": word, "letter": letter}.get(by, 0)
                pieces.append(Piece(run.text, x + word * gap, face, self._thick, run.direction, first + unit))
                blanks = sum(map(str.isspace, run.text))
                word, letter = word + blanks, letter + len(clusters(run.text)) - blanks
                x += run.length + self._spacing
                continue
            named = []
            for cluster in clusters(run.text):
                named.append((cluster, word, letter))
                blank = cluster.isspace()
                word += blank
                letter += not blank
            done, spaced = "", 0
            for _, group in groupby(named, apart):
                members = list(group)
                text = "".join(m[0] for m in members)
                at = x + face.getlength(done) + spaced * self._spacing + members[0][1] * gap
                unit = {"word": members[0][1], "letter": members[0][2]}.get(by, 0)
                if not text.isspace():
                    thick = self._thick if face is self._fallback else 0
                    pieces.append(Piece(text, at, face, thick, None, first + unit))
                done += text
                spaced += len(members)
            x += run.length + spaced * self._spacing
        return pieces

    def _runs(self, line: str, *, rtl: bool) -> list[_Run]:
        if rtl and _SHAPES and _has_right_to_left(line):
            return [_Run(self._fallback, line, "rtl")]
        runs: list[_Run] = []
        for part, backward in _parts(line):
            # Without a layout engine, letters are in their written order.
            if backward:
                runs.append(_Run(self._fallback, part, "ltr" if _SHAPES else None))
            else:
                runs += [_Run(face, text) for face, text in self._faced(part)]
        return runs

    def _faced(self, part: str) -> list[tuple[ImageFont.FreeTypeFont, str]]:
        runs: list[tuple[ImageFont.FreeTypeFont, str]] = []
        for cluster in clusters(part):
            known = all(_has(self._wanted, c) for c in cluster) or not all(_has(_FALLBACK, c) for c in cluster)
            face = self._main if known else self._fallback
            if runs and (cluster.isspace() or runs[-1][0] is face):
                runs[-1] = (runs[-1][0], runs[-1][1] + cluster)
            else:
                runs.append((face, cluster))
        return runs


def clusters(text: str) -> list[str]:
    """Split a text into letters with their marks."""
    found: list[str] = []
    for character in text:
        joins = unicodedata.category(character) in ("Mn", "Me", "Mc", "Cf")
        if found and joins:
            found[-1] += character
        else:
            found.append(character)
    return found


def is_right_to_left(paragraph: str) -> bool:
    """Return whether a paragraph runs from right to left, by its first letter with a direction (Unicode, annex 9)."""
    strong = (unicodedata.bidirectional(c) for c in paragraph)
    return next((d for d in strong if d in ("L", "R", "AL")), "L") != "L"


def _has_right_to_left(line: str) -> bool:
    return any(unicodedata.bidirectional(c) in ("R", "AL") for c in line)


def _parts(line: str) -> list[tuple[str, bool]]:
    """Split a line that runs from left to right into parts, each with whether it runs from right to left.

    Such a part extends to the last letter or number of its direction before the next letter of the other one, and to
    the brackets around that: a number after Hebrew belongs to it (Unicode, annex 9, rules N0, N1 and I2).
    """
    parts: list[tuple[str, bool]] = []
    start = 0
    while start < len(line):
        kinds = [unicodedata.bidirectional(c) for c in line[start:]]
        if kinds[0] not in ("R", "AL"):
            end = next((n for n, kind in enumerate(kinds) if kind in ("R", "AL")), len(kinds))
        else:
            strong = next((n for n, kind in enumerate(kinds) if kind == "L"), len(kinds))
            end = 1 + max(n for n, kind in enumerate(kinds[:strong]) if kind in ("R", "AL", "EN", "AN", "NSM"))
            end = _closed(line[start : start + strong], end)
        parts.append((line[start : start + end], kinds[0] in ("R", "AL")))
        start += end
    return parts


def _closed(text: str, end: int) -> int:
    """Return the end of a part that extends to *end*, or to the closing bracket of one that was opened before it."""
    waiting: list[str] = []
    for at, character in enumerate(text):
        if at >= end and not waiting:
            break
        if character in _BRACKETS:
            if at < end:
                waiting.append(_BRACKETS[character])
        elif waiting and character == waiting[-1]:
            waiting.pop()
            end = max(end, at + 1)
    return end


@lru_cache(maxsize=64)
def _face(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(_FONTS / name), size)


@lru_cache(maxsize=2)
def _plain(name: str) -> tuple[ImageFont.FreeTypeFont, bytes]:
    font = ImageFont.truetype(str(_FONTS / name), 24, layout_engine=ImageFont.Layout.BASIC)
    return font, bytes(font.getmask(_NO_CHARACTER))


@lru_cache(maxsize=4096)
def _has(name: str, character: str) -> bool:
    """Return whether a font has a glyph. A missing one is drawn like that of an invalid character."""
    selector = 0xFE00 <= ord(character) <= 0xFE0F
    if character.isspace() or selector or not character.isprintable():
        return True
    font, missing = _plain(name)
    return bytes(font.getmask(character)) != missing
