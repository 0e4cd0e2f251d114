"""HTML by a real browser where there is one, and the cards that stand for what is not drawn."""

from __future__ import annotations

import html
import os
import threading
import time
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops

from airflow_json2video.local.drawing.assets import Assets
from airflow_json2video.local.drawing.browser import Browser, BrowserFault, Page
from airflow_json2video.local.drawing.cards import box_card, picture_card, visible_text
from airflow_json2video.local.drawing.html import HtmlStills, page_of
from airflow_json2video.local.drawing.layers import open_layer
from airflow_json2video.local.drawing.render import render
from airflow_json2video.local.planning.resolve import MovieFault
from airflow_json2video.local.planning.timeline import Layer

CANVAS = (320, 180)
RED, CLEAR = (255, 0, 0, 255), (0, 0, 0, 0)


def layer(kind, **element):
    return Layer(kind=kind, where="Scene #1, element #1", first=0, frames=10, element={"type": kind, **element})


def card(**element):
    notes = []
    picture, x, y = box_card(layer("component", **element), CANVAS, notes.append)
    return picture, (x, y), notes


# --- with a browser -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    found = Browser.find()
    if found is None:
        pytest.skip("no Chromium or Chrome is installed here")
    return found


@pytest.fixture
def drawn(browser, tmp_path):
    def draw(source, **how):
        target = tmp_path / "drawn.png"
        browser.draw(Page(source=source, **{"width": 120, "height": 60, "wait": 0.2, **how}), target)
        with Image.open(target) as picture:
            return picture.convert("RGBA")

    return draw


BOX = "<div style='width:40px;height:20px;background:red'></div>"


def test_a_page_is_drawn_on_nothing_at_the_size_of_its_element(drawn):
    picture = drawn(BOX)
    assert picture.size == (120, 60)
    assert picture.getpixel((20, 10)) == RED
    assert picture.getpixel((60, 10)) == picture.getpixel((20, 40)) == CLEAR


def test_dpi_increases_the_resolution_not_the_size(drawn):
    hairline = "<div style='width:40px;height:20.5px;background:red'></div>"
    picture = drawn(hairline, dpi=2)
    assert picture.size == (120, 60)
    assert picture.getpixel((20, 10)) == RED
    assert 60 < picture.getpixel((20, 20))[3] < 200


def test_scripts_run_and_the_picture_is_drawn_after_the_wait(drawn):
    later = f"{BOX}<script>setTimeout(() => document.querySelector('div').style.background = 'blue', 1500)</script>"
    assert drawn(later, wait=0.2).getpixel((20, 10)) == RED
    assert drawn(later, wait=3).getpixel((20, 10)) == (0, 0, 255, 255)


def test_a_page_without_a_size_at_a_preset_position_is_cropped(drawn):
    assert drawn(f"<body style='margin:9px'>{BOX}", trim=True).size == (40, 20)


def test_the_browser_asks_nothing_of_the_network(drawn):
    asked = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    at = f"http://127.0.0.1:{server.server_port}"
    named = f"http://localhost:{server.server_port}"
    page = (
        f"<img src='{at}/img'><iframe src='{at}/frame'></iframe><link rel=stylesheet href='{named}/css'>"
        f"<script src='{named}/js'></script><script>fetch('{at}/fetch').catch(()=>0); new Image().src='{named}/late';"
        f"setTimeout(() => location = '{at}/away', 50)</script>{BOX}"
    )
    drawn(page, wait=1)
    server.shutdown()
    server.server_close()
    assert asked == []


