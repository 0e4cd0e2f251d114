"""The findings about a movie before it is billed."""

import json
from pathlib import Path

import pytest

from airflow_json2video.exceptions import InvalidMovie
from airflow_json2video.movie import Movie, Scene, Severity, TextElement, check, load_document, require_valid
from airflow_json2video.movie.findings import excerpt

MOVIES = Path(__file__).parents[2] / "data" / "movies"
VALID = sorted((MOVIES / "valid").glob("*.json"))
E, W = Severity.ERROR, Severity.WARNING
FIRST = "scenes[0].elements[0]"
DESTINATION = "exports[0].destinations[0]"
TEXT = {"type": "text", "text": "x", "duration": 2}
IMAGE = {"type": "image", "src": "https://media.example.com/a.png", "duration": 2}


def found(document):
    return [(finding.severity, finding.code, finding.path) for finding in check(document)]


def scene(*elements, **properties):
    return {"resolution": "hd", "scenes": [{"elements": list(elements), **properties}]}


def exported(destination):
    return {**scene(TEXT), "exports": [{"destinations": [destination]}]}


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_example_has_no_findings_except_about_passwords(path):
    codes = {code for _, code, _ in found(json.loads(path.read_text()))}
    assert codes == ({"inline-credentials"} if path.stem.startswith("13") else set())


INVALID = {
    "05-no-scenes-no-template": [(E, "scenes-or-template", "")],
    "06-video-without-src": [(E, "missing-source", f"{FIRST}.src")],
    "07-unknown-element-type": [(E, "removed-type", f"{FIRST}.type")],
    "08-element-without-type": [(E, "missing-type", f"{FIRST}.type")],
    "09-bad-resolution": [(E, "unknown-value", "resolution")],
    "10-frame-too-large": [(E, "out-of-range", "width"), (E, "out-of-range", "height")],
    "11-z-index-out-of-range": [(E, "out-of-range", f"{FIRST}.z-index")],
    "12-negative-duration": [(E, "out-of-range", f"{FIRST}.duration")],
    "13-two-subtitles": [(E, "two-subtitles", "elements[1]")],
    "14-zero-length-movie": [(W, "zero-length", "scenes")],
    "15-webhook-without-endpoint": [
        (E, "missing-property", f"{DESTINATION}.endpoint"),
        (E, "misspelled-key", f"{DESTINATION}.url"),
    ],
    "16-top-level-webhook": [(E, "misspelled-key", "webhook")],
    "17-client-data-underscore": [(E, "misspelled-key", "client_data")],
    "18-both-image-sources": [(E, "two-sources", f"{FIRST}.prompt")],
    "19-bad-chroma-key": [
        (E, "missing-property", f"{FIRST}.chroma-key.color"),
        (E, "out-of-range", f"{FIRST}.chroma-key.tolerance"),
    ],
    "20-email-incomplete": [
        (E, "missing-property", f"{DESTINATION}.subject"),
        (E, "missing-property", f"{DESTINATION}.message"),
    ],
    "21-crop-without-size": [
        (E, "missing-property", f"{FIRST}.crop.width"),
        (E, "missing-property", f"{FIRST}.crop.height"),
    ],
    "22-s3-destination": [(W, "unknown-type", f"{DESTINATION}.type")],
    "23-transition-longer-than-scene": [(E, "long-transition", "scenes[1].transition.duration")],
}


@pytest.mark.parametrize(("name", "expected"), INVALID.items(), ids=INVALID)
def test_an_invalid_example_has_the_expected_findings_only(name, expected):
    document = load_document((MOVIES / "invalid" / f"{name}.json").read_bytes(), source=name)
    assert found(document) == expected
    if any(severity is E for severity, _, _ in expected):
        with pytest.raises(InvalidMovie) as caught:
            require_valid(document, source=name)
        message = str(caught.value)
        assert name in message
        assert all(path in message for _, _, path in expected)
        assert [(f.severity, f.code, f.path) for f in caught.value.findings] == expected
    else:
        assert [(f.severity, f.code, f.path) for f in require_valid(document)] == expected


