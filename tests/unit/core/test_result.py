from __future__ import annotations

import pytest

from airflow_json2video.core.result import get_warnings, render_result, select_fields
from airflow_json2video.core.storage_path import durations_match, expected_size


def test_a_result_is_plain_json_with_numbers_even_where_the_service_sends_strings():
    result = render_result(
        {"project": "p", "url": "u", "duration": "108.2", "width": "1080", "size": 10, "ass": False},
        remaining_quota={"time": 3},
        submission_key="k",
    )
    assert result["duration"] == 108.2
    assert result["width"] == 1080
    assert result["subtitles"] is None
    assert result["remaining_quota"] == {"time": 3}
    assert result["submission_key"] == "k"


def test_what_is_missing_or_no_number_is_none():
    result = render_result({"project": "p", "duration": "soon"}, remaining_quota=None, submission_key=None)
    assert result["duration"] is None
    assert result["height"] is None
    assert result["remaining_quota"] == {}


def test_warnings_travel_cut_to_what_an_event_may_weigh():
    movie = {"project": "p", "warnings": [f"{number}: {'x' * 300}" for number in range(50)]}
    facts = select_fields(movie)
    assert len(facts["warnings"]) == 20
    assert {len(text) for text in facts["warnings"][:19]} == {200}
    assert facts["warnings"][0].startswith("0: xxx")
    assert facts["warnings"][19] == "and 31 more; the local service's page lists them"
    assert select_fields(facts) == facts  # through an event and out of it again


def test_warnings_of_another_shape_are_none_and_each_is_one_line():
    assert [get_warnings({"warnings": odd}) for odd in (None, "text", {"a": 1}, [1, None], [])] == [[]] * 5
    assert get_warnings({"warnings": ["two\nlines", 3]}) == ["two lines"]
    assert "warnings" not in select_fields({"project": "p"})


def test_warnings_are_no_part_of_a_result():
    movie = {"project": "p", "warnings": ["a"]}
    assert render_result(movie, remaining_quota=None, submission_key=None) == render_result(
        {"project": "p"}, remaining_quota=None, submission_key=None
    )


@pytest.mark.parametrize("odd", ["inf", float("inf"), float("nan"), "1e999", 10**400, [], {}])
def test_a_number_that_is_none_ends_no_render_that_is_paid_for(odd):
    movie = {"project": "p", "status": "done", "url": "u", "width": odd, "size": odd, "duration": odd}
    result = render_result(movie, remaining_quota=None, submission_key=None)
    assert (result["width"], result["size"], result["duration"]) == (None, None, None)
    assert expected_size(movie) is None
    assert durations_match(2.0, movie)
