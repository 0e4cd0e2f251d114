"""Expressions, scopes, durations: without a frame being drawn."""

from __future__ import annotations

import time
from fractions import Fraction

import av
import pytest

from airflow_json2video.local.drawing.solid import Run, write_solid_mp4
from airflow_json2video.local.planning.colors import parse_color
from airflow_json2video.local.planning.evaluation import EvaluationError, evaluate, fill
from airflow_json2video.local.planning.plan import plan
from airflow_json2video.local.planning.resolve import MovieFault, resolve

SCOPE = {
    "n": 4,
    "price": 1_200_000,
    "title": "Sale",
    "yes": True,
    "room": {"name": "Kitchen", "sizes": [3, 5]},
    "s": "7",
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("n + 2", 6), ("n - 1 * 2", 2), ("(n - 1) * 2", 6), ("n / 8", 0.5), ("-n + 1", -3), ("s * 2", 14),
        ("'a' + n", "a4"),
        ("price >= 1000000 ? 'Luxury' : 'Family'", "Luxury"), ("n == 4 and yes", True), ("n > 9 or n < 2", False),
        ("not yes", False), ("yes == true", True), ("s == 7", True), ("min(n, 3)", 3), ("max(n, 3, 9)", 9),
        ("ceil(n / 3)", 2), ("room.name", "Kitchen"), ("room.sizes[1]", 5), ("room['name']", "Kitchen"),
        ("room.sizes.length", 2), ("missing", None), ("'it\\'s'", "it's"), ("n > 1 ? n > 3 ? 'c' : 'b' : 'a'", "c"),
    ],
)  # fmt: skip
def test_an_expression_has_its_value(expression, value):
    assert evaluate(expression, SCOPE) == value


@pytest.mark.parametrize(
    "expression",
    [
        "n +",
        "n / 0",
        "n % 0",
        "fancy(n)",
        "'open",
        "__import__('os')",
        "n ** 9",
        "(" * 200 + "n" + ")" * 200,
        "n.__class__.x(1)",
        "[n]",
        "title * 2",
        "n" * 20_000,
    ],
)
def test_an_invalid_expression_is_refused_and_never_run(expression):
    with pytest.raises(EvaluationError):
        evaluate(expression, SCOPE)


def test_a_chain_of_multiplications_cannot_eat_the_machine():
    with pytest.raises(EvaluationError, match="too large"):
        evaluate("*".join(["999999999"] * 900), {})


def test_a_placeholder_that_is_the_whole_text_keeps_its_type_and_others_become_text():
    assert fill("{{ n }}", SCOPE) == 4
    assert fill("Save {{n}}% on {{title}}{{missing}}", SCOPE) == "Save 4% on Sale"
    assert fill("{{n}}{{n}}", SCOPE) == "44"
    assert fill(" {{ n / 2 }}\n", SCOPE) == 2
    assert fill("{% raw %}{{ '}}' }}{{n}}{# {{n}} #}{{", SCOPE) == "{% raw %}}}4{# 4 #}{{"


def test_inserted_values_are_limited_and_the_text_itself_is_not():
    assert fill("x" * 200_000 + "{{n}}", SCOPE).endswith("x4")
    with pytest.raises(EvaluationError, match="too long"):
        fill("{{big}}{{big}}", {"big": "x" * 60_000})


def test_an_undefined_name_is_reported_with_its_members():
    warned = []
    assert evaluate("nobody + room.height * 2", SCOPE, missing=warned.append) == 0
    assert warned == ["nobody", "room.height"]


def test_variables_are_filled_in_their_order_also_inside_one_another():
    movie = {"variables": {"a": "Hi", "b": "I say {{ a }}", "c": 2, "d": "{{ c * 2 }}"}}
    scene = {"variables": {"a": "Ho", "e": "{{ b }}, {{ a }}"}, "duration": "{{ d }}"}
    resolved = resolve({**movie, "scenes": [{**scene, "elements": [{"type": "text", "text": "{{ e }}"}]}]})
    assert resolved["scenes"][0]["duration"] == 4
    assert resolved["scenes"][0]["elements"][0]["text"] == "I say Hi, Ho"


def test_the_innermost_scope_wins():
    movie = {
        "variables": {"a": "movie", "b": "movie"},
        "scenes": [
            {
                "variables": {"a": "scene"},
                "elements": [{"type": "text", "text": "{{a}} {{b}}", "variables": {"b": "element"}}],
            }
        ],
    }
    assert resolve(movie)["scenes"][0]["elements"][0]["text"] == "scene element"


def test_conditions_drop_scenes_and_elements_and_places_stay_those_of_the_document():
    movie = {
        "variables": {"no": False},
        "scenes": [
            {"condition": "{{no}}"},
            {"condition": "", "elements": []},
            {"elements": [{"type": "text", "condition": "{{ no }}"}, {"type": "text", "text": "kept"}]},
        ],
    }
    (scene,) = resolve(movie)["scenes"]
    assert (scene["_scene"], [e["_element"] for e in scene["elements"]]) == (3, [2])


