from __future__ import annotations

from datetime import datetime, time, timedelta, timezone

import pytest

from airflow_json2video.core.price import (
    Price,
    check_max_credits,
    check_reserve,
    compute_cost,
    format_cost,
    is_sufficient,
    required_credits,
    total_price,
    wait_deadline,
)
from airflow_json2video.core.result import render_result
from airflow_json2video.exceptions import Billing, BudgetExceeded, ConfigurationError, CreditReserveReached

TEN = Price.of({"resolution": "sd", "scenes": [{"duration": 9.4}]})
LARGE = Price.of({"resolution": "custom", "width": 3840, "height": 2160, "scenes": [{"duration": 9.4}]})
VIDEO = {"type": "video", "src": "https://example.com/a.mp4"}
UNKNOWN = Price.of({"scenes": [{"duration": 4}, {"elements": [VIDEO]}]})
STORED = Price.of({"template": "abc123def456ghi789jk"})
IMAGE = {"type": "image", "model": "flux-pro", "prompt": "a hill"}  # 20 credits
PERHAPS = Price.of(
    {"resolution": "sd", "scenes": [{"duration": 6, "elements": [IMAGE]}, {"duration": 6, "condition": "{{ later }}"}]}
)
NOON = 1778587200.0  # 2026-05-12T12:00:00Z


def test_a_price_is_exact_if_the_duration_is():
    assert (TEN.seconds, TEN.credits, TEN.at_least, TEN.at_most) == (9.4, 10, 10, 10)
    assert LARGE.credits == 40


def test_an_unknown_price_has_bounds():
    assert (UNKNOWN.credits, UNKNOWN.at_least, UNKNOWN.at_most) == (None, 4, None)
    assert str(UNKNOWN) == "at least 4 credits"
    assert "scenes[1].elements[0]" in UNKNOWN.why_unknown
    assert (STORED.credits, STORED.at_least, STORED.at_most) == (None, 0, None)
    assert str(STORED) == "an unknown number of credits"


def test_one_unknown_price_makes_the_total_unknown():
    assert (total_price([TEN, LARGE]).credits, total_price([TEN, LARGE]).seconds) == (50, 18.8)
    both = total_price([TEN, UNKNOWN, UNKNOWN])
    assert (both.credits, both.at_least, both.at_most, both.seconds) == (None, 18, None, None)
    assert both.reasons == UNKNOWN.reasons
    assert total_price([]).credits == 0


def test_the_upper_bound_includes_generated_assets_and_is_what_a_limit_checks():
    assert (PERHAPS.credits, PERHAPS.at_least, PERHAPS.at_most) == (None, 26, 32)
    assert check_max_credits(PERHAPS, max_credits=31) is not None
    assert check_max_credits(PERHAPS, max_credits=32) is None


def test_the_bounds_of_a_batch_are_the_sums_of_its_items():
    both = total_price([TEN, PERHAPS])
    assert (both.credits, both.at_least, both.at_most) == (None, 36, 42)
    assert check_max_credits(both, max_credits=41) is not None
    assert check_max_credits(both, max_credits=42) is None


@pytest.mark.parametrize(("limit", "passes"), [(None, True), (10, True), (10.5, True), (9.9, False), (0, False)])
def test_a_render_over_the_limit_is_refused_with_the_estimate(limit, passes):
    refusal = check_max_credits(TEN, max_credits=limit)
    assert (refusal is None) is passes
    if refusal is not None:
        assert isinstance(refusal, BudgetExceeded)
        assert "about 10 credits, and max_credits is" in str(refusal)
        assert refusal.billing is Billing.NOT_CHARGED
        assert not refusal.retryable


def test_a_render_whose_minimum_exceeds_the_limit_is_refused():
    assert "at least 4 credits, and max_credits is 3" in str(check_max_credits(UNKNOWN, max_credits=3))
    assert "cannot be estimated in advance" in str(check_max_credits(UNKNOWN, max_credits=4))  # it may cost just that


def test_a_render_that_cannot_be_estimated_is_refused_with_the_reason():
    refusal = str(check_max_credits(UNKNOWN, max_credits=100))
    assert "cannot be estimated in advance" in refusal
    assert "scenes[1].elements[0]" in refusal
    assert "'duration'" in refusal


