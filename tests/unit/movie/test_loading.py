"""Reading the text of a movie file."""

from pathlib import Path

import pytest

from airflow_json2video.exceptions import InvalidMovie
from airflow_json2video.movie import load_document

INVALID = Path(__file__).parents[2] / "data" / "movies" / "invalid"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("01-not-json", "01-not-json, line 1, column 13: not JSON"),
        ("02-empty-body", "02-empty-body is empty"),
        ("03-null-body", "03-null-body: the root is null"),
        ("04-array-root", "04-array-root: the root is an array"),
    ],
)
def test_an_example_that_is_not_a_document_is_rejected_with_its_name_and_the_reason(name, words):
    with pytest.raises(InvalidMovie, match=words):
        load_document((INVALID / f"{name}.json").read_bytes(), source=name)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{\n  "scenes": [] // none\n}', r"m, line 2, column 16: .*no comments"),
        ('{"scenes": [],}', "superfluous comma"),
        ("{'scenes': []}", "double quotes"),
        ('{"width": NaN}', "NaN is not a JSON number"),
        (b'{"a": "\xff"}', "not UTF-8 text"),
        ("[" * 100_000, "nested too deeply"),
        ('{"width": 1e400}', "the number 1e400 is too large"),
        ('{"width": -1e400}', "the number -1e400 is too large"),
        ("movie.yaml", r"m: the text 'movie.yaml' is neither Movie JSON nor the path .*: a movie file is JSON"),
        ("a title", "m: the text 'a title' is neither Movie JSON nor the path .*a movie is a JSON object"),
        ("{{ ti.xcom_pull('make') }}", r"Jinja expression.*make_movie\.output"),
        ("5", "the root is a number"),
        ('"x"', "the root is a string"),
        ("true", "the root is a boolean"),
        ("\ufeff \n", "is empty"),
    ],
)
def test_the_error_names_what_is_wrong_with_the_text(text, words):
    with pytest.raises(InvalidMovie, match=words):
        load_document(text, source="m")


@pytest.mark.parametrize("text", ['{"a": 1}', '\ufeff{"a": 1}', b'{"a": 1}', b'\xef\xbb\xbf{"a": 1}'])
def test_text_and_bytes_are_read_with_or_without_a_byte_order_mark(text):
    assert load_document(text, source="m") == {"a": 1}
