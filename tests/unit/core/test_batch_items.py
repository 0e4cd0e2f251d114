from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from airflow_json2video.core.batch_items import MAX_ITEMS, BatchItems, columns_of, needed_names, rows_of
from airflow_json2video.exceptions import ConfigurationError, InvalidMovie

MOVIE = {"variables": {"color": "#000000"}, "scenes": [{"duration": 1, "comment": "{{ city }} {{ color }}"}]}


def items(rows, *, base=MOVIE, key="sku"):
    return BatchItems.of(rows, base=base, key=key)


def test_a_value_that_json_cannot_represent_is_named_with_its_row_its_column_and_what_to_write():
    rows = [{"sku": f"s{n}"} for n in range(3)]
    wrong = {"sku": "last", "day": date(2026, 11, 26), "price": Decimal("1.1"), "deep": {"x": [float("nan")]}}
    with pytest.raises(ConfigurationError) as caught:
        rows_of([*rows, wrong, {"day": date(2026, 1, 1)}], source="rooms.csv", key="sku")
    assert str(caught.value).splitlines() == [
        "4 values of rooms.csv cannot be represented in JSON:",
        "  row 4 (last): 'day' is a value of type date; write value.isoformat()",
        "  row 4 (last): 'price' is a value of type Decimal; write float(value), or str(value) to preserve every digit",
        "  row 4 (last): 'deep.x[0]' is nan (float); write None for a missing value",
        "  row 5: 'day' is a value of type date; write value.isoformat()",
        "Convert them where the rows are created; in a file, store such a column as text. Nothing was submitted.",
    ]


def test_a_column_whose_name_is_an_unpaired_surrogate_is_refused():
    with pytest.raises(ConfigurationError, match=r"row 1: .* is text with an unpaired surrogate"):
        rows_of([{"a\ud83d": 1}], source="items")


def test_too_many_rows_are_refused_without_reading_all_of_them():
    rows_read = 0

    def endless():
        nonlocal rows_read
        while True:
            rows_read += 1
            yield {"n": rows_read}

    with pytest.raises(ConfigurationError, match=r"more than 10,000 rows.*Split it.*Nothing was submitted"):
        rows_of(endless(), source="items")
    assert rows_read == MAX_ITEMS + 1


def test_a_row_that_is_not_an_object_is_named_by_its_number():
    with pytest.raises(ConfigurationError, match="row 2 must be an object of names and values, got str"):
        rows_of([{"a": 1}, "b"], source="items")


def test_a_row_may_be_a_model():
    from airflow_json2video.movie import Movie, Scene

    assert rows_of([Movie(scenes=[Scene(duration=1)])], source="items") == [{"scenes": [{"duration": 1}]}]


def test_without_item_key_the_key_is_the_rows_number():
    assert items([{}, {}], key=None).keys == ["1", "2"]


def test_duplicate_and_missing_keys_are_listed_with_their_rows():
    with pytest.raises(ConfigurationError) as caught:
        items([{"sku": "a"}, {"sku": "b"}, {"sku": "a"}, {"sku": None}, {"sku": " "}, {}, {"sku": "x" * 201}])
    text = str(caught.value)
    assert text.startswith("5 of 7 rows have no usable key (item_key='sku'):")
    assert "row 3 (a) has the key of row 1" in text
    for row in (4, 5, 6):
        assert f"row {row} has no key" in text
    assert "over 200" in text


def test_the_first_rows_concerned_are_listed_and_the_others_counted():
    with pytest.raises(ConfigurationError) as caught:
        items([{"sku": "a"}] * 31)
    assert "30 of 31" in str(caught.value)
    assert "and 20 more" in str(caught.value)
    assert str(caught.value).count("has the key of row 1") == 10


def test_a_row_that_lacks_a_variable_is_named_with_its_number_and_key():
    with pytest.raises(ConfigurationError, match=r"row 2 \(b\) has no 'city'(?s:.*)Nothing was submitted") as caught:
        items([{"sku": "a", "city": "Ghent"}, {"sku": "b"}, {"sku": "c", "city": None}]).require_complete()
    assert "row 3 (c) has no 'city'" in str(caught.value)


