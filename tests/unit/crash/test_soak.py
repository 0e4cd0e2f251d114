"""The kills and faults that the soak draws for each render."""

from __future__ import annotations

from tests.crash.soak import random_faults


def test_a_seed_always_draws_the_same_and_another_seed_draws_others():
    assert random_faults(300, seed=7) == random_faults(300, seed=7)
    assert random_faults(300, seed=7) != random_faults(300, seed=8)


def test_about_a_third_of_the_renders_have_neither_a_kill_nor_a_fault():
    drawn = random_faults(1000, seed=7)
    alone = sum(not random_fault.injections and random_fault.fault is None for random_fault in drawn)
    assert 250 < alone < 550


def test_every_kind_of_fault_is_drawn():
    drawn = [random_fault.fault for random_fault in random_faults(1000, seed=7) if random_fault.fault is not None]
    assert {"kind": "lost", "when": "before"} in drawn
    assert any(fault.get("status") == 429 for fault in drawn)
    assert any("Error starting subprocess" in str(fault) for fault in drawn)
