"""What the soak draws for each render."""

from __future__ import annotations

from lab.crash.soak import fates


def test_a_seed_draws_the_same_fates_again_and_another_seed_others():
    assert fates(300, seed=7) == fates(300, seed=7)
    assert fates(300, seed=7) != fates(300, seed=8)


def test_a_third_of_the_renders_is_left_alone_and_few_may_fail():
    drawn = fates(1000, seed=7)
    alone = sum(not fate.strikes and fate.fault is None for fate in drawn)
    assert 250 < alone < 550
    assert 0 < sum(fate.may_fail for fate in drawn) < 100


def test_only_a_post_that_made_no_project_may_end_a_task_without_one():
    for fate in fates(1000, seed=7):
        if fate.may_fail:
            assert fate.fault in ({"kind": "answer", "status": 502}, {"kind": "lost", "when": "before"})
