from __future__ import annotations

from airflow_json2video.rendering.result import render_result


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
