"""The page at ``/``, as a browser without JavaScript gets it; with JavaScript it is in tests/browser."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
import requests
from PIL import Image

from airflow_json2video.local import LocalService

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2, "background-color": "#4392F1"}]}
NASTY = "<script>alert(1)</script>\"'<b>"


def page(service, path="/", **options):
    return requests.get(f"{service.url}{path}", timeout=20, **options)


def cards(text):
    return {m[1]: m[0] for m in re.finditer(r'<article id="(\w+)".*?</article>', text, re.DOTALL)}


def test_all_renders_are_listed_newest_first_with_their_properties(client, service):
    first = client.finished(comment="The first")["project"]
    second = client.finished(MOVIE, id="second")["project"]
    text = page(service).text
    assert list(cards(text)) == [second, first]
    card = cards(text)[first]
    for shown in ("The first", "done", "0:02.0, 640x360, ", "2 credits", f'href="renders/{first}.mp4"'):
        assert shown in card
    assert "<dd>596</dd>" in text


def test_the_video_and_the_thumbnail_that_a_card_names_are_there(client, service):
    project = client.finished()["project"]
    card = cards(page(service).text)[project]
    video, picture = re.search(r'href="(.+?)"', card)[1], re.search(r'<img src="(.+?)"', card)[1]
    assert page(service, f"/{video}").headers["content-type"] == "video/mp4"
    thumbnail = page(service, f"/{picture}")
    assert thumbnail.headers["content-type"].startswith("image/svg+xml")
    assert '<rect x="0" width="50" height="1" fill="#4392f1"/>' in thumbnail.text


def test_the_thumbnail_of_a_drawn_video_is_made_once(tmp_path, make_client):
    with LocalService(mode="preview", home=tmp_path) as service:
        client = make_client(service)
        project = client.finished({"width": 320, "height": 180, **MOVIE, "resolution": "custom"})["project"]
        answer = page(service, f"/thumbnails/{project}")
        assert answer.headers["content-type"] == "image/jpeg"
        picture = Image.open(BytesIO(answer.content))
        assert picture.size == (320, 180)
        assert max(abs(a - b) for a, b in zip(picture.getpixel((99, 99)), (67, 146, 241), strict=True)) < 12
        made = (tmp_path / "jobs" / project / "thumbnail.jpg").stat().st_mtime_ns
        assert page(service, f"/thumbnails/{project}").content == answer.content
        assert (tmp_path / "jobs" / project / "thumbnail.jpg").stat().st_mtime_ns == made


def test_failures_warnings_and_renders_in_progress_are_shown(client, service):
    failed = client.finished({"scenes": [{"elements": [{"type": "video"}]}]})["project"]
    warned = client.finished({**MOVIE, "elements": [{"type": "text", "text": "{{ nobody }}"}]})["project"]
    service.settings.render_seconds = 600
    running = client.submit()
    assert service.wait_idle()
    shown = cards(page(service).text)
    assert "requires a &#39;src&#39; property" in shown[failed]
    assert "No video" in shown[failed]
    assert "1 warning</summary>" in shown[warned]
    assert "the variable &#39;nobody&#39; is not defined" in shown[warned]
    assert ">Rendering</span>" in shown[running]
    assert "credit" not in shown[running]


def test_a_file_that_is_deleted_or_has_expired_is_neither_played_nor_pictured(client, service):
    deleted, kept = client.finished()["project"], client.finished()["project"]
    client.delete(project=deleted)
    assert "Video deleted" in cards(page(service).text)[deleted]
    assert page(service, f"/thumbnails/{deleted}").status_code == 404
    service.clock.advance(8 * 86400)
    assert "Video expired" in cards(page(service).text)[kept]
    assert page(service, f"/thumbnails/{kept}").status_code == 404


def test_values_of_a_movie_are_escaped_everywhere(client, service):
    client.finished(comment=NASTY)
    client.finished({"scenes": [{"elements": [{"type": NASTY}]}]})
    client.finished({**MOVIE, "elements": [{"type": "text", "text": "{{ a }}"}], "id": NASTY})
    text = page(service).text
    assert text.count("&lt;script&gt;alert(1)") == 3
    assert "<script>alert" not in text
    assert "<b>" not in text


def test_the_policy_allows_only_the_script_of_the_page(client, service):
    answer = page(service)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[directive] == f"'sha256-{digest}'"
    assert not re.search(r"(src|href)=\"(https?:)?//", answer.text)
    assert not re.search(r" (style|on\w+)=", re.sub(r"<(script|style)>.*?</\1>", "", answer.text, flags=re.DOTALL))


def test_a_name_of_someone_else_that_leads_here_reads_nothing(client, service):
    client.finished(comment="private")
    answer = page(service, headers={"Host": "evil.example.com"})
    assert answer.status_code == 403
    assert "private" not in answer.text
    assert page(service, headers={"Host": "localhost:1"}).status_code == 200


def test_a_long_list_is_shown_in_pages(client, service):
    for number in range(61):
        client.submit(comment=f"movie {number}")
    assert service.wait_idle()
    first, second = page(service).text, page(service, "/?page=2").text
    assert (len(cards(first)), len(cards(second))) == (60, 1)
    assert "movie 0<" in second
    assert 'href="?page=2"' in first
    assert 'href="?page=1"' in second
    assert page(service, "/?page=nonsense").ok


def test_opening_the_page_is_not_a_call_of_the_api(client, service):
    page(service)
    assert service.requests == []


def test_the_service_shows_its_page_without_importing_decoders(tmp_path):
    code = """
import sys, json, urllib.request
from airflow_json2video.local import LocalService
with LocalService(mode="instant", home=sys.argv[1]) as service:
    movie = json.dumps({"scenes": [{"duration": 2}]}).encode()
    post = urllib.request.Request(service.host + "/movies", movie, {"x-api-key": "key"})
    project = json.load(urllib.request.urlopen(post))["project"]
    assert service.wait_idle()
    assert project in urllib.request.urlopen(service.url + "/").read().decode()
    assert urllib.request.urlopen(f"{service.url}/thumbnails/{project}").read()
print([name for name in ("av", "PIL", "numpy") if name in sys.modules])
"""
    root = Path(__file__).parents[3]
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(root), "NO_PROXY": "*"},
    )  # fmt: skip
    assert ran.stdout.strip() == "[]", ran.stderr


def test_a_status_carries_warnings_only_where_there_are_any(client, service):
    assert "warnings" not in client.finished()
    warned = client.finished({**MOVIE, "elements": [{"type": "text", "text": "{{ nobody }}"}]})
    assert warned["warnings"] == service.renders()[1]["warnings"]
    assert len(warned["warnings"]) == 1
    assert json.dumps(client.get().json()).count('"warnings"') == 1


@pytest.mark.parametrize("status", ["pending", "running"])
def test_an_unfinished_render_shows_no_warnings(client, service, status):
    service.settings.update({"queue_seconds": 60} if status == "pending" else {"render_seconds": 60})
    project = client.submit({**MOVIE, "elements": [{"type": "text", "text": "{{ nobody }}"}]})
    assert service.wait_idle()
    movie = client.movie(project)
    assert movie["status"] == status
    assert "warnings" not in movie