def test_every_invalid_example_has_expected_findings():
    not_loadable = {"01-not-json", "02-empty-body", "03-null-body", "04-array-root"}
    assert {path.stem for path in (MOVIES / "invalid").iterdir()} == {*INVALID, *not_loadable}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        # values
        (scene({**TEXT, "duration": "soon"}), (E, "wrong-type", f"{FIRST}.duration")),
        (scene({**TEXT, "z-index": "500"}), (E, "out-of-range", f"{FIRST}.z-index")),
        (scene({**TEXT, "z-index": 1.5}), (W, "not-whole", f"{FIRST}.z-index")),
        (scene({**TEXT, "zoom": 50}), (W, "out-of-range", f"{FIRST}.zoom")),
        (scene({**TEXT, "duration": [1]}), (E, "wrong-type", f"{FIRST}.duration")),
        (scene({**TEXT, "text": 5}), (W, "wrong-type", f"{FIRST}.text")),
        (scene({**TEXT, "text": None}), (E, "wrong-type", f"{FIRST}.text")),
        (scene({**TEXT, "cache": "yes"}), (E, "wrong-type", f"{FIRST}.cache")),
        (scene({**TEXT, "cache": 1}), (W, "wrong-type", f"{FIRST}.cache")),
        (scene({**TEXT, "position": "top"}), (W, "unknown-value", f"{FIRST}.position")),
        (scene({**TEXT, "crop": []}), (E, "missing-property", f"{FIRST}.crop.width")),
        (scene({**TEXT, "crop": [1]}), (E, "wrong-type", f"{FIRST}.crop")),
        (scene({**TEXT, "variables": [1]}), (E, "wrong-type", f"{FIRST}.variables")),
        (scene({"type": "text", "duration": 2}), (E, "missing-property", f"{FIRST}.text")),
        (scene({**IMAGE, "src": "a.png"}), (W, "not-a-url", f"{FIRST}.src")),
        (scene(5, TEXT), (E, "wrong-type", FIRST)),
        (scene(TEXT, **{"background-color": "bluish"}), (W, "unknown-value", "scenes[0].background-color")),
        (scene(TEXT, duration=-2), (E, "out-of-range", "scenes[0].duration")),
        (scene(TEXT, duration=0), (W, "out-of-range", "scenes[0].duration")),
        ({"scenes": {}}, (E, "wrong-type", "scenes")),
        ({"scenes": [None]}, (E, "wrong-type", "scenes[0]")),
        ({**scene(TEXT), "width": 9000}, (W, "out-of-range", "width")),
        ({**scene(TEXT), "fps": 240}, (W, "out-of-range", "fps")),
        ({**scene(TEXT), "quality": "ultra"}, (W, "unknown-value", "quality")),
        # keys
        (scene({**TEXT, "fade_in": 1}), (E, "misspelled-key", f"{FIRST}.fade_in")),
        (scene({**TEXT, "fadeIn": 1}), (W, "misspelled-key", f"{FIRST}.fadeIn")),
        (scene({**TEXT, "positon": "custom"}), (W, "unknown-key", f"{FIRST}.positon")),
        (scene({**TEXT, "scale": {"width": 3}}), (W, "deprecated", f"{FIRST}.scale")),
        (scene({**TEXT, "settings": {"font_size": 3}}), (W, "misspelled-key", f"{FIRST}.settings.font_size")),
        (scene(TEXT, background_color="#000000"), (E, "misspelled-key", "scenes[0].background_color")),
        ({**scene(TEXT), "draft": True}, (W, "deprecated", "draft")),
        (scene({"type": "html", "html": "x", "tailwind": True, "duration": 2}), (W, "deprecated", f"{FIRST}.tailwind")),
        # sources
        (scene({**IMAGE, "src": "  "}), (E, "missing-source", f"{FIRST}.src")),
        (scene({**IMAGE, "src": None, "prompt": "a bee"}), (W, "missing-model", f"{FIRST}.model")),
        (scene({"type": "html", "duration": 2}), (E, "missing-source", f"{FIRST}.html")),
        (scene({"type": "audio", "duration": 2}), (E, "missing-property", f"{FIRST}.src")),
        (scene({"type": "audio", "src": "", "duration": 2}), (E, "missing-source", f"{FIRST}.src")),
        ({**scene({"type": "image", "duration": 2}), "preload": [{"id": "a"}]}, (W, "missing-source", f"{FIRST}.src")),
        # types
        (scene({**TEXT, "type": "lottie"}), (W, "unknown-type", f"{FIRST}.type")),
        (scene({**TEXT, "type": "txet"}), (E, "unknown-type", f"{FIRST}.type")),
        (scene({**TEXT, "type": "Image"}), (E, "unknown-type", f"{FIRST}.type")),
        (scene({**TEXT, "zoom": 1.5}), (E, "not-whole", f"{FIRST}.zoom")),
        (scene({**IMAGE, "keyframes": [{"easeing": 1}]}), (W, "unknown-key", f"{FIRST}.keyframes[0].easeing")),
        (scene({**IMAGE, "keyframes": ["x"]}), (E, "wrong-type", f"{FIRST}.keyframes[0]")),
        (scene({**TEXT, "type": 5}), (E, "wrong-type", f"{FIRST}.type")),
        # subtitles
        (scene(TEXT, {"type": "subtitles"}), (W, "subtitles-in-scene", "scenes[0].elements[1]")),
        (
            {**scene(TEXT), "elements": [{"type": "subtitles", "condition": "{{ a }}"}, {"type": "subtitles"}]},
            (W, "two-subtitles", "elements[1]"),
        ),
        # variables, iteration, import
        ({**scene(TEXT, iterate="rooms"), "variables": {"room": []}}, (W, "unknown-variable", "scenes[0].iterate")),
        ({**scene(TEXT, iterate="rooms"), "variables": {"rooms": 5}}, (E, "not-an-array", "scenes[0].iterate")),
        (scene(TEXT, **{"import": "nowhere"}), (W, "unknown-scene", "scenes[0].import")),
        ({**scene(TEXT), "variables": {"my-name": 1}}, (W, "variable-name", "variables.my-name")),
        # frame
        ({"width": 100, "scenes": [{"duration": 2}]}, (W, "incomplete-frame-size", "width")),
        ({**scene(TEXT), "width": 100, "height": 100}, (W, "unused-size", "width")),
        # timing
        (scene({**IMAGE, "duration": 0.4}), (W, "zero-length", "scenes")),
        (scene({"type": "text", "text": "x"}), (W, "zero-length", "scenes")),
        ({"scenes": []}, (W, "zero-length", "scenes")),
        (
            {"scenes": [{"duration": 2}, {"duration": "5", "transition": {"duration": "2"}}]},
            (W, "long-transition", "scenes[1].transition.duration"),
        ),
        (
            scene(TEXT, {"type": "audio", "src": "https://a.b", "loop": -1}),
            (W, "endless-loop", "scenes[0].elements[1].duration"),
        ),
        # exports
        (exported({"type": "webhook", "endpoint": "http://a.b"}), (W, "insecure-endpoint", f"{DESTINATION}.endpoint")),
        (exported({"type": "webhook", "endpoint": "a.b/c"}), (E, "not-a-url", f"{DESTINATION}.endpoint")),
        (exported({"endpoint": "https://a.b"}), (E, "missing-type", f"{DESTINATION}.type")),
        (exported({"id": "mine", "type": "ftp"}), (W, "type-with-id", f"{DESTINATION}.type")),
        (exported({"id": "mine", "password": "p"}), (W, "inline-credentials", f"{DESTINATION}.password")),
        ({**scene(TEXT), "exports": [{}]}, (W, "missing-property", "exports[0].destinations")),
        (
            {**scene(TEXT), "exports": [{"destinations": [{"id": "a"}]}, {"destinations": [{"id": "b"}]}]},
            (W, "several-exports", "exports[1]"),
        ),
        # templates
        ({"template": "short", "variables": {}}, (E, "template-id", "template")),
        ({"template": "abc123def456ghi789jk", "scenes": [{}]}, (W, "ignored-with-template", "scenes")),
        ({"template": "abc123def456ghi789jk", "client_data": {}}, (E, "misspelled-key", "client_data")),
        ({"template": "abc123def456ghi789jk", "variables": "x"}, (E, "wrong-type", "variables")),
    ],
)
def test_a_rule_finds_its_case(document, expected):
    assert expected in found(document)
    assert all(finding.message for finding in check(document))


