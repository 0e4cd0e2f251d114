"""The estimated length and price of a movie."""

import json
import math
from pathlib import Path

import pytest

from airflow_json2video.core.price import Price
from airflow_json2video.movie import Movie, Overlap, Scene, TextElement, estimate

VALID = Path(__file__).parents[2] / "data" / "movies" / "valid"
AUDIO = {"type": "audio", "src": "https://a.b/c.mp3"}
VIDEO = {"type": "video", "src": "https://a.b/c.mp4"}
IMAGE = {"type": "image", "src": "https://a.b/c.png"}
TEXT = {"type": "text", "text": "x"}


def scene(*elements, **properties):
    return {"elements": list(elements), **properties}


def length(*scenes, **movie):
    return estimate({"scenes": list(scenes), **movie})


@pytest.mark.parametrize(
    ("number", "duration", "added_up"),
    [("01", 5, 5), ("02", 10.75, 12), ("07", 8, 8), ("09", 8.5, 9), ("10", 9, 10), ("12", 2, 2), ("13", 3, 3),
     ("15", 10, 10), ("16", 6, 6), ("03", 6, 6), ("06", 5, 5), ("08", 20, 20), ("17", 3, 3), ("18", 4, 4)],
)  # fmt: skip
def test_the_examples_have_the_documented_cost_less_the_overlap_of_transitions(number, duration, added_up):
    document = json.loads(next(VALID.glob(f"{number}-*.json")).read_text())
    shortened, ignored = estimate(document), estimate(document, overlap=Overlap.IGNORED)
    assert (shortened.duration, shortened.credits) == (duration, math.ceil(duration))
    assert (ignored.duration, ignored.credits) == (added_up, added_up) if number != "09" else (9, 9)


@pytest.mark.parametrize(
    ("number", "path"),
    [
        ("04", "scenes[0].elements[1]"),
        ("05", "scenes[0].elements[0]"),
        ("11", "template"),
        ("14", "scenes[0].elements[1]"),
    ],
)
def test_a_length_that_only_the_service_knows_is_unknown_with_a_reason(number, path):
    plan = estimate(json.loads(next(VALID.glob(f"{number}-*.json")).read_text()))
    assert (plan.duration, plan.credits, plan.at_most) == (None, None, math.inf)
    assert [unknown.path for unknown in plan.unknown] == [path]


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (scene({**TEXT, "start": 1, "duration": 2, "extra-time": 0.5}), 3.5),
        (scene({**TEXT, "duration": 9}, duration=2), 2),
        (scene({**TEXT, "duration": 3}, {**VIDEO, "duration": -2}), 3),
        (scene(IMAGE, {**AUDIO, "duration": 4}), 4),
        (scene({**VIDEO, "duration": -1}, duration=2), 2),
        (scene({**TEXT, "duration": "2"}, duration="-1"), 2),
        (scene({**TEXT, "duration": 5, "condition": "{{ 1 > 2 }}"}, {**TEXT, "duration": 1}), 1),
        (scene({**TEXT, "duration": "{{ d * 2 }}"}, variables={"d": 3}), 6),
        (scene({**TEXT, "duration": 2, "condition": "{{ ds }}"}, {**TEXT, "duration": 3}), 3),
        (scene(TEXT), None),
        (scene(IMAGE), None),
        (scene(), None),
        (scene({**AUDIO, "duration": "auto"}), None),
        (scene({**TEXT, "duration": "auto"}, duration=2), 2),
        (scene({**TEXT, "duration": 3}, duration="auto"), 3),
        (scene({**TEXT, "duration": "{{ b }}"}, variables={"a": 3, "b": "{{ a * 2 }}"}), 6),
        (scene({**TEXT, "duration": "{{ b }}"}, variables={"b": "{{ a }}", "a": 3}), None),
    ],
)
def test_a_scene_has_its_own_duration_or_that_of_its_elements(given, seconds):
    assert length(given).duration == seconds


def test_a_movie_is_as_long_as_its_scenes_or_its_own_elements():
    assert length(scene(duration=3), elements=[{**TEXT, "duration": 5}, {**AUDIO, "duration": -2}]).duration == 5
    assert length(scene(duration=3), elements=[{**TEXT, "duration": 2}, {"type": "subtitles"}]).duration == 3
    assert length(scene(duration=3), elements=[AUDIO]).at_least == 3
    assert length(scene(duration=3), elements=[AUDIO]).duration is None


@pytest.mark.parametrize("place", ["scene before", "scene after", "movie"])
def test_a_transition_of_a_movie_with_subtitles_may_shorten_nothing_wherever_they_stand(place):
    subtitles = {"type": "subtitles"}
    scenes = [scene(duration=4), scene(duration=3, transition={"duration": 2}), scene(duration=1)]
    movie = {}
    if place == "movie":
        movie = {"elements": [subtitles]}
    else:
        scenes[0 if place == "scene before" else 2]["elements"].append(subtitles)
    plan = length(*scenes, **movie)
    assert (plan.duration, plan.at_most) == (None, 8)


