"""Images and clips as they stand in a frame: sizes, cuts, turns, motion, masks, keys, colors."""

from __future__ import annotations

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw

from airflow_json2video.local.drawing.chroma import ChromaKey
from airflow_json2video.local.drawing.correction import Correction
from airflow_json2video.local.planning.resolve import MovieFault
from tests.unit.local.drawn_movie import BLACK, BLUE, GREEN, HOST, RED, WHITE, DrawnMovie, is_close, movie, to_hex


def clip(path, pictures, *, fps=10, codec="libx264", pix_fmt="yuv420p", size=None):
    """Write a clip of pictures; with alpha, if the codec supports it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height = size or pictures[0].size
        stream.pix_fmt = pix_fmt
        if codec == "libvpx-vp9":
            stream.metadata["alpha_mode"] = "1"
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.asarray(picture.convert("RGBA")), format="rgba")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame.reformat(format=pix_fmt)))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("assets")
    host = folder / "media.example.com"
    host.mkdir()
    # Red, green, blue and white quarters, twice as wide as high.
    quarters = Image.new("RGB", (80, 40), RED)
    pen = ImageDraw.Draw(quarters)
    pen.rectangle((40, 0, 79, 19), fill=GREEN)
    pen.rectangle((0, 20, 39, 39), fill=BLUE)
    pen.rectangle((40, 20, 79, 39), fill=WHITE)
    quarters.save(host / "quarters.png")
    # A white line on black, to see how a picture moves.
    line = Image.new("RGB", (400, 400), BLACK)
    ImageDraw.Draw(line).rectangle((298, 0, 301, 399), fill=WHITE)
    line.save(host / "line.png")
    ramp = Image.new("RGB", (400, 400))
    ramp.putdata([(x * 255 // 399, y * 255 // 399, 0) for y in range(400) for x in range(400)])
    ramp.save(host / "ramp.png")
    clip(host / "ramp.mp4", [ramp] * 10)
    clip(host / "quarters.mp4", [quarters] * 10)
    # The left half of a mask is white, in the clip first the left and then the right.
    mask = Image.new("L", (40, 40), 0)
    ImageDraw.Draw(mask).rectangle((0, 0, 19, 39), fill=255)
    mask.save(host / "mask.png")
    grey = Image.new("L", (40, 40), 128)
    grey.save(host / "grey.png")
    other = Image.new("L", (40, 40), 255)
    ImageDraw.Draw(other).rectangle((0, 0, 19, 39), fill=0)
    clip(host / "mask.mp4", [mask] * 5 + [other] * 5)
    Image.new("RGB", (40, 40), RED).save(host / "red.png")
    Image.new("RGB", (40, 40), RED).save(
        host / "moving.gif", save_all=True, append_images=[Image.new("RGB", (40, 40), BLUE)], duration=200
    )
    screen = Image.new("RGB", (80, 80), (0, 177, 64))
    ImageDraw.Draw(screen).rectangle((0, 0, 79, 9), fill=(0, 150, 54))  # a shadow on the screen
    ImageDraw.Draw(screen).ellipse((25, 25, 55, 55), fill=(224, 172, 140))
    screen.save(host / "screen.png")
    clip(host / "screen.mp4", [screen] * 10)
    return folder


@pytest.fixture
def draw(folder):
    def draw(*elements, **more):
        return DrawnMovie(movie(*elements, **more), folder)

    return draw


def image(name, **more):
    return {"type": "image", "src": HOST + name, **more}


def video(name, **more):
    return {"type": "video", "src": HOST + name, **more}


@pytest.mark.parametrize("kind", [image("quarters.png"), video("quarters.mp4")], ids=["image", "video"])
@pytest.mark.parametrize("fit", ["cover", "fill"])
def test_a_picture_that_covers_fills_the_frame_and_loses_its_sides(draw, kind, fit):
    drawn = draw({**kind, "resize": fit})
    seen = [drawn.pixel(*at) for at in ((2, 2), (97, 2), (2, 97), (97, 97))]
    assert all(is_close(a, b, by=8) for a, b in zip(seen, (RED, GREEN, BLUE, WHITE), strict=True)), seen


@pytest.mark.parametrize("kind", [image("quarters.png"), video("quarters.mp4")], ids=["image", "video"])
@pytest.mark.parametrize("fit", ["contain", "fit"])
def test_a_contained_picture_is_complete_with_bands(draw, kind, fit):
    drawn = draw({**kind, "resize": fit})
    assert is_close(drawn.pixel(50, 20), BLACK)
    assert is_close(drawn.pixel(50, 80), BLACK)
    seen = [drawn.pixel(*at) for at in ((2, 30), (97, 30), (2, 70), (97, 70))]
    assert all(is_close(a, b, by=8) for a, b in zip(seen, (RED, GREEN, BLUE, WHITE), strict=True)), seen


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ({}, (80, 40)), ({"width": 40}, (40, 20)), ({"height": 20, "width": -1}, (40, 20)),
        ({"width": 30, "height": 30}, (30, 30)), ({"scale": {"width": 20, "height": -1}}, (20, 10)),
        ({"width": -1, "height": -1}, (80, 40)),
    ],
)  # fmt: skip
def test_a_side_of_minus_one_preserves_the_proportions(draw, given, size):
    drawn = draw(image("quarters.png", **given))
    bounds = drawn.frames[0].convert("L").point([255 * (v > 0) for v in range(256)]).getbbox()
    assert bounds == (0, 0, *size)


@pytest.mark.parametrize("kind", [image("quarters.png"), video("quarters.mp4")], ids=["image", "video"])
def test_a_crop_shows_that_part_of_the_source(draw, kind):
    drawn = draw({**kind, "crop": {"x": 40, "y": 20, "width": 40, "height": 20}})
    assert is_close(drawn.pixel(20, 10), WHITE)
    assert is_close(drawn.pixel(45, 10), BLACK)


@pytest.mark.parametrize("kind", [image("quarters.png"), video("quarters.mp4")], ids=["image", "video"])
def test_flips_swap_the_sides(draw, kind):
    flipped = draw({**kind, "flip-horizontal": True})
    assert is_close(flipped.pixel(10, 10), GREEN)
    flipped = draw({**kind, "flip-vertical": True})
    assert is_close(flipped.pixel(10, 10), BLUE)
    flipped = draw({**kind, "flip-horizontal": True, "flip-vertical": True})
    assert is_close(flipped.pixel(10, 10), WHITE)


def test_a_static_angle_turns_clockwise_about_the_middle(draw):
    drawn = draw(image("quarters.png", x=10, y=30, rotate={"angle": 90}))
    # It stood at 10..90 x 30..70; a quarter turn makes it 30..70 x 10..90, and its left upper corner comes right.
    assert is_close(drawn.pixel(60, 20), RED)
    assert is_close(drawn.pixel(60, 80), GREEN)
    assert is_close(drawn.pixel(40, 20), BLUE)
    assert is_close(drawn.pixel(15, 50), BLACK)
    assert drawn.frames[0].tobytes() == drawn.frames[9].tobytes()


@pytest.mark.parametrize("kind", [image("quarters.png"), video("quarters.mp4")], ids=["image", "video"])
def test_speed_is_the_seconds_of_a_rotation_by_the_angle(draw, kind):
    drawn = draw({**kind, "x": 10, "y": 30, "rotate": {"angle": 180, "speed": 1}, "duration": 1})
    assert is_close(drawn.pixel(15, 35), RED)
    assert is_close(drawn.pixel(60, 20, frame=5), RED)  # half a second: a quarter of a circle
    assert is_close(drawn.pixel(60, 80, frame=5), GREEN)
    back = draw({**kind, "x": 10, "y": 30, "rotate": {"angle": -180, "speed": 1}, "duration": 1})
    assert is_close(back.pixel(40, 80, frame=5), RED)


def center(picture):
    grey = np.asarray(picture.convert("L"), dtype=float)
    ys, xs = np.mgrid[0 : grey.shape[0], 0 : grey.shape[1]]
    return (xs * grey).sum() / grey.sum(), (ys * grey).sum() / grey.sum()


def test_a_rotating_picture_keeps_its_center(draw):
    drawn = draw(image("red.png", x=30, y=31, rotate={"angle": 90, "speed": 2}), seconds=2)
    places = [center(frame) for frame in drawn.frames]
    assert max(max(abs(x - 49.5), abs(y - 50.5)) for x, y in places) < 0.06


WAYS = {
    "left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1), "top-left": (-1, -1), "top-right": (1, -1),
    "bottom-left": (-1, 1), "bottom-right": (1, 1),
}  # fmt: skip


@pytest.mark.parametrize("kind", [image("ramp.png"), video("ramp.mp4")], ids=["image", "video"])
@pytest.mark.parametrize("way", WAYS)
def test_a_pan_moves_the_view_that_way_and_never_shows_an_edge(draw, kind, way):
    drawn = draw({**kind, "resize": "cover", "pan": way, "pan-distance": 0.3, "duration": 1})
    # Red grows to the right and green downwards, so the color in the center shows where the view is.
    first, last = drawn.pixel(50, 50), drawn.pixel(50, 50, frame=9)
    for channel, direction in enumerate(WAYS[way]):
        assert (last[channel] - first[channel]) == pytest.approx(direction * 255 * 0.3 / 1.3, abs=5)
    assert is_close(first[2:], (0,), by=8)


@pytest.mark.parametrize("distance", [0.05, 0.2, 0.5])
def test_a_pan_goes_as_far_as_its_distance(draw, distance):
    drawn = draw(image("ramp.png", resize="cover", pan="right", **{"pan-distance": distance}))
    moved = drawn.pixel(50, 50, frame=9)[0] - drawn.pixel(50, 50)[0]
    assert moved == pytest.approx(255 * distance / (1 + distance), abs=3)


@pytest.mark.parametrize("kind", [image("ramp.png"), video("ramp.mp4")], ids=["image", "video"])
def test_a_pan_without_crop_leaves_an_empty_band(draw, kind):
    element = {**kind, "resize": "cover", "pan": "right", "pan-distance": 0.2, "pan-crop": False, "duration": 1}
    drawn = draw(element, background=to_hex(BLUE))
    assert is_close(drawn.pixel(3, 50), BLUE)
    assert not is_close(drawn.pixel(97, 50), BLUE, by=30)
    assert is_close(drawn.pixel(97, 50, frame=9), BLUE)
    assert not is_close(drawn.pixel(3, 50, frame=9), BLUE, by=30)


def test_a_positive_zoom_magnifies_and_a_negative_one_shrinks(draw):
    for zoom, first, last in ((10, 1.0, 1.3), (-10, 1.3, 1.0)):
        drawn = draw(image("line.png", resize="cover", zoom=zoom))
        # The line stands a quarter of the frame right of the middle.
        places = [center(drawn.frames[n])[0] - 49.5 for n in (0, 9)]
        assert places == pytest.approx([24.9 * first, 24.9 * last], abs=0.4)


@pytest.mark.parametrize(
    "element",
    [
        image("line.png"),
        {"type": "text", "text": "|", "settings": {"font-size": "40px", "horizontal-position": "right"}},
    ],
)
def test_a_slow_zoom_moves_evenly_by_parts_of_a_pixel(draw, element):
    drawn = draw({**element, "resize": "cover", "zoom": 3}, seconds=4)
    places = [center(frame)[0] for frame in drawn.frames]
    steps = [b - a for a, b in itertools.pairwise(places)]
    assert 0.01 < sum(steps) / len(steps) < 0.12
    assert max(steps) - min(steps) < 0.06


def test_a_zoom_into_a_large_picture_stays_sharp(draw):
    drawn = draw(image("line.png", resize="cover", zoom=10))
    row = np.asarray(drawn.frames[9].convert("L"))[50]
    # A line of 4 of 400 pixels is 1.3 of 100 when nearest: it may not have been shrunk and then blown up.
    assert row.max() > 200


@pytest.mark.parametrize("kind", [image("red.png"), video("quarters.mp4")], ids=["image", "video"])
def test_black_of_a_mask_is_transparent_and_white_opaque(draw, kind):
    drawn = draw(
        {**kind, "width": 60, "height": 60, "x": 20, "y": 20, "mask": HOST + "mask.png"}, background=to_hex(BLUE)
    )
    assert is_close(drawn.pixel(30, 30), RED)
    assert is_close(drawn.pixel(70, 30), BLUE)
    half = draw({**kind, "width": 60, "height": 60, "mask": HOST + "grey.png"})
    assert is_close(half.pixel(10, 10), [v * 128 / 255 for v in RED])


def test_a_clip_as_a_mask_moves(draw):
    drawn = draw(image("red.png", width=60, height=60, mask=HOST + "mask.mp4"))
    assert is_close(drawn.pixel(15, 30, frame=1), RED)
    assert is_close(drawn.pixel(45, 30, frame=1), BLACK)
    assert is_close(drawn.pixel(15, 30, frame=8), BLACK)
    assert is_close(drawn.pixel(45, 30, frame=8), RED)


def test_a_text_is_masked_by_its_own_canvas(draw):
    words = {"type": "text", "text": "MMMM", "settings": {"font-size": "30px"}, "mask": HOST + "mask.png"}
    frame = draw(words).frames[0].convert("L")
    assert frame.crop((0, 0, 48, 100)).getextrema()[1] > 200
    assert frame.crop((52, 0, 100, 100)).getextrema()[1] == 0


def test_a_mask_that_is_not_a_picture_fails_the_render_with_its_path(draw, folder):
    (folder / "media.example.com" / "words.png").write_text("not a picture")
    with pytest.raises(MovieFault, match=r"Scene #1, element #1: The mask '.*words.png' is not an image or a video"):
        draw(image("red.png", mask=HOST + "words.png"))


@pytest.mark.parametrize(
    ("correction", "grey"),
    [
        ({"brightness": 0.25}, 164), ({"brightness": -0.25}, 36), ({"contrast": 2}, 72), ({"contrast": -1}, 155),
        ({"gamma": 2}, 160), ({"gamma": 0.5}, 39), ({"brightness": 9}, 255), ({"brightness": -9}, 0),
    ],
)  # fmt: skip
def test_a_correction_changes_the_levels(correction, grey):
    made = Correction.read({"correction": correction}, lambda _: None)
    assert is_close(made.corrected(Image.new("RGB", (1, 1), (100, 100, 100))).getpixel((0, 0)), (grey,) * 3, by=1)


def test_saturation_goes_from_grey_to_thrice(draw):
    red = Image.new("RGB", (1, 1), (150, 100, 100))
    for saturation, spread in ((0, 0), (0.5, 25), (2, 100), (3, 150)):
        made = Correction.read({"correction": {"saturation": saturation}}, lambda _: None)
        seen = made.corrected(red).getpixel((0, 0))
        assert seen[0] - seen[1] == pytest.approx(spread, abs=2)


def test_a_correction_out_of_range_is_clamped_with_a_warning(draw):
    drawn = draw(image("red.png", correction={"gamma": 50, "saturation": -1}))
    assert "the gamma of a correction must be from 0.1 to 10, got 50" in drawn.warning_text()
    assert "the saturation of a correction must be from 0 to 3, got -1" in drawn.warning_text()


@pytest.mark.parametrize("kind", [image("screen.png"), video("screen.mp4")], ids=["image", "video"])
def test_a_chroma_key_removes_the_screen_with_its_shadow_and_leaves_skin(draw, kind):
    drawn = draw({**kind, "chroma-key": {"color": "#00b140"}}, background=to_hex(BLUE))
    assert is_close(drawn.pixel(10, 60), BLUE)
    assert is_close(drawn.pixel(40, 4), BLUE)
    assert is_close(drawn.pixel(40, 40), (224, 172, 140), by=10)
    # The rim is neither wholly there nor green.
    rim = [drawn.pixel(x, 40) for x in range(20, 30)]
    assert not any(g > r + 40 and g > b + 40 for r, g, b in rim), rim


def test_a_chroma_key_leaves_no_spill_at_the_edges(draw, folder):
    # The colors of a clip are coarser than its light, so that two pixels of rim are mixed with the screen.
    person = Image.new("RGB", (80, 80), (40, 190, 70))
    ImageDraw.Draw(person).ellipse((20, 20, 60, 60), fill=(214, 72, 60))
    clip(folder / "media.example.com" / "rim.mp4", [person] * 10)
    key = {"color": "#28be46", "tolerance": 25}
    pixels = np.asarray(draw(video("rim.mp4", **{"chroma-key": key}), background="#808080").frames[2]).astype(int)
    green = pixels[:80, :80, 1] - pixels[:80, :80, [0, 2]].mean(axis=2)
    assert green.max() <= 20
    assert is_close(pixels[40, 40], (214, 72, 60), by=10)
    assert is_close(pixels[5, 5], (128, 128, 128))


def test_a_higher_tolerance_removes_more_and_the_edge_is_soft():
    shades = Image.new("RGB", (101, 1))
    shades.putdata([(2 * n, 177, 64) for n in range(101)])
    gone = {}
    for tolerance in (1, 25, 60, 100):
        alpha = np.asarray(ChromaKey((0, 177, 64), tolerance).keyed(shades).getchannel("A"))[0]
        gone[tolerance] = int((alpha == 0).sum())
        assert tolerance == 100 or ((alpha > 0) & (alpha < 255)).sum() > 3
        assert (np.diff(alpha.astype(int)) >= 0).all()
    assert gone[1] < gone[25] < gone[60] < gone[100]


def test_a_key_without_a_hue_also_compares_brightness():
    three = Image.new("RGB", (3, 1))
    three.putdata([(0, 0, 0), (128, 128, 128), (255, 255, 255)])
    assert list(ChromaKey((0, 0, 0), 20).keyed(three).getchannel("A").tobytes()) == [0, 255, 255]


def test_an_invalid_chroma_key_is_a_warning(draw):
    drawn = draw(image("red.png", **{"chroma-key": {"color": "greenish", "tolerance": 5}}))
    assert "the color of the chroma-key is not a color: 'greenish'" in drawn.warning_text()
    drawn = draw(image("red.png", **{"chroma-key": {"color": "#00ff00", "tolerance": 500}}))
    assert "the tolerance of a chroma-key must be from 1 to 100, got 500; 100 is used" in drawn.warning_text()
    assert is_close(drawn.pixel(5, 5), RED, by=40)


@pytest.mark.parametrize(
    ("position", "corner"),
    [
        ("top-left", (5, 5)), ("top-right", (75, 5)), ("bottom-left", (5, 75)), ("bottom-right", (75, 75)),
        ("center-center", (40, 40)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("shift", [(0, 0), (3, -4)])
def test_a_preset_has_a_margin_of_five_percent_and_x_and_y_shift_it(draw, position, corner, shift):
    drawn = draw(image("red.png", width=20, position=position, x=shift[0], y=shift[1]))
    left, top = corner[0] + shift[0], corner[1] + shift[1]
    assert drawn.frames[0].getbbox() == (left, top, left + 20, top + 20)


def test_a_text_that_has_the_whole_frame_is_not_pushed_out_of_it_by_a_preset(draw):
    words = {"type": "text", "text": "x", "settings": {"font-size": "20px"}}
    plain, preset = draw(words), draw({**words, "position": "top-left"})
    assert plain.frames[0].tobytes() == preset.frames[0].tobytes()


def test_a_higher_z_index_is_above_whatever_the_order(draw):
    drawn = draw(image("red.png", **{"z-index": 2}), image("quarters.png", **{"z-index": -3}, x=20, y=0))
    assert is_close(drawn.pixel(30, 10), RED)
    assert is_close(drawn.pixel(50, 10), RED)
    assert is_close(drawn.pixel(70, 10), GREEN)


def test_a_fade_blends_with_the_layers_below(draw):
    drawn = draw(image("red.png", **{"fade-in": 1}), background=to_hex(BLUE), seconds=2)
    middle = [(a + b) / 2 for a, b in zip(RED, BLUE, strict=True)]
    assert is_close(drawn.pixel(5, 5, frame=4), middle, by=12)
    assert is_close(drawn.pixel(5, 5, frame=15), RED)


def test_an_animated_gif_shows_its_first_frame_with_a_warning(draw):
    drawn = draw(image("moving.gif"))
    assert is_close(drawn.pixel(5, 5, frame=9), RED)
    assert "an animated image shows only its first frame" in drawn.warning_text()


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("alpha.mov", "prores_ks", "yuva444p10le"),
        ("alpha.webm", "libvpx-vp9", "yuva420p"),
        ("alpha2.mov", "png", "rgba"),
    ],
)
def test_a_clip_with_transparency_shows_the_layers_below(draw, folder, name, codec, pix_fmt):
    half = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    ImageDraw.Draw(half).rectangle((0, 0, 31, 63), fill=(*RED, 255))
    clip(folder / "media.example.com" / name, [half] * 5, codec=codec, pix_fmt=pix_fmt)
    drawn = draw(video(name, duration=0.5), seconds=1, background=to_hex(BLUE))
    assert is_close(drawn.pixel(10, 30, frame=2), RED, by=10)
    assert is_close(drawn.pixel(55, 30, frame=2), BLUE, by=10)


@pytest.mark.parametrize("width", [162, 178, 180, 194, 196])
def test_a_transparent_clip_of_any_width_is_clean_to_its_last_column(draw, folder, width):
    dot = Image.new("RGBA", (width, 40), (*RED, 0))
    ImageDraw.Draw(dot).rectangle((20, 10, 40, 30), fill=(*RED, 255))
    clip(folder / "media.example.com" / "dot.webm", [dot] * 5, codec="libvpx-vp9", pix_fmt="yuva420p")
    drawn = draw(video("dot.webm", duration=0.5), seconds=1, width=200, background=to_hex(BLUE))
    beside = np.asarray(drawn.frames[2].crop((60, 0, 200, 40))).astype(int)
    assert abs(beside - BLUE).max() <= 6
    assert is_close(drawn.pixel(30, 20, frame=2), RED, by=10)


def test_a_transparent_scene_shows_the_movie_elements_behind_it(draw, folder):
    document = movie(image("red.png"), background="transparent")
    document["elements"] = [image("quarters.png", resize="cover", **{"z-index": -1}, duration=-2)]
    drawn = DrawnMovie(document, folder)
    assert is_close(drawn.pixel(10, 10), RED)
    assert is_close(drawn.pixel(90, 10), GREEN)


def test_identical_frames_are_not_drawn_twice(draw, folder, monkeypatch):
    still = draw(image("red.png", mask=HOST + "mask.png", rotate={"angle": 30}))
    assert all(frame is still.frames[0] for frame in still.frames)
