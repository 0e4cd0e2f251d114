"""The movies of ``docs/movies``: each can be drawn, and has its place on the page that shows them."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image

from airflow_json2video.local.drawing.assets import Assets
from airflow_json2video.local.drawing.render import render

DOCS = Path(__file__).resolve().parents[3] / "docs"
MOVIES = sorted(DOCS.glob("movies/*.json"))
NAMES = [path.stem for path in MOVIES]
EXPENSIVE = {"clips", "menu", "pictures-moved", "sound-captions"}  # seconds of computing each


def test_there_are_ten():
    assert len(NAMES) == 10


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.long] if path.stem in EXPENSIVE else []) for path in MOVIES],
    ids=NAMES,
)
def test_an_example_movie_renders_without_warnings_with_picture_and_sound_of_one_length(path, tmp_path):
    assets = Assets(cache=tmp_path / "cache", folder=DOCS / "movies" / "assets", fetch=False)
    video = tmp_path / "movie.mp4"
    result = render(json.loads(path.read_text()), video, mode="preview", assets=assets)
    assert result["outcome"] == "done", result
    lacking = ("Failed to download", "not drawn:", "settings not drawn", "is silent", "no bundled font", "taller than")
    assert [text for text in result["warnings"] if any(words in text for words in lacking)] == []
    with av.open(str(video)) as container:
        picture = container.streams.video[0]
        assert sum(1 for _ in container.decode(picture)) == picture.frames > 0
        lengths = {float(stream.duration * stream.time_base) for stream in container.streams}
        assert max(lengths) - min(lengths) < Fraction(1, 50)


@pytest.mark.parametrize("name", NAMES)
def test_the_sheet_of_an_example_is_in_the_docs_next_to_its_command(name):
    path = DOCS / "_static" / f"movies-{name}.jpg"
    with Image.open(path) as sheet:
        assert 1100 <= sheet.width <= 1300
    assert path.stat().st_size < 150_000
    page = (DOCS / "drawing.md").read_text()
    assert f"](_static/{path.name})" in page
    assert f"json2video local render docs/movies/{name}.json " in page


def test_their_pictures_clips_and_sounds_are_small():
    files = [path for path in DOCS.glob("movies/assets/*/*") if path.is_file()]
    assert len(files) >= 11
    assert sum(path.stat().st_size for path in files) < 300_000
