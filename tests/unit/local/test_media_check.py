"""Files that are not what they say, or would be far larger than they are."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction

import av
import pytest
import requests
from PIL import Image

from airflow_json2video.local import LocalService
from airflow_json2video.local.drawing.media_check import Unfit, check
from airflow_json2video.local.drawing.solid import Run, write_solid_mp4
from airflow_json2video.local.limits import Limits

KEY = {"x-api-key": "k"}


def png(path, width, height):
    """Write a real PNG of one bit a pixel, all black."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes(1 + width // 8) * 500) for _ in range(height // 500)) + rows.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def unfit(path, kind, **limits):
    with pytest.raises(Unfit) as raised:
        check(path, kind, limits=Limits(**limits))
    return str(raised.value)


WRONG = "The URL provided is not a {0} file and cannot be used as a source for a {0} element"


def test_a_small_png_that_would_be_huge_is_refused_by_its_claim(tmp_path):
    png(tmp_path / "bomb.png", 20_000, 20_000)
    assert (tmp_path / "bomb.png").stat().st_size < 60_000
    assert "pixels; at most 50,000,000 pixels are drawn" in unfit(tmp_path / "bomb.png", "image")
    png(tmp_path / "large.png", 8_000, 7_000)
    assert unfit(tmp_path / "large.png", "image").startswith("The image is 8000x7000 pixels; at most")
    png(tmp_path / "fine.png", 8_000, 6_000)
    check(tmp_path / "fine.png", "image")


def test_animations_that_claim_a_huge_canvas_are_refused_without_being_opened(tmp_path):
    webp = tmp_path / "bomb.webp"
    size = (16_383 - 1).to_bytes(3, "little")
    webp.write_bytes(b"RIFF\x1e\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02\x00\x00\x00" + size + size + bytes(8))
    assert unfit(webp, "image").startswith("The image is 16383x16383 pixels")
    gif = tmp_path / "bomb.gif"
    gif.write_bytes(b"GIF89a\xff\xff\xff\xff\x00\x00\x00" + bytes(400))
    for kind in ("image", "video"):
        assert unfit(gif, kind).startswith("The image is 65535x65535 pixels")
    Image.new("P", (60, 40)).save(tmp_path / "fine.gif", save_all=True, append_images=[Image.new("P", (60, 40), 3)] * 9)
    Image.new("RGB", (60, 40)).save(
        tmp_path / "fine.webp", save_all=True, append_images=[Image.new("RGB", (60, 40), "red")] * 9
    )
    check(tmp_path / "fine.gif", "image")
    check(tmp_path / "fine.gif", "video")
    check(tmp_path / "fine.webp", "image")


HLS = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
DASH = b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>'
CONCAT = b"ffconcat version 1.0\nfile /etc/passwd\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
SDP = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n"