def test_scenes_with_a_false_condition_are_skipped_with_their_transition():
    fade = {"transition": {"duration": 1}}
    plan = length(scene(duration=3), scene(duration=4, condition="", **fade), scene(duration=5, **fade))
    assert (plan.duration, [span.path for span in plan.scenes]) == (7, ["scenes[0]", "scenes[2]"])
    assert length(scene(duration=4, **fade)).duration == 4


def test_an_unknown_condition_results_in_bounds():
    plan = length(scene(duration=3), scene(duration=4, condition="{{ maybe }}", transition={"duration": 1}))
    assert (plan.duration, plan.at_least, plan.at_most) == (None, 3, 6)
    assert plan.unknown[0].path == "scenes[1].condition"


def test_iterated_scenes_are_repeated_with_the_item_in_scope():
    plan = length(
        scene(duration="{{ room.seconds }}", iterate="rooms", **{"iterate-as": "room"}),
        scene(duration="{{ item.seconds + seconds }}", iterate="rooms", condition="{{ seconds > 1 }}"),
        variables={"rooms": [{"seconds": 1}, {"seconds": 2}]},
    )
    assert plan.duration == 1 + 2 + 4
    assert [(span.path, span.item, span.start) for span in plan.scenes] == [
        ("scenes[0]", 0, 0), ("scenes[0]", 1, 1), ("scenes[1]", 1, 3)
    ]  # fmt: skip
    assert length(scene(duration=2), scene(duration=2, iterate="rooms"), variables={"rooms": "{{ r }}"}).at_least == 2


def test_an_imported_scene_adds_its_elements():
    first, second = scene({**TEXT, "duration": 4}, id="a"), scene({**TEXT, "duration": 1}, **{"import": "a"})
    assert length(first, second).duration == 8


def test_a_length_that_makes_no_difference_leaves_nothing_unknown():
    plan = length(scene(VIDEO, {**TEXT, "condition": "{{ a }}"}, duration=2))
    assert (plan.duration, plan.unknown) == (2, ())


def test_the_estimate_has_the_position_of_each_scene():
    plan = length(scene(duration=4), scene(duration=3, transition={"duration": 0.5}), scene(duration=1))
    assert [(span.start, span.duration) for span in plan.scenes] == [(0, 4), (3.5, 3), (6.5, 1)]


def test_seconds_are_rounded_up_and_cost_four_times_above_full_hd():
    large = {"resolution": "custom", "width": 3840, "height": 2160}
    assert length(scene(duration=2.1), resolution="full-hd").credits == 3
    assert length(scene(duration=2.1), **large).credits == 12
    assert length(scene(duration=2), resolution="instagram-story").credits == 2
    unsized = length(scene(duration=2), resolution="{{ size }}")
    assert (unsized.duration, unsized.credits, unsized.unknown[0].path) == (2, None, "resolution")


@pytest.mark.parametrize(
    ("element", "price"),
    [
        ({"type": "image", "prompt": "p", "model": "flux-pro"}, 20),
        ({"type": "image", "prompt": "p", "model": "nano-banana-pro"}, 80),
        ({"type": "image", "prompt": "p", "model": "flux-pro", "connection": "mine"}, 0),
        ({"type": "image", "prompt": "p", "model": "{{ m }}"}, None),
        ({"type": "image", "prompt": "p"}, None),
        ({"type": "image", "prompt": "p", "model": "brand-new"}, None),
        ({"type": "image", "prompt": "p", "model": "flux-pro", "condition": ""}, 0),
        ({"type": "image", "prompt": "p", "model": "flux-pro", "condition": "{{ a }}"}, None),
        ({"type": "video", "prompt": "p", "model": "wan-v2.5", "duration": 4.5}, 150),
        ({"type": "video", "prompt": "p", "model": "wan-v2.5"}, None),
        ({"type": "voice", "text": "x"}, 0),
        ({"type": "voice", "text": "x", "model": "elevenlabs"}, 0),
        ({"type": "voice", "text": "x", "model": "brand-new"}, None),
    ],
)
def test_generated_assets_cost_their_unit_price(element, price):
    plan = length(scene(element, duration=2))
    assert (plan.render_credits, plan.asset_credits) == (2, price)
    assert plan.credits == (None if price is None else 2 + price)
    assert bool(plan.unknown) == (price is None)


def test_an_asset_in_an_iterated_scene_is_generated_for_each_item_and_preloaded_ones_count():
    flux = {"type": "image", "prompt": "{{ item }}", "model": "flux-pro"}
    plan = length(
        scene(flux, duration=1, iterate="names"),
        variables={"names": ["a", "b", "c"]},
        preload=[{**flux, "prompt": "A {{ what }}"}],
    )
    assert plan.asset_credits == 80


