from __future__ import annotations

import json

import pytest

from airflow_json2video.core.result import (
    asset_event_extra,
    credits_of,
    get_warnings,
    lineage_dataset,
    render_result,
    select_fields,
    strip_query_strings,
    without_credentials,
)
from airflow_json2video.core.storage_path import durations_match, expected_size

MOVIE = {
    "project": "Qk3vT9zLm2XcB7wA",
    "url": "https://assets.json2video.com/clients/x/renders/y.mp4",
    "duration": 10.4,
    "size": 1234,
    "width": 1080,
    "height": 1920,
    "ended_at": "2026-05-12T07:41:41.946Z",
    "client-data": {"token": "SECRET"},
}
RESULT = render_result(MOVIE, remaining_quota={"time": 600}, submission_key="a_dag.render-1")


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


def test_missing_and_invalid_numbers_are_none():
    result = render_result({"project": "p", "duration": "soon"}, remaining_quota=None, submission_key=None)
    assert result["duration"] is None
    assert result["height"] is None
    assert result["remaining_quota"] == {}


def test_warnings_are_truncated_for_an_event():
    movie = {"project": "p", "warnings": [f"{number}: {'x' * 300}" for number in range(50)]}
    facts = select_fields(movie)
    assert len(facts["warnings"]) == 20
    assert {len(text) for text in facts["warnings"][:19]} == {200}
    assert facts["warnings"][0].startswith("0: xxx")
    assert facts["warnings"][19] == "and 31 more; the local service's page lists them"
    assert select_fields(facts) == facts  # through an event and out of it again


def test_invalid_warnings_are_ignored_and_each_is_one_line():
    assert [get_warnings({"warnings": odd}) for odd in (None, "text", {"a": 1}, [1, None], [])] == [[]] * 5
    assert get_warnings({"warnings": ["two\nlines", 3]}) == ["two lines"]
    assert "warnings" not in select_fields({"project": "p"})


def test_warnings_are_not_part_of_a_result():
    movie = {"project": "p", "warnings": ["a"]}
    assert render_result(movie, remaining_quota=None, submission_key=None) == render_result(
        {"project": "p"}, remaining_quota=None, submission_key=None
    )


@pytest.mark.parametrize("odd", ["inf", float("inf"), float("nan"), "1e999", 10**400, [], {}])
def test_an_invalid_number_does_not_fail_a_paid_render(odd):
    movie = {"project": "p", "status": "done", "url": "u", "width": odd, "size": odd, "duration": odd}
    result = render_result(movie, remaining_quota=None, submission_key=None)
    assert (result["width"], result["size"], result["duration"]) == (None, None, None)
    assert expected_size(movie) is None
    assert durations_match(2.0, movie)


def test_the_extra_of_an_asset_event_is_plain_json_with_constant_keys():
    facts = asset_event_extra({**RESULT, "stored_path": "s3://videos/a.mp4"}, movie_hash="abc")
    assert facts == {
        "project": "Qk3vT9zLm2XcB7wA",
        "url": MOVIE["url"],
        "stored_path": "s3://videos/a.mp4",
        "duration": 10.4,
        "size": 1234,
        "width": 1080,
        "height": 1920,
        "credits": 11,
        "ended_at": MOVIE["ended_at"],
        "movie_hash": "abc",
    }
    bare = asset_event_extra(render_result({"project": "Qk3vT9zLm2XcB7wA"}, remaining_quota=None, submission_key=None))
    assert list(bare) == list(facts)
    assert {name for name, value in bare.items() if value is not None} == {"project"}
    assert json.loads(json.dumps(facts)) == facts


def test_the_extra_contains_neither_client_data_nor_quota():
    told = json.dumps(asset_event_extra(RESULT))
    assert "SECRET" not in told
    assert "600" not in told
    assert "a_dag.render" not in told


@pytest.mark.parametrize(
    ("width", "height", "expected"), [(1080, 1920, 11), (1920, 1080, 11), (3840, 2160, 44), (None, None, None)]
)
def test_credits_are_the_started_seconds_times_the_price_of_the_frame(width, height, expected):
    assert credits_of({"duration": 10.4, "width": width, "height": height}) == expected


@pytest.mark.parametrize(
    ("address", "left"),
    [
        ("s3://aws_default@videos/a.mp4", "s3://videos/a.mp4"),
        ("s3://key:secret@videos/a.mp4", "s3://videos/a.mp4"),
        ("abfss://videos@account.dfs.core.windows.net/a.mp4", "abfss://videos@account.dfs.core.windows.net/a.mp4"),
        ("https://u:p@account.dfs.core.windows.net/a.mp4", "https://account.dfs.core.windows.net/a.mp4"),
        ("/data/a@b.mp4", "/data/a@b.mp4"),
    ],
)
def test_credentials_are_removed_from_a_url(address, left):
    assert without_credentials(address) == left


def test_query_strings_are_removed_from_service_messages():
    said = "Scene #1: Failed to download 'https://b.s3.example.com/a.png?X-Signature=SECRET&x=1', is it there? Yes?"
    assert (
        strip_query_strings(said) == "Scene #1: Failed to download 'https://b.s3.example.com/a.png', is it there? Yes?"
    )


@pytest.mark.parametrize(
    ("address", "dataset"),
    [
        ("https://user:SECRET@cdn.example.com/a/b.png?X-Signature=SECRET#x", ("https://cdn.example.com", "a/b.png")),
        ("HTTPS://cdn.example.com", ("https://cdn.example.com", "/")),
        ("s3://aws_default@videos/2026/a.mp4", ("s3://videos", "2026/a.mp4")),
        ("file:///data/a.mp4", ("file", "/data/a.mp4")),
        ("/data/a.mp4", ("file", "/data/a.mp4")),
        ("data:image/png;base64,AAAA", None),
        ("https://[broken/a.png", None),
        ("a.png", None),
        ("", None),
    ],
)
def test_a_lineage_dataset_consists_of_scheme_host_and_path(address, dataset):
    assert lineage_dataset(address) == dataset