def test_a_render_whose_maximum_is_within_the_limit_passes():
    between = Price(seconds=None, credits=None, at_least=3, at_most=8)
    assert check_max_credits(between, max_credits=8) is None
    assert "3 to 8 credits" in str(check_max_credits(between, max_credits=7))


@pytest.mark.parametrize(
    ("left", "committed", "passes"), [(110, 0, True), (109, 0, False), (130, 20, True), (130, 21, False)]
)
def test_the_balance_after_the_render_is_compared_with_the_reserve(left, committed, passes):
    refusal = check_reserve(left, TEN, min_remaining=100, committed=committed)
    assert (refusal is None) is passes
    assert passes or isinstance(refusal, CreditReserveReached)


def test_without_other_running_renders_only_this_one_counts_against_the_reserve():
    assert check_reserve(110, TEN, min_remaining=100) is None
    assert isinstance(check_reserve(109, TEN, min_remaining=100), CreditReserveReached)


def test_a_reserve_on_an_account_without_credits_is_an_error():
    assert isinstance(check_reserve(None, TEN, min_remaining=1), ConfigurationError)
    assert check_reserve(None, TEN, min_remaining=None) is None


def test_a_retry_requires_enough_credits_and_more_than_at_the_refusal():
    assert required_credits(TEN, min_remaining=100, left=50) == 110
    assert required_credits(TEN, min_remaining=None, left=3) == 10
    assert required_credits(TEN, min_remaining=None, left=25) == 26
    assert required_credits(TEN, min_remaining=None, left=10) == 11  # refused with just what was estimated
    assert required_credits(STORED, min_remaining=None, left=None) == 1


@pytest.mark.parametrize(
    ("quota", "enough"),
    [({"time": 10}, True), ({"time": 9.9}, False), ({"movies": 0}, False), ({"movies": 1}, True), ({}, True)],
)
def test_sufficiency_is_decided_by_credits_or_movies(quota, enough):
    assert is_sufficient(quota, needed=10) is enough


@pytest.mark.parametrize(
    ("until", "seconds"),
    [
        (timedelta(hours=2), 2 * 3600),
        (time(13), 3600),
        (time(12), 24 * 3600),
        (time(6), 18 * 3600),
        (time(13, tzinfo=timezone(timedelta(hours=2))), 23 * 3600),
        (datetime(2026, 5, 12, 14), 2 * 3600),  # noqa: DTZ001 - without a zone it is UTC
        (datetime(2026, 5, 12, 14, tzinfo=timezone(timedelta(hours=1))), 3600),
        ("13:00", 3600),
        ("2026-05-12T14:00:00Z", 2 * 3600),
        ("2026-05-12 11:00:00+00:00", -3600),
    ],
)
def test_the_deadline_of_a_wait_for_credits(until, seconds):
    assert wait_deadline(until, now=NOON) == NOON + seconds


@pytest.mark.parametrize("until", ["soon", "", "2026-05-12T25:00", None, 7])
def test_an_invalid_time_is_refused(until):
    with pytest.raises(ConfigurationError, match="wait_for_credits"):
        wait_deadline(until, now=NOON)


def test_the_cost_of_a_finished_render_depends_on_its_duration():
    movie = {"project": "p", "duration": "9.4", "width": 3840, "height": 2160}
    result = render_result(movie, remaining_quota={"time": 560}, submission_key=None)
    cost = compute_cost(result, estimated=38)
    assert cost == {
        "project": "p",
        "estimated_credits": 38,
        "charged_seconds": 9.4,
        "charged_credits": 40,
        "remaining_credits": 560.0,
    }
    assert "40 credits for 9.4 s of video" in format_cost(cost)
    assert "estimated: 38" in format_cost(cost)


def test_a_render_that_was_only_submitted_has_not_been_charged():
    cost = compute_cost(render_result({"project": "p"}, remaining_quota=None, submission_key=None), estimated=10)
    assert (cost["estimated_credits"], cost["charged_seconds"], cost["charged_credits"]) == (10, None, None)
    assert cost["remaining_credits"] is None
