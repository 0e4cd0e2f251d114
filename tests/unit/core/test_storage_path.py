from __future__ import annotations

import pytest

from airflow_json2video.core.result import render_result
from airflow_json2video.core.storage_path import (
    FileState,
    StoredVideo,
    durations_match,
    file_state,
    format_path,
    matches_stored_file,
    may_be_overwritten,
    media_error,
    missing_file_error,
    placeholders,
    seconds_left,
    sibling_path,
)
from airflow_json2video.exceptions import ConfigurationError

MOVIE = {"project": "p", "size": 1000, "duration": 100.0, "ended_at": "2026-05-12T07:44:57Z"}
ENDED = 1778571897.0


def test_placeholders_are_replaced_and_double_braces_are_literal():
    assert format_path("s3://v/{item}/{project}.mp4", {"item": "a b", "project": "p"}) == "s3://v/a b/p.mp4"
    assert format_path("/v/{{x}}-{project}.mp4", {"project": "p"}) == "/v/{x}-p.mp4"
    assert placeholders("/v/{item}/") == {"item", "project"}


def test_a_default_name_is_added_to_a_path_that_ends_in_a_slash():
    assert format_path("s3://v/", {"project": "p"}) == "s3://v/p.mp4"


@pytest.mark.parametrize("value", ["", ".", "..", "a/b", "../../etc/x", "a\\b", "a\nb", "a\0b", None])
def test_a_value_cannot_change_the_directory(value):
    with pytest.raises(ConfigurationError, match="cannot be part of a file's name"):
        format_path("/v/{item}.mp4", {"item": value, "project": "p"})


def test_a_name_that_is_too_long_is_refused():
    with pytest.raises(ConfigurationError, match="more than 255 bytes"):
        format_path("/v/{item}.mp4", {"item": "ü" * 200, "project": "p"})


def test_a_sibling_path_has_the_name_of_the_video():
    assert sibling_path("s3://v/p.mp4", ".ass") == "s3://v/p.ass"
    assert sibling_path("/v.d/film", ".ass") == "/v.d/film.ass"
    assert sibling_path("/v/.hidden", ".jpg") == "/v/.hidden.jpg"
    assert sibling_path("/v/price-1.5", ".ass") == "/v/price-1.5.ass", "which price-1.6 must not share"


@pytest.mark.parametrize(
    ("names_project", "size", "modified", "kept"),
    [
        (True, 1000, None, True),
        (True, 999, None, False),
        (True, None, None, False),
        (False, 1000, ENDED + 1, True),
        (False, 1000, ENDED - 299, True),
        (False, 1000, ENDED - 301, False),
        (False, 1000, None, False),
    ],
)
def test_an_existing_file_counts_as_the_video_only_if_it_matches(names_project, size, modified, kept):
    assert matches_stored_file(MOVIE, names_project=names_project, size=size, modified=modified) is kept


def test_without_a_size_name_or_age_decide():
    movie = {**MOVIE, "size": None}
    assert matches_stored_file(movie, names_project=True, size=1000, modified=None)
    assert not matches_stored_file(movie, names_project=False, size=1000, modified=ENDED - 301)
    assert not matches_stored_file(movie, names_project=True, size=0, modified=None)


@pytest.mark.parametrize(("found", "same"), [(100.0, True), (101.9, True), (98.1, True), (103, False), (None, True)])
def test_a_duration_may_differ_by_two_percent(found, same):
    assert durations_match(found, MOVIE) is same


def test_a_short_video_may_differ_by_a_second():
    assert durations_match(2.9, {"duration": 2})
    assert not durations_match(3.1, {"duration": 2})


@pytest.mark.parametrize(
    ("begin", "kind", "usable"),
    [
        (b"\0\0\0\x20ftyp", "video/mp4", True),
        (b"\0\0\0\x20ftyp", "binary/octet-stream", True),
        (b"\0\0\0\x20ftyp", None, True),
        (b"\0\0\0\x20ftyp", "text/html; charset=utf-8", False),
        (b"  <?xml version='1.0'?>", None, False),
        (b'{"success": false}', "application/json", False),
    ],
)
def test_html_and_xml_are_not_media(begin, kind, usable):
    assert (media_error(begin, kind) is None) is usable


def test_a_file_is_available_for_seven_days_after_the_end():
    assert seconds_left(MOVIE, now=ENDED + 6 * 86400) == 86400
    assert seconds_left({"project": "p"}, now=ENDED) is None


def test_the_result_of_a_stored_video_has_its_path_and_no_deleted_url():
    result = render_result({**MOVIE, "url": "u", "ass": "a"}, remaining_quota=None, submission_key=None)
    assert result["stored_path"] is None
    kept = StoredVideo(path="s3://v/p.mp4", bytes=1000, duration=100.0, downloaded=True).add_to(result)
    assert (kept["stored_path"], kept["stored_bytes"], kept["url"]) == ("s3://v/p.mp4", 1000, "u")
    gone = StoredVideo(path="s3://v/p.mp4", bytes=1000, duration=100.0, downloaded=True, deleted=True).add_to(result)
    assert (gone["url"], gone["subtitles"]) == (None, None)


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({"url": "u"}, FileState.THERE),
        ({"deleted_at": "2026-05-12T08:00:00Z"}, FileState.DELETED),
        ({"ended_at": "2026-05-12T07:44:57Z"}, FileState.LATE),
        ({"ended_at": "2026-05-12T08:44:57Z"}, FileState.LATE),
        ({"created_at": "2026-05-12T07:44:57Z", "ended_at": None}, FileState.LATE),
        ({"ended_at": "2026-05-12T06:44:57Z"}, FileState.MISSING),
        ({"ended_at": "2026-05-05T07:44:57Z"}, FileState.EXPIRED),
        ({}, FileState.EXPIRED),
    ],
)
def test_a_missing_file_is_late_deleted_missing_or_expired(facts, state):
    movie = {"project": "p", "status": "done", "url": None, **facts}
    assert file_state(movie, now=ENDED + 10) is state
    if state is not FileState.THERE:
        error = missing_file_error(movie, now=ENDED + 10)
        assert ("older than seven days" in str(error)) is (state is FileState.EXPIRED)
        assert error.retryable is (state is FileState.LATE)


def test_a_file_written_after_the_submission_must_not_be_overwritten():
    movie = {**MOVIE, "created_at": "2026-05-12T07:40:00Z"}
    assert not may_be_overwritten(movie, modified=ENDED)
    assert may_be_overwritten(movie, modified=ENDED - 3600)
    assert may_be_overwritten(movie, modified=None)
    assert may_be_overwritten(MOVIE, modified=ENDED)