@pytest.mark.parametrize(
    "way",
    [
        "<img src='{file}' width=120 height=60>",
        "<iframe src='{file}' width=120 height=60></iframe>",
        "<object data='{file}' width=120 height=60></object>",
        "<script>location = '{file}'</script>",
        "<script>top.location = '{file}'</script>",
        "<meta http-equiv=refresh content='0;url={file}'>",
        (
            "<script>fetch('{file}').then(answer => answer.blob()).then(blob => {{ const picture = new Image(); "
            "picture.src = URL.createObjectURL(blob); document.body.append(picture) }})</script>"
        ),
        (
            "<script>const asked = new XMLHttpRequest(); asked.open('GET', '{file}'); asked.responseType = 'blob'; "
            "asked.onload = () => {{ const picture = new Image(); picture.src = URL.createObjectURL(asked.response); "
            "document.body.append(picture) }}; asked.send()</script>"
        ),
    ],
)
def test_a_page_cannot_show_a_file_of_this_machine(drawn, tmp_path, way):
    secret = tmp_path / "secret.png"
    Image.new("RGB", (120, 60), (0, 200, 0)).save(secret)
    picture = drawn(way.format(file=secret.as_uri()), wait=1)
    colors = {color[:3] for _, color in picture.getcolors(120 * 60) if color[3]}
    assert not any(g > 120 and r < 80 and b < 80 for r, g, b in colors)


def test_html_is_drawn_as_a_still_with_a_warning(browser, tmp_path):
    element = {"type": "html", "html": BOX, "x": 100, "y": 50, "tailwind": True, "duration": -2, "wait": 0.1}
    movie = {
        "width": 320,
        "height": 180,
        "scenes": [{"duration": 1, "background-color": "#ffffff", "elements": [element]}],
    }
    out = tmp_path / "out.mp4"
    result = render(movie, out, mode="preview", assets=Assets(cache=tmp_path / "cache"), html=True)
    assert result["outcome"] == "done"
    warned = "\n".join(result["warnings"])
    assert "this html is drawn as a still" in warned
    assert "Tailwind is ignored" in warned
    assert "card" not in warned
    frame = first_frame(out)
    assert frame.getpixel((120, 60))[0] > 200
    assert frame.getpixel((120, 60))[1] < 60
    assert min(frame.getpixel((20, 20))) > 240


def first_frame(path):
    import av

    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_image()


# --- a browser that misbehaves --------------------------------------------------------------------


def program(tmp_path, script):
    path = tmp_path / "browser"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return Browser(program=str(path), timeout=0.5)


PAGE = Page(source="x", width=10, height=10)


def test_a_browser_that_hangs_is_ended_with_all_that_it_started(tmp_path):
    child = tmp_path / "child"
    slow = program(tmp_path, f"sleep 60 & echo $! > {child}; wait")
    with pytest.raises(BrowserFault, match=r"took longer than 0\.5 s"):
        slow.draw(PAGE, tmp_path / "out.png")
    number = int(child.read_text())
    for _ in range(100):
        if not alive(number):
            break
        time.sleep(0.02)
    assert not alive(number)
    assert not (tmp_path / "out.png").exists()


