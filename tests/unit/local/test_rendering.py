"""Real videos, read back with PyAV and compared pixel by pixel."""

from __future__ import annotations

import re
import threading
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import pytest
import requests
from PIL import Image, ImageDraw

from airflow_json2video.local import LocalService
from airflow_json2video.local.drawing.assets import AssetFault, Assets
from airflow_json2video.local.drawing.render import open_movie
from airflow_json2video.local.drawing.solid import Run, write_solid_mp4
from airflow_json2video.local.limits import Limits
from airflow_json2video.local.planning.resolve import MovieFault

BLUE, GREEN, RED = (67, 146, 241), (11, 132, 87), (200, 30, 30)


def to_hex(rgb):
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def text(words, **settings):
    return {"type": "text", "text": words, "settings": {"font-size": "40px", **settings}}


@pytest.fixture(scope="module")
def assets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("assets")
    Image.new("RGB", (100, 50), RED).save(folder / "red.png")
    (folder / "media.example.com").mkdir()
    Image.new("RGB", (100, 50), GREEN).save(folder / "media.example.com" / "green.png")
    half = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    ImageDraw.Draw(half).rectangle([0, 0, 49, 99], fill=(*RED, 255))
    half.save(folder / "half.png")
    (folder / "page.png").write_text("<html>not an image</html>")
    return folder


@pytest.fixture(scope="module")
def service(tmp_path_factory, assets):
    home = tmp_path_factory.mktemp("home")
    with LocalService(mode="preview", home=home, assets=assets, workers=2, credits=10_000) as service:
        yield service


@pytest.fixture
def client(service, make_client):
    return make_client(service)


