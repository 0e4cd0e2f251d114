from __future__ import annotations

import json

import pytest

from airflow_json2video.core.rate_limit import RateLimiter, should_resume


def test_a_pace_counts_the_submissions_of_any_minute():
    pace = RateLimiter(3)
    for moment in (0.0, 1.0, 2.0):
        assert pace.wait(moment) == 0
        pace.record(moment)
    assert pace.wait(3.0) == 57.0
    assert pace.wait(60.0) == 0
    pace.record(60.0)
    assert pace.wait(60.0) == 1.0


def test_a_worker_is_asked_for_when_some_may_be_sent_in_a_row():
    pace = RateLimiter(40, [(second, 1) for second in range(40)])
    assert pace.next_free(40.0, wanted=100) == 9 + 60
    assert pace.next_free(40.0, wanted=1) == 60
    assert RateLimiter(40).next_free(40.0, wanted=100) == 40


@pytest.mark.parametrize(
    ("ended", "waiting", "more", "since", "worth"),
    [
        (0, 10, True, 0, False),
        (4, 6, True, 0, False),
        (5, 5, True, 0, True),
        (1, 9, True, 60, True),
        (9, 1, False, 600, False),
        (10, 0, False, 0, True),
        (0, 0, True, 0, True),
    ],
)
def test_a_worker_is_asked_for_when_half_have_ended_or_one_has_waited_or_all_have(ended, waiting, more, since, worth):
    assert worth == should_resume(ended=ended, waiting=waiting, more_to_submit=more, since_first=since, max_delay=60)


def test_what_was_sent_survives_as_json_and_stays_small():
    pace = RateLimiter(6000)
    for number in range(6000):
        pace.record(1000 + number / 100)
    assert len(json.dumps(pace.sent)) < 1000
    again = RateLimiter(6000, json.loads(json.dumps(pace.sent)))
    assert again.wait(1059.99) > 0
    assert again.wait(1061.0) == 0
