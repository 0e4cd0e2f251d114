"""The matrix can fail: what it takes for a row to be as it must be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.crash.markers import POINTS, Markers, Strike
from tests.crash.rows import ROWS, SHORT
from tests.crash.table import Expected, Outcome, Unit, as_table, problems

GOOD = Unit(name="row", state="success", attempts=2, projects=("a",), paid=("a",), result="a", stored="a")


def outcome(*units: Unit, **more) -> Outcome:
    facts = {"point": "during the POST", "killed": "worker", "expected": Expected(), "posts": 1, "credits": 1.0}
    return Outcome(units=units or (GOOD,), **{**facts, "seconds": 12.3, **more})


def test_one_paid_render_that_is_the_tasks_result_is_as_it_must_be():
    assert problems(outcome()) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"projects": ("a", "b"), "paid": ("a", "b")}, r"paid 2 times \(a, b\)"),
        ({"projects": ("a", "b")}, "2 projects, expected 1"),
        ({"result": "b"}, "its result b is no render that was paid for"),
        ({"result": None, "stored": None}, "its result None is no render"),
        ({"state": "failed", "result": None, "stored": None}, r"paid for and lost \(a\), the task is failed"),
        ({"stored": "b"}, "the task below stored b, not a"),
        ({"state": "upstream_failed", "projects": (), "paid": ()}, "ended upstream_failed, expected success"),
    ],
    ids=lambda v: "" if isinstance(v, str) else "-".join(v),
)
def test_a_render_paid_twice_or_lost_is_a_problem(changes, problem):
    with pytest.raises(AssertionError, match=problem):
        assert problems(outcome(replace(GOOD, **changes))) == []


def test_a_failed_render_that_cost_nothing_may_precede_the_one_that_is_paid_for():
    unit = replace(GOOD, projects=("failed", "a"))
    assert problems(outcome(unit, expected=Expected(projects=2))) == []


def test_a_row_where_nothing_may_be_submitted_ends_failed_with_nothing_paid():
    nothing = Expected(state="failed", projects=0)
    unit = Unit(name="row", state="failed", attempts=1, projects=(), paid=(), result=None, stored=None)
    assert problems(outcome(unit, expected=nothing)) == []
    assert problems(outcome(expected=nothing)) != []


def test_of_many_renders_each_is_held_to_its_own_end():
    nothing = Expected(state="failed", projects=0)
    unit = Unit(
        name="row", state="failed", attempts=1, projects=(), paid=(), result=None, stored=None, expected=nothing
    )
    many = outcome(GOOD, GOOD, unit)
    assert problems(many) == []
    assert "2 success, 1 failed" in as_table([many])


def test_a_row_whose_strike_never_came_proves_nothing():
    assert problems(outcome(missed=("post.before",))) == ["not struck: post.before"]
    assert problems(outcome(trouble="TimeoutError: no")) == ["TimeoutError: no"]


def test_the_table_marks_the_rows_that_are_not_as_they_must_be_and_says_why():
    bad = replace(GOOD, projects=("a", "b"), paid=("a", "b"))
    lines = as_table([outcome(), outcome(bad, posts=2, credits=2.0, seconds=None)]).splitlines()
    assert lines[2].split() == ["1", "during", "the", "POST", "worker", "2", "1", "1", "1", "success", "12", "s"]
    assert lines[3].split() == ["2", "during", "the", "POST", "worker", "2", "2", "2", "2", "success", "!", "-"]
    assert lines[4:] == ["  row 2: row: paid 2 times (a, b)"]


def test_the_matrix_breaks_the_path_at_more_points_than_25_and_ci_at_the_ten_most_telling():
    assert len({(row.point, row.killed, row.dag) for row in ROWS}) == len(ROWS) > 25
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert {row.name for row in SHORT} < {row.name for row in ROWS}
    assert len(SHORT) >= 10


def test_a_strike_names_a_point_that_exists():
    with pytest.raises(ValueError, match="no point 'lunch'"):
        Strike(point="lunch")
    assert {strike.point for row in ROWS for strike in row.strikes} <= set(POINTS)


def test_a_marker_that_has_not_been_taken_is_no_hit(tmp_path):
    markers = Markers(tmp_path)
    strike = Strike(point="post.before", whom="worker")
    markers.place("run", strike)
    assert markers.hit("run", strike) is None
    assert (tmp_path / "run~render~-1@post.before@1").is_file()
