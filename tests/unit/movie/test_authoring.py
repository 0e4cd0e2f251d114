"""Movies that are written in Python."""

import copy
import inspect
import pickle

import pytest
from pydantic import ValidationError

from airflow_json2video.movie import (
    ComponentElement,
    Export,
    FtpDestination,
    HtmlElement,
    ImageElement,
    Movie,
    Scene,
    SubtitlesElement,
    TextElement,
    TextSettings,
    Transition,
    VideoElement,
    VoiceElement,
    WebhookDestination,
)


def movie():
    return Movie(
        resolution="hd",
        client_data={"key": "k"},
        scenes=[
            Scene(duration=2, elements=[TextElement(text="One", z_index=1, settings=TextSettings(font_size="9vw"))]),
            Scene(
                transition=Transition(style="fade", duration=0.5),
                import_="s1",
                elements=[{"type": "text", "text": "T"}],
            ),
        ],
        exports=[Export(destinations=[WebhookDestination(endpoint="https://hooks.example.com/x")])],
    )


def test_to_document_returns_the_written_keys_in_their_order():
    assert movie().to_document() == {
        "resolution": "hd",
        "client-data": {"key": "k"},
        "scenes": [
            {
                "duration": 2,
                "elements": [{"type": "text", "text": "One", "z-index": 1, "settings": {"font-size": "9vw"}}],
            },
            {
                "transition": {"style": "fade", "duration": 0.5},
                "import": "s1",
                "elements": [{"type": "text", "text": "T"}],
            },
        ],
        "exports": [{"destinations": [{"type": "webhook", "endpoint": "https://hooks.example.com/x"}]}],
    }
    assert list(movie().to_document()) == ["resolution", "client-data", "scenes", "exports"]
    assert list(TextElement(z_index=1, text="x").to_document()) == ["type", "z-index", "text"]


def test_a_misspelled_keyword_is_an_error_that_names_the_right_one():
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'durration'\. Did you mean 'duration'"):
        Scene(durration=3)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Movie(scenes=[], webhook="https://x"), "exports"),
        (lambda: Movie(scenes=[], draft=True), "deprecated"),
        (lambda: ImageElement(src="https://a.b", scale={"width": 1}), "'width' and 'height'"),
        (lambda: HtmlElement(src="https://a.b", tailwind=True), "'tailwindcss'"),
        (lambda: WebhookDestination(url="https://a.b"), "'endpoint'"),
    ],
)
def test_deprecated_and_mistaken_keywords_are_errors_with_advice(build, words):
    with pytest.raises(TypeError, match=words):
        build()


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: TextElement(text="x", z_index=100), "from -99 to 99"),
        (lambda: TextElement(), "text"),
        (lambda: TextElement(text="x", duration=-5), "or -1, or -2"),
        (lambda: TextElement(text="x", duration=0), "greater than 0"),
        (lambda: TextElement(text=5), "quotes"),
        (lambda: TextElement(text="x", type="image"), "type"),
        (lambda: ImageElement(src="https://a.b", resize="coverr"), "did you mean 'cover'"),
        (lambda: ImageElement(), "'src'"),
        (lambda: ImageElement(src="https://a.b", prompt="p"), "both"),
        (lambda: VideoElement(), "'src'"),
        (lambda: HtmlElement(width=3), "'html' or 'src'"),
        (lambda: VoiceElement(text="x", volume=11), "from 0 to 10"),
        (lambda: ComponentElement(component=["x"]), "a string"),
        (lambda: Movie(resolution="8k", scenes=[]), "full-hd"),
        (lambda: Movie(width=7680, scenes=[]), "3840"),
        (lambda: Movie(resolution="hd"), "'scenes' or 'template'"),
        (lambda: Movie(scenes=[{"elements": [{"type": "text", "text": "x", "z-index": 500}]}]), "-99"),
        (lambda: Scene(duration=True), "a number"),
        (lambda: Scene(duration=float("nan")), "a number"),
        (lambda: Scene(elements={"type": "text"}), "elements"),
    ],
)
def test_a_wrong_value_is_an_error_at_the_line_that_writes_it(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def test_a_wrong_assignment_is_an_error_and_does_not_change_the_value():
    scene = Scene(duration=3)
    with pytest.raises(ValidationError):
        scene.duration = -7
    assert scene.to_document() == {"duration": 3}


def test_any_value_may_be_an_expression():
    element = TextElement(
        text="{{ title }}", duration="{{ base + 2 }}", cache="{{ c }}", variables="{{ v }}", crop="{{ k }}"
    )
    assert element.to_document()["duration"] == "{{ base + 2 }}"


def test_text_settings_accept_any_css_key_by_its_python_name():
    settings = TextSettings(color="red", letter_spacing="2px", **{"text-transform": "uppercase"})
    assert settings.to_document() == {"color": "red", "letter-spacing": "2px", "text-transform": "uppercase"}


def test_a_password_is_not_shown():
    destination = FtpDestination(host="h", port=21, username="u", password="s3cret")
    assert "s3cret" not in repr(destination)
    with pytest.raises(ValidationError) as caught:
        FtpDestination(host="h", port="no", username="u", password="s3cret")
    assert "s3cret" not in str(caught.value)


def test_signatures_have_python_names_without_deprecated_ones():
    names = set(inspect.signature(ImageElement).parameters)
    assert {"src", "z_index", "fade_in", "pan_distance"} <= names
    assert not {"scale", "z-index"} & names
    assert "draft" not in inspect.signature(Movie).parameters
    assert "import_" in inspect.signature(Scene).parameters


def test_models_can_be_copied_and_pickled():
    original = movie()
    original.unknown_keys["new"] = 1
    for twin in (copy.deepcopy(original), pickle.loads(pickle.dumps(original)), original.model_copy(deep=True)):
        assert twin.to_document() == original.to_document()
    assert SubtitlesElement().to_document() == {"type": "subtitles"}