def test_a_model_can_be_estimated():
    assert estimate(Movie(scenes=[Scene(elements=[TextElement(text="x", duration=2)])])).credits == 2


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"scenes": None},
        {"scenes": [None, 5]},
        {"scenes": "{{ s }}"},
        {"scenes": [{"elements": "{{ e }}"}]},
        {"scenes": [{"duration": "soon"}]},
        {"scenes": [{"duration": [1]}]},
        {"width": "x", "resolution": ["hd"], "scenes": []},
        {"scenes": [{"transition": 5, "duration": 2}, {"transition": "{{ t }}", "duration": 2}]},
        {"scenes": [{"elements": [{"type": ["x"]}], "iterate": 5}], "variables": 7},
    ],
)
def test_a_broken_document_is_estimated_without_an_exception(document):
    assert estimate(document).at_least >= 0


UNKNOWN = "{{ nobody_knows }}"
VALUES = [
    0, 1, -1, -2, 7.5, "", "auto", True, False, [], {}, "a", "d", "video", "voice", "image", "subtitles", "html",
    "new", "flux-pro", "wan-v2.5", "rows", "full-hd", "custom",
    [{"type": "video", "prompt": "p", "model": "wan-v2.5", "duration": 30}],
    {"type": "video", "prompt": "p", "model": "wan-v2.5", "duration": 30, "start": 5},
    {"type": "text", "text": "x", "duration": 90}, [{"type": "text", "text": "x", "duration": 90}],
    {"d": 90, "m": "flux-pro", "rows": [1, 2, 3]}, [{"d": 90}, {"d": 80}],
    {"duration": 60, "elements": [{"type": "image", "prompt": "p", "model": "flux-pro"}]},
    [{"duration": 60, "id": "a"}],
]  # fmt: skip
"""Values that an expression may have."""

FULL = {
    "resolution": "custom",
    "width": 1280,
    "height": 720,
    "variables": {"d": 4, "m": "flux-pro", "rows": [{"d": 2}, {"d": 3}], "double": "{{ d * 2 }}", "yes": True},
    "preload": [{"id": "p", "type": "image", "prompt": "p", "model": "flux-pro"}],
    "scenes": [
        {
            "id": "a",
            "duration": "{{ double }}",
            "elements": [
                {"type": "image", "prompt": "x", "model": "{{ m }}", "connection": "mine"},
                {"type": "voice", "text": "x", "model": "azure", "duration": 2},
            ],
        },
        {
            "transition": {"style": "fade", "duration": 0.5},
            "condition": "{{ yes }}",
            "variables": {"d": 5},
            "elements": [
                {"type": "text", "text": "x", "start": 1, "duration": "{{ d }}", "extra-time": 0.5},
                {"type": "video", "prompt": "p", "model": "wan-v2.5", "duration": 3, "condition": "{{ yes }}"},
                {"type": "html", "html": "x", "duration": -2, "variables": {"d": 1}},
            ],
        },
        {
            "iterate": "rows",
            "iterate-as": "row",
            "elements": [{"type": "text", "text": "x", "duration": "{{ d + row.d }}"}],
        },
        {"import": "a", "duration": 2, "elements": [{"type": "image", "src": "https://a.b/c.png"}]},
    ],
    "elements": [
        {"type": "audio", "src": "https://a.b/c.mp3", "start": 2, "duration": 9},
        {"type": "image", "src": "https://a.b/c.png", "duration": -2},
    ],
}


def places(node, path=()):
    if path:
        yield path
    for key, child in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from places(child, (*path, key))


def put(document, path, value):
    copy = json.loads(json.dumps(document))
    node = copy
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return copy


def added_properties(document):
    """Return the movie with one more property of a node, written as an expression."""
    movie = ("elements", "preload", "scenes", "template", "variables", "resolution", "width", "height")
    scene_ = ("duration", "condition", "iterate", "iterate-as", "import", "variables", "elements", "transition", "id")
    element = ("type", "duration", "start", "extra-time", "condition", "variables", "prompt", "model", "connection",
               "src")  # fmt: skip
    for path in [(), *places(document)]:
        node = document
        for step in path:
            node = node[step]
        names = movie if not path else scene_ if path[:1] == ("scenes",) and len(path) == 2 else ()
        if len(path) >= 2 and path[-2] in ("elements", "preload") and isinstance(path[-1], int):
            names = element
        for name in names:
            yield (*path, name)


@pytest.mark.parametrize("path", [None, *sorted(VALID.glob("*.json"))], ids=lambda path: path.stem if path else "full")
def test_an_expression_never_costs_more_than_its_upper_bound(path):
    """Replace or add any node as an expression that cannot be resolved, then replace the expression by any value.

    Whatever the service makes of it, the figures given before must have covered it: ``max_credits`` relies on them.
    """
    document = FULL if path is None else json.loads(path.read_text())
    more = added_properties(document) if path is None else ()
    for place in dict.fromkeys([*places(document), *more]):
        before = Price.of(put(document, place, UNKNOWN))
        for possible in [document, *(put(document, place, value) for value in VALUES if path is None)]:
            after = Price.of(possible)
            where = f"{place} as {json.dumps(possible)[:3000]}"
            assert before.at_least <= after.at_least, where
            assert before.at_most is None or (after.at_most is not None and after.at_most <= before.at_most), where
            assert before.credits is None or before.credits == after.credits, where
