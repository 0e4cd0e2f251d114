from __future__ import annotations

from importlib.util import find_spec

import pytest

from airflow_json2video.batch.rows import read_rows
from airflow_json2video.exceptions import ConfigurationError


@pytest.fixture
def rows(tmp_path):
    def read(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(read_rows(str(path)))

    return read


def test_a_csv_file_has_one_row_per_line_and_none_for_an_empty_cell(rows):
    assert rows("a.csv", '\ufeffcity,text\r\nGhent,"two\nlines, quoted"\r\nKyoto,\r\n\r\nLisbon\r\n') == [
        {"city": "Ghent", "text": "two\nlines, quoted"},
        {"city": "Kyoto", "text": None},
        {"city": "Lisbon"},
    ]


def test_json_lines_preserve_types(rows):
    assert rows("a.jsonl", '{"n": 1, "of": [1, 2]}\n\n{"n": null}\n') == [{"n": 1, "of": [1, 2]}, {"n": None}]


def test_an_empty_file_has_no_rows(rows):
    assert rows("a.csv", "") == rows("a.jsonl", "") == []


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "a,b\n1,2,3\n", r"line 2 has 3 cells for 2 columns"),
        ("a.csv", "a,a\n1,2\n", r"must name each column exactly once"),
        ("a.csv", "a,\n1,2\n", r"must name each column exactly once"),
        ("a.csv", 'a\n"x', r"line 2 is not valid CSV"),
        ("a.csv", b"a\n\xff\xfe\n", r"is not UTF-8"),
        ("a.jsonl", '{"a": 1}\n{"a"\n', r"line 2 is not valid JSON"),
        ("a.jsonl", "[1]\n", r"line 1 is not a JSON object"),
        ("a.xlsx", "x", r"format of the source .* must end in \.csv, \.jsonl"),
    ],
)
def test_a_file_whose_content_does_not_match_its_name_is_refused_with_the_line(rows, name, content, words):
    with pytest.raises(ConfigurationError, match=words) as caught:
        rows(name, content)
    assert "Nothing was submitted" in str(caught.value)


def test_a_missing_source_is_named():
    with pytest.raises(ConfigurationError, match=r"'/nowhere/a\.csv' cannot be read: FileNotFoundError"):
        list(read_rows("/nowhere/a.csv"))


def test_a_parquet_file_without_pyarrow_fails_with_what_to_install(rows, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigurationError, match=r"needs pyarrow: pip install pyarrow"):
        rows("a.parquet", b"PAR1")


@pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow is not installed")
def test_a_parquet_file_preserves_types(tmp_path):
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"n": [1, 2], "city": ["Ghent", None]}), path)
    assert list(read_rows(str(path))) == [{"n": 1, "city": "Ghent"}, {"n": 2, "city": None}]
