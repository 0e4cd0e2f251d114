"""The plan against recorded kinds of render times: how late an end is noticed, and what that costs."""

from __future__ import annotations

import math
import random
from itertools import count
from statistics import mean, quantiles

import pytest

from airflow_json2video.core.poll_schedule import PollSchedule, RenderTimes, jitter


def mixed(number, *, seed=1):
    """Render times of an account that renders all sorts: half under 35 s, one in forty over six minutes."""
    rng = random.Random(seed)
    return [min(1200.0, max(2.0, rng.lognormvariate(math.log(35), 1.2))) for _ in range(number)]


def alike(number, *, middle, spread):
    rng = random.Random(2)
    return [max(2.0, rng.gauss(middle, spread)) for _ in range(number)]


class Outcome:
    def __init__(self, delays, looks):
        self.median = quantiles(delays, n=20)[9]
        self.p95 = quantiles(delays, n=20)[18]
        self.requests = mean(looks)


def planned(ends, *, interval=10.0, learning=True, after=0):
    """Watch one render after another; the first *after* of them only teach."""
    times, delays, looks = RenderTimes(), [], []
    schedule = PollSchedule(interval=interval, times=times)
    for number, end in enumerate(ends):
        name = f"render-{number}"
        age = 1 + schedule.first_poll(age=1, jitter=jitter(name))  # a second goes by between submission and trigger
        for look in count(1):
            if age >= end:
                break
            age += schedule.next_poll(age=age, jitter=jitter(name, look))
        if number >= after:
            delays.append(age - end)
            looks.append(look)
        if learning:
            times.add(end)
    return Outcome(delays, looks)


def fixed(ends, *, interval=10.0):
    looks = [math.ceil(end / interval) for end in ends]
    return Outcome([look * interval - end for look, end in zip(looks, ends, strict=True)], looks)


@pytest.mark.parametrize("learning", [False, True])
def test_ends_are_noticed_sooner_and_with_fewer_requests_than_at_a_fixed_interval(learning):
    ends = mixed(3000)
    plan, plain = planned(ends, learning=learning), fixed(ends)
    assert plan.median < plain.median
    assert plan.requests < plain.requests
    assert plan.p95 < 15  # the price: of the few long renders one in ten is noticed this late


def test_similar_render_times_are_learned():
    ends = alike(400, middle=195, spread=20)
    plan, plain = planned(ends, after=100), fixed(ends)
    assert plan.requests < plain.requests / 2
    assert plan.median < plain.median
    assert plan.p95 < 12


def test_two_kinds_of_render_times_are_learned_and_nothing_is_polled_between_them():
    ends = [
        end
        for pair in zip(alike(300, middle=14, spread=1), alike(300, middle=200, spread=15), strict=True)
        for end in pair
    ]
    plan, plain = planned(ends, after=100), fixed(ends)
    assert plan.requests < plain.requests / 1.8
    assert plan.median < plain.median


def test_the_schedule_follows_a_change_of_render_times():
    ends = alike(300, middle=200, spread=15) + alike(300, middle=12, spread=2)
    assert planned(ends, after=550).median < 4


def test_short_renders_are_not_polled_before_they_can_be_done():
    assert planned(alike(300, middle=8, spread=0.5), after=100).requests < 1.6


def test_no_interval_is_shorter_than_the_services_limit():
    seen = RenderTimes()
    for _ in range(50):
        seen.add(2.0)
    for times in (RenderTimes(), seen):
        eager = PollSchedule(interval=1, times=times)
        assert min(eager.next_poll(age=age, jitter=value) for age in range(100) for value in (0, 1)) == 5
    assert 0.2 <= PollSchedule(interval=0.2, floor=0.2).next_poll(age=0) < 1


def test_intervals_are_bounded_at_any_age_and_for_any_account():
    seen = RenderTimes()
    for _ in range(200):
        seen.add(5000.0)
    for times in (RenderTimes(), seen):
        waits = [PollSchedule(times=times).next_poll(age=60 * minute) for minute in range(24 * 60)]
        assert max(waits) <= 70


def test_the_poll_interval_scales_the_schedule():
    ends = mixed(2000)
    often, normal, seldom = (planned(ends, interval=interval) for interval in (5.0, 10.0, 30.0))
    assert often.median < normal.median < seldom.median
    assert often.requests > normal.requests > 2 * seldom.requests
    assert PollSchedule(interval=300).next_poll(age=1000) > 150


def test_polls_that_would_coincide_are_spread():
    schedule, names = PollSchedule(), [f"render-{number}" for number in range(1000)]
    for looks in (
        [schedule.first_poll(age=1, jitter=jitter(name)) for name in names],
        [schedule.first_poll(age=math.inf, jitter=jitter(name)) for name in names],
        [schedule.next_poll(age=20, jitter=jitter(name, 3)) for name in names],
    ):
        seconds = [int(look) for look in looks]
        assert max(seconds.count(second) for second in set(seconds)) < 450


def test_at_most_two_hundred_render_times_are_remembered_and_invalid_ones_are_ignored():
    times = RenderTimes()
    for seconds in (0.0, -3.0, math.inf, math.nan):
        times.add(seconds)
    assert len(times) == 0
    for seconds in mixed(5000):
        times.add(seconds)
    assert len(times) == 200