@pytest.mark.parametrize(
    "document",
    [
        scene({**TEXT, "duration": "{{ d }}", "z-index": "{{ z }}", "text": "{{ t }}"}),
        scene({**IMAGE, "src": "{{ source }}"}),
        scene({**TEXT, "x-new": 1, "glow": {"a": 1}}),
        {"template": "{{ params.template }}", "variables": "{{ params.variables }}"},
        {"scenes": "{{ ti.xcom_pull('build') }}", "variables": "{{ v }}", "exports": "{{ e }}"},
        {**scene(TEXT, iterate="rooms"), "variables": {"rooms": "{{ rooms }}"}},
        {**scene(TEXT, iterate="{{ which }}"), "variables": {}},
        {**scene(TEXT), "resolution": "{{ size }}", "width": 100},
        scene({"type": "voice", "text": "x"}),
        {"scenes": [{"duration": 1, "condition": "{{ a }}"}, {"duration": 5, "transition": {"duration": "{{ t }}"}}]},
        exported({"type": "webhook", "endpoint": "{{ var.value.hook }}"}),
        exported({"id": "my-sftp"}),
        {"scenes": [{"duration": 3, "transition": {"style": "newstyle", "duration": 1}}]},
    ],
)
def test_a_possibly_valid_value_is_not_a_finding(document):
    assert found(document) == []


