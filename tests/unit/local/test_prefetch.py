"""Zooms whose next picture another thread makes: the same pictures, no more memory, nothing left behind."""

from __future__ import annotations

import gc
import itertools
import os
import threading
import weakref
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw

from airflow_json2video.local.drawing.encode import Encoder
from airflow_json2video.local.drawing.frames import to_image
from airflow_json2video.local.drawing.painter import Painter
from airflow_json2video.local.drawing.picture_layers import ImageLayer
from airflow_json2video.local.drawing.prefetch import Prefetcher
from airflow_json2video.local.planning.plan import plan
from airflow_json2video.local.planning.resolve import resolve
from tests.unit.local.drawn_movie import HOST, movie

FRAMES = 50
two_processors = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="on one processor nothing is made ahead")


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """Make a picture with a white line right of its middle."""
    picture = Image.new("RGB", (800, 800))
    ImageDraw.Draw(picture).rectangle((596, 0, 603, 799), fill=(255, 255, 255))
    path = tmp_path_factory.mktemp("assets") / "line.png"
    picture.save(path)
    return path


def zooming(*zooms, seconds=5):
    elements = [{"type": "image", "src": HOST + "line.png", "resize": "cover", "zoom": zoom} for zoom in zooms]
    return plan(resolve(movie(*elements, width=400, height=400, seconds=seconds)), probe=lambda *_: None)


def painter(timeline, path):
    return Painter(timeline, find=lambda _: path, warn=lambda _: None)


@pytest.mark.parametrize("zoom", [3, -3, 10])
def test_a_zoom_of_fifty_frames_goes_one_way_and_never_by_a_pixel_at_once(line, zoom):
    places = []
    for picture in painter(zooming(zoom), line).frames():
        row = np.asarray(picture.convert("L"), dtype=float)[200]
        places.append((row * np.arange(400)).sum() / row.sum())
    steps = [(after - before) * np.sign(zoom) for before, after in itertools.pairwise(places)]
    assert len(places) == FRAMES
    assert min(steps) > 0
    assert max(steps) < 1


@pytest.mark.parametrize("zooms", [(3,), (4, -4, 2)])
def test_frames_in_a_row_are_those_that_are_drawn_alone(line, zooms):
    timeline = zooming(*zooms, seconds=2)
    in_a_row = [picture.tobytes() for picture in painter(timeline, line).frames()]
    alone = [next(painter(timeline, line).frames([n])).tobytes() for n in range(20)]
    assert in_a_row == alone
    jumping = painter(timeline, line).frames([0, 1, 5, 6, 7, 19])
    assert [picture.tobytes() for picture in jumping] == [alone[n] for n in (0, 1, 5, 6, 7, 19)]


@two_processors
def test_the_next_frame_is_drawn_by_another_thread_except_after_the_last():
    makers = {}

    def make(frame):
        makers[frame] = threading.current_thread()
        return Image.new("L", (1, 1), frame)

    ahead = Prefetcher(last=5)
    assert [ahead.at(frame, make).getpixel((0, 0)) for frame in range(6)] == list(range(6))
    here = threading.current_thread()
    assert [makers[frame] is here for frame in range(6)] == [True, True, False, False, False, False]
    assert sorted(makers) == list(range(6))


@two_processors
def test_a_layer_that_closes_makes_room_for_the_next_one():
    for _ in range(5):
        ahead, makers = Prefetcher(last=50), {}

        def make(frame, makers=makers):
            makers[frame] = threading.current_thread()
            return Image.new("L", (1, 1))

        for frame in range(10):
            ahead.at(frame, make)
        ahead.close()
        assert makers[9] is not threading.current_thread()


def test_an_error_of_a_prefetched_picture_is_raised_when_it_is_requested():
    def make(frame):
        if frame == 3:
            raise MemoryError("no room for a picture")
        return Image.new("L", (1, 1))

    ahead = Prefetcher(last=5)
    for frame in range(3):
        ahead.at(frame, make)
    with pytest.raises(MemoryError, match="no room for a picture"):
        ahead.at(3, make)
    ahead.close()


def test_a_closed_layer_is_freed_without_the_garbage_collector(line):
    layer = zooming(3).scenes[0].layers[0]
    gc.disable()
    try:
        opened = ImageLayer(layer, Image.open(line), size=(400, 400), fps=Fraction(10), note=lambda _: None)
        for frame in range(5):
            opened.sprite(frame)
        opened.close()
        gone = weakref.ref(opened)
        # Its last picture can still be in progress; the thread releases it after the next one.
        other = Prefetcher(last=5)
        for frame in range(4):
            other.at(frame, lambda _: Image.new("L", (1, 1)))
        other.close()
        del opened
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("size", [(1080, 64), (401, 227), (64, 64)])
def test_a_frame_is_converted_as_by_pyav(size):
    noise = np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    frame = av.VideoFrame.from_ndarray(noise, format="rgb24").reformat(format="yuv444p")
    assert to_image(frame).tobytes() == frame.to_image().tobytes()


def test_a_picture_that_was_handed_to_the_encoder_may_be_drawn_on_again(tmp_path):
    canvas = Image.new("RGB", (64, 64))
    with Encoder(tmp_path / "out.mp4", width=64, height=64, fps=Fraction(10), mode="preview") as encoder:
        for level in range(0, 200, 20):
            canvas.paste((level, level, level), (0, 0, 64, 64))
            encoder.picture(canvas)
    with av.open(str(tmp_path / "out.mp4")) as container:
        seen = [frame.to_image().getpixel((32, 32))[0] for frame in container.decode(video=0)]
    assert seen == pytest.approx(range(0, 200, 20), abs=4)
