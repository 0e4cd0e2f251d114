"""Delays that had not ended when one stopped looking."""

from __future__ import annotations

import math
import random

import pytest

from benchmarks.polling.statistics import Delay, quantile, seen_within


def seen(*seconds):
    return [Delay(s, seen=True) for s in seconds]


def test_without_a_cut_they_are_the_ordinary_quantiles():
    assert quantile(seen(5, 1, 3, 2, 4), 0.5) == 3
    assert quantile(seen(*range(1, 101)), 0.95) == 95


def test_an_unobserved_end_makes_the_median_later():
    delays = [*seen(1, 2, 3), Delay(9, seen=False), Delay(9, seen=False)]
    assert quantile(delays, 0.5) == 3
    assert quantile([*delays, Delay(9, seen=False)], 0.5) == 3
    assert math.isinf(quantile([*delays, Delay(9, seen=False), Delay(9, seen=False)], 0.5))


def test_an_end_just_before_the_run_was_over_says_nothing_about_the_quick_ones():
    delays = [*seen(2, 4), Delay(0.1, seen=False)]
    assert quantile(delays, 0.5) == 2


def test_no_end_has_no_quantile_and_no_share():
    assert math.isinf(quantile([], 0.5))
    assert math.isnan(seen_within([], 10))


def test_the_share_that_was_seen_counts_up_to_the_moment():
    delays = [*seen(1, 2, 8), Delay(20, seen=False)]
    assert seen_within(delays, 2) == pytest.approx(0.5)
    assert seen_within(delays, 15) == pytest.approx(0.75)


def test_a_poll_every_ten_seconds_is_measured_correctly_in_a_window_of_twelve():
    rng = random.Random(1)
    delays = []
    for _ in range(4000):
        left, delay = rng.uniform(0, 12), rng.uniform(0, 10)
        delays.append(Delay(min(left, delay), seen=delay <= left))
    assert quantile(delays, 0.5) == pytest.approx(5, abs=0.3)
    assert quantile(delays, 0.95) == pytest.approx(9.5, abs=0.3)
