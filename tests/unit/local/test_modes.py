"""The mode ``slate``, and what a render may cost: the same bytes, bounded memory, a service that answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from airflow_json2video.local import LocalService
from airflow_json2video.local.drawing.assets import Assets
from airflow_json2video.local.drawing.encode import Encoder
from airflow_json2video.local.drawing.render import render

ROOT = Path(__file__).parents[3]


def text(words, **more):
    return {"type": "text", "text": words, "settings": {"font-size": "40px"}, **more}


MOVIE = {
    "width": 320,
    "height": 180,
    "scenes": [
        {"duration": 0.6, "background-color": "#102030", "comment": "Opening", "elements": [text("Hello")]},
        {"duration": 0.8, "background-color": "#e0e0e0", "elements": [text("Prices")], "transition": {"duration": 0.2}},
        {"duration": 0.4, "elements": [{"type": "image", "src": "https://a.example/none.png"}]},
    ],
}


def frames_of(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.fixture
def draw(tmp_path):
    def drawn(movie, mode):
        out = tmp_path / f"{mode}.mp4"
        result = render(movie, out, mode=mode, assets=Assets(cache=tmp_path / "cache", fetch=False))
        assert result["outcome"] == "done"
        return result, frames_of(out)

    return drawn


def test_a_slate_has_every_frame_of_the_film_and_one_picture_for_each_scene(draw):
    slate, shown = draw(MOVIE, "slate")
    preview, drawn = draw(MOVIE, "preview")
    assert len(shown) == len(drawn) == slate["frames"] == preview["frames"] == 40
    # It changes where a scene begins to show: at frame 10, where the crossing starts, and at 30.
    steps = [np.abs(a.astype(int) - b).mean() for a, b in pairwise(shown)]
    assert [n + 1 for n, step in enumerate(steps) if step > 3] == [10, 30]


def test_a_slate_shows_number_and_title_with_a_warning(draw):
    result, shown = draw(MOVIE, "slate")
    assert any(warning.startswith("mode slate") for warning in result["warnings"])
    dark = shown[5]
    assert abs(dark[100, 6].astype(int) - (16, 32, 48)).max() < 12  # the scene's own background
    for top, bottom in ((32, 75), (82, 118)):
        assert dark[top:bottom].max() > 200  # words in both bands
    untitled = {**MOVIE, "scenes": [{**MOVIE["scenes"][0], "comment": "", "elements": []}]}
    _, bare = draw({**untitled, "scenes": [{**untitled["scenes"][0], "duration": 1}]}, "slate")
    assert bare[5][82:118, 20:300].max() < 120


def test_a_slate_is_served_as_any_mode(tmp_path, make_client):
    with LocalService(mode="slate", home=tmp_path, fetch_assets=False) as service:
        seen = make_client(service).finished(MOVIE)
    assert (seen["status"], seen["duration"]) == ("done", 1.6)


class InOneThread(Encoder):
    """The encoder as it was before it had a thread."""

    def _put(self, work):
        work()


def test_coding_in_a_second_thread_writes_the_same_bytes(tmp_path):
    noise = np.random.default_rng(3)
    pictures = [Image.fromarray(noise.integers(0, 255, (90, 160, 3), dtype=np.uint8)) for _ in range(4)]
    for kind in (Encoder, InOneThread):
        with kind(tmp_path / kind.__name__, width=160, height=90, fps=Fraction(25), mode="preview", sound=True) as out:
            for n in range(40):
                out.picture(pictures[n // 4 % 4] if n % 4 == 0 else None)
                out.samples(np.full((2, 1024), 0.1 * (n % 3), dtype=np.float32))
    assert (tmp_path / "Encoder").read_bytes() == (tmp_path / "InOneThread").read_bytes()


@pytest.mark.parametrize("mode", ["preview", "full"])
def test_nothing_that_differs_from_run_to_run_is_coded_with(tmp_path, mode):
    """x264 writes its settings into the file; its macroblock tree sometimes changes the bytes (AVX-512)."""
    with Encoder(tmp_path / "out.mp4", width=64, height=36, fps=Fraction(25), mode=mode) as encoder:
        encoder.picture(Image.new("RGB", (64, 36)))
    settings = (tmp_path / "out.mp4").read_bytes()
    assert b" mbtree=0 " in settings


def test_an_error_in_the_second_thread_fails_the_render_and_leaves_no_file(tmp_path):
    def write():
        with Encoder(tmp_path / "out.mp4", width=64, height=36, fps=Fraction(25), mode="preview") as encoder:
            encoder.picture(None)
            for _ in range(300):
                encoder.picture(Image.new("RGB", (64, 36)))

    with pytest.raises(ValueError, match="cannot be a repetition"):
        write()
    assert list(tmp_path.iterdir()) == []


# The high-water mark of the process itself: getrusage would count what its parent held before the exec.
WORKER = """
import sys
from pathlib import Path
from airflow_json2video.local.worker import main
assert main(Path(sys.argv[1])) == 0
marks = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(int(marks[0]) / 1024)
"""


def peak_memory(job):
    """Run a worker on a job and return its peak memory in MB."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WORKER, str(job)]
    said = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
    assert json.loads((job.parent / "result.json").read_text())["outcome"] == "done"
    return float(said.splitlines()[-1])


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the high-water mark is read from /proc")
def test_a_worker_holds_under_350_mb_however_many_scenes(tmp_path):
    """Forty scenes in 1080p, each with a photograph of its own that zooms, entered by a transition."""
    photos = tmp_path / "assets" / "a.example"
    photos.mkdir(parents=True)
    for n in range(40):
        Image.effect_noise((1600, 1000), 40 + n).convert("RGB").save(photos / f"{n}.jpg", quality=60)
    held = {}
    for count in (4, 40):
        scenes = [
            {
                "duration": 0.6,
                "transition": {"style": "fade", "duration": 0.2},
                "elements": [
                    {
                        "type": "image",
                        "src": f"https://a.example/{n}.jpg",
                        "resize": "cover",
                        "zoom": 3,
                        "duration": -2,
                    },
                    text(f"Scene {n}"),
                ],
            }
            for n in range(count)
        ]
        folder = tmp_path / str(count)
        folder.mkdir()
        movie = {"resolution": "full-hd", "fps": 5, "scenes": scenes}
        job = {"document": movie, "mode": "preview", "assets": str(tmp_path / "assets"), "fetch_assets": False}
        (folder / "job.json").write_text(json.dumps(job))
        held[count] = peak_memory(folder / "job.json")
    assert held[40] < 350
    assert held[40] < held[4] + 60


@pytest.mark.timed
def test_the_service_answers_while_it_renders(tmp_path, make_client):
    """The worker is another process with lower priority: a status call takes at most 20 ms."""
    scenes = [{"duration": 8, "elements": [text("x", **{"fade-in": 8})]}]
    with LocalService(mode="preview", home=tmp_path) as service:
        client = make_client(service)
        project = client.submit({"resolution": "hd", "scenes": scenes})
        waits = []
        while client.status(project) in ("pending", "running") and len(waits) < 400:
            began = time.perf_counter()
            client.get(project=project)
            waits.append(time.perf_counter() - began)
            time.sleep(0.01)
        assert len(waits) > 20
        assert sorted(waits)[len(waits) // 2] < 0.02
