"""The tables, and how they get into the pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.polling.report import BLOCKS, blocks, put_into, steadiness

ROOT = Path(__file__).parents[3]


def run(contender, size, **changed):
    return {
        "contender": contender,
        "size": size,
        "seconds": 12.0,
        "cpu_per_status_ms": 1.0,
        "cpu_per_minute_ms": size * 6.0,
        "requests_per_minute": size * 6.0,
        "statuses": size * 1.2,
        "connections": size,
        "stall_ms": 30.0,
        "own_stall_ms": 10.0,
        "kb_per_trigger": 20.0,
        "delay_median": 5.0,
        "delay_p95": None,
        "soon": 0.5,
        "ends": 30,
        "polls": 1.0,
        "requests_per_render": 8.0,
        "cpu_ms": 100.0,
        **changed,
    }


@pytest.fixture
def results():
    ours = {"cpu_per_status_ms": 0.1, "polls": None, "requests_per_minute": 1000.0, "connections": 2}
    return {
        "when": "2026-11-24T00:00:00Z",
        "machine": "2 cores",
        "versions": {"apache-airflow-core": "3.3.2"},
        "settings": {
            "seconds": 12.0,
            "interval": 10,
            "latency_ms": 50.0,
            "mix": {"median": 34, "mean": 73, "p95": 262, "longest": 988},
        },
        "plots": {"polling-cpu.png": "CPU time", "polling-requests.png": "Requests"},
        "runs": [
            *(run("ours-list", size, **ours, cpu_per_minute_ms=600.0) for size in (500, 10000)),
            *(run("databricks", size) for size in (500, 10000)),
            run("common-ai", 500, cpu_per_status_ms=0.2, polls=0.3),
            {"contender": "common-ai", "size": 10000, "error": "no result in 150 s"},
        ],
    }


def test_the_whole_table_has_a_row_for_each_contender_and_names_those_without_a_measurement(results):
    text = blocks(results)["full"]
    assert "**500 renders waiting**" in text
    assert "| Databricks | 1 | 3 | 3,000 | 500 | 30 (10) | 20 | 5.0 / > 12 | 100 % | 50 % |" in text
    assert "| common-ai LLM batch | not measured: no result in 150 s |" in text
    assert "planned" in next(line for line in text.splitlines() if "JSON2Video, list" in line)


def test_the_best_peer_is_the_cheapest_of_those_that_keep_pace(results):
    text = blocks(results)["goals"]
    assert "Databricks at the same rate of polls, relative to ours: 100x (at least 30x): **reached**" in text
    assert "requests per minute at 10,000 renders, Databricks at the same rate of polls, relative to ours: 60x" in text
    assert "connections at 500 renders, list: 2 (at most 3): **reached**" in text


def test_a_missed_goal_is_named(results):
    results["runs"][0]["cpu_per_status_ms"] = 0.3
    assert "CPU per status at 500 renders, list: 0.30 ms (at most 0.12 ms): **missed**" in blocks(results)["goals"]


def test_a_page_gets_the_tables_between_its_markers_and_the_rest_stays(results, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench:summary -->\nold\n<!-- /bench:summary -->\nafter\n")
    assert put_into(page, results, plots=tmp_path / "results") == ["summary"]
    once = page.read_text()
    assert once.startswith("before\n<!-- bench:summary -->\n\n| trigger |")
    assert once.endswith("<!-- /bench:summary -->\nafter\n")
    assert "old" not in once
    put_into(page, results, plots=tmp_path / "results")
    assert page.read_text() == once


def test_a_marker_without_a_block_or_an_end_is_an_error_and_the_page_stays(results, tmp_path):
    page = tmp_path / "page.md"
    for text in ("<!-- bench:nothing -->\n<!-- /bench:nothing -->\n", "<!-- bench:full -->\n"):
        page.write_text(text)
        with pytest.raises(ValueError, match="marker"):
            put_into(page, results, plots=tmp_path / "results")
        assert page.read_text() == text


def test_a_part_that_was_not_measured_leaves_its_place_in_the_page_alone(results, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- bench:triggerer -->\nearlier\n<!-- /bench:triggerer -->\n")
    assert put_into(page, results, plots=tmp_path / "results") == []
    assert "earlier" in page.read_text()


def test_a_page_links_to_the_plots_from_where_it_is(results, tmp_path):
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "page.md"
    page.write_text("<!-- bench:cost-plots -->\n<!-- /bench:cost-plots -->\n")
    put_into(page, results, plots=tmp_path / "results")
    assert "![CPU time](../results/polling-cpu.png)" in page.read_text()


def test_every_marker_in_the_page_is_closed_and_has_a_block():
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    opened = re.findall(r"<!-- bench:([\w-]+) -->", text)
    assert opened
    assert opened == re.findall(r"<!-- /bench:([\w-]+) -->", text)
    assert set(opened) <= set(BLOCKS)


def test_the_steadiness_of_several_measurements_is_their_least_and_their_most(results):
    other = {**results, "runs": [run("databricks", 500, cpu_per_status_ms=1.4)]}
    (row,) = [line for line in steadiness([results, other]).splitlines() if "Databricks" in line]
    assert row == "| Databricks | 500 | 1 to 1.40 | 3 to 3 | 3,000 to 3,000 | 5 to 5 |"
