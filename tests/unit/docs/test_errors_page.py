"""The page of errors agrees with exceptions.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_json2video import exceptions
from airflow_json2video.api.errors import error_from_response
from airflow_json2video.core.render_failure import error_from_render
from airflow_json2video.exceptions import Json2VideoError

PAGE = Path(__file__).parents[3] / "docs" / "errors.md"


def rows(heads: str) -> list[list[str]]:
    """Return the cells of the table whose first line is *heads*, without marks."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = lines.index(heads)
    table = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip(" *`↳") for cell in line.strip("|").split("|")])
    return table


CLASSES = rows("| class | HTTP | retryable | billing | what to do |")
RENDERS = rows("| the render's message | `path` | retryable |")
WORDS = rows("| call | HTTP | the service says | class |")


def public_classes() -> dict[str, type[Json2VideoError]]:
    found = (getattr(exceptions, name) for name in exceptions.__all__)
    return {
        c.__name__: c
        for c in found
        if isinstance(c, type) and issubclass(c, Json2VideoError) and c is not Json2VideoError
    }


def test_the_table_has_one_row_for_each_class():
    assert sorted(row[0] for row in CLASSES) == sorted(public_classes())


@pytest.mark.parametrize("row", CLASSES, ids=lambda row: row[0])
def test_a_row_states_whether_a_retry_can_help_and_what_is_billed(row):
    name, _, retryable, billing, _ = row
    cls = public_classes()[name]
    assert (retryable, billing) == ("yes" if cls.retryable else "no", cls.billing.value)


def test_rows_are_indented_like_the_tree():
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if re.match(r"\| [↳ *]*`\w+`\*? \|", line)]
    depths = {re.search(r"`(\w+)`", line).group(1): line.count("↳") for line in lines}
    for name, cls in public_classes().items():
        assert depths[name] == len(cls.__mro__) - Json2VideoError.__mro__.__len__() - 1, name


@pytest.mark.parametrize("row", WORDS, ids=lambda row: f"{row[0]} {row[1]} {row[2][:40]}")
def test_a_message_of_the_service_becomes_the_class_that_the_page_names(row):
    call, status, words, name = row
    error = error_from_response(int(status), words, call=call, subject="abc")
    assert type(error).__name__ == name
    assert error.service_message == words


@pytest.mark.parametrize("row", RENDERS, ids=lambda row: row[0][:40])
def test_the_message_of_a_failed_render_has_the_path_and_the_retry_of_the_page(row):
    words, path, retryable = row
    error = error_from_render(words, project="Qk3vT9zLm2XcB7wA")
    assert (error.path or "none", error.retryable) == (path, retryable == "yes")