def test_errors_are_listed_before_warnings_without_duplicates():
    document = {**scene({**TEXT, "z-index": 500, "zoom": 99}), "draft": True, "client_data": 1}
    severities = [finding.severity for finding in check(document)]
    assert severities == [E, E, W, W]


def test_an_invalid_movie_lists_its_findings_like_the_command_line():
    with pytest.raises(InvalidMovie) as caught:
        require_valid({**scene({**TEXT, "z-index": 500}), "draft": True, "client_data": 1}, source="movie.json")
    lines = str(caught.value).splitlines()
    assert lines[0] == "movie.json is not valid (2 errors, 1 warning):"
    assert [line.split(":")[:2] for line in lines[1:4]] == [
        ["  error", f" {FIRST}.z-index"],
        ["  error", " client_data"],
        ["  warning", " draft"],
    ]
    assert caught.value.path == f"{FIRST}.z-index"


def test_a_misspelled_key_is_listed_with_the_missing_one():
    with pytest.raises(InvalidMovie, match="did you mean 'text'") as caught:
        require_valid(scene({"type": "text", "txt": "x", "duration": 2}))
    assert "text: is required" in str(caught.value)


def test_an_error_lists_a_limited_number_of_warnings():
    elements = [{**TEXT, "settings": {"font_size": 3}}] * 500
    with pytest.raises(InvalidMovie) as caught:
        require_valid(scene(*elements, {"type": "text", "duration": 2}))
    lines = str(caught.value).splitlines()
    assert lines[0] == "The movie is not valid (1 error, 500 warnings):"
    assert (len(lines), lines[-2].strip()) == (24, "... and 480 more warnings")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("scenes[0].elements[1].zoom", "scenes[0].elements[1].zoom is 1.5"),
        ("scenes[0].elements[0].text", 'scenes[0].elements[0] is {"type": "text"}'),
        ("scenes[0]", 'scenes[0] is {"elements": [{"type": "text"}, {"type": "image", "zoom": 1.5}]}'),
        ("scenes[1]", None),
        ("scenes[0].elements[7].text", None),
        ("elements[0]", None),
        ("", None),
    ],
)
def test_an_excerpt_shows_the_value_at_a_path(path, expected):
    document = {"scenes": [{"elements": [{"type": "text"}, {"type": "image", "zoom": 1.5}]}]}
    assert excerpt(document, path) == expected


