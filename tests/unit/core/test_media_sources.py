from __future__ import annotations

import time

import pytest

from airflow_json2video.core.media_sources import media_urls


def image(src):
    return {"type": "image", "src": src}


def movie(*elements, **more):
    return {"scenes": [{"elements": list(elements)}], **more}


def test_media_urls_are_returned_in_order_without_duplicates():
    document = {
        "elements": [{"type": "audio", "src": "https://a/music.mp3"}],
        "scenes": [
            {"elements": [image("https://a/1.png"), {"type": "video", "src": "https://a/2.mp4"}]},
            {"elements": [image("https://a/1.png")]},
        ],
    }
    assert media_urls(document) == ["https://a/music.mp3", "https://a/1.png", "https://a/2.mp4"]


def test_only_media_elements_are_included():
    others = [{"type": "html", "src": "https://a/page"}, {"type": "text", "text": "https://a/b.png"}, image(None)]
    assert media_urls(movie(*others, {"type": "image", "prompt": "a cat"})) == []


def test_elements_inside_elements_are_found():
    assert media_urls(movie({"type": "component", "elements": [image("https://a/1.png")]})) == ["https://a/1.png"]


def test_variables_of_the_document_are_resolved():
    document = movie(
        image("{{ logo }}"), image("https://a/{{ city }}.png"), variables={"logo": "https://a/logo.png", "city": "Bern"}
    )
    assert media_urls(document) == ["https://a/logo.png", "https://a/Bern.png"]


def test_variables_of_scene_and_element_override_those_of_the_movie():
    scene = {"variables": {"n": "2"}, "elements": [image("https://a/{{ n }}"), {**image("https://a/{{ n }}")}]}
    scene["elements"][1]["variables"] = {"n": "3"}
    assert media_urls({"variables": {"n": "1"}, "scenes": [scene]}) == ["https://a/2", "https://a/3"]


def test_a_repeated_scene_includes_the_files_of_each_repetition():
    rooms = [{"photo": "https://a/1.png"}, {"photo": "https://a/2.png"}]
    scenes = [
        {"iterate": "rooms", "elements": [image("{{ photo }}")]},
        {"iterate": "rooms", "iterate-as": "room", "elements": [image("{{ room.photo }}?large")]},
    ]
    expected = ["https://a/1.png", "https://a/2.png", "https://a/1.png?large", "https://a/2.png?large"]
    assert media_urls({"variables": {"rooms": rooms}, "scenes": scenes}) == expected


def test_a_url_that_only_the_service_knows_is_omitted():
    assert media_urls(movie(image("{{ unknown }}"), image("https://a/1.png"))) == ["https://a/1.png"]
    assert media_urls({"template": "abc123def456ghi789jk", "variables": {"logo": "https://a/logo.png"}}) == []


def test_a_document_of_any_shape_is_read_without_an_error():
    for odd in ({}, {"scenes": "x"}, {"scenes": [1, None]}, {"scenes": [{"elements": {"a": 1}}]}, movie(image(7))):
        assert media_urls(odd) == []


def test_an_endlessly_repeating_movie_is_read_quickly():
    items = [{"n": str(n)} for n in range(200_000)]
    scenes = [{"iterate": "items", "elements": [image("https://a/{{ n }}"), image("{{ nothing }}")]}] * 50
    started = time.process_time()
    assert len(media_urls({"variables": {"items": items}, "scenes": scenes})) == 200
    unknown = [{"iterate": "items", "elements": [image("{{ nothing }}")]}] * 50
    assert media_urls({"variables": {"items": items}, "scenes": unknown}) == []
    assert time.process_time() - started < 5


def test_nested_elements_are_read_to_a_limited_depth():
    element = image("https://a/deep.png")
    for _ in range(500):
        element = {"type": "component", "elements": [element]}
    assert media_urls(movie(element, image("https://a/1.png"))) == ["https://a/1.png"]


@pytest.mark.parametrize("junk", [["image"], {"a": 1}, None, 7, True, "image", [[]]], ids=repr)
@pytest.mark.parametrize("name", ["type", "src", "variables", "elements", "iterate", "iterate-as"])
def test_an_invalid_value_does_not_affect_the_other_urls(name, junk):
    good = {"type": "image", "src": "https://cdn.example.com/a.png"}
    document = {"scenes": [{"elements": [{**good, name: junk}]}, {**good, name: junk}, {"elements": [good]}]}
    assert media_urls(document)[-1] == "https://cdn.example.com/a.png"
