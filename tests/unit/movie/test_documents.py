"""A document that is read and written again is the same document."""

import json
from functools import partial
from pathlib import Path

import pytest

from airflow_json2video.exceptions import InvalidMovie
from airflow_json2video.movie import (
    Crop,
    DestinationReference,
    Movie,
    Scene,
    TextElement,
    UnknownElement,
    WebhookDestination,
)
from airflow_json2video.movie.base import json_keys
from airflow_json2video.movie.elements import ELEMENT_TYPES
from airflow_json2video.movie.exports import DESTINATION_TYPES

MOVIES = Path(__file__).parents[2] / "data" / "movies"
VALID = sorted((MOVIES / "valid").glob("*.json"))

# Every property of the API reference, with a literal of its type.
BASE = {
    "id": "e1",
    "comment": "note",
    "condition": "{{ a > 1 }}",
    "variables": {"a": [1, {"b": None}]},
    "start": 1.5,
    "duration": 4,
    "extra-time": 0.5,
    "z-index": -99,
    "cache": False,
    "fade-in": 0.25,
    "fade-out": 1,
    "save-to-media": True,
}
VISUAL = {
    "position": "bottom-right",
    "x": -60,
    "y": 60,
    "width": 400,
    "height": -1,
    "resize": "contain",
    "crop": {"width": 10, "height": 20, "x": 1, "y": 2},
    "rotate": {"angle": -360, "speed": 2.5},
    "pan": "top-left",
    "pan-distance": 0.5,
    "pan-crop": False,
    "zoom": -10,
    "chroma-key": {"color": "#00b140", "tolerance": 100},
    "correction": {"brightness": -1, "contrast": 1000, "gamma": 0.1, "saturation": 3},
    "flip-horizontal": True,
    "flip-vertical": False,
    "mask": "https://media.example.com/mask.png",
    "scale": {"width": -1, "height": 100},
}
SOUND = {"muted": True, "volume": 0.4}
PLAYED = {"seek": -3, "loop": -1}
GENERATED = {
    "prompt": "a bee",
    "model": "flux-schnell",
    "aspect-ratio": "squared",
    "model-settings": {"seed": 7},
    "connection": "mine",
}
SRC = {"src": "https://media.example.com/a"}
TEXT_SETTINGS = {
    "font-family": "Lato",
    "font-size": "9vw",
    "font-weight": 700,
    "font-color": "red",
    "color": "#fff",
    "background-color": "rgba(0,0,0,.5)",
    "text-align": "left",
    "line-height": 1.2,
    "text-shadow": "0 0 2px #000",
    "shadow": 2,
    "padding": "4px",
    "vertical-position": "top",
    "horizontal-position": "center",
    "vertical-align": "bottom",
    "letter-spacing": "2px",
}
SUBTITLES_SETTINGS = {
    "style": "boxed-word",
    "all-caps": True,
    "font-family": "Roboto",
    "font-url": "https://fonts.example.com/a.ttf",
    "font-weight": "900",
    "font-size": 90,
    "font-color": "#ffffff",
    "word-color": "#FFFF00",
    "line-color": "#FFFFFF",
    "box-color": "#000000",
    "outline-color": "#000000",
    "outline-width": 4,
    "shadow-color": "#000000",
    "shadow-offset": 2,
    "max-words-per-line": 1,
    "position": "mid-top-center",
    "x": 10,
    "y": 20,
    "keywords": ["bees"],
    "replace": {"bee's": "bees"},
}
ELEMENTS = {
    "image": {**SRC, **BASE, **VISUAL, **GENERATED},
    "video": {**SRC, **BASE, **VISUAL, **SOUND, **PLAYED, **GENERATED},
    "text": {"text": "Hi", "style": "005", "settings": TEXT_SETTINGS, **BASE, **VISUAL},
    "html": {"html": "<b>", **SRC, "tailwindcss": True, "tailwind": True, "dpi": 2, "wait": 1.5, **BASE, **VISUAL,
             "capture": {"width": 640, "height": 360, "duration": 0}},
    "component": {"component": "basic/050", "settings": {"card": {"x": ["a"]}}, **BASE, **VISUAL},
    "audio": {**SRC, **BASE, **SOUND, **PLAYED},
    "voice": {"text": "Hi", "voice": "Daniel", "model": "azure", "connection": "c", "model-settings": {"a": {}},
              **BASE, **SOUND},
    "audiogram": {"color": "#2ea4ff", "opacity": 1, "amplitude": 10, **SOUND, **BASE, **VISUAL},
    "subtitles": {"captions": "1\n00:00", "language": "hi-Latn", "model": "whisper", "settings": SUBTITLES_SETTINGS,
                  **BASE},
}  # fmt: skip
MOVIE = {
    "scenes": [],
    "elements": [],
    "template": "abc123def456ghi789jk",
    "variables": {"a": None},
    "resolution": "custom",
    "width": 50,
    "height": 3840,
    "quality": "low",
    "fps": 120,
    "cache": False,
    "client-data": {"k": [1, 1.0, None]},
    "id": "m",
    "comment": "c",
    "exports": [],
    "preload": [{"id": "p", "type": "voice", "model": "azure", "prompt": "p", "voice": "v", "text": "t", **SRC,
                 "save-to-media": True}],
    "draft": True,
    "settings": {"x": 1},
}  # fmt: skip
SCENE = {
    "id": "s",
    "elements": [],
    "duration": 2,
    "background-color": "transparent",
    "transition": {"style": "fade", "duration": 0.5, "type": "xfade"},
    "condition": "",
    "variables": {},
    "iterate": "rooms",
    "iterate-as": "room",
    "import": "other",
    "cache": True,
    "comment": "c",
}
DESTINATIONS = {
    "webhook": {"endpoint": "https://hooks.example.com/x", "content-type": "application/json"},
    "ftp": {"host": "h", "port": 21, "username": "u", "password": "p", "remote-path": "./", "file": "f"},
    "sftp": {"host": "h", "port": 22, "username": "u", "password": "p", "remote-path": "./", "file": "f"},
    "email": {"to": "a@example.com", "subject": "s", "message": "m"},
}


