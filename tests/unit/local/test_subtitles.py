"""Drawn subtitles, checked by color and position; and their file next to the video."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import requests
from PIL import Image

from airflow_json2video.local import LocalService
from airflow_json2video.local.drawing.subtitles import SubtitlesLayer
from airflow_json2video.local.drawing.voice import SpeechClip
from airflow_json2video.local.planning.captions import read_captions
from airflow_json2video.local.planning.plan import plan
from airflow_json2video.local.planning.resolve import MovieFault, resolve
from airflow_json2video.local.planning.subtitling import subtitles_ass

WORD, LINE, BOX, OUTLINE, SHADOW = (250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 0, 250), (0, 250, 250)
INKS = {
    "word-color": "#fa0000", "line-color": "#00fa00", "box-color": "#0000fa", "outline-color": "#fa00fa",
    "shadow-color": "#00fafa",
}  # fmt: skip
PLAIN = "1\n00:00:01,000 --> 00:00:02,000\nFirst line\n\n2\n00:00:02,000 --> 00:00:03,000\nSecond one\n"


def voice(text, **more):
    return {"type": "voice", "text": text, **more}


@pytest.fixture
def layer(tmp_path):
    """Open the subtitles of a movie; a voice lasts one second for each word."""

    def synthesize(where, element):
        seconds = float(len(element["text"].split()))
        return SpeechClip(path=Path("none"), seconds=seconds, begins=0.0, ends=seconds)

    def opened(settings, *, captions=None, scenes=None, size=(400, 225), warnings=None):
        element = {"type": "subtitles", "settings": {**INKS, **settings}}
        if captions is not None:
            element["captions"] = captions
        movie = {
            "width": size[0], "height": size[1],
            "scenes": scenes or [{"duration": 8}],
            "elements": [element],
        }  # fmt: skip
        timeline = plan(
            resolve(movie), probe=lambda where, e: synthesize(where, e).seconds if e["type"] == "voice" else 4
        )
        text = subtitles_ass(
            timeline,
            timeline.overlays[-1],
            fetched=lambda where, e: None,
            synthesize=synthesize,
            warn=(warnings if warnings is not None else []).append,
        )
        path = tmp_path / "a.ass"
        if text is not None:
            path.write_text(text)
        return SubtitlesLayer(timeline.overlays[-1], path if text else None, size=size, fps=timeline.fps)

    return opened


def painted(layer, seconds):
    """Return the frame with only the subtitles, or None without subtitles."""
    frame = round(seconds * 25)
    if not layer.visible(frame):
        return None
    sprite = layer.sprite(frame)
    canvas = Image.new("RGB", layer._size)
    canvas.paste(sprite.picture.convert("RGB"), (sprite.x, sprite.y), sprite.picture.getchannel("A"))
    return np.asarray(canvas).astype(int)


def where(picture, color):
    """Return left, top, right, bottom of a color, or None."""
    ys, xs = np.nonzero((np.abs(picture - np.array(color)) < 40).all(axis=2))
    return (xs.min(), ys.min(), xs.max(), ys.max()) if len(xs) else None


def box_of(layer, seconds):
    picture = painted(layer, seconds)
    ys, xs = np.nonzero(picture.max(axis=2) > 60)
    return xs.min(), ys.min(), xs.max(), ys.max()


SPOKEN = [{"elements": [voice("aaaa bbbb cccc dddd")]}]


def test_the_spoken_word_moves_through_the_line(layer):
    subtitles = layer({}, scenes=SPOKEN)
    lefts = [where(painted(subtitles, t), WORD)[0] for t in (0.04, 0.9, 1.1, 2.5, 3.9)]
    assert lefts[0] == lefts[1] < lefts[2] < lefts[3] < lefts[4]
    assert all(where(painted(subtitles, t), LINE) for t in (0.5, 1.5, 2.5, 3.5))
    assert box_of(subtitles, 0.5) == box_of(subtitles, 3.5)


def test_nothing_is_drawn_again_while_a_word_lasts(layer):
    subtitles = layer({}, scenes=SPOKEN)
    assert len({subtitles.key(frame) for frame in range(100)}) == 4


def test_words_come_one_after_another_and_stay_in_the_progressive_style(layer):
    subtitles = layer({"style": "classic-progressive"}, scenes=SPOKEN)
    boxes = [box_of(subtitles, t) for t in (0.5, 1.5, 2.5, 3.5)]
    assert len({b[0] for b in boxes}) == 1
    assert boxes[0][2] < boxes[1][2] < boxes[2][2] < boxes[3][2]


def test_one_word_is_alone_in_the_center(layer):
    subtitles = layer({"style": "classic-one-word"}, scenes=SPOKEN)
    for t in (0.5, 1.5, 2.5, 3.5):
        picture = painted(subtitles, t)
        left, _, right, _ = where(picture, WORD)
        assert where(picture, LINE) is None
        assert (left + right) / 2 == pytest.approx(200, abs=3)


def test_a_box_is_behind_the_line_or_behind_the_word(layer):
    line, word = (layer({"style": style}, scenes=SPOKEN) for style in ("boxed-line", "boxed-word"))
    first, last = painted(line, 0.5), painted(line, 3.5)
    assert where(first, BOX) == where(last, BOX)
    inside, around = where(first, LINE), where(first, BOX)
    assert around[0] < where(first, WORD)[0]
    assert around[2] > inside[2]
    assert around[1] < inside[1]
    assert around[3] > inside[3]
    for t in (0.5, 3.5):
        picture = painted(word, t)
        around, said = where(picture, BOX), where(picture, WORD)
        assert around[0] < said[0] < said[2] < around[2]
        assert around[2] - around[0] < 120
    assert where(painted(word, 0.5), BOX)[2] < where(painted(word, 3.5), BOX)[0]


@pytest.mark.parametrize("style", ["boxed-line", "boxed-word"])
def test_the_corners_of_a_box_are_round_and_smooth(layer, style):
    picture = painted(layer({"style": style, "font-size": 40}, scenes=SPOKEN), 0.5)
    left, top, _, _ = where(picture, BOX)
    share = picture[top : top + 8, left : left + 8].sum(axis=2) / sum(BOX)
    assert share[0, 0] < 0.2
    assert share[7, 7] == pytest.approx(1, abs=0.05)
    assert ((share > 0.1) & (share < 0.9)).sum() >= 3


def test_outline_and_shadow_are_drawn_in_their_colors_and_sizes(layer):
    bare, outlined, shadowed = (layer(s, scenes=SPOKEN) for s in ({}, {"outline-width": 3}, {"shadow-offset": 4}))
    assert where(painted(bare, 1), OUTLINE) is where(painted(bare, 1), SHADOW) is None
    inner, outer = box_of(bare, 0.5), box_of(outlined, 0.5)
    assert (inner[0] - outer[0], outer[2] - inner[2]) == (3, 3)
    assert where(painted(outlined, 1), OUTLINE)
    shadow, ink = where(painted(shadowed, 0.5), SHADOW), box_of(bare, 0.5)
    assert shadow[2] - ink[2] == pytest.approx(4, abs=1)


@pytest.mark.parametrize(
    ("position", "across", "down"),
    [
        ("top-left", "start", "start"), ("top-center", "middle", "start"), ("top-right", "end", "start"),
        ("center-left", "start", "middle"), ("center-center", "middle", "middle"), ("center-right", "end", "middle"),
        ("bottom-left", "start", "end"), ("bottom-center", "middle", "end"), ("bottom-right", "end", "end"),
        ("mid-bottom-center", "middle", 0.75), ("mid-top-center", "middle", 0.25),
    ],
)  # fmt: skip
def test_every_position_is_where_its_name_says(layer, position, across, down):
    left, top, right, bottom = box_of(layer({"position": position}, captions=PLAIN), 1.5)

    def at(place, low, high, whole):
        if place == "start":
            return low == pytest.approx(whole * 0.05, abs=8)
        if place == "end":
            return whole - high == pytest.approx(whole * 0.05, abs=8)
        return (low + high) / 2 == pytest.approx(whole * (0.5 if place == "middle" else place), abs=6)

    assert at(across, left, right, 400)
    assert at(down, top, bottom, 225)


@pytest.mark.parametrize("point", [(200, 100), (60, 30), (0, 0), (399, 224), (5000, -900)])
def test_a_custom_place_is_the_middle_and_never_outside(layer, point):
    subtitles = layer({"position": "custom", "x": point[0], "y": point[1]}, captions=PLAIN)
    left, top, right, bottom = box_of(subtitles, 1.5)
    assert left >= 0
    assert top >= 0
    assert right < 400
    assert bottom < 225
    if 50 < point[0] < 350 and 20 < point[1] < 200:
        assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx(point, abs=5)


@pytest.mark.parametrize("style", ["classic", "boxed-line", "boxed-word", "classic-progressive", "classic-one-word"])
@pytest.mark.parametrize("text", ["Donaudampfschifffahrtsgesellschaftskapitän sieht es", "many words in one line " * 2])
def test_nothing_is_clipped_however_long_the_words_are(layer, style, text):
    scenes = [{"elements": [voice(text)]}]
    settings = {"style": style, "font-size": 60, "outline-width": 3, "max-words-per-line": 9}
    subtitles = layer(settings, scenes=scenes)
    left, top, right, bottom = box_of(subtitles, 0.5)
    assert left > 0
    assert right < 399
    assert bottom < 224
    assert top > 0


def test_captions_from_a_file_show_at_their_times_and_no_word_is_highlighted(layer):
    warned = []
    subtitles = layer({"style": "boxed-word"}, captions=PLAIN, warnings=warned)
    assert [painted(subtitles, t) is None for t in (0.9, 1.0, 2.9, 3.0)] == [True, False, False, True]
    assert where(painted(subtitles, 1.5), WORD) is None
    assert where(painted(subtitles, 1.5), LINE)
    assert any("have no times of words" in t for t in warned)


def test_voices_of_several_scenes_are_captioned_at_their_times_also_during_a_transition(layer):
    scenes = [
        {"elements": [voice("one two")]},
        {"elements": [voice("three four"), voice("not heard", muted=True)], "transition": {"duration": 0.4}},
    ]
    subtitles = layer({"all-caps": True, "replace": {"four": "five"}}, scenes=scenes)
    assert [(round(line.start, 2), round(line.end, 2), line.text) for line in subtitles._lines] == [
        (0, 2, "ONE TWO"),
        (1.6, 3.6, "THREE FIVE"),
    ]
    # The later line takes the place of the one before.
    assert subtitles.key(45)[0] == 1


def test_other_sound_is_not_transcribed_with_a_warning(layer):
    warned = []
    audio = {"type": "audio", "src": "https://a.example/a.mp3", "duration": -2}
    subtitles = layer({}, scenes=[{"duration": 2, "elements": [audio]}], warnings=warned)
    assert not any(subtitles.visible(frame) for frame in range(50))
    assert any("not transcribed" in t for t in warned)
    assert any("it has no subtitles" in t for t in warned)


@pytest.mark.parametrize("text", ["Ελληνικά λόγια", "Русские слова", "שלום לכם", "مرحبا بكم", "Où êtes-vous"])
def test_scripts_that_the_main_font_lacks_are_drawn_with_one_that_has_them(layer, text):
    subtitles = layer({}, scenes=[{"elements": [voice(text)]}])
    early, late = (where(painted(subtitles, t), WORD)[0] for t in (0.5, 1.5))
    assert (late < early) if text[0] in "שم" else (late > early)


def test_invalid_captions_fail_with_their_path(layer):
    with pytest.raises(MovieFault, match="Movie, element #1: the captions are not SRT, WebVTT or ASS"):
        layer({}, captions="hello")


# Through the service


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    assets = tmp_path_factory.mktemp("assets")
    (assets / "a.srt").write_text(PLAIN.replace("First line", "Première"), encoding="utf-8")
    with LocalService(mode="preview", home=tmp_path_factory.mktemp("home"), assets=assets) as service:
        yield service


@pytest.fixture
def client(service, make_client):
    return make_client(service)


def movie(*elements, scene=()):
    return {
        "width": 160, "height": 90,
        "scenes": [{"duration": 2, "background-color": "#203040", "elements": list(scene)}],
        "elements": list(elements),
    }  # fmt: skip


def test_a_movie_with_voice_shows_subtitles_and_its_ass_file_can_be_fetched_until_it_is_deleted(client, tmp_path):
    blue = {"background-color": "#203040", "font-color": "#203040", "font-size": "40px"}
    cover = {"type": "text", "text": "cover", "z-index": 99, "settings": blue}
    seen = client.finished(
        movie(
            {"type": "subtitles", "settings": {**INKS, "font-size": 20, "position": "center-center"}}, cover,
            scene=[voice("hello there", duration=2)],
        )
    )  # fmt: skip
    assert seen["status"] == "done", seen["message"]
    answer = requests.get(seen["ass"])
    (line,) = read_captions(answer.text)
    assert seen["ass"] == seen["url"].replace(".mp4", ".ass")
    assert (line.text, line.timed, line.words[0].text) == ("hello there", True, "hello")
    path = tmp_path / "video.mp4"
    path.write_bytes(requests.get(seen["url"]).content)
    with av.open(str(path)) as container:
        assert len(container.streams.audio) == 1
        frames = [
            f.reformat(format="rgb24", src_colorspace=1).to_ndarray().astype(int) for f in container.decode(video=0)
        ]
    moment = round((line.words[0].start + line.words[0].end) / 2 * 25)
    reds, greens = ((np.abs(frames[moment] - np.array(ink)) < 90).all(axis=2).sum() for ink in (WORD, LINE))
    assert reds > 15
    assert greens > 15
    client.delete(project=seen["project"])
    assert client.movie(seen["project"])["ass"] is False
    assert requests.get(seen["ass"]).status_code == 404


def test_captions_come_from_an_address_too(client, service):
    element = {"type": "subtitles", "captions": f"{service.url}/assets/a.srt"}
    assert "Première" in requests.get(client.finished(movie(element))["ass"]).content.decode()
    missing = f"{service.url}/assets/none.srt"
    seen = client.finished(movie({"type": "subtitles", "captions": missing}))
    assert (seen["status"], seen["message"]) == ("error", f"Movie, element #1: Failed to download '{missing}' (404)")


def test_a_movie_without_subtitles_has_no_ass(client):
    seen = client.finished(movie())
    assert seen["ass"] is False
    assert requests.get(seen["url"].replace(".mp4", ".ass")).status_code == 404


def test_the_same_movie_with_voice_audiogram_and_subtitles_gives_the_same_bytes(client):
    elements = [voice("the same again"), {"type": "audiogram", "width": 100, "height": 40}]
    document = movie({"type": "subtitles"}, scene=elements)
    bodies = {requests.get(client.finished(document)["url"]).content for _ in range(2)}
    assert len(bodies) == 1


def test_instant_mode_writes_subtitles_too_from_the_number_of_words(tmp_path, make_client):
    with LocalService(mode="instant", home=tmp_path) as service:
        client = make_client(service)
        seen = client.finished(movie({"type": "subtitles"}, scene=[voice("one two three four five")]))
        lines = read_captions(requests.get(seen["ass"]).text)
        assert [(line.start, line.end, line.text) for line in lines] == [
            (0, 1.6, "one two three four"),
            (1.6, 2, "five"),
        ]
        bad = client.finished(movie({"type": "subtitles", "captions": "no captions"}))
        assert (bad["status"], bad["ass"]) == ("error", False)


def test_offline_captions_that_cannot_be_fetched_are_left_out_with_a_warning(client, service, monkeypatch):
    monkeypatch.setattr(service.settings, "fetch_assets", False)
    seen = client.finished(movie({"type": "subtitles", "captions": "https://a.example/a.srt"}))
    assert (seen["status"], seen["ass"]) == ("done", False)
    assert any("downloads are disabled" in w for w in service.renders()[-1]["warnings"])