def test_a_variable_with_a_value_in_the_movie_is_optional():
    items([{"sku": "a", "city": "Ghent"}]).require_complete()


def test_a_variable_whose_value_in_the_movie_is_null_is_required():
    movie = {**MOVIE, "variables": {"color": None}}
    with pytest.raises(ConfigurationError, match="'color'"):
        items([{"sku": "a", "city": "Ghent"}], base=movie).require_complete()


def test_every_row_needs_what_the_templates_schema_requires():
    schema = {"required": ["city", "price"], "properties": {"city": {}, "price": {}, "color": {}}}
    with pytest.raises(ConfigurationError, match=r"the template requires:\n  row 1 has no 'price'"):
        items([{"city": "Ghent"}], base={"template": "t" * 20}, key=None).require_complete(schema=schema)


@pytest.mark.parametrize(
    ("movie", "names"),
    [
        ({"scenes": [{"comment": "{{ a }} {{ b.c | upper }}"}]}, ["a", "b"]),
        ({"scenes": [{"variables": {"a": 1}, "comment": "{{ a }} {{ b }}"}]}, ["b"]),
        ({"scenes": [{"elements": [{"variables": {"a": "{{ b }}"}, "text": "{{ a }}"}]}]}, ["b"]),
        ({"scenes": [{"iterate": "rooms", "comment": "{{ name }}"}]}, ["rooms"]),
        ({"client-data": {"a": "{{ b }}"}, "scenes": []}, []),
        ({"scenes": [{"comment": "{{ max(a, 2) }}"}]}, ["a"]),
    ],
)
def test_the_required_names_of_a_movie(movie, names):
    assert needed_names(movie) == names


def test_a_rows_value_takes_precedence_over_the_movies():
    found = items([{"sku": "a", "city": "Ghent", "color": None}, {"sku": "b", "city": "Kyoto", "color": "#ffffff"}])
    assert [found.document(i)["variables"]["color"] for i in (0, 1)] == ["#000000", "#ffffff"]
    assert MOVIE["variables"] == {"color": "#000000"}


def test_without_a_movie_a_row_is_the_whole_document():
    row = {"id": "a", "scenes": [{"duration": 1}]}
    assert items([row], base=None, key="id").document(0) == row


def test_documents_that_are_certainly_wrong_are_listed_with_their_rows():
    rows = [{"id": "a", "scenes": [{"duration": 1}]}, {"id": "b"}]
    with pytest.raises(
        InvalidMovie, match=r"1 of 2 documents are certainly wrong:\n  row 2 \(b\): movie: needs 'scenes'"
    ):
        items(rows, base=None, key="id").require_valid()


def test_a_possible_mistake_is_reported_once_with_the_number_of_items():
    movie = {"width": 128, "scenes": [{"duration": 1}]}
    assert items([{"sku": "a"}, {"sku": "b"}], base=movie).require_valid() == [
        "width: requires 'height'; write both, or neither for 640x360 (2 of 2 items)"
    ]


@pytest.mark.parametrize(
    "changed",
    [
        [{"sku": "b", "city": "x"}, {"sku": "a", "city": "x"}],
        [{"sku": "a", "city": "x"}],
        [{"sku": "a", "city": "x"}, {"sku": "b", "city": "y"}],
    ],
)
def test_the_digest_changes_with_the_rows_and_their_order(changed):
    rows = [{"sku": "a", "city": "x"}, {"sku": "b", "city": "x"}]
    assert items(rows).digest() == items([dict(reversed(row.items())) for row in rows]).digest()
    assert items(rows).digest() != items(changed).digest()
    assert items(rows).digest() != items(rows, base={**MOVIE, "id": "x"}).digest()


def test_columns_are_the_names_of_all_rows():
    assert columns_of([{"a": 1}, {"b": 1, "a": 2}]) == ["a", "b"]