def same(document):
    assert json.dumps(Movie.from_document(document).to_document()) == json.dumps(document)


def in_scene(element):
    return {"scenes": [{"elements": [element]}]}


def as_part(kind, part, value):
    return in_scene({"type": kind, **REQUIRED.get(kind, {}), part: value})


def exported(destination):
    return {"scenes": [], "exports": [{"destinations": [destination]}]}


def every_property():
    """Yield (path, wrap, name, literal) for each property; wrap puts an object into its place in a movie."""
    yield from (("movie", lambda o: o, name, value, {}) for name, value in MOVIE.items())
    yield from (("scene", lambda o: {"scenes": [o]}, name, value, {}) for name, value in SCENE.items())
    for name, value in SCENE["transition"].items():
        yield "transition", lambda o: {"scenes": [{"transition": o}]}, name, value, {}
    for kind, properties in ELEMENTS.items():
        for name, value in properties.items():
            yield kind, in_scene, name, value, {"type": kind}
        for part in ("crop", "rotate", "chroma-key", "correction", "settings"):
            if kind == "component" or part not in properties:
                continue
            for name, value in properties[part].items():
                yield f"{kind}.{part}", partial(as_part, kind, part), name, value, {}
    for kind, properties in DESTINATIONS.items():
        for name, value in properties.items():
            yield kind, exported, name, value, {"type": kind}
            yield f"{kind} by id", exported, name, value, {"id": "connection"}
    for name, value in MOVIE["preload"][0].items():
        yield "preload", lambda o: {"scenes": [], "preload": [o]}, name, value, {}


REQUIRED = {
    "text": {"text": "Hi"},
    "component": {"component": "a/1"},
    "audio": SRC,
    "voice": {"text": "Hi"},
    **DESTINATIONS,
    **{f"{kind}.crop": {"width": 1, "height": 1} for kind in ELEMENTS},
    **{f"{kind}.rotate": {"angle": 1} for kind in ELEMENTS},
    **{f"{kind}.chroma-key": {"color": "#000000"} for kind in ELEMENTS},
}
PROPERTIES = list(every_property())
IDS = [f"{place}/{name}" for place, _, name, _, _ in PROPERTIES]


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_an_example_is_reproduced_byte_for_byte(path):
    same(json.loads(path.read_text()))


def test_all_eighteen_examples_are_here():
    assert len(VALID) == 18


@pytest.mark.parametrize(("place", "wrap", "name", "literal", "tag"), PROPERTIES, ids=IDS)
def test_every_property_accepts_and_preserves_a_literal_a_string_and_an_expression(place, wrap, name, literal, tag):
    required = REQUIRED.get(place, {})
    forms = [literal, "{{ value }}"]
    if isinstance(literal, (int, float)) and not isinstance(literal, bool):
        forms += [str(literal), f" {literal} ", "{{ a + 1 }}", "{{a}}{{b}}", "{% if ds %}4{% endif %}"]
    for form in forms:
        if tag.get("type") == place and name == "type":
            continue
        same(wrap({**tag, **{k: v for k, v in required.items() if k != name}, name: form}))
        same(wrap({name: form, **{k: v for k, v in required.items() if k != name}, **tag}))
    if name not in required:
        same(wrap({**tag, **required, name: None}))