def alive(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{number}/stat")
    return not (state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def test_a_browser_that_draws_nothing_is_an_error_with_the_reason(tmp_path):
    with pytest.raises(BrowserFault, match="drew no picture: no such display"):
        program(tmp_path, "echo no such display >&2").draw(PAGE, tmp_path / "out.png")


def test_a_browser_sees_nothing_of_our_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("JSON2VIDEO_SECRET", "a-key")
    seen = tmp_path / "seen"
    with pytest.raises(BrowserFault):
        program(tmp_path, f"env > {seen}").draw(PAGE, tmp_path / "out.png")
    assert "a-key" not in seen.read_text()


def test_a_browser_failure_is_a_warning_and_a_placeholder_is_drawn(tmp_path):
    warned = []
    stills = HtmlStills(
        assets=Assets(cache=tmp_path),
        enabled=True,
        warn=warned.append,
        search=lambda: program(tmp_path, "echo broken >&2"),
    )
    assert stills.find(layer("html", html="<p>x")) is None
    assert warned == ["Scene #1, element #1: the browser failed: browser drew no picture: broken"]


@pytest.mark.parametrize("fetch", [True, False])
def test_a_source_that_is_not_a_page_is_not_opened_in_the_browser(tmp_path, fetch):
    host = tmp_path / "media.example.com"
    host.mkdir()
    Image.new("RGB", (8, 8)).save(host / "page.html", format="PNG")
    (host / "fine.html").write_text("<p>x")
    stills = HtmlStills(
        assets=Assets(cache=tmp_path / "cache", folder=tmp_path, fetch=fetch),
        enabled=True,
        warn=lambda _: None,
        search=lambda: program(tmp_path, f"touch {tmp_path}/asked"),
    )
    with pytest.raises(MovieFault, match="element #1: The URL provided is not a page and cannot be used"):
        stills.find(layer("html", src="https://media.example.com/page.html"))
    assert not (tmp_path / "asked").exists()
    stills.find(layer("html", src="https://media.example.com/fine.html"))
    assert (tmp_path / "asked").exists()


@pytest.mark.parametrize(
    ("body", "given"),
    [
        ("<p>\u4e2d</p>".encode("utf-16"), "<p>\u4e2d</p>"),
        ("\ufeff<p>\u4e2d</p>".encode(), "<p>\u4e2d</p>"),
        (b"<p>" + b"x" * 2_000_000, "<p>" + "x" * 1_999_997),
    ],
    ids=["utf-16", "utf-8 with its mark", "too long"],
)
def test_a_page_is_read_in_its_encoding_and_cut_where_it_is_too_long(tmp_path, body, given):
    host = tmp_path / "media.example.com"
    host.mkdir()
    (host / "page.html").write_bytes(body)
    warned = []
    keep = f'for page; do :; done; cp "${{page#file://}}" {tmp_path}/shown'
    stills = HtmlStills(
        assets=Assets(cache=tmp_path / "cache", folder=tmp_path),
        enabled=True,
        warn=warned.append,
        search=lambda: program(tmp_path, keep),
    )
    stills.find(layer("html", src="https://media.example.com/page.html"))
    shown = (tmp_path / "shown").read_text(encoding="utf-8")
    assert f'{html.escape(given)}"></iframe>' in shown
    was_cut = "Scene #1, element #1: the page is longer than 2,000,000 bytes; the rest is ignored"
    assert (was_cut in warned) == (len(body) > 2_000_000)


def test_html_is_disabled_by_default(tmp_path):
    warned = []
    stills = HtmlStills(assets=Assets(cache=tmp_path), enabled=False, warn=warned.append)
    assert stills.find(layer("html", html="<p>x")) is None
    assert "enabled (setting html, --html)" in warned[0]


def test_without_a_browser_a_placeholder_is_drawn_and_the_warning_names_the_programs(tmp_path):
    warned = []
    stills = HtmlStills(assets=Assets(cache=tmp_path), enabled=True, warn=warned.append, search=lambda: None)
    assert stills.find(layer("html", html="<p>x")) is None
    assert "no Chromium is installed" in warned[0]
    assert Browser.find(which=lambda name: None) is None


@pytest.mark.parametrize(
    ("element", "wanted"),
    [
        ({}, (320, 180, 1.0, 2.0, False)),
        ({"width": 600, "height": "200", "dpi": 2}, (600, 200, 2.0, 2.0, False)),
        ({"position": "bottom-right"}, (320, 180, 1.0, 2.0, True)),
        ({"position": "bottom-right", "width": 50, "wait": 99}, (50, 180, 1.0, 10.0, False)),
        ({"width": 99999, "dpi": 50}, (3840, 180, 4.0, 2.0, False)),
    ],
)
def test_an_element_sets_size_density_and_wait_of_its_page_within_limits(element, wanted):
    page = page_of(element, "x", canvas=CANVAS)
    assert (page.width, page.height, page.dpi, page.wait, page.trim) == wanted


# --- cards ----------------------------------------------------------------------------------------


def test_only_the_visible_text_of_html_is_used():
    page = "<style>p{color:red}</style><h1>Price &amp; more</h1><p>849,000<br>only <b>now</b></p><script>x()</script>"
    assert visible_text(page) == "Price & more\n849,000\nonly now"


def test_a_component_shows_its_texts_in_the_box_of_its_card():
    settings = {"headline": {"text": "A headline"}, "lead": {"text": ["first", "second"]}, "card": {}}
    picture, at, notes = card(component="basic/050", settings=settings, x=10, y=20, width=300, height=150)
    assert picture.size == (300, 150)
    assert at == (10, 20)
    assert notes == ["a placeholder is drawn for this component ('basic/050')"]
    # A lower third: white paper and a red bar at the bottom left, nothing of it in the upper half.
    lower, upper = picture.crop((4, 75, 150, 146)), picture.crop((4, 30, 296, 75))
    assert (255, 0, 0, 255) in colors(lower)
    assert (255, 255, 255, 255) in colors(lower)
    assert upper.getbbox() is None


def colors(picture):
    return {color for _, color in picture.getcolors(picture.width * picture.height)}


def test_the_card_of_a_component_moves_with_its_alignment():
    settings = {"headline": {"text": "Hi", "color": "#00ff00"}}
    tops = {}
    for place in ("top", "bottom"):
        picture, _, _ = card(component="basic/000", settings={**settings, "card": {"vertical-align": place}})
        tops[place] = green(picture).getbbox()[1]
    assert tops["top"] < CANVAS[1] / 3
    assert tops["bottom"] > CANVAS[1] / 2


def green(picture):
    r, g, b, _ = picture.split()
    return ImageChops.subtract(g, ImageChops.lighter(r, b)).point(lambda v: 255 if v > 100 else 0)


def test_the_parts_of_a_component_stand_apart_and_do_not_touch():
    settings = {"headline": {"text": "gypqj", "color": "#00ff00"}, "body": {"text": "Alto", "color": "#00ff00"}}
    picture, _, _ = card(component="basic/001", settings=settings)
    rows = np.asarray(green(picture)).any(axis=1)
    (_, ends), (begins, _) = inked_rows(rows)
    assert begins - ends >= 4


def inked_rows(rows):
    """Return the first and last row of each run of rows with ink."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], rows.astype(int), [0]])))
    return zip(edges[::2], edges[1::2], strict=True)


@pytest.mark.parametrize("ratio", ["horizontal", "vertical", "squared"])
def test_the_prompt_on_a_card_is_below_its_title(ratio):
    element = {
        "prompt": "A calm ocean at dusk, " * 6, "model": "flux-pro", "aspect-ratio": ratio, "resize": "contain",
    }  # fmt: skip
    picture = picture_card(layer("image", **element), CANVAS, lambda _: None).convert("L")
    edge = min(picture.size) // 24
    inner = np.asarray(picture.crop((edge * 3 // 2, edge * 3 // 2, picture.width - edge * 3 // 2, edge * 9)))
    title, words, *_ = inked_rows((inner > 200).any(axis=1))
    assert title[1] - title[0] < edge * 1.5  # a line of its own
    assert words[0] - title[1] >= edge // 3


@pytest.mark.parametrize(
    ("element", "seen"),
    [
        ({"resize": "cover"}, (437, 0, 843, 720)),
        ({"width": 640}, (0, 0, 360, 640)),
        ({"x": -1000}, (1000, 0, 1180, 320)),
        ({"x": 5000}, (0, 0, 1280, 720)),
    ],
)
def test_a_card_that_is_cut_off_has_its_words_where_it_is_seen(element, seen):
    card = picture_card(layer("image", prompt="A lighthouse", **element), (180, 320), lambda _: None)
    frame = card.convert("L").point(lambda v: 255 if v > 200 else 0).getbbox()
    edge = min(seen[2] - seen[0], seen[3] - seen[1]) // 24
    assert frame == pytest.approx((seen[0] + edge, seen[1] + edge, seen[2] - edge, seen[3] - edge), abs=2)


def test_a_part_that_is_a_text_and_a_counter_are_shown_as_they_end():
    plain, _, _ = card(component="basic/000", settings={"headline": "FOR SALE"})
    empty, _, _ = card(component="basic/000", settings={})
    assert ImageChops.difference(plain.convert("RGB"), empty.convert("RGB")).getbbox()
    counter = {"text": ["$__num__"], "from": "400", "to": "230"}
    shown, _, _ = card(component="advanced/060", settings={"counter": counter})
    wanted, _, _ = card(component="advanced/060", settings={"counter": {"text": "$230"}})
    assert shown.tobytes() == wanted.tobytes()


def test_a_rectangle_is_really_drawn_with_its_border_and_place():
    shape = {"left": "25%", "top": 10, "width": "50%", "height": 60, "background": "#00ff00", "border": "4px solid red"}
    picture, at, notes = card(component="shape/rectangle", settings={"rectangle1": shape})
    assert (picture.size, at, notes) == (CANVAS, (0, 0), [])
    assert picture.getbbox() == (80, 10, 240, 70)
    assert picture.getpixel((160, 40)) == (0, 255, 0, 255)
    assert picture.getpixel((81, 40)) == RED


@pytest.mark.parametrize("radius", ["20px", "50%"])
def test_the_round_corners_of_a_rectangle_are_smooth(radius):
    shape = {"width": 100, "height": 80, "background": "#00ff00", "border-radius": radius}
    picture, _, _ = card(component="shape/rectangle", settings={"rectangle1": shape})
    levels = np.unique(np.asarray(picture.getchannel("A").crop((0, 0, 50, 40))))
    assert len(levels) >= 10
    assert picture.getpixel((50, 40)) == (0, 255, 0, 255)
    assert picture.getpixel((0, 0))[3] == 0


def test_unsupported_properties_of_a_rectangle_are_warnings():
    shape = {"background": "linear-gradient(90deg, #00ff00, red)", "border-radius": "50%", "animate": {}}
    picture, _, notes = card(component="shape/rectangle", settings={"rectangle1": shape})
    assert picture.getpixel((160, 90)) == (0, 255, 0, 255)
    assert picture.getpixel((2, 2)) == CLEAR
    assert sorted(notes) == [
        "only the first color of a shape's background is drawn",
        "shape/rectangle is drawn without animate",
    ]


@pytest.mark.parametrize(
    ("ratio", "size"),
    [("horizontal", (1280, 720)), ("vertical", (720, 1280)), ("squared", (1024, 1024)), (None, (1280, 720))],
)
def test_a_generated_picture_has_its_aspect_ratio_and_its_prompt(ratio, size):
    notes = []
    element = {"prompt": "A calm ocean", "model": "flux-schnell", **({"aspect-ratio": ratio} if ratio else {})}
    picture = picture_card(layer("image", **element), CANVAS, notes.append)
    other = picture_card(layer("image", **{**element, "prompt": "A lighthouse"}), CANVAS, notes.append)
    assert picture.size == size
    assert picture.tobytes() != other.tobytes()
    assert notes[0] == "a placeholder is drawn for this image, which a model would generate"


def test_a_generated_picture_is_resized_and_placed_as_a_real_one():
    element = {"prompt": "A calm ocean", "aspect-ratio": "squared", "width": 90, "position": "bottom-right"}
    opened = open_layer(
        layer("image", **element), size=CANVAS, fps=Fraction(25), find=lambda _: None, warn=lambda _: None
    )
    sprite = opened.sprite(0)
    assert (sprite.picture.size, sprite.x, sprite.y) == ((90, 90), 320 - 90 - 16, 180 - 90 - 9)


@pytest.mark.parametrize(
    ("more", "ignored"),
    [
        ({}, None),
        ({"shine": 3}, "shine"),
        ({"src": "https://a.example/a.png"}, "aspect-ratio, model, model-settings, prompt"),
    ],
)
def test_the_placeholder_of_a_generated_image_causes_one_warning(more, ignored):
    asked = {"prompt": "A calm ocean", "model": "flux-pro", "aspect-ratio": "squared", "model-settings": {"seed": 1}}
    warned = []
    picture = layer("image", **asked, **more)
    open_layer(picture, size=CANVAS, fps=Fraction(25), find=lambda _: None, warn=warned.append)
    not_drawn = [line for line in warned if "not drawn" in line]
    assert not_drawn == ([f"Scene #1, element #1: not drawn: {ignored}"] if ignored else [])