class Video:
    def __init__(self, url, tmp_path):
        path = tmp_path / "video.mp4"
        path.write_bytes(requests.get(url).content)
        with av.open(str(path)) as container:
            self.stream_facts(container)
            self.frames = [f.reformat(format="rgb24", src_colorspace=1).to_ndarray() for f in container.decode(video=0)]

    def stream_facts(self, container):
        stream = container.streams.video[0]
        context = stream.codec_context
        self.size = (context.width, context.height)
        self.fps = stream.average_rate
        self.seconds = container.duration / 1e6
        self.codec = context.name
        self.tags = (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
        self.sounds = len(container.streams.audio)

    def pixel(self, frame, x, y):
        return tuple(int(v) for v in self.frames[frame][y, x])


def is_close(seen, wanted, by=6):
    return all(abs(a - b) <= by for a, b in zip(seen, wanted, strict=True))


@pytest.fixture
def rendered(client, tmp_path):
    def render(movie):
        seen = client.finished(movie=movie)
        assert seen["status"] == "done", seen["message"]
        return seen, Video(seen["url"], tmp_path)

    return render


def test_a_preview_has_the_right_size_rate_length_count_tags_and_colors(rendered):
    movie = {
        "width": 320, "height": 180, "fps": 30,
        "scenes": [
            {"duration": 1.5, "background-color": to_hex(BLUE), "elements": [text("Hi")]},
            {"duration": 1, "background-color": to_hex(GREEN)},
        ],
    }  # fmt: skip
    seen, video = rendered(movie)
    assert (video.size, video.fps, len(video.frames), video.codec) == ((320, 180), 30, 75, "h264")
    assert video.seconds == pytest.approx(2.5, abs=0.04)
    assert video.tags == (1, 1, 1, 1)
    assert (seen["width"], seen["height"], seen["duration"]) == (320, 180, 2.5)
    assert is_close(video.pixel(0, 5, 5), BLUE)
    assert is_close(video.pixel(44, 5, 5), BLUE)
    assert is_close(video.pixel(45, 5, 5), GREEN)
    # White ink stands in the middle of the first scene only.
    assert video.frames[20][70:110, 130:190].min(axis=2).max() > 230
    assert video.frames[60][70:110, 130:190].min(axis=2).max() < 40


def test_the_index_is_before_the_data_and_no_partial_file_is_left(client, service):
    seen = client.finished()
    body = requests.get(seen["url"]).content
    assert 0 < body.find(b"moov") < body.find(b"mdat")
    assert not list(service.home.rglob("*.part"))


@pytest.mark.parametrize("style", ["fade", "wipeleft", "circleopen", "no-such-style"])
def test_a_transition_overlaps_the_scenes_and_shortens_the_movie(rendered, style):
    movie = {
        "width": 160, "height": 90,
        "scenes": [
            {"duration": 1, "background-color": to_hex(BLUE)},
            {"duration": 1, "background-color": to_hex(RED), "transition": {"style": style, "duration": 0.4}},
        ],
    }  # fmt: skip
    seen, video = rendered(movie)
    assert seen["duration"] == 1.6
    assert len(video.frames) == 40
    assert is_close(video.pixel(14, 80, 45), BLUE)
    assert is_close(video.pixel(26, 80, 45), RED)
    middle = video.frames[20].reshape(-1, 3).astype(int)
    if style in ("fade", "no-such-style"):
        assert is_close(middle.mean(axis=0), [(a + b) / 2 for a, b in zip(BLUE, RED, strict=True)], by=12)
    else:
        reds = (middle[:, 0] > 150).mean()
        assert 0.2 < reds < 0.9


def test_an_image_covers_is_contained_and_is_placed(rendered, service):
    src = f"{service.url}/assets/red.png"
    movie = {
        "width": 200, "height": 200,
        "scenes": [
            {"duration": 0.4, "elements": [{"type": "image", "src": src, "resize": "cover"}]},
            {"duration": 0.4, "elements": [{"type": "image", "src": src, "resize": "contain"}]},
            {"duration": 0.4, "elements": [{"type": "image", "src": src, "width": 40, "position": "bottom-right"}]},
            {"duration": 0.4, "elements": [{"type": "image", "src": src, "x": 20, "y": 30, "width": 10, "height": 10}]},
        ],
    }  # fmt: skip
    _, video = rendered(movie)
    black = (0, 0, 0)
    assert is_close(video.pixel(5, 2, 2), RED)
    assert is_close(video.pixel(5, 197, 197), RED)
    assert is_close(video.pixel(15, 100, 100), RED)
    assert is_close(video.pixel(15, 100, 30), black)
    assert is_close(video.pixel(25, 160, 180), RED)  # a gap of 5 % to both edges
    assert is_close(video.pixel(25, 196, 196), black)
    assert is_close(video.pixel(35, 25, 35), RED)
    assert is_close(video.pixel(35, 40, 50), black)


def test_a_file_in_a_folder_of_its_host_replaces_the_remote_one(rendered):
    src = "https://media.example.com/green.png"
    _, video = rendered(
        {
            "width": 100,
            "height": 100,
            "scenes": [{"duration": 1, "elements": [{"type": "image", "src": src, "resize": "cover"}]}],
        }
    )
    assert is_close(video.pixel(3, 50, 50), GREEN)


def test_a_clip_as_a_mask_opens_and_closes_in_the_finished_video(rendered, assets):
    path = assets / "media.example.com" / "mask.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        for number in range(10):
            grey = Image.new("RGB", (64, 32), "white" if number < 5 else "black")
            frame = av.VideoFrame.from_image(grey)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    masked = {
        "type": "image",
        "src": "https://media.example.com/green.png",
        "mask": "https://media.example.com/mask.mp4",
    }
    scene = {"duration": 2, "background-color": to_hex(BLUE), "elements": [{**masked, "resize": "cover"}]}
    _, video = rendered({"width": 160, "height": 80, "fps": 10, "scenes": [scene]})
    assert is_close(video.pixel(3, 80, 40), GREEN)
    assert is_close(video.pixel(15, 80, 40), BLUE)


def test_a_mask_of_another_kind_fails_the_render_before_anything_is_drawn(client, service):
    masked = {"type": "image", "src": f"{service.url}/assets/red.png", "mask": f"{service.url}/assets/page.png"}
    seen = client.finished(movie={"scenes": [{"duration": 1}, {"duration": 1, "elements": [masked]}]})
    assert seen["status"] == "error"
    assert seen["message"] == "Scene #2, element #1: The mask is not an image or a video"


def test_transparency_shows_what_is_below(rendered, service):
    element = {"type": "image", "src": f"{service.url}/assets/half.png"}
    _, video = rendered(
        {
            "width": 100,
            "height": 100,
            "scenes": [{"duration": 1, "background-color": to_hex(BLUE), "elements": [element]}],
        }
    )
    assert is_close(video.pixel(3, 20, 50), RED, by=10)
    assert is_close(video.pixel(3, 80, 50), BLUE, by=10)


def test_movie_elements_lie_over_scenes_and_below_transparent_ones(rendered, service):
    src = f"{service.url}/assets/red.png"
    movie = {
        "width": 100, "height": 100,
        "scenes": [
            {"duration": 0.4, "background-color": "transparent"},
            {"duration": 0.6, "background-color": to_hex(BLUE)},
        ],
        "elements": [
            {"type": "image", "src": src, "resize": "cover", "z-index": -1, "duration": -2},
            {"type": "image", "src": "https://media.example.com/green.png", "width": 20, "height": 20, "duration": -2},
        ],
    }  # fmt: skip
    _, video = rendered(movie)
    assert [is_close(video.pixel(n, 60, 60), c) for n, c in ((5, RED), (20, BLUE))] == [True, True]
    assert is_close(video.pixel(5, 8, 8), GREEN, by=10)
    assert is_close(video.pixel(20, 8, 8), GREEN, by=10)


def test_fades_begin_and_end_in_nothing(rendered, service):
    element = {
        "type": "image",
        "src": f"{service.url}/assets/red.png",
        "resize": "cover",
        "fade-in": 0.4,
        "fade-out": 0.4,
    }
    _, video = rendered({"width": 100, "height": 100, "scenes": [{"duration": 1.2, "elements": [element]}]})
    reds = [video.pixel(n, 50, 50)[0] for n in (0, 5, 15, 24, 29)]
    assert reds[0] < 30
    assert 60 < reds[1] < 150
    assert reds[2] > 190
    assert 60 < reds[3] < 150
    assert reds[4] < 30


def test_a_clip_plays_with_its_sound_and_its_length_is_measured(rendered, client, service, assets, tmp_path):
    inner = {
        "width": 100,
        "height": 100,
        "scenes": [
            {"duration": 0.6, "background-color": to_hex(RED)},
            {"duration": 0.6, "background-color": to_hex(GREEN)},
        ],
    }
    seen, _ = rendered(inner)
    (assets / "clip.mp4").write_bytes(requests.get(seen["url"]).content)
    clip = {"type": "video", "src": f"{service.url}/assets/clip.mp4"}
    seen, video = rendered({"width": 100, "height": 100, "scenes": [{"elements": [clip]}]})
    assert seen["duration"] == pytest.approx(1.2, abs=0.05)
    assert is_close(video.pixel(5, 50, 50), RED, by=10)
    assert is_close(video.pixel(20, 50, 50), GREEN, by=10)
    assert video.sounds == 1
    seen, video = rendered(
        {"width": 100, "height": 100, "scenes": [{"elements": [{**clip, "loop": 2, "muted": True}]}]}
    )
    assert seen["duration"] == pytest.approx(2.4, abs=0.08)
    assert is_close(video.pixel(35, 50, 50), RED, by=10)
    assert video.sounds == 0


def test_the_same_movie_has_the_same_bytes(client):
    movie = {"width": 160, "height": 90, "scenes": [{"duration": 1, "elements": [text("same")]}]}
    bodies = {requests.get(client.finished(movie=movie)["url"]).content for _ in range(2)}
    assert len(bodies) == 1


def test_an_element_that_cannot_be_drawn_is_a_placeholder_with_a_warning(client, service):
    elements = [
        {"type": "component", "component": "basic/000"},
        {"type": "html", "html": "<p>x</p>"},
        {"type": "image", "prompt": "a cat", "model": "flux-schnell"},
        {**text("plain"), "style": "009", "chroma-key": {"color": "#00ff00"}},
    ]
    client.finished(movie={"width": 100, "height": 100, "scenes": [{"duration": 1, "elements": elements}]})
    warnings = "\n".join(service.renders()[-1]["warnings"])
    for words in (
        "placeholder is drawn for this component",
        "placeholder is drawn for this html",
        "placeholder is drawn for this image",
        "not drawn: chroma-key",
        "style '009'",
    ):
        assert words in warnings
    assert "prompt" not in warnings  # it is on the card


def test_a_source_that_is_not_an_image_fails_with_the_message_of_the_service(client, service):
    movie = {
        "scenes": [
            {"duration": 1},
            {"duration": 1, "elements": [text("a"), {"type": "image", "src": f"{service.url}/assets/page.png"}]},
        ]
    }
    seen = client.finished(movie=movie)
    wrong = "The URL provided is not a image file and cannot be used as a source for a image element"
    assert (seen["status"], seen["message"]) == ("error", f"Scene #2, element #2: {wrong}")


def test_a_missing_source_fails_with_scene_element_and_status(client, service):
    src = f"{service.url}/assets/nothing.png"
    seen = client.finished(movie={"scenes": [{"duration": 1, "elements": [{"type": "image", "src": src}]}]})
    assert (seen["status"], seen["message"]) == ("error", f"Scene #1, element #1: Failed to download '{src}' (404)")


@pytest.mark.parametrize(
    "src",
    [
        "http://127.0.0.1:1/a.png", "http://2130706433/a.png", "http://[::1]/a.png", "http://169.254.169.254/latest",
        "http://[64:ff9b::7f00:1]/a.png", "file:///etc/passwd", "/etc/passwd", "https://media.example.com/../../etc/passwd",
    ],
)  # fmt: skip
def test_private_addresses_and_local_files_are_not_read(tmp_path, assets, src):
    with pytest.raises(AssetFault, match=re.escape(f"Failed to download '{src}' (")):
        Assets(cache=tmp_path, folder=assets).file(src)


class _Remote(BaseHTTPRequestHandler):
    def do_GET(self):
        status, headers, body = self.server.answers.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def remote(assets):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Remote)
    server.answers = {
        "/red.png": (200, {}, (assets / "red.png").read_bytes()),
        "/moved.png": (302, {"Location": "/red.png"}, b""),
        "/loop.png": (302, {"Location": "/loop.png"}, b""),
        "/to-file.png": (302, {"Location": "file:///etc/passwd"}, b""),
    }
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_private_addresses_are_fetched_when_allowed(client, service, remote, monkeypatch):
    monkeypatch.setattr(service.settings, "allow_private", True)
    element = {"type": "image", "src": f"{remote}/moved.png", "resize": "cover"}
    movie = {"width": 50, "height": 50, "scenes": [{"duration": 1, "elements": [element]}]}
    assert client.finished(movie=movie)["status"] == "done"