@pytest.mark.parametrize(
    "document",
    [
        {"scenes": [{"iterate": "rows"}, {"id": "b"}]},
        {"scenes": [{"condition": ""}, {"id": "b"}]},
        {"scenes": "{{ s }}"},
        {"template": "abc123def456ghi789jk"},
        None,
    ],
)
def test_an_excerpt_is_none_if_the_services_indexes_may_differ(document):
    assert excerpt(document, "scenes[1]") is None


def test_a_password_is_not_in_a_finding():
    findings = check(exported({"type": "ftp", "host": "h", "port": "x", "username": "u", "password": {"s3cret": 1}}))
    assert len(findings) == 3
    assert "s3cret" not in " ".join(map(str, findings))


@pytest.mark.parametrize("root", [None, [], "x", 5])
def test_a_document_that_is_not_an_object_is_one_finding(root):
    assert found(root) == [(E, "not-an-object", "")]


def test_a_model_can_be_checked():
    movie = Movie(scenes=[Scene(elements=[TextElement(text="x")])])
    assert found(movie) == [(W, "zero-length", "scenes")]


@pytest.mark.parametrize(
    "document",
    [
        scene({"type": "video", "src": "https://a.b/c.mp4", "duration": "auto"}, duration="auto"),
        scene(TEXT, {**IMAGE, "src": "", "condition": ""}),
        scene(TEXT, {"type": "video", "src": "", "width": 3, "condition": False}),
        {"scenes": [{"duration": 2}, {"condition": "", "elements": [{"type": "html", "html": ""}]}]},
        scene({"type": "image", "src": "{{ src }}", "prompt": "{{ prompt }}", "duration": 2}),
        {
            "scenes": [
                {"elements": [{"type": "text", "text": "no length of its own"}]},
                {"duration": 3, "transition": {"duration": 0.5}},
            ]
        },
        scene(TEXT, **{"background-color": "RebeccaPurple"}),
        {**scene(TEXT), "variables": {"size": 1, "@size": "0.1=Very low|1=Regular", "?size": "How large"}},
        {**scene({**TEXT, "settings": [], "variables": []}), "variables": [], "client-data": []},
        scene({**IMAGE, "keyframes": [{"time": 0, "x": 1.5, "y": 2, "zoom": 1.2, "easing": "easeOutBack"}]}),
        scene({"type": "html", "html": "x", "duration": 2, "keyframes": "{{ frames }}"}),
        scene({"type": "voice", "text": "<super-slow>Hello</super-slow>"}),
        scene({**TEXT, "style": "011"}, {"type": "component", "component": "advanced/000", "settings": {}}),
    ],
    ids=str,
)
def test_a_document_that_the_service_renders_has_no_findings(document):
    assert found(document) == []


def test_an_error_in_a_skipped_element_is_a_warning():
    document = scene(TEXT, {**IMAGE, "width": "", "condition": ""})
    assert found(document) == [(W, "wrong-type", "scenes[0].elements[1].width")]


def test_a_missing_source_with_a_condition_is_a_warning():
    missing = {"type": "image", "src": "", "condition": "{{ show }}"}
    assert found(scene(TEXT, missing)) == [(W, "missing-source", "scenes[0].elements[1].src")]


def test_an_empty_array_in_place_of_an_object_is_preserved():
    document = {**scene({**TEXT, "settings": [], "variables": []}), "client-data": []}
    assert Movie.from_document(document).to_document() == document