def test_every_property_of_the_reference_is_a_property_of_the_models_or_known_as_deprecated():
    for kind, properties in ELEMENTS.items():
        model = ELEMENT_TYPES[kind]
        assert set(properties) <= {*json_keys(model), *model.legacy}
    for kind, properties in DESTINATIONS.items():
        assert set(properties) <= set(json_keys(DESTINATION_TYPES[kind]))
        assert set(properties) <= set(json_keys(DestinationReference))
    assert set(MOVIE) <= {*json_keys(Movie), *Movie.legacy}
    assert set(SCENE) == set(json_keys(Scene))


def test_unknown_keys_are_preserved_in_their_place_at_every_level():
    same(
        {
            "new-1": {"deep": [1]},
            "scenes": [
                {
                    "new_2": None,
                    "transition": {"easing": "in", "duration": 1},
                    "elements": [
                        {
                            "glow": 3,
                            "type": "image",
                            "src": "https://a.example",
                            "crop": {"unit": "%", "width": 1, "height": 2},
                        },
                        {"type": "text", "later": True, "text": "x", "settings": {"kerning": 1, "color": "red"}},
                    ],
                }
            ],
            "exports": [
                {"when": "done", "destinations": [{"type": "webhook", "retries": 2, "endpoint": "https://a.b"}]}
            ],
            "preload": [{"ttl": 3}],
            "client_data": {"not": "client-data"},
        }
    )


def test_elements_and_destinations_of_unknown_types_are_preserved():
    document = in_scene({"a": 1, "type": "lottie", "src": {"any": "thing"}, "duration": "2"})
    movie = Movie.from_document(document)
    assert isinstance(movie.scenes[0].elements[0], UnknownElement)
    same(document)
    for odd in (
        {"type": "template", "template": "basic/001"},
        {"type": "{{ kind }}"},
        {"text": "no type"},
        {"type": 5},
    ):
        same(in_scene(odd))
    for odd in ({"type": "s3", "bucket": "b"}, {"bucket": "b"}, {"id": "x", "type": "ftp"}):
        same({"scenes": [], "exports": [{"destinations": [odd]}]})


def test_whole_parts_may_be_expressions():
    same({"scenes": "{{ params.scenes }}", "elements": "{{ x }}", "exports": "{{ y }}", "variables": "{{ z }}"})
    same({"scenes": [{"elements": "{{ e }}", "transition": "{{ t }}"}]})


def test_an_underscored_key_of_a_document_is_not_the_property():
    movie = Movie.from_document({"scenes": [], "client_data": {"k": 1}})
    assert movie.client_data is None
    assert movie.unknown_keys == {"client_data": {"k": 1}}


def test_the_type_of_a_number_is_preserved():
    element = (
        Movie.from_document(in_scene({"type": "text", "text": "x", "duration": 1.0, "start": 1})).scenes[0].elements[0]
    )
    assert type(element.duration) is float
    assert type(element.start) is int


def test_a_model_does_not_share_objects_with_its_document():
    document = {"scenes": [], "variables": {"a": [1]}, "new": {"b": [1]}}
    written = Movie.from_document(document).to_document()
    written["variables"]["a"].append(2)
    written["new"]["b"].append(2)
    assert document == {"scenes": [], "variables": {"a": [1]}, "new": {"b": [1]}}


def test_a_certainly_wrong_value_is_rejected_with_its_path():
    with pytest.raises(
        InvalidMovie, match=r"scenes\[0\]\.elements\[0\]\.z-index: is 500; write a whole number"
    ) as caught:
        Movie.from_document(in_scene({"type": "text", "text": "x", "z-index": 500}))
    assert [finding.path for finding in caught.value.findings] == ["scenes[0].elements[0].z-index"]


def test_a_part_can_be_read_alone_and_with_model_validate():
    assert Crop.from_document({"height": 1, "width": "2"}).to_document() == {"height": 1, "width": "2"}
    text = json.dumps(in_scene({"type": "text", "text": "x", "z-index": "{{ z }}", "new_key": 1}))
    movie = Movie.model_validate_json(text)
    assert json.dumps(movie.to_document()) == text
    assert json.loads(movie.model_dump_json()) == movie.model_dump() == json.loads(text)


def test_a_changed_document_preserves_its_order():
    scene = Scene.from_document({"new": 1, "duration": 2, "elements": []})
    scene.duration = "{{ d }}"
    scene.background_color = "#000000"
    scene.elements.append(TextElement(text="x"))
    scene.unknown_keys["later"] = 2
    assert list(scene.to_document().items()) == [
        ("new", 1),
        ("duration", "{{ d }}"),
        ("elements", [{"type": "text", "text": "x"}]),
        ("background-color", "#000000"),
        ("later", 2),
    ]


def test_models_of_equal_documents_are_equal():
    one, other = ({"endpoint": "https://a.b", "type": "webhook"}, {"type": "webhook", "endpoint": "https://a.b"})
    assert WebhookDestination.from_document(one) == WebhookDestination.from_document(other)
    assert WebhookDestination.from_document(one) != DestinationReference(id="x")