@pytest.mark.parametrize(
    ("path", "limit", "reason"),
    [
        ("/nothing.png", 5000, "(404)"),
        ("/loop.png", 5000, "(too many redirects)"),
        ("/to-file.png", 5000, "(only http and https addresses are downloaded)"),
        ("/red.png", 50, "(larger than 50 bytes)"),
    ],
)
def test_a_failed_download_has_a_reason_and_leaves_no_file(remote, tmp_path, path, limit, reason):
    assets = Assets(cache=tmp_path, allow_private=True, limits=Limits(asset_bytes=limit))
    with pytest.raises(AssetFault, match=re.escape(reason)):
        assets.file(remote + path)
    assert list(tmp_path.iterdir()) == []


def test_offline_nothing_is_fetched_and_a_card_is_drawn(client, service, monkeypatch):
    monkeypatch.setattr(service.settings, "fetch_assets", False)
    seen = client.finished(
        movie={"scenes": [{"duration": 1, "elements": [{"type": "image", "src": "https://a.example/a.png"}]}]}
    )
    assert seen["status"] == "done"
    assert any("downloads are disabled" in w for w in service.renders()[-1]["warnings"])


MASKED = {"type": "image", "src": "https://media.example.com/green.png", "width": 100, "height": 50}


def test_a_clip_masks_in_the_service_too(rendered, assets):
    write_solid_mp4(
        assets / "media.example.com" / "mask.mp4", [Run(5, (0, 0, 0))], width=64, height=64, fps=Fraction(5)
    )
    element = {**MASKED, "mask": "https://media.example.com/mask.mp4"}
    scene = {"duration": 1, "background-color": to_hex(BLUE), "elements": [element]}
    _, video = rendered({"width": 200, "height": 100, "fps": 5, "scenes": [scene]})
    assert is_close(video.pixel(2, 20, 20), BLUE)


