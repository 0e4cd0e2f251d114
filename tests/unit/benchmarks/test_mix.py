"""The recorded mix and the plan that follows from it."""

from __future__ import annotations

import statistics

import pytest

from benchmarks.polling.mix import Plan, Render, make_plan, record, recorded


def test_the_recorded_mix_is_what_its_seed_produces():
    assert recorded() == record()


def test_the_recorded_mix_goes_from_seconds_to_many_minutes_with_a_heavy_tail():
    times = sorted(recorded())
    assert len(times) == 1000
    assert 2 <= times[0] < 5
    assert 900 < times[-1] <= 1200
    assert statistics.mean(times) > 2 * statistics.median(times)


def test_the_same_numbers_make_the_same_plan():
    assert make_plan(50, horizon=40, ramp=10) == make_plan(50, horizon=40, ramp=10)
    assert make_plan(50, horizon=40, ramp=10) != make_plan(51, horizon=40, ramp=10)


def test_as_many_renders_are_running_at_any_time_as_the_plan_says():
    plan = make_plan(400, horizon=60, ramp=10)
    for moment in (10, 25, 59):
        under_way = sum(render.watched <= moment < render.end for render in plan.renders)
        assert 385 <= under_way <= 400, "each that ends is followed by another a second later"


def test_no_render_ends_before_its_trigger_is_there():
    assert all(render.watched < render.end for render in make_plan(500, horizon=60, ramp=10).renders)


def test_an_ideal_poll_asks_until_the_first_answer_that_says_done():
    plan = Plan(size=1, ramp=0, renders=[Render(0, start=-5, end=25, watched=0)])
    assert plan.ideal_polls(10, since=0, until=100) == 4, "at 0, 10, 20 and, done, at 30"
    assert plan.ideal_polls(10, since=15, until=30) == 1


@pytest.mark.parametrize("size", [1, 100])
def test_renders_are_numbered_in_the_order_in_which_they_are_watched(size):
    plan = make_plan(size, horizon=30, ramp=10)
    assert [render.number for render in plan.renders] == list(range(len(plan.renders)))
    assert [render.watched for render in plan.renders] == sorted(render.watched for render in plan.renders)
