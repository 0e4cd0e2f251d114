"""Captions: read from SRT, VTT and ASS, built from the texts of voices, and written as ASS. No pixels.

Times are seconds of the movie.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_json2video.local.planning.colors import RGBA
    from airflow_json2video.local.planning.subtitle_style import SubtitleStyle

__all__ = ["CaptionFault", "Line", "Speech", "Word", "arranged", "lines_of_speech", "read_captions", "write_ass"]

MAX_LINES = 10_000
_MAX_WORDS, _MAX_LETTERS = 200, 200  # of a line, and of a word: a frame cannot show more
_ARROW = re.compile(
    r"(?P<start>(?:\d{1,4}:)?\d{1,2}:\d{1,2}(?:[.,]\d{1,3})?)\s*-->\s*(?P<end>(?:\d{1,4}:)?\d{1,2}:\d{1,2}(?:[.,]\d{1,3})?)"
)
_INNER_TIME = re.compile(r"<((?:\d{1,4}:)?\d{1,2}:\d{2}[.,]\d{1,3})>")
_MARKUP = re.compile(r"</?[A-Za-z][^<>]*>|\{\\[^{}]*\}")
_OVERRIDE = re.compile(r"\{([^{}]*)\}")
_KARAOKE = re.compile(r"\\(?:k[fo]?|K)\s*(\d+(?:\.\d+)?)")
_STYLE_FIELDS = (
    "Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, "
    "StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, "
    "Encoding"
)
_SENTENCE_END = re.compile("[.!?\u2026\u3002\uff01\uff1f][\"'\u201d\u2019)\\]]*$")


class CaptionFault(Exception):
    """The captions cannot be read; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word and the time at which it is spoken."""

    text: str
    start: float
    end: float
    breaks: bool = False
    """Whether a new row begins with it."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of captions.

    :param timed: whether the times of its words are known; if not, no word is highlighted.
    """

    start: float
    end: float
    words: tuple[Word, ...]
    timed: bool = False

    @property
    def text(self) -> str:
        """All words, with a line break before each new row."""
        return "".join(("\n" if w.breaks else " ") + w.text for w in self.words)[1:]


@dataclass(frozen=True, kw_only=True)
class Speech:
    """The speech of one voice, from *start* to *end*; what comes after *until* is cut off."""

    text: str
    start: float
    end: float
    until: float


# Reading


def read_captions(text: str) -> list[Line]:
    """Read SRT, WebVTT or ASS, detected by the content, in order of time.

    :raises CaptionFault: another format, or no captions.
    """
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    lines = _read_ass(text) if re.search(r"^[ \t]*Dialogue[ \t]*:", text, re.MULTILINE) else _read_cues(text)
    if not lines:
        raise CaptionFault("the captions are not SRT, WebVTT or ASS, or empty")
    if len(lines) > MAX_LINES:
        raise CaptionFault(f"there are more than {MAX_LINES} captions")
    lines = [
        replace(line, words=tuple(replace(w, text=w.text[:_MAX_LETTERS]) for w in line.words[:_MAX_WORDS]))
        for line in lines
    ]
    return sorted(lines, key=lambda line: (line.start, line.end))


def _read_cues(text: str) -> list[Line]:
    """Read SRT or VTT: blocks separated by blank lines, each with an arrow between two times."""
    lines = []
    for block in re.split(r"\n[ \t]*\n", text):
        rows = block.strip("\n").split("\n")
        at = next((i for i, row in enumerate(rows[:2]) if "-->" in row), None)
        match = _ARROW.search(rows[at]) if at is not None else None
        if match is None or at is None or rows[0].startswith(("NOTE", "STYLE", "REGION")):
            continue
        start, end = _clock(match["start"]), _clock(match["end"])
        if line := _cue(rows[at + 1 :], start, end):
            lines.append(line)
    return lines


def _cue(rows: Sequence[str], start: float, end: float) -> Line | None:
    if end <= start:
        return None
    moments = [start, *(_clock(m) for row in rows for m in _INNER_TIME.findall(row)), end]
    timed = len(moments) > 2
    pieces: list[tuple[str, bool, int]] = []  # text, whether a row begins, index of the time
    moment = 0
    for number, row in enumerate(rows):
        begins = number > 0
        for position, part in enumerate(_INNER_TIME.split(row)):
            if position % 2:
                moment += 1
                continue
            for word in html.unescape(_MARKUP.sub("", part)).split():
                pieces.append((word, begins, moment))
                begins = False
    if not pieces:
        return None
    if not timed:
        return Line(start=start, end=end, words=_even([(p[0], p[1]) for p in pieces], start, end))
    words: list[Word] = []
    for number in range(moment + 1):
        share = [(p[0], p[1]) for p in pieces if p[2] == number]
        words += _even(share, moments[number], max(moments[number], moments[number + 1]))
    return Line(start=start, end=end, words=tuple(words), timed=True)


def _even(words: Sequence[tuple[str, bool]], start: float, end: float) -> tuple[Word, ...]:
    step = (end - start) / max(1, len(words))
    return tuple(
        Word(text=text, start=start + i * step, end=start + (i + 1) * step, breaks=breaks)
        for i, (text, breaks) in enumerate(words)
    )


def _read_ass(text: str) -> list[Line]:
    """Read the Dialogue lines. Override tags other than karaoke times, and styles, are ignored."""
    fields = ["Layer", "Start", "End", "Style", "Name", "MarginL", "MarginR", "MarginV", "Effect", "Text"]
    in_events = False
    lines = []
    for row in text.split("\n"):
        name, _, rest = row.strip().partition(":")
        if row.strip().startswith("["):
            in_events = row.strip().lower() == "[events]"
        elif name == "Format" and in_events:
            fields = [f.strip() for f in rest.split(",")]
        elif name == "Dialogue":
            values = dict(zip(fields, rest.strip().split(",", len(fields) - 1), strict=False))
            try:
                start, end = _clock(values["Start"]), _clock(values["End"])
            except (KeyError, CaptionFault):
                continue
            if end > start and (line := _dialogue(values.get("Text", ""), start, end)):
                lines.append(line)
    return lines


def _dialogue(text: str, start: float, end: float) -> Line | None:
    text = text.replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " ")
    parts = _OVERRIDE.split(text)
    timed = any(_KARAOKE.search(tags) for tags in parts[1::2])
    words: list[Word] = []
    at, until, begins, joined = start, (start if timed else end), False, False
    for number, part in enumerate(parts):
        if number % 2:
            for length in _KARAOKE.findall(part):
                at, until = until, until + float(length) / 100
            continue
        for row_number, row in enumerate(part.split("\n")):
            begins = begins or (row_number > 0 and bool(words))
            for word_number, word in enumerate(row.split()):
                # A syllable without a space before it belongs to the previous word.
                if words and joined and not begins and word_number == 0 and row_number == 0 and not row[:1].isspace():
                    words[-1] = replace(words[-1], text=words[-1].text + word, end=min(until, end))
                else:
                    words.append(Word(text=word, start=min(at, end), end=min(until, end), breaks=begins))
                begins = False
            joined = bool(row) and not row[-1].isspace()
    if not words:
        return None
    if not timed:
        words = list(_even([(w.text, w.breaks) for w in words], start, end))
    return Line(start=start, end=end, words=tuple(words), timed=timed)


def _clock(text: str) -> float:
    parts = text.strip().replace(",", ".").split(":")
    try:
        seconds = 0.0
        for part in parts:
            seconds = seconds * 60 + float(part)
    except ValueError:
        raise CaptionFault(f"'{text}' is not a time") from None
    return seconds


# Building


def lines_of_speech(speeches: Iterable[Speech], *, max_words: int) -> list[Line]:
    """Return the lines of the texts of voices. All words of a voice have the same length."""
    lines = []
    for speech in sorted(speeches, key=lambda s: s.start):
        words = _even([(w, False) for w in speech.text.split()], speech.start, speech.end)
        heard = [replace(w, end=min(w.end, speech.until)) for w in words if w.start < speech.until - 1e-6]
        lines += _grouped(heard, max_words, timed=True)
    return lines


def _grouped(words: Sequence[Word], max_words: int, *, timed: bool) -> list[Line]:
    """Split words into lines of at most *max_words* words that end with each sentence."""
    lines: list[Line] = []
    group: list[Word] = []
    for number, word in enumerate(words):
        group.append(word)
        last = number == len(words) - 1
        if last or len(group) >= max_words or (len(group) > 1 and _SENTENCE_END.search(word.text)):
            lines.append(Line(start=group[0].start, end=group[-1].end, words=tuple(group), timed=timed))
            group = []
    return lines


def arranged(
    lines: Iterable[Line], *, replacements: Mapping[str, Any], all_caps: bool, max_words: int | None
) -> list[Line]:
    """Apply the replacements, capitalization and line length of the settings.

    :param replacements: whole words or phrases, in any case, and their replacements.
    :param max_words: None: lines are not split.
    """
    result: list[Line] = []
    for line in lines:
        words = _replaced(line.words, replacements)
        if all_caps:
            words = [replace(w, text=w.text.upper()) for w in words]
        if not words:
            continue
        if max_words is not None and len(words) > max_words:
            result += _grouped([replace(w, breaks=False) for w in words], max_words, timed=line.timed)
        else:
            result.append(replace(line, words=tuple(words)))
    return result


def _replaced(words: Sequence[Word], replacements: Mapping[str, Any]) -> list[Word]:
    """Replace phrases of one or more words; the punctuation around a phrase stays."""
    left = list(words)
    for wrong, right in replacements.items():
        phrase = str(wrong).lower().split()
        if not phrase:
            continue
        at = 0
        while at + len(phrase) <= len(left):
            found = left[at : at + len(phrase)]
            bare = [_bare(w.text) for w in found]
            if [b[1].lower() for b in bare] == phrase:
                text = f"{bare[0][0]}{right}{bare[-1][2]}"
                new = _even([(w, False) for w in text.split()], found[0].start, found[-1].end)
                left[at : at + len(phrase)] = [replace(w, breaks=found[0].breaks and i == 0) for i, w in enumerate(new)]
                at += len(new)
            else:
                at += 1
    return left


def _bare(word: str) -> tuple[str, str, str]:
    """Return a word without the punctuation before and after it, and both of these."""
    start, end = 0, len(word)
    while start < end and not word[start].isalnum():
        start += 1
    while end > start and not word[end - 1].isalnum():
        end -= 1
    return (word[:start], word[start:end], word[end:]) if start < end else ("", word, "")


# Writing


def write_ass(lines: Iterable[Line], styling: SubtitleStyle, *, width: int, height: int) -> str:
    """Return an ASS file that a player shows much like the render. Words with times have karaoke tags."""
    boxed = styling.boxes_line
    outline = styling.box if boxed else styling.outline
    style = ",".join(
        [
            "Default", styling.family.replace(",", " "), f"{styling.size:.0f}", _ass_color(styling.word),
            _ass_color(styling.line), _ass_color(outline), _ass_color(styling.shadow), "-1" if styling.bold else "0",
            "0,0,0,100,100,0,0", "3" if boxed else "1",
            f"{max(styling.outline_width, styling.size * 0.2 if boxed else 0):.0f}", f"{styling.shadow_offset:.0f}",
            str(styling.alignment), f"{width * 0.05:.0f},{width * 0.05:.0f},{height * 0.05:.0f},1",
        ]
    )  # fmt: skip
    place = ""
    if styling.center is not None:
        place = f"{{\\an5\\pos({styling.center[0]:.0f},{styling.center[1]:.0f})}}"
    rows = [
        "[Script Info]", "ScriptType: v4.00+", f"PlayResX: {width}", f"PlayResY: {height}",
        "ScaledBorderAndShadow: yes", "WrapStyle: 0", "", "[V4+ Styles]",
        f"Format: {_STYLE_FIELDS}",
        f"Style: {style}", "", "[Events]",
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text",
    ]  # fmt: skip
    rows += [
        f"Dialogue: 0,{_ass_time(line.start)},{_ass_time(line.end)},Default,,0,0,0,,{place}{_ass_text(line)}"
        for line in lines
    ]
    return "\n".join(rows) + "\n"


def _ass_text(line: Line) -> str:
    if not line.timed:
        return "\\N".join(_escaped(row) for row in line.text.split("\n"))
    text, at = "", round(line.start * 100)
    for number, word in enumerate(line.words):
        start, end = round(word.start * 100), round(word.end * 100)
        if number:
            text += "\\N" if word.breaks else " "
        if start > at:
            text += f"{{\\k{start - at}}}"  # a silence before the word
        text += f"{{\\k{max(0, end - max(at, start))}}}{_escaped(word.text)}"
        at = max(at, end)
    return text


def _escaped(text: str) -> str:
    # ASS cannot escape a brace, or a backslash before a letter; similar characters replace them.
    return text.replace("{", "(").replace("}", ")").replace("\\", "/")


def _ass_time(seconds: float) -> str:
    hundredths = round(max(0.0, seconds) * 100)
    minutes, rest = divmod(hundredths, 6000)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest // 100:02d}.{rest % 100:02d}"


def _ass_color(color: RGBA) -> str:
    red, green, blue, alpha = color
    return f"&H{255 - alpha:02X}{blue:02X}{green:02X}{red:02X}"