@pytest.mark.parametrize(
    ("mask", "message"),
    [("none.png", r"Failed to download '.*none.png'"), ("page.png", "The mask is not an image or a video")],
)
def test_a_mask_that_cannot_be_had_or_used_fails_the_render_before_anything_is_drawn(tmp_path, assets, mask, message):
    source = Assets(cache=tmp_path / "cache", folder=assets, origin="http://127.0.0.1:9")
    late = {"duration": 1, "elements": [{**MASKED, "mask": f"http://127.0.0.1:9/assets/{mask}"}]}
    with pytest.raises(MovieFault, match=f"^Scene #2, element #1: {message}"):
        open_movie({"scenes": [{"duration": 1}, late]}, assets=source, warn=lambda _: None)


def test_offline_a_missing_mask_is_a_warning_and_ignored(tmp_path, assets):
    warned = []
    source = Assets(cache=tmp_path / "cache", folder=assets, fetch=False)
    scene = {"duration": 1, "elements": [{**MASKED, "mask": "https://media.example.com/none.png"}]}
    open_movie({"scenes": [scene]}, assets=source, warn=warned.append)
    assert warned == [
        "Scene #1, element #1: Failed to download 'https://media.example.com/none.png' (downloads are disabled)"
    ]


def test_a_worker_that_crashes_costs_only_its_own_render(client, service):
    service.add_fault("render", status="crash", marker="bad")
    bad = client.submit(**{"client-data": "bad"})
    good = client.submit(**{"client-data": "good"})
    assert service.wait_idle(30)
    assert client.movie(bad)["message"] == "Error rendering movie: the worker ended unexpectedly (signal 9)"
    assert client.status(good) == "done"