@pytest.mark.parametrize(
    "body", [HLS, DASH, CONCAT, SVG, SDP, b"", b"\x00" * 400, b"<html>", b"G" + b"x" * 399, b"RIFF1234CDXA"]
)
@pytest.mark.parametrize(("kind", "suffix"), [("image", ".jpg"), ("video", ".mp4"), ("audio", ".mp3")])
def test_the_first_bytes_decide_not_the_name(tmp_path, body, kind, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(body)
    assert unfit(path, kind) == WRONG.format(kind)


def test_a_playlist_behind_the_mark_of_a_sound_still_opens_nothing_else(tmp_path):
    from airflow_json2video.local.drawing.clips import NotMedia, measure

    for mark in (b"", b"ID3\x04\x00\x00\x00\x00\x00\x00"):
        for body in (HLS, CONCAT, SVG):
            (tmp_path / "a.mp3").write_bytes(mark + body)
            with pytest.raises(NotMedia):
                measure(tmp_path / "a.mp3", kind="audio")


def test_a_clip_is_not_an_image_and_an_image_not_a_clip(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.mp4", format="JPEG")
    write_solid_mp4(tmp_path / "a.jpg", [Run(2, (0, 0, 0))], width=16, height=16, fps=Fraction(25))
    assert unfit(tmp_path / "a.mp4", "video") == WRONG.format("video")
    assert unfit(tmp_path / "a.jpg", "image") == WRONG.format("image")
    check(tmp_path / "a.mp4", "image")
    check(tmp_path / "a.jpg", "video")


def test_a_clip_that_claims_a_huge_frame_is_refused_before_it_is_decoded(tmp_path):
    write_solid_mp4(tmp_path / "a.mp4", [Run(2, (0, 0, 0))], width=8192, height=4320, fps=Fraction(25))
    assert unfit(tmp_path / "a.mp4", "video") == "The video is 8192x4320 pixels; at most 20,000,000 pixels are drawn"
    assert unfit(tmp_path / "a.mp4", "audio").startswith("The video is 8192x4320")


def test_a_clip_with_pictures_over_the_limit_is_refused_when_it_is_drawn(tmp_path, monkeypatch):
    from airflow_json2video.local.drawing import clips

    write_solid_mp4(tmp_path / "a.mp4", [Run(2, (9, 9, 9))], width=640, height=480, fps=Fraction(25))
    monkeypatch.setattr(clips, "LIMITS", Limits(clip_pixels=300_000))
    with pytest.raises(clips.NotMedia):
        clips.ClipReader(tmp_path / "a.mp4").at(0)


def test_a_clip_with_transparency_is_bounded_as_any_other(tmp_path, monkeypatch):
    from airflow_json2video.local.drawing import clips

    if "libvpx-vp9" not in av.codecs_available:
        pytest.skip("this FFmpeg has no libvpx-vp9")
    with av.open(str(tmp_path / "a.webm"), "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=25)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuva420p"
        stream.metadata["alpha_mode"] = "1"
        container.mux(stream.encode(av.VideoFrame(640, 480, "yuva420p")))
        container.mux(stream.encode(None))
    reader = clips.ClipReader(tmp_path / "a.webm")
    assert reader.at(0)[1].mode == "RGBA"
    reader.close()
    monkeypatch.setattr(clips, "LIMITS", Limits(clip_pixels=300_000))
    with pytest.raises(clips.NotMedia):
        clips.ClipReader(tmp_path / "a.webm").at(0)


def test_a_mask_is_a_picture_or_a_clip_by_its_first_bytes(tmp_path):
    write_solid_mp4(tmp_path / "a.png", [Run(2, (0, 0, 0))], width=16, height=16, fps=Fraction(25))
    Image.new("L", (8, 8)).save(tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        check(tmp_path / name, "mask")
    for body in (HLS, CONCAT, SVG, b"", b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(400)):
        (tmp_path / "c.png").write_bytes(body)
        assert unfit(tmp_path / "c.png", "mask") == "The mask is not an image or a video"
    png(tmp_path / "large.png", 8_000, 7_000)
    assert unfit(tmp_path / "large.png", "mask").startswith("The image is 8000x7000 pixels")


def test_a_page_is_a_text(tmp_path):
    page = tmp_path / "page"
    for body in (b"", b"<p>x", b"BMW", "<p>\u00e9\u4e2d".encode(), "<p>x".encode("utf-16"), b"<p>\xe9\r\n\t"):
        page.write_bytes(body)
        check(page, "html")
    Image.new("RGB", (8, 8)).save(page, format="PNG")
    wrong = "The URL provided is not a page and cannot be used as a source for an html element"
    assert unfit(page, "html") == wrong
    for body in (b"%PDF-1.7\n", b"PK\x03\x04", b"\x7fELF\x02\x01\x01\x00", b"ID3\x04\x00"):
        page.write_bytes(body)
        assert unfit(page, "html") == wrong


def test_a_clip_that_declares_a_million_seconds_is_refused(tmp_path):
    folder = tmp_path / "assets"
    folder.mkdir()
    write_solid_mp4(folder / "a.mp4", [Run(1, (9, 9, 9))], width=64, height=64, fps=Fraction(1, 1_000_000))
    (folder / "list.jpg").write_bytes(HLS)
    with LocalService(mode="preview", home=tmp_path / "home", assets=folder) as service:
        host = f"{service.url}/assets"

        def finished(element, **scene):
            movie = {"width": 64, "height": 64, "scenes": [{**scene, "elements": [element]}]}
            project = requests.post(f"{service.host}/movies", json=movie, headers=KEY).json()["project"]
            service.wait_idle(30)
            seen = requests.get(f"{service.host}/movies", params={"project": project}, headers=KEY).json()["movie"]
            return seen["status"], seen["message"]

        clip = {"type": "video", "src": f"{host}/a.mp4"}
        assert finished(clip) == ("error", "The movie is longer than 1800 seconds")
        assert finished({**clip, "duration": 1, "loop": -1}) == ("done", "")
        said = finished({"type": "image", "src": f"{host}/list.jpg"}, duration=1)
        assert said == ("error", f"Scene #1, element #1: {WRONG.format('image')}")
