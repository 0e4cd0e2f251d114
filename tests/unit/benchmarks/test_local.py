"""The drawing benchmark: its movies, what is asked of FFmpeg, its tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_json2video.local.planning.plan import plan
from airflow_json2video.local.planning.resolve import resolve
from benchmarks.local.contenders import CONTENDERS
from benchmarks.local.flat import FlatLayer, FlatMovie, FlatScene, FlatSound
from benchmarks.local.movies import MOVIES
from benchmarks.local.report import BLOCKS, blocks, put_into
from benchmarks.local.with_ffmpeg import arguments

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("subject", MOVIES, ids=lambda s: s.key)
def test_each_movie_can_be_planned_and_takes_some_seconds(subject):
    timeline = plan(resolve(subject.document), probe=lambda where, element: 4.0)
    assert 5 <= timeline.duration <= 35
    assert not [warning for warning in timeline.warnings if "transition" in warning]


def test_there_are_ten_movies_of_different_kinds():
    assert len({subject.key for subject in MOVIES}) == len(MOVIES) == 10


def test_a_contender_without_a_transition_is_not_asked_for_it():
    can = {key: {s.key for s in MOVIES if c.can(s)} for key, c in CONTENDERS.items()}
    assert can["moviepy"] == can["ffmpeg"] - {"wipes"}
    assert can["ours-preview"] == can["ours-full"] == can["ffmpeg"] == {s.key for s in MOVIES}


def layer(**changed):
    facts = {
        "path": Path("a.png"), "moving": False, "x": 0, "y": 0, "width": 64, "height": 36, "start": 0.0,
        "seconds": 2.0, "fade_in": 0.0, "fade_out": 0.0, "zoom": None,
    }  # fmt: skip
    return FlatLayer(**{**facts, **changed})


def scene(start, *layers, transition=None):
    return FlatScene(start=start, seconds=2.0, background=(255, 0, 16), transition=transition, layers=layers)


def test_the_graph_has_every_file_and_each_label_is_made_once_and_used_once():
    sound = FlatSound(path=Path("s.wav"), start=0.5, seconds=1.0, volume=0.5, fade_in=0.1, fade_out=0.0)
    movie = FlatMovie(
        width=64, height=36, fps=25, seconds=3.5,
        scenes=(scene(0.0, layer(fade_in=0.5)), scene(1.5, layer(moving=True), transition=("wipeleft", 0.5))),
        overlays=(layer(zoom=(1.0, 1.1)),), sounds=(sound,),
    )  # fmt: skip
    command = arguments(movie, Path("out.mp4"))
    graph = command[command.index("-filter_complex") + 1]
    assert command.count("-i") == 4
    assert "color=c=0xff0010:s=64x36:r=25" in graph
    assert "xfade=transition=wipeleft:duration=0.500000:offset=1.500000" in graph
    labels = [part.split("]")[0] for part in graph.split("[")[1:]]
    made = [name for name in labels if name.startswith("n")]
    assert made
    assert all(made.count(name) == 2 for name in made)
    assert [command[i + 1] for i, word in enumerate(command) if word == "-map"] == ["[video]", "[sound]"]


@pytest.fixture
def results():
    run = {"movie": "text", "seconds": 9.0, "wall": 3.0, "cpu": 4.5, "memory": 100 * 2**20}
    return {
        "when": "2026-01-02T03:04:05Z",
        "machine": "a machine",
        "versions": {"av": "18.1.0"},
        "rounds": 1,
        "movies": {"text": "text only", "wipes": "other transitions"},
        "runs": [
            {**run, "contender": "ours-preview"},
            {**run, "contender": "moviepy", "wall": 18.0},
            {**run, "contender": "ours-preview", "movie": "wipes", "error": "no memory"},
        ],
    }


def test_the_tables_show_speed_cpu_and_memory_and_what_was_not_drawn(results):
    written = blocks(results)
    assert set(written) == set(BLOCKS)
    assert "| text only | 3.00 | 0.50 |" in written["speed"]
    assert "| other transitions | failed | - |" in written["speed"]
    assert "| text only | 0.50 | 0.50 |" in written["cpu"]
    assert "| text only | 100 | 100 |" in written["memory"]
    assert written["conditions"].startswith("Measured 2026-01-02 on a machine; av 18.1.0.")


def test_tables_go_between_their_markers_and_nowhere_else(results, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "a\n<!-- bench-local:speed -->\nold\n<!-- /bench-local:speed -->\n"
        "<!-- bench:full -->\nb\n<!-- /bench:full -->\n"
    )
    assert put_into(page, results) == ["speed"]
    text = page.read_text()
    assert "old" not in text
    assert "text only" in text
    assert text.endswith("<!-- bench:full -->\nb\n<!-- /bench:full -->\n")


def test_a_marker_without_a_block_or_an_end_is_an_error(results, tmp_path):
    page = tmp_path / "page.md"
    for text, message in (
        ("<!-- bench-local:speeed -->", "not a known block"),
        ("<!-- bench-local:speed -->\n", "not closed"),
    ):
        page.write_text(text)
        with pytest.raises(ValueError, match=message):
            put_into(page, results)


def test_the_page_has_a_place_for_every_table(results, tmp_path):
    page = tmp_path / "performance.md"
    page.write_text((ROOT / "docs" / "performance.md").read_text())
    assert set(put_into(page, results)) == set(BLOCKS)
