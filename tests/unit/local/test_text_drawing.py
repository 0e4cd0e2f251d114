"""Text in a frame: where its ink stands, in what color, in which script, and when it appears."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image, ImageChops, features

from airflow_json2video.local.drawing.lettering import draw_piece
from airflow_json2video.local.drawing.text import TextBlock, draw_text, wrap
from airflow_json2video.local.drawing.typefaces import Piece, Typeface
from airflow_json2video.local.planning.animation import STYLES
from airflow_json2video.local.planning.plan import plan
from airflow_json2video.local.planning.resolve import resolve
from tests.unit.local.drawn_movie import BLUE, RED, DrawnMovie, bright_box, is_close, movie, to_hex

SILENT = {"warn": lambda _: None}


def words(text, *, style="001", element=(), **settings):
    wanted = {"font-size": "20px", **{k.replace("_", "-"): v for k, v in settings.items()}}
    return {"type": "text", "text": text, "style": style, "settings": wanted, **dict(element)}


@pytest.fixture
def draw(tmp_path):
    def draw(*elements, **more):
        return DrawnMovie(movie(*elements, **{"width": 200, "height": 100, **more}), tmp_path)

    return draw


def ink(text, **settings):
    """Return the picture of a text on black."""
    given = {"font-size": "40px", **{k.replace("_", "-"): v for k, v in settings.items()}}
    picture, _, _ = draw_text(text, given, area=(600, 200), canvas=(600, 200), **SILENT)
    ground = Image.new("RGBA", picture.size, (0, 0, 0, 255))
    return Image.alpha_composite(ground, picture).convert("L")


def lines_of(picture):
    """Return the ranges of rows with ink."""
    rows = np.asarray(picture.convert("L")).max(axis=1) > 100
    edges = np.flatnonzero(np.diff(np.concatenate([[0], rows.astype(int), [0]])))
    return list(zip(edges[::2], edges[1::2], strict=True))


def test_a_text_wraps_within_its_width(draw):
    frame = draw(words("one two three four five six", element={"width": 100, "height": 100})).frames[0]
    assert len(lines_of(frame)) == 3
    left, _, right, _ = bright_box(frame)
    assert left >= 0
    assert right <= 100


def test_a_word_that_is_longer_than_the_line_is_broken_between_letters():
    face = Typeface(size=20)
    lines = wrap("Donaudampfschifffahrtsgesellschaft", 100, face.length)
    assert len(lines) > 2
    assert "".join(lines) == "Donaudampfschifffahrtsgesellschaft"
    assert all(face.length(line) <= 100 for line in lines)
    # A mark stays with its letter.
    lines = wrap("q\u0308" * 30, 60, face.length)
    assert not any(line.startswith("\u0308") for line in lines)


def test_a_very_long_word_is_wrapped_in_good_time():
    face = Typeface(size=20)
    assert "".join(wrap("x" * 5000, 300, face.length)) == "x" * 5000


def test_line_breaks_are_preserved_also_those_of_old_templates(draw):
    assert len(lines_of(draw(words("a<br>b<BR/>c")).frames[0])) == 3
    assert len(lines_of(draw(words("a\nb")).frames[0])) == 2


@pytest.mark.parametrize("align", ["left", "center", "right"])
def test_lines_are_aligned(draw, align):
    frame = draw(words("a long first line\nab", text_align=align)).frames[0]
    long_left, _, long_right, _ = bright_box(frame.crop((0, 0, 200, 50)))
    left, _, right, _ = bright_box(frame.crop((0, 50, 200, 100)))
    at = {
        "left": left - long_left,
        "right": long_right - right,
        "center": (left + right) / 2 - (long_left + long_right) / 2,
    }
    assert abs(at[align]) <= 2
    assert sum(abs(v) <= 4 for v in at.values()) == 1


def test_justified_lines_reach_both_sides_but_not_the_last(draw):
    text = "the quick brown fox jumps over the lazy dog and rests"
    frame = draw(words(text, text_align="justify", font_size="16px"), height=200).frames[0]
    rows = lines_of(frame)
    bounds = [bright_box(frame.crop((0, top, 200, bottom))) for top, bottom in rows]
    assert len(bounds) >= 3
    assert all(abs(left - 10) <= 3 and abs(right - 190) <= 3 for left, _, right, _ in bounds[:-1]), bounds
    assert bounds[-1][2] < 180


@pytest.mark.parametrize(("vertical", "rows"), [("top", (0, 40)), ("center", (30, 70)), ("bottom", (60, 100))])
@pytest.mark.parametrize(("horizontal", "columns"), [("left", (0, 60)), ("center", (70, 130)), ("right", (140, 200))])
def test_the_box_is_at_its_position(draw, vertical, rows, horizontal, columns):
    frame = draw(words("abc", vertical_position=vertical, horizontal_position=horizontal)).frames[0]
    left, top, right, bottom = bright_box(frame)
    assert columns[0] < left < right < columns[1]
    assert rows[0] < top < bottom < rows[1]


def test_a_box_has_padding_a_color_that_shows_through_and_round_corners(draw):
    box = {"background_color": "rgba(200,30,30,0.5)", "padding": "10px 20px", "border_radius": "12px"}
    drawn = draw(words("abc", **box), background=to_hex(BLUE))
    mixed = [(a + b) / 2 for a, b in zip(RED, BLUE, strict=True)]
    frame = drawn.frames[0]
    changed = (
        ImageChops.difference(frame, Image.new("RGB", frame.size, BLUE))
        .convert("L")
        .point([255 * (v > 8) for v in range(256)])
    )
    left, top, right, bottom = changed.getbbox()
    assert is_close(drawn.pixel(left + 10, (top + bottom) // 2), mixed)
    assert is_close(drawn.pixel(left + 1, top + 1), BLUE)  # outside the round corner
    text_left, _, text_right, _ = bright_box(frame, over=200)
    assert text_left - left == pytest.approx(20, abs=3)
    assert right - text_right == pytest.approx(20, abs=3)
    assert bottom - top == pytest.approx(25 + 20, abs=1)  # a line of 1.25 and the padding


def test_a_shadow_has_its_offset_and_blur():
    def shadow(value):
        picture, _, _ = draw_text(
            "I",
            {"font-size": "60px", "font-color": "#ff0000", "text-shadow": value},
            area=(300, 200),
            canvas=(300, 200),
            **SILENT,
        )
        return np.asarray(picture).astype(int)

    plain, hard, soft = shadow("none"), shadow("20px 10px 0 #00ff00"), shadow("20px 10px 8px #00ff00")
    red = np.argwhere((plain[..., 0] > 200) & (plain[..., 3] > 200)).mean(axis=0)
    green = np.argwhere((hard[..., 1] > 200) & (hard[..., 3] > 200)).mean(axis=0)
    red_there = np.argwhere((hard[..., 0] > 200) & (hard[..., 3] > 200)).mean(axis=0)
    assert green - red_there == pytest.approx([10, 20], abs=1)
    assert len(red) == 2
    assert ((hard[..., 3] > 10) & (hard[..., 3] < 200)).sum() < ((soft[..., 3] > 10) & (soft[..., 3] < 200)).sum() / 3


@pytest.mark.parametrize(
    "outline",
    [
        {"text-stroke": "8px #ff0000"}, {"-webkit-text-stroke": "8px rgb(255, 0, 0)"},
        {"outline-color": "#ff0000", "outline-width": 4},
    ],
)  # fmt: skip
def test_an_outline_runs_round_the_letters(outline):
    picture, _, _ = draw_text("I", {"font-size": "80px", **outline}, area=(300, 200), canvas=(300, 200), **SILENT)
    row = np.asarray(picture).astype(int)[picture.height // 2]
    red = np.flatnonzero((row[:, 0] > 200) & (row[:, 1] < 60) & (row[:, 3] > 200))
    white = np.flatnonzero((row[:, 1] > 200) & (row[:, 3] > 200))
    assert red.min() < white.min() < white.max() < red.max()
    assert white.min() - red.min() == pytest.approx(4, abs=1)


def test_letter_spacing_spreads_letters_and_line_height_lines():
    close, wide = bright_box(ink("HHHH")), bright_box(ink("HHHH", letter_spacing="10px"))
    assert (wide[2] - wide[0]) - (close[2] - close[0]) == pytest.approx(30, abs=1)
    single, double = (lines_of(ink("H\nH", line_height=h)) for h in ("1", "2"))
    assert (double[1][0] - double[0][0]) == pytest.approx(80, abs=1)
    assert (single[1][0] - single[0][0]) == pytest.approx(40, abs=1)


@pytest.mark.parametrize(
    ("how", "like"), [("uppercase", "STRAW HAT"), ("lowercase", "straw hat"), ("capitalize", "Straw HAT")]
)
def test_text_transform(how, like):
    assert ink("straw HAT", text_transform=how).tobytes() == ink(like).tobytes()


def test_bold_is_heavier_and_italic_leans():
    weight = {w: np.asarray(ink("HIM", font_weight=w)).sum() for w in ("400", "bold", "700")}
    assert weight["bold"] == weight["700"] > 1.15 * weight["400"]

    def lean(picture):
        array = np.asarray(picture) > 128
        rows = np.flatnonzero(array.any(axis=1))
        top, bottom = (np.flatnonzero(array[r]).mean() for r in (rows[2], rows[-3]))
        return top - bottom

    assert abs(lean(ink("I"))) < 1
    assert lean(ink("I", font_style="italic")) > 3


@pytest.mark.parametrize(
    ("given", "pixels"), [("40px", 40), ("10vw", 60), ("20vh", 40), ("2em", 32), ("250%", 40), ("30pt", 40), (40, 40)]
)
def test_font_sizes_in_every_unit(given, pixels):
    assert ink("Hx", font_size=given).tobytes() == ink("Hx", font_size=f"{pixels}px").tobytes()


SCRIPTS = {
    "Greek": "Γειά σου Κόσμε",  # noqa: RUF001
    "Cyrillic": "Привет, мир",
    "Hebrew": "שלום עולם",
    "Arabic": "مرحبا بالعالم",
    "accents": "Žluťoučký kůň, naïve façade",
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("weight", ["400", "700"])
def test_a_script_is_drawn_without_a_missing_glyph_and_without_a_warning(draw, script, weight):
    drawn = draw(words(SCRIPTS[script], font_weight=weight))
    assert drawn.warnings == []
    letters = {c for c in SCRIPTS[script] if c.isalpha()}
    boxes = ink("\U0010fffd").tobytes()
    assert all(ink(letter).tobytes() != boxes for letter in letters)


@pytest.mark.skipif(not features.check("raqm"), reason="this Pillow was built without the layout engine")
def test_arabic_is_joined_and_runs_from_right_to_left():
    # Joined letters are narrower than the same letters separated by a zero-width non-joiner.
    joined, apart = bright_box(ink("سلام")), bright_box(ink("\u200c".join("سلام")))
    assert joined[2] - joined[0] < 0.9 * (apart[2] - apart[0])
    # The first letter stands right: a tall lamed before low yods reaches up at the right end.
    array = np.asarray(ink("ליייי")) > 128
    top = np.flatnonzero(array.any(axis=1))[0]
    left, _, right, _ = bright_box(ink("ליייי"))
    assert np.flatnonzero(array[top + 1]).mean() > (left + right) / 2


def test_a_right_to_left_sentence_with_latin_words_and_a_period_is_ordered():
    face = Typeface(size=40)
    [piece] = face.pieces("מחיר 25 USD.", rtl=True)
    assert piece.direction in ("rtl", None)


@pytest.mark.skipif(not features.check("raqm"), reason="this Pillow cannot order lines of both directions")
@pytest.mark.parametrize(
    "line",
    [
        "with שלום inside", "USD מחיר", "say שלום עולם, ok", "a (שלום) b", "so שלום (12) on 3", "at ש\"ח 12.50, more",
        "ab שלום, مرحبا بكم, go", "x סלאם [א (ב)] y", "v 2 א 3 - 4", "see אבג",
    ],
)  # fmt: skip
def test_right_to_left_words_have_the_order_of_the_whole_line(monkeypatch, line):
    assert {p.face.getname()[0] for p in Typeface(size=50).pieces(line)} == {"Roboto", "DejaVu Sans"}
    monkeypatch.setattr("airflow_json2video.local.drawing.typefaces._REGULAR", "DejaVuSans.ttf")
    face = Typeface(size=50)
    apart, whole = (Image.new("L", (900, 90)) for _ in range(2))
    for piece in face.pieces(line):
        draw_piece(apart, piece, 10 + piece.x, 60, level=255, stroke=0)
    draw_piece(whole, Piece(line, 0.0, face._fallback, 0, "ltr", 0), 10, 60, level=255, stroke=0)
    ink_, off = np.asarray(whole).astype(int), np.abs(np.asarray(whole).astype(int) - np.asarray(apart))
    assert off.sum() < ink_.sum() * 0.15, off.sum() / ink_.sum()
    assert face.length(line) == pytest.approx(face._fallback.getlength(line, direction="ltr"), abs=1)


def test_only_the_characters_that_a_face_lacks_fall_back():
    pieces = Typeface(size=20).pieces("ok \u2713 done")
    assert [(p.text.strip(), p.face.getname()[0]) for p in pieces] == [
        ("ok", "Roboto"), ("\u2713", "DejaVu Sans"), ("done", "Roboto"),
    ]  # fmt: skip
    assert pieces[0].x < pieces[1].x < pieces[2].x


def test_an_accent_that_is_written_as_a_mark_is_the_same_letter():
    assert ink("cafe\u0301").tobytes() == ink("café").tobytes()


@pytest.mark.parametrize("text", ["東京", "🎉"])
def test_a_missing_glyph_is_a_visible_box_with_a_warning(draw, text):
    drawn = draw(words(text))
    assert bright_box(drawn.frames[0]) is not None
    assert "no bundled font contains" in drawn.warning_text()


def test_a_baseline_is_the_same_for_every_word_of_a_line():
    # Bottoms of H stand on the baseline in both faces.
    low = [lines_of(ink(text))[0][1] for text in ("H", "H ✓"[:1], "Hא"[:1])]
    assert len(set(low)) == 1
    mixed = ink("H\u0416")
    assert lines_of(mixed)[0][1] == low[0]


def test_a_text_is_laid_out_alike_at_every_place(draw):
    a = draw(words("wrap me the same way please", element={"width": 90, "height": 90})).frames[0]
    b = draw(words("wrap me the same way please", element={"width": 90, "height": 90, "x": 50, "y": 10})).frames[0]
    assert a.crop((0, 0, 90, 90)).tobytes() == b.crop((50, 10, 140, 100)).tobytes()


def test_a_text_taller_than_its_area_is_a_warning(draw):
    drawn = draw(words("a\nb\nc\nd\ne\nf\ng\nh\ni"))
    assert "the text is taller than its area: 9 lines" in drawn.warning_text()


def test_unknown_settings_and_fonts_are_warnings(draw):
    drawn = draw(words("a", font_family="'Comic Neue', cursive", writing_mode="vertical-rl"))
    assert "the font 'Comic Neue' is replaced by a bundled one" in drawn.warning_text()
    assert "settings not drawn: writing-mode" in drawn.warning_text()


def brightness(drawn):
    return [float(np.asarray(frame.convert("L")).mean()) for frame in drawn.frames]


@pytest.mark.parametrize("size", [14, 18, 25, 34])
@pytest.mark.parametrize("letter", ["H", "\u0418"])
def test_small_letters_stand_at_even_distances(size, letter):
    columns = np.asarray(ink(letter * 20, font_size=f"{size}px")).astype(float).sum(axis=0)
    step = Typeface(size=size).length(letter * 20) / 20
    begins = np.flatnonzero(columns)[0]
    # The middle of each letter's ink, between the middles of the adjacent gaps, which are a sixth of the size.
    edges = np.clip(np.round(begins + step * np.arange(21) - size / 12), 0, len(columns)).astype(int)
    middles = [np.average(np.arange(a, b), weights=columns[a:b]) for a, b in itertools.pairwise(edges)]
    off = np.array(middles) - step * np.arange(20)
    assert np.ptp(off) < 0.35, off


@pytest.mark.parametrize("style", STYLES)
def test_an_animated_text_starts_with_little_and_ends_like_the_plain_one_with_a_warning(draw, style):
    drawn = draw(words("Three short words", style=style), seconds=3)
    plain = draw(words("Three short words"), seconds=3)
    apart = ImageChops.difference(drawn.frames[-1], plain.frames[-1])
    assert np.asarray(apart).mean() < 1.5  # letters drawn one by one are rounded one by one
    light = brightness(drawn)
    assert light[0] < 0.5 * light[-1]
    assert f"text style '{style}' is drawn as a simple animation" in drawn.warning_text()


def test_words_appear_one_after_another_at_their_places(draw):
    drawn = draw(words("aaa bbb ccc", style="003"), seconds=3, fps=20)
    whole = bright_box(drawn.frames[-1])
    early = bright_box(drawn.frames[4])
    assert early[0] == whole[0]
    assert early[2] < whole[0] + (whole[2] - whole[0]) * 0.4
    light = brightness(drawn)
    assert all(b >= a - 0.01 for a, b in itertools.pairwise(light))


def test_a_letter_that_jumps_in_is_not_cut_off_at_the_bottom(draw):
    drawn = draw(words("gggg", style="007", font_size="40px"), height=200, seconds=2, fps=25)
    ends = drawn.frames[-1].getbbox()
    # At the first frame the first letter is faint, and lower than it ends.
    left, top, right, bottom = bright_box(drawn.frames[0], over=10)
    assert top > ends[1] + 15
    assert bottom - top == pytest.approx(ends[3] - ends[1], abs=4)
    assert right - left < ends[2] - ends[0]


def test_letters_appear_one_after_another(draw):
    drawn = draw(words("abcdefgh", style="004"), seconds=2, fps=25)
    widths = [bright_box(f)[2] - bright_box(f)[0] for f in drawn.frames if bright_box(f)]
    assert len(set(widths)) >= 7
    assert widths == sorted(widths)


def test_an_unknown_style_is_drawn_plain_with_a_warning(draw):
    drawn = draw(words("a", style="009"))
    assert "text style '009' is drawn plain" in drawn.warning_text()
    assert drawn.frames[0].tobytes() == drawn.frames[-1].tobytes()


def test_an_animation_longer_than_its_text_is_accelerated(draw):
    drawn = draw(words("a b c d e f g h i j k l m n", style="003"), seconds=1)
    assert drawn.frames[-1].tobytes() == draw(words("a b c d e f g h i j k l m n"), seconds=1).frames[-1].tobytes()


@pytest.mark.parametrize(
    ("style", "text", "seconds"),
    [("002", "one two", 0.8), ("003", "a b c d e", 1.2), ("004", "abcdefghijk", 0.64)],
)
def test_the_length_of_a_text_at_minus_one_is_that_of_its_animation(style, text, seconds):
    element = {**words(text, style=style), "duration": -1}
    other = {"type": "text", "text": "", "duration": 5, "settings": {}}
    timeline = plan(resolve({"width": 100, "height": 100, "fps": 50, "scenes": [{"elements": [element, other]}]}))
    assert timeline.scenes[0].layers[0].frames == round(seconds * 50)


def test_a_text_block_may_be_drawn_many_times():
    block = TextBlock("again", {"font-size": "30px"}, area=(200, 100), canvas=(200, 100), **SILENT)
    assert block.picture().tobytes() == block.picture().tobytes()
    assert block.picture(lambda _: (0.0, 0.0)).getchannel("A").getextrema() == (0, 0)
