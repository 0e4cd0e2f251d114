"""Captions read from files, made from what is said, and written as ASS: no pixels, no sound."""

from __future__ import annotations

import contextlib
import time

import pytest

from airflow_json2video.local.planning.captions import (
    CaptionFault,
    Speech,
    arranged,
    lines_of_speech,
    read_captions,
    write_ass,
)
from airflow_json2video.local.planning.plan import plan
from airflow_json2video.local.planning.resolve import MovieFault, resolve
from airflow_json2video.local.planning.speech import estimated_seconds, spoken_text
from airflow_json2video.local.planning.subtitle_style import read_style

SRT = "1\n00:00:00,000 --> 00:00:02,000\nFirst line\n\n2\n00:00:02,000 --> 00:00:04,500\n<i>Second</i> line\nof two\n"
VTT = """\ufeffWEBVTT

NOTE nothing to see

STYLE
::cue { color: red }

intro
00:01.000 --> 00:03.000 align:start position:10%
<v Ann>Hello &amp; <b>welcome</b></v>

00:03.500 --> 01:00:05.000
<00:00:03.500>one <00:00:04.000>two
"""
ASS = """[Script Info]
ScriptType: v4.00+

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:09.00,Default,,0,0,0,,not shown
Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\an8}Two, three\\Nfour
Dialogue: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,{\\k20}Kara{\\k30}oke {\\k50}time
"""


def shape(lines):
    return [(line.start, line.end, line.text, line.timed) for line in lines]


def words(line):
    return [(w.text, round(w.start, 3), round(w.end, 3)) for w in line.words]


def test_srt_is_read_without_its_markup():
    assert shape(read_captions(SRT)) == [(0, 2, "First line", False), (2, 4.5, "Second line\nof two", False)]


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_line_endings_do_not_matter(ending):
    assert shape(read_captions(SRT.replace("\n", ending))) == shape(read_captions(SRT))


def test_vtt_is_read_with_its_words_times_and_without_notes_styles_and_settings():
    first, second = read_captions(VTT)
    assert shape([first]) == [(1, 3, "Hello & welcome", False)]
    assert (second.start, second.end, second.timed) == (3.5, 3605, True)
    assert words(second) == [("one", 3.5, 4), ("two", 4, 3605)]


def test_ass_is_read_in_order_of_time_with_its_karaoke():
    sung, plain = read_captions(ASS)
    assert (sung.timed, words(sung)) == (True, [("Karaoke", 0, 0.5), ("time", 0.5, 1)])
    assert shape([plain]) == [(1, 2, "Two, three\nfour", False)]


@pytest.mark.parametrize("text", ["", "Just words", "1\n00:00:05,000 --> 00:00:01,000\nback in time\n", "WEBVTT\n"])
def test_a_file_without_captions_is_refused(text):
    with pytest.raises(CaptionFault, match="SRT, WebVTT or ASS"):
        read_captions(text)


@pytest.mark.timed
@pytest.mark.parametrize(
    "text",
    [
        "\n" * 1_000_000, " " * 1_000_000, "1" * 300_000 + " --> 1", "<" * 1_000_000, "{\\" * 500_000,
        "00:01.000 --> 00:02.000\n" + "{\\" * 300_000 + "<a" * 300_000,
        "Dialogue: 0,0:00:01.00,0:00:02.00,D,,0,0,0,," + "{\\k1" * 200_000,
        "00:01.000 --> 00:02.000\n" + "word " * 200_000, "00:01.000 --> 00:02.000\n" + "w" * 1_000_000,
    ],
)  # fmt: skip
def test_malicious_captions_are_read_or_refused_quickly(text):
    start = time.perf_counter()
    with contextlib.suppress(CaptionFault):
        assert all(len(line.words) <= 200 for line in read_captions(text))
    assert time.perf_counter() - start < 3


def test_words_of_a_voice_are_even_and_lines_end_with_sentences():
    speech = Speech(text="One two. Three four five six seven", start=1, end=8, until=99)
    lines = lines_of_speech([speech], max_words=4)
    assert shape(lines) == [(1, 3, "One two.", True), (3, 7, "Three four five six", True), (7, 8, "seven", True)]
    assert words(lines[0]) == [("One", 1, 2), ("two.", 2, 3)]


def test_speech_that_is_cut_off_is_not_shown():
    lines = lines_of_speech([Speech(text="a b c d", start=0, end=4, until=2.5)], max_words=2)
    assert shape(lines) == [(0, 2, "a b", True), (2, 2.5, "c", True)]


def test_words_are_replaced_as_whole_words_and_phrases_and_punctuation_stays():
    lines = lines_of_speech([Speech(text='The bee\'s "air flow", airflow.', start=0, end=5, until=9)], max_words=9)
    changed = arranged(
        lines, replacements={"bee's": "bees", "Air Flow": "Airflow", "the": "Our own"}, all_caps=False, max_words=9
    )
    assert changed[0].text == 'Our own bees "Airflow", airflow.'
    assert words(changed[0])[:2] == [("Our", 0, 0.5), ("own", 0.5, 1)]
    assert words(changed[0])[3] == ('"Airflow",', 2, 4)


