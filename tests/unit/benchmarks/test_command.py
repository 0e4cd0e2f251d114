"""The benchmark's command: what it preserves of an earlier measurement."""

from __future__ import annotations

from benchmarks.polling.__main__ import _add


def run(contender, size, cost):
    return {"contender": contender, "size": size, "cost": cost}


def test_a_new_measurement_replaces_the_same_run_and_leaves_the_rest():
    results = {"runs": [run("ours-list", 100, 1), run("bare", 100, 2), run("ours-list", 500, 3)], "planned": ["old"]}
    _add(results, {"runs": [run("bare", 100, 9)]})
    _add(results, {"planned": ["new"]})
    assert results["planned"] == ["new"]
    assert [tuple(one.values()) for one in results["runs"]] == [
        ("ours-list", 100, 1),
        ("bare", 100, 9),
        ("ours-list", 500, 3),
    ]
