"""The JSON Schema of movie files, for editors."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from airflow_json2video.movie import Movie

MOVIES = Path(__file__).parents[2] / "data" / "movies"
SCHEMA = Movie.model_json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
LATER = {"13-two-subtitles", "14-zero-length-movie", "22-s3-destination", "23-transition-longer-than-scene"}


def test_it_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", sorted((MOVIES / "valid").glob("*.json")), ids=lambda path: path.stem)
def test_a_valid_example_passes(path):
    VALIDATOR.validate(json.loads(path.read_text()))


@pytest.mark.parametrize("path", sorted((MOVIES / "invalid").glob("*.json"))[2:], ids=lambda path: path.stem)
def test_an_invalid_example_fails_unless_only_check_can_detect_it(path):
    assert VALIDATOR.is_valid(json.loads(path.read_text())) == (path.stem in LATER)


@pytest.mark.parametrize(
    "element",
    [
        {"duration": "{{ d }}", "z-index": "10", "width": "{{ w }}", "zoom": 40, "new-key": 1, "comment": None},
        {"settings": {"font-size": 12, "letter-spacing": 1}, "crop": "{{ c }}", "cache": "{{ b }}"},
    ],
)
def test_strings_expressions_unknown_keys_and_null_are_valid(element):
    VALIDATOR.validate({"scenes": [{"elements": [{"type": "text", "text": "x", **element}]}]})


@pytest.mark.parametrize("element", [{"z-index": "many"}, {"crop": 5}, {"cache": "yes"}, {"text": None}])
def test_values_of_the_wrong_type_are_invalid(element):
    assert not VALIDATOR.is_valid({"scenes": [{"elements": [{"type": "text", "text": "x", **element}]}]})


def test_it_has_the_keys_of_the_api_with_descriptions_without_deprecated_ones():
    assert {"client-data", "resolution"} <= set(SCHEMA["properties"])
    assert "draft" not in SCHEMA["properties"]
    for name, model in SCHEMA["$defs"].items():
        assert model.get("description"), name
        for key, described in model["properties"].items():
            assert "_" not in key
            assert described.get("description") or key == "type", f"{name}.{key}"
        assert not {"scale", "capture", "tailwind"} & set(model["properties"])
        assert model.get("additionalProperties", True) is True


def test_a_default_is_that_of_the_service_and_never_null():
    assert SCHEMA["properties"]["quality"]["default"] == "high"
    assert '"default": null' not in json.dumps(SCHEMA)


def test_open_sets_are_suggestions_and_closed_ones_are_not():
    transition = {"scenes": [{"transition": {"style": "brand-new"}}]}
    assert VALIDATOR.is_valid(transition)
    assert not VALIDATOR.is_valid({"scenes": [], "quality": "brand-new"})
