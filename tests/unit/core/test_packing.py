from __future__ import annotations

import pytest

from airflow_json2video.core.batch import decode, encode


def test_packing_is_plain_text():
    assert decode(encode({"ü": [1, None]})) == {"ü": [1, None]}
    assert encode({"a": 1}).isascii()


@pytest.mark.parametrize("text", ["", "x", "nonsense!", "%%%"])
def test_what_was_not_packed_is_a_value_error(text):
    with pytest.raises(ValueError):
        decode(text)


def test_half_a_character_survives_the_ledger():
    assert decode(encode({"message": "broken \ud83d"})) == {"message": "broken \ud83d"}