def test_capitals_and_max_words_also_apply_to_given_captions():
    lines = arranged(read_captions(SRT), replacements={}, all_caps=True, max_words=2)
    assert shape(lines) == [
        (0, 2, "FIRST LINE", False),
        (2, 3.25, "SECOND LINE", False),
        (3.25, 4.5, "OF TWO", False),
    ]


@pytest.mark.parametrize("position", ["bottom-center", "mid-top-center", "custom"])
def test_written_captions_are_read_back_unchanged(position):
    look = read_style({"settings": {"position": position, "x": 10, "y": 20}}, width=640, warn=pytest.fail)
    lines = lines_of_speech([Speech(text="a {b} c\\d e f", start=0.333, end=4, until=9)], max_words=3)
    lines += read_captions("1\n00:01:10,000 --> 01:00:12,340\nplain, with\ntwo rows\n")
    text = write_ass(lines, look, width=640, height=360)
    again = read_captions(text)
    assert [line.timed for line in again] == [line.timed for line in lines]
    assert [line.text for line in again] == ["a (b) c/d", "e f", "plain, with\ntwo rows"]
    for old, new in zip(lines, again, strict=True):
        assert (new.start, new.end) == pytest.approx((old.start, old.end), abs=0.006)
        for before, after in zip(old.words, new.words, strict=True):
            assert (after.start, after.end) == pytest.approx((before.start, before.end), abs=0.011)


def test_the_written_file_has_colors_position_and_frame():
    settings = {"word-color": "#102030", "outline-width": 3, "position": "top-right", "font-weight": "900"}
    look = read_style({"settings": settings}, width=1000, warn=pytest.fail)
    text = write_ass(read_captions(SRT), look, width=1000, height=500)
    style = next(row for row in text.splitlines() if row.startswith("Style:")).split(",")
    assert "PlayResX: 1000\nPlayResY: 500" in text
    assert style[2:4] == ["50", "&H00302010"]
    assert (style[7], style[16], style[18]) == ("-1", "3", "9")


def test_an_unsupported_style_warns_what_is_replaced():
    warned = []
    settings = {
        "style": "fancy", "font-family": "Oswald Bold", "font-url": "https://a.example/a.ttf", "position": "nowhere",
        "word-color": "blurple", "glow": 1,
    }  # fmt: skip
    look = read_style({"settings": settings}, width=1920, warn=warned.append)
    assert (look.style, look.bold, look.size, look.row, look.column) == ("classic", True, 96, "bottom", "center")
    for words_ in ("glow", "style 'fancy'", "font 'Oswald Bold'", "position 'nowhere'", "'blurple' is not a color"):
        assert any(words_ in t for t in warned), words_


def voice(**more):
    return {"type": "voice", "text": "one two three four five", **more}


@pytest.mark.parametrize(
    ("element", "seconds"),
    [
        (voice(), 2.0),
        (voice(text="one"), 1.0),
        (voice(text='<speak>one <break time="1s"/>two &amp; three</speak>'), 1.6),
        (voice(**{"model-settings": {"voice_settings": {"speed": 2}}}), 1.0),
        (voice(text="a < b and c > d"), 2.8),
    ],
)
def test_the_length_of_a_voice_is_estimated_at_two_and_a_half_words_per_second(element, seconds):
    assert estimated_seconds(element) == pytest.approx(seconds)
    assert plan(resolve({"scenes": [{"elements": [element]}]})).duration == pytest.approx(seconds)


def test_ssml_is_not_spoken():
    assert spoken_text(voice(text="<speak>Fish &amp;\n <emphasis>chips</emphasis></speak>")) == "Fish & chips"


def test_the_length_of_a_synthesized_voice_takes_precedence():
    timeline = plan(
        resolve({"scenes": [{"elements": [voice(**{"extra-time": 0.5})]}]}), probe=lambda where, element: 3.1
    )
    assert timeline.duration == pytest.approx(3.6)


def subtitles(**more):
    return {"type": "subtitles", **more}


def test_subtitles_are_the_topmost_layer_of_the_movie():
    movie = {
        "scenes": [{"duration": 2}],
        "elements": [subtitles(), {"type": "text", "text": "a", "z-index": 99, "duration": 1}],
    }
    timeline = plan(resolve(movie))
    assert [(layer.kind, layer.frames) for layer in timeline.overlays] == [("text", 25), ("subtitles", 50)]


def test_two_subtitles_fail_and_one_in_a_scene_is_tolerated_with_a_warning():
    with pytest.raises(MovieFault, match=r"Movie, element #2: A movie can have only one 'subtitles' element"):
        plan(resolve({"scenes": [{"duration": 2}], "elements": [subtitles(), subtitles()]}))
    timeline = plan(resolve({"scenes": [{"duration": 2, "elements": [subtitles()]}, {"duration": 3}]}))
    assert [(layer.where, layer.frames) for layer in timeline.overlays] == [("Scene #1, element #1", 125)]
    assert any("show over the whole movie" in w for w in timeline.warnings)
    timeline = plan(resolve({"scenes": [{"duration": 2, "elements": [subtitles()]}], "elements": [subtitles()]}))
    assert [layer.where for layer in timeline.overlays] == ["Movie, element #1"]
    assert any("ignored" in w for w in timeline.warnings)