@pytest.mark.parametrize("reference", ["room.name", "name"])
def test_iteration_shows_the_item_by_name_and_its_keys_directly(reference):
    movie = {
        "variables": {"rooms": [{"name": "Kitchen"}, {"name": "Bath"}]},
        "scenes": [
            {"iterate": "rooms", "iterate-as": "room", "elements": [{"type": "text", "text": f"{{{{ {reference} }}}}"}]}
        ],
    }
    assert [s["elements"][0]["text"] for s in resolve(movie)["scenes"]] == ["Kitchen", "Bath"]


def frames(movie, **options):
    return plan(resolve(movie), **options).frames


@pytest.mark.parametrize(
    ("scene", "seconds"),
    [
        ({"duration": 3}, 3),
        ({"duration": "3.6"}, 3.6),
        (
            {
                "elements": [
                    {"type": "text", "text": "a", "start": 1, "duration": 2, "extra-time": 0.4},
                    {"type": "text", "text": "b"},
                ]
            },
            3.4,
        ),
        ({"duration": 2, "elements": [{"type": "text", "text": "a", "duration": 9}]}, 2),
        ({"elements": [{"type": "video", "src": "u", "loop": 2, "seek": 1}]}, 6),
        ({"elements": [{"type": "audio", "src": "u"}, {"type": "image", "src": "u"}]}, 4),
    ],
)
def test_a_scene_has_its_own_length_or_that_of_its_elements(scene, seconds):
    assert frames({"scenes": [scene]}, probe=lambda where, element: 4.0) == seconds * 25


def test_an_element_at_the_end_of_its_scene_and_one_that_is_cut():
    movie = {
        "scenes": [
            {
                "duration": 4,
                "elements": [
                    {"type": "text", "text": "a", "start": -1, "duration": 1},
                    {"type": "text", "text": "b", "start": 3, "duration": 5},
                ],
            }
        ]
    }
    layers = plan(resolve(movie)).scenes[0].layers
    assert [(x.first, x.frames) for x in layers] == [(75, 25), (75, 25)]


def test_a_movie_element_may_outlast_the_scenes():
    assert frames({"scenes": [{"duration": 1}], "elements": [{"type": "text", "text": "a", "duration": 3}]}) == 75


def test_a_transition_longer_than_its_scenes_is_cut_with_a_warning():
    timeline = plan(resolve({"scenes": [{"duration": 1}, {"duration": 2, "transition": {"duration": 5}}]}))
    assert timeline.frames == 75 - 24
    assert "transition was cut" in timeline.warnings[0]


@pytest.mark.parametrize(
    ("movie", "message"),
    [
        ({"resolution": "huge"}, "Invalid resolution 'huge'"),
        ({"resolution": ["hd"]}, "Invalid resolution '\\['hd'\\]'"),
        ({"width": 100}, "Width and Height required when resolution is custom"),
        ({"width": 10, "height": 100}, "50 to 3840"),
        ({"fps": 500}, "from 1 to 120"),
        ({"scenes": [{"duration": 4000}]}, "longer than 1800 seconds"),
        ({"scenes": [{"duration": "{{ 1 / 0 }}"}]}, "Scene #1: cannot compute"),
        (
            {"variables": {"a": list(range(3000))}, "scenes": [{"iterate": "a", "duration": 1}]},
            "more than 2,000 scenes and elements",
        ),
        (
            {"scenes": [{"iterate": "none", "duration": 1}]},
            "Scene #1: the variable 'none' to iterate over is not an array",
        ),
    ],
)
def test_an_invalid_movie_fails_with_the_reason(movie, message):
    with pytest.raises(MovieFault, match=message):
        plan(resolve({"scenes": [{"duration": 2}], **movie}))


@pytest.mark.parametrize(
    ("text", "rgba"),
    [
        ("#4392F1", (67, 146, 241, 255)),
        ("#fff", (255, 255, 255, 255)),
        ("transparent", (0, 0, 0, 0)),
        ("rgba(1, 2, 3, 0.5)", (1, 2, 3, 128)),
        ("Red", (255, 0, 0, 255)),
        ("nocolor", None),
        (5, None),
    ],
)
def test_colors_are_read(text, rgba):
    assert parse_color(text) == rgba


@pytest.mark.timed
@pytest.mark.parametrize(("width", "height"), [(640, 360), (50, 50), (1080, 1350)])
def test_an_instant_video_has_every_frame_in_its_color(tmp_path, width, height):
    path = tmp_path / "solid.mp4"
    started = time.perf_counter()
    runs = [Run(30, (67, 146, 241)), Run(20, (255, 0, 0))]
    write_solid_mp4(path, runs, width=width, height=height, fps=Fraction(30000, 1001))
    assert time.perf_counter() - started < 0.5
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.width, stream.codec_context.height) == (width, height)
        assert stream.average_rate == Fraction(30000, 1001)
        decoded = list(container.decode(stream))
    assert len(decoded) == 50
    for number, wanted in ((29, (67, 146, 241)), (30, (255, 0, 0)), (49, (255, 0, 0))):
        pixels = decoded[number].reformat(format="rgb24", src_colorspace=1).to_ndarray().reshape(-1, 3)
        for extreme in (pixels.min(axis=0), pixels.max(axis=0)):
            assert abs(extreme.astype(int) - wanted).max() <= 3
