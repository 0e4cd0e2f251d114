"""Conversion to plain JSON, and the errors of values that JSON cannot represent."""

from __future__ import annotations

import enum
import json
import uuid
from collections import UserDict
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace

import pytest

from airflow_json2video.json_values import NotJsonError, replace_surrogates, to_plain_json


class Color(str, enum.Enum):
    RED = "red"


class Level(enum.Enum):
    HIGH = 1


def number_of_numpy(value, *, kind):
    """Return an object with the attributes of a NumPy scalar, so that the test does not need NumPy."""
    return SimpleNamespace(dtype=SimpleNamespace(kind=kind), shape=(), item=lambda: value)


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (date(2026, 11, 26), "a value of type date; write value.isoformat()"),
        (datetime(2026, 11, 26, tzinfo=timezone.utc), "a value of type datetime; write value.isoformat()"),
        (timedelta(seconds=1), "a value of type timedelta; write value.total_seconds()"),
        (Decimal("1.10"), "a value of type Decimal; write float(value), or str(value) to preserve every digit"),
        (float("nan"), "nan (float); write None for a missing value"),
        (float("-inf"), "-inf (float); write a finite number"),
        ("a\ud83d", "text with an unpaired surrogate (half a character); write the whole character, or remove it"),
        (uuid.uuid4(), "a value of type UUID; write str(value)"),
        (b"x", "a value of type bytes; write it as text, such as value.decode()"),
        ({1}, "a value of type set; write sorted(value)"),
        (Level.HIGH, "a value of type Level; write value.value"),
        ((n for n in "ab"), "a value of type generator; write list(value)"),
        (1 << 20_000, "an integer of thousands of digits; write it as text"),
        (number_of_numpy(float("nan"), kind="f"), "nan (float); write None for a missing value"),
        (number_of_numpy("2026-11-26", kind="M"), "a value of type SimpleNamespace; "),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isascii() else type(value).__name__,
)
def test_a_value_that_json_cannot_represent_is_named_with_its_path_and_advice(value, remedy):
    with pytest.raises(NotJsonError) as caught:
        to_plain_json({"scenes": [{"a b": value}]})
    assert str(caught.value).startswith(f"scenes[0]['a b'] is {remedy}")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (number_of_numpy(3, kind="i"), 3),
        (number_of_numpy(0.5, kind="f"), 0.5),
        (number_of_numpy(True, kind="b"), True),
        (UserDict(a=(1, 2)), {"a": [1, 2]}),
        (Color.RED, "red"),
    ],
)
def test_lossless_conversions_are_made(value, plain):
    found = to_plain_json({"a": value})
    assert found == {"a": plain}
    assert json.loads(json.dumps(found)) == {"a": plain}


def test_numpy_numbers_become_python_numbers():
    numpy = pytest.importorskip("numpy")
    row = {"n": numpy.int64(3), "x": numpy.float32(0.5), "yes": numpy.bool_(True), "s": numpy.str_("a")}
    found = to_plain_json(row)
    assert [type(value) for value in found.values()] == [int, float, bool, str]
    with pytest.raises(NotJsonError, match=r"a value of type ndarray; write value\.tolist\(\)"):
        to_plain_json(numpy.array([1, 2]))
    with pytest.raises(NotJsonError, match=r"a value of type datetime64; write str\(value\)"):
        to_plain_json(numpy.datetime64("2026-11-26"))


def test_a_recursive_value_is_rejected():
    loop = {}
    loop["a"] = loop
    with pytest.raises(NotJsonError, match="nested too deeply"):
        to_plain_json(loop)


def test_an_unpaired_surrogate_becomes_the_replacement_character():
    assert replace_surrogates({"a\ud83d": ["b\ude00", 1, None, "😀"]}) == {"a\ufffd": ["b\ufffd", 1, None, "😀"]}
