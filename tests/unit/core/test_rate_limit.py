from __future__ import annotations

import json

import pytest

from airflow_json2video.core.rate_limit import RateLimiter, should_resume


def test_the_rate_limit_counts_the_submissions_of_any_minute():
    limiter = RateLimiter(3)
    for moment in (0.0, 1.0, 2.0):
        assert limiter.wait(moment) == 0
        limiter.record(moment)
    assert limiter.wait(3.0) == 57.0
    assert limiter.wait(60.0) == 0
    limiter.record(60.0)
    assert limiter.wait(60.0) == 1.0


def test_the_next_free_moment_is_when_a_quarter_of_a_minutes_submissions_are_allowed():
    limiter = RateLimiter(40, [(second, 1) for second in range(40)])
    assert limiter.next_free(40.0, wanted=100) == 9 + 60
    assert limiter.next_free(40.0, wanted=1) == 60
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
def test_a_batch_resumes_when_half_of_its_renders_ended_or_one_has_waited_or_all_ended(
    ended, waiting, more, since, worth
):
    assert worth == should_resume(ended=ended, waiting=waiting, more_to_submit=more, since_first=since, max_delay=60)


def test_the_record_of_submissions_survives_json_and_stays_small():
    limiter = RateLimiter(6000)
    for number in range(6000):
        limiter.record(1000 + number / 100)
    assert len(json.dumps(limiter.sent)) < 1000
    again = RateLimiter(6000, json.loads(json.dumps(limiter.sent)))
    assert again.wait(1059.99) > 0
    assert again.wait(1061.0) == 0
