"""The matrix can fail: which outcome counts as expected."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.crash.markers import POINTS, Injection, Markers
from tests.crash.rows import ROWS, SHORT
from tests.crash.table import Expected, Outcome, Unit, as_table, problems

GOOD = Unit(name="row", state="success", attempts=2, projects=("a",), paid=("a",), result="a", stored="a")


def outcome(*units: Unit, **more) -> Outcome:
    facts = {"point": "during the POST", "killed": "worker", "expected": Expected(), "posts": 1, "credits": 1.0}
    return Outcome(units=units or (GOOD,), **{**facts, "seconds": 12.3, **more})


def test_one_paid_render_that_is_the_result_of_the_task_is_expected():
    assert problems(outcome()) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"projects": ("a", "b"), "paid": ("a", "b")}, r"paid 2 times \(a, b\)"),
        ({"projects": ("a", "b")}, "2 projects, expected 1"),
        ({"result": "b"}, "its result b is not a render that was paid for"),
        ({"result": None, "stored": None}, "its result None is not a render"),
        ({"state": "failed", "result": None, "stored": None}, r"paid for and lost \(a\), the task is failed"),
        ({"stored": "b"}, "the downstream task stored b, not a"),
        ({"state": "upstream_failed", "projects": (), "paid": ()}, "ended upstream_failed, expected success"),
    ],
    ids=lambda v: "" if isinstance(v, str) else "-".join(v),
)
def test_a_render_paid_twice_or_lost_is_a_problem(changes, problem):
    with pytest.raises(AssertionError, match=problem):
        assert problems(outcome(replace(GOOD, **changes))) == []


def test_a_failed_render_that_was_not_billed_may_precede_the_paid_one():
    unit = replace(GOOD, projects=("failed", "a"))
    assert problems(outcome(unit, expected=Expected(projects=2))) == []


def test_a_row_that_must_not_submit_fails_with_nothing_paid():
    nothing = Expected(state="failed", projects=0)
    unit = Unit(name="row", state="failed", attempts=1, projects=(), paid=(), result=None, stored=None)
    assert problems(outcome(unit, expected=nothing)) == []
    assert problems(outcome(expected=nothing)) != []


def test_each_of_many_renders_is_compared_with_its_own_expectation():
    nothing = Expected(state="failed", projects=0)
    unit = Unit(
        name="row", state="failed", attempts=1, projects=(), paid=(), result=None, stored=None, expected=nothing
    )
    many = outcome(GOOD, GOOD, unit)
    assert problems(many) == []
    assert "2 success, 1 failed" in as_table([many])


def test_a_row_whose_strike_did_not_happen_is_a_problem():
    assert problems(outcome(missed=("post.before",))) == ["not injected: post.before"]
    assert problems(outcome(driver_error="TimeoutError: no")) == ["TimeoutError: no"]


def test_the_table_marks_unexpected_rows_and_gives_the_reason():
    bad = replace(GOOD, projects=("a", "b"), paid=("a", "b"))
    lines = as_table([outcome(), outcome(bad, posts=2, credits=2.0, seconds=None)]).splitlines()
    assert lines[2].split() == ["1", "during", "the", "POST", "worker", "2", "1", "1", "1", "success", "12", "s"]
    assert lines[3].split() == ["2", "during", "the", "POST", "worker", "2", "2", "2", "2", "success", "!", "-"]
    assert lines[4:] == ["  row 2: row: paid 2 times (a, b)"]


def test_the_matrix_has_more_than_25_points_and_the_short_one_at_least_ten():
    assert len({(row.point, row.killed, row.dag) for row in ROWS}) == len(ROWS) > 25
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert {row.name for row in SHORT} < {row.name for row in ROWS}
    assert len(SHORT) >= 10


def test_a_strike_at_an_unknown_point_is_refused():
    with pytest.raises(ValueError, match="unknown point 'lunch'"):
        Injection(point="lunch")
    assert {injection.point for row in ROWS for injection in row.injections} <= set(POINTS)


def test_a_marker_that_no_process_has_taken_is_not_a_hit(tmp_path):
    markers = Markers(tmp_path)
    injection = Injection(point="post.before", whom="worker")
    markers.place("run", injection)
    assert markers.hit("run", injection) is None
    assert (tmp_path / "run~render~-1@post.before@1").is_file()
