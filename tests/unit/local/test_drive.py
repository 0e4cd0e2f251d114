"""The drive over HTTP: two-step uploads, names, folders, limits, and its files in movies."""

from __future__ import annotations

import io

import pytest
import requests

from airflow_json2video.api import Json2VideoClient
from airflow_json2video.api.calls import drive as drive_calls
from airflow_json2video.local import LocalService
from airflow_json2video.local.clock import Clock

PNG = "image/png"


def said(answer):
    return answer.status_code, answer.json()["message"]


class Drive:
    def __init__(self, client):
        self.client = client
        self.service = client.service

    def call(self, method, path="", **options):
        url = f"{self.service.host}/media{path and '/' + path}"
        return self.client.session.request(method, url, timeout=10, **options)

    def ticket(self, name="a.png", *, size=4, folder=None, content_type=PNG):
        body = {"name": name, "contentType": content_type, "size": size}
        return self.call("POST", "file", json={**body, **({"folder": folder} if folder else {})})

    def put(self, url, data=b"data", content_type=PNG, **headers):
        return requests.put(url, data=data, headers={"Content-Type": content_type, **headers}, timeout=10)

    def upload(self, name="a.png", data=b"data", *, content_type=PNG, folder=None, confirmed=True):
        answer = self.ticket(name, size=len(data), folder=folder, content_type=content_type)
        assert answer.status_code == 200, answer.text
        assert self.put(answer.json()["uploadUrl"], data, content_type).status_code == 200
        if confirmed:
            self.service.clock.advance(5)
        return answer.json()["fileUrl"]

    def file(self, path):
        return self.call("GET", "file", params={"path": path})

    def status(self, path):
        return self.file(path).json()["file"]["status"]

    def folder(self, **params):
        return self.call("GET", "folder", params=params).json()

    def move(self, name, source, destination):
        return self.call("PUT", "file", json={"name": name, "folder": source, "destination": destination})

    def delete(self, name, folder=""):
        return self.call("DELETE", "file", json={"name": name, "folder": folder})

    def make(self, folder):
        return self.call("POST", "folder", json={"folder": folder})

    def remove(self, folder):
        return self.call("DELETE", "folder", json={"folder": folder})


@pytest.fixture
def drive(client, service):
    service.clock.freeze()
    return Drive(client)


# Uploads


def test_an_upload_is_announced_then_put_then_pending_then_uploaded(drive, service):
    ticket = drive.ticket("clip.mp4", folder="videos/raw", size=5, content_type="video/mp4").json()
    assert set(ticket) == {"success", "uploadUrl", "fileUrl", "expiresIn"}
    assert ticket["expiresIn"] == 120
    assert ticket["fileUrl"].endswith("/files/videos/raw/clip.mp4")
    assert drive.status("videos/raw/clip.mp4") == "pending"
    answer = drive.put(ticket["uploadUrl"], b"12345", "video/mp4")
    assert (answer.status_code, answer.content) == (200, b"")
    assert drive.status("videos/raw/clip.mp4") == "pending"
    service.clock.advance(5)
    file = drive.file("videos/raw/clip.mp4").json()["file"]
    assert file.pop("created_at").endswith("Z")
    assert file == {
        "name": "clip.mp4", "folder": "videos/raw", "type": "video", "contentType": "video/mp4", "size": 5,
        "url": ticket["fileUrl"], "thumbnailUrl": None, "status": "uploaded", "temporary": False,
    }  # fmt: skip


def test_a_file_is_fetched_by_its_address_without_a_key(drive):
    url = drive.upload("a.png", b"picture")
    answer = requests.get(url)
    assert (answer.content, answer.headers["content-type"]) == (b"picture", PNG)
    assert requests.get(url, headers={"Range": "bytes=0-2"}).content == b"pic"
    assert requests.get(url.replace("a.png", "b.png")).status_code == 404


@pytest.mark.parametrize("headers", [{"x-api-key": "a-key"}, {"x-amz-acl": "public-read"}, {"Authorization": "x"}])
def test_a_put_with_a_header_too_many_is_refused_with_403_and_stores_nothing(drive, headers):
    ticket = drive.ticket().json()
    assert drive.put(ticket["uploadUrl"], **headers).status_code == 403
    assert requests.get(ticket["fileUrl"]).status_code == 404
    assert drive.put(ticket["uploadUrl"]).status_code == 200


@pytest.mark.parametrize(("data", "content_type"), [(b"data", "image/jpeg"), (b"data", ""), (b"more data", PNG)])
def test_a_put_of_another_type_or_size_than_announced_is_refused_with_403(drive, data, content_type):
    ticket = drive.ticket().json()
    assert drive.put(ticket["uploadUrl"], data, content_type).status_code == 403
    assert drive.status("a.png") == "pending"


def test_an_upload_address_is_good_for_120_seconds_of_the_services_clock(drive, service):
    ticket = drive.ticket().json()
    service.clock.advance(119)
    late = drive.ticket("b.png").json()
    assert drive.put(ticket["uploadUrl"]).status_code == 200
    service.clock.advance(121)
    assert drive.put(late["uploadUrl"]).status_code == 403


def test_an_upload_that_failed_blocks_its_name_until_it_is_deleted(drive, service):
    drive.ticket()
    service.clock.advance(1000)
    assert drive.status("a.png") == "pending"
    assert said(drive.ticket()) == (409, "A file with this name already exists. Delete it first.")
    assert drive.delete("a.png").json()["success"] is True
    assert drive.ticket().status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"contentType": PNG, "size": 4}, 400, "name is required"),
        ({"name": "a.png", "size": 4}, 400, "contentType is required"),
        ({"name": "a.png", "contentType": PNG, "size": 0}, 400, "size is required"),
        ({"name": "a.png", "contentType": PNG, "size": 524_288_001}, 413, "File exceeds maximum size of 500 MB"),
        ({"name": "a.png", "contentType": PNG, "size": 4, "folder": "???"}, 400, "Invalid folder name"),
    ],
)
def test_an_upload_that_cannot_be_is_refused_at_the_announcement(drive, body, status, message):
    assert said(drive.call("POST", "file", json=body)) == (status, message)


@pytest.mark.parametrize(
    ("asked", "kept"), [("My clip (1).png", "My_clip__1_.png"), ("ä/b.png", "__b.png"), ("..", "__"), ("a..b", "a..b")]
)
def test_names_are_rewritten_to_letters_digits_dots_and_dashes(drive, asked, kept):
    url = drive.ticket(asked).json()["fileUrl"]
    assert url.endswith(f"/files/{kept}")
    assert drive.file(kept).json()["file"]["name"] == kept


@pytest.mark.parametrize("folder", ["../../etc", "/a/../b", "..", "a/./b"])
def test_no_name_leads_out_of_the_drive(drive, service, folder):
    answer = drive.ticket("passwd", folder=folder)
    if answer.status_code == 200:
        drive.put(answer.json()["uploadUrl"])
        assert ".." not in answer.json()["fileUrl"]
    outside = [p for p in service.home.rglob("*") if p.is_file() and p.parent.name != "drive"]
    assert not [p for p in outside if p.read_bytes() == b"data"]
    for path in ("../service.db", "..%2fservice.db", "%2e%2e/service.db"):
        assert requests.get(f"{service.url}/media/local/files/{path}").status_code == 404


# Moving and deleting


def test_a_file_moves_with_its_bytes_and_its_old_address_is_gone(drive):
    old = drive.upload("a.png", b"bytes")
    assert drive.move("a.png", "", "new/place").json().keys() == {"success", "timestamp"}
    url = drive.file("new/place/a.png").json()["file"]["url"]
    assert requests.get(url).content == b"bytes"
    assert requests.get(old).status_code == 404
    assert said(drive.file("a.png")) == (400, "File not found")
    assert drive.move("a.png", "new/place", "").status_code == 200
    assert requests.get(old).content == b"bytes"


def test_a_move_needs_a_destination_a_file_and_a_free_name(drive, service):
    drive.upload("a.png")
    drive.upload("a.png", folder="b")
    answer = drive.call("PUT", "file", json={"name": "a.png", "folder": ""})
    assert said(answer) == (400, "destination is required")
    assert said(drive.move("x.png", "", "b")) == (400, "File not found")
    assert said(drive.move("a.png", "", "b")) == (409, "A file with this name already exists in the destination folder")
    service.settings.conflict_status = 400
    assert drive.move("a.png", "", "b").status_code == 400


@pytest.mark.parametrize(("lose", "status"), [(True, "pending"), (False, "uploaded")])
def test_a_file_that_is_moved_while_pending_is_lost_or_not(drive, service, lose, status):
    service.settings.lose_moved_pending = lose
    drive.upload("a.png", confirmed=False)
    drive.move("a.png", "", "b")
    service.clock.advance(60)
    file = drive.file("b/a.png").json()["file"]
    assert file["status"] == status
    assert requests.get(file["url"]).status_code == (404 if lose else 200)


@pytest.mark.parametrize("status", [400, 404])
def test_a_missing_file_is_refused_with_the_status_set(drive, service, status):
    service.settings.missing_status = status
    assert said(drive.file("nope.png")) == (status, "File not found")
    assert said(drive.delete("nope.png")) == (status, "File not found")


# Folders


def test_a_folder_is_listed_in_pages_by_type_and_by_name(drive):
    for name in ("b.png", "a.png", "c.png"):
        drive.upload(name, folder="pics")
    drive.upload("film.mp4", b"123456", content_type="video/mp4", folder="pics")
    drive.upload("deep.png", folder="pics/raw/old")
    whole = drive.folder(path="pics")
    assert [f["name"] for f in whole["files"]] == ["a.png", "b.png", "c.png", "film.mp4"]
    assert (whole["path"], whole["folders"]) == ("pics", ["raw"])
    assert (whole["total"], whole["total_files"], whole["total_size"]) == (4, 4, 18)
    page = drive.folder(folder="pics", page=1, page_size=2, type="image")
    assert [f["name"] for f in page["files"]] == ["c.png"]
    assert (page["total"], page["total_files"]) == (3, 4)
    assert [f["name"] for f in drive.folder(path="pics", q="FILM")["files"]] == ["film.mp4"]
    assert drive.folder(path="/")["folders"] == ["pics", "temp"]


def test_the_tree_is_one_flat_list_with_temp(drive):
    drive.upload("a.png", b"123")
    drive.upload("b.png", b"12", folder="x/y")
    assert drive.folder(tree="true")["tree"] == [
        {"path": "/", "files": 1, "size": 3},
        {"path": "temp", "files": 0, "size": 0},
        {"path": "x", "files": 0, "size": 0},
        {"path": "x/y", "files": 1, "size": 2},
    ]


def test_creating_an_existing_folder_succeeds_and_only_empty_ones_are_deleted(drive):
    assert drive.make("a/b!").json().keys() == {"success", "timestamp"}
    again = drive.make("a/b")
    assert (again.status_code, again.json()["message"]) == (200, "Folder already exists")
    drive.upload("x.png", folder="a/b")
    assert said(drive.remove("a")) == (400, "Folder is not empty. Delete all files first.")
    drive.delete("x.png", "a/b")
    assert drive.remove("a").status_code == 200
    assert drive.folder(path="/")["folders"] == ["temp"]


@pytest.mark.parametrize(
    ("folder", "message"),
    [("/", "Cannot delete root folder"), ("", "Cannot delete root folder"), ("temp", "Cannot delete the temp folder")],
)
def test_root_and_temp_cannot_be_removed(drive, folder, message):
    assert said(drive.remove(folder)) == (400, message)


def test_a_folder_needs_a_name_that_can_be_written(drive):
    assert said(drive.call("POST", "folder", json={})) == (400, "folder is required")
    assert said(drive.make("!?")) == (400, "Invalid folder name")


def test_files_of_temp_are_temporary_not_counted_and_go_by_themselves(drive, service):
    url = drive.upload("a.png", folder="temp/x")
    assert drive.file("temp/x/a.png").json()["file"]["temporary"] is True
    assert drive.call("GET").json()["storage"]["used_bytes"] == 0
    service.clock.advance(service.settings.temp_expire_after)
    assert drive.file("temp/x/a.png").status_code == 400
    assert requests.get(url).status_code == 404


# Storage


def test_50_mb_are_free_and_more_costs_10_credits_a_gib_and_week_rounded_up(drive, service):
    drive.upload("a.png", b"1234")
    storage = drive.call("GET").json()["storage"]
    assert storage == {
        "used_bytes": 4, "free_allowance": 52428800, "credits_per_week": 0, "blocked": False, "blocked_at": None,
    }  # fmt: skip
    drive.ticket("b.png", size=500_000_000)
    assert drive.call("GET").json()["storage"]["credits_per_week"] == 5


def test_storage_that_costs_credits_is_blocked_without_credits(drive, service):
    service.settings.update({"free_storage": 3, "credits": 0})
    drive.upload("a.png", b"1234")
    storage = drive.call("GET").json()["storage"]
    assert storage["blocked"] is True
    assert storage["blocked_at"].endswith("Z")
    assert said(drive.ticket("b.png")) == (403, "Storage is blocked. Add credits to continue uploading.")
    service.settings.credits = 5
    assert drive.ticket("b.png").status_code == 200
    service.settings.storage_blocked = True
    assert drive.ticket("c.png").status_code == 403


WEEK = 7 * 86400


def test_storage_that_costs_credits_is_charged_at_the_end_of_each_week(drive, service):
    service.settings.update({"credits": 100})
    drive.ticket("a.png", size=500_000_000)  # 5 credits a week
    service.clock.advance(WEEK - 1)
    assert service.credits_left == 100
    service.clock.advance(1)
    assert service.credits_left == 95
    service.clock.advance(2 * WEEK)
    assert service.credits_left == 85
    drive.ticket("b.png", size=500_000_000)  # 9 together
    service.clock.advance(WEEK)
    assert service.credits_left == 76
    service.clock.advance(3 * WEEK)  # without a request in between
    drive.delete("a.png")
    assert service.credits_left == 49
    service.clock.advance(WEEK)
    assert service.credits_left == 44
    assert drive.client.get(limit=1).json()["remaining_quota"] == {"time": 44}
    drive.delete("b.png")
    service.clock.advance(10 * WEEK)
    assert service.credits_left == 44


def test_a_new_week_starts_after_free_storage_which_is_never_charged(drive, service):
    drive.upload("a.png", b"1234")
    service.clock.advance(20 * WEEK)
    assert service.credits_left == 600
    drive.ticket("b.png", size=500_000_000)
    service.clock.advance(WEEK - 10)
    drive.delete("b.png")
    drive.ticket("b.png", size=500_000_000)
    service.clock.advance(WEEK - 10)
    assert service.credits_left == 600
    service.clock.advance(10)
    assert service.credits_left == 595


def test_storage_uses_the_last_credits_up_and_is_then_blocked(drive, service):
    service.settings.update({"credits": 5})
    drive.ticket("a.png", size=500_000_000)
    service.clock.advance(WEEK)
    assert service.credits_left == 0
    assert drive.call("GET").json()["storage"]["blocked"] is True
    assert drive.client.post({"scenes": [{"duration": 2}]}).json()["message"] == "Insufficient credits"


def test_the_cost_of_the_drive_survives_a_restart_but_not_a_reset(tmp_path, make_client):
    clock = Clock()
    clock.freeze()
    with LocalService(mode="instant", home=tmp_path, clock=clock) as service:
        Drive(make_client(service)).ticket("a.png", size=500_000_000)
        clock.advance(WEEK)
        assert service.credits_left == 595
    with LocalService(mode="instant", home=tmp_path, clock=clock) as service:
        assert service.credits_left == 595
        service.reset()
        clock.advance(WEEK)
        assert service.credits_left == 600


# With the rest


def test_the_drive_outlives_a_restart_and_a_reset_empties_it(tmp_path, make_client):
    with LocalService(mode="instant", home=tmp_path) as service:
        drive = Drive(make_client(service))
        drive.upload("a.png", b"kept")
        drive.make("empty")
    with LocalService(mode="instant", home=tmp_path) as service:
        drive = Drive(make_client(service))
        service.clock.advance(60)
        assert requests.get(drive.file("a.png").json()["file"]["url"]).content == b"kept"
        assert drive.folder()["folders"] == ["empty", "temp"]
        service.reset()
        assert drive.folder()["files"] == []
        assert list((tmp_path / "drive").iterdir()) == []


def test_the_packages_own_client_uploads_moves_lists_and_deletes(service):
    with Json2VideoClient("a-key", host=service.url) as client:
        uploaded = client.upload_file(io.BytesIO(b"hello"), name="greeting.txt", folder="notes")
        assert requests.get(uploaded.url).content == b"hello"
        service.clock.advance(5)
        client.execute(drive_calls.move_file("greeting.txt", folder="notes", destination="old"))
        (file,) = client.execute(drive_calls.get_folder("old")).files
        assert (file.status, file.size, file.content_type) == ("uploaded", 5, "text/plain")
        assert {f.path for f in client.execute(drive_calls.list_folders())} == {"/", "old", "temp"}
        client.execute(drive_calls.delete_file("greeting.txt", folder="old"))
        assert client.execute(drive_calls.get_storage()).used_bytes == 0


def test_a_file_of_the_drive_is_drawn_in_a_movie(tmp_path, make_client):
    image = pytest.importorskip("PIL.Image")
    png = io.BytesIO()
    image.new("RGB", (64, 64), (200, 30, 30)).save(png, "PNG")
    with LocalService(mode="preview", home=tmp_path) as service:
        client = make_client(service)
        url = Drive(client).upload("red one.png", png.getvalue(), folder="pics")
        element = {"type": "image", "src": url, "x": 0, "y": 0, "width": 64, "height": 64}
        movie = {"width": 64, "height": 64, "fps": 5, "scenes": [{"duration": 1, "elements": [element]}]}
        assert client.finished(movie=movie)["status"] == "done"
        (render,) = service.renders()
        import av

        with av.open(render["file"]) as video:
            red, green, blue = next(video.decode(video=0)).to_image().getpixel((32, 32))
        assert red > 170
        assert green < 60
        assert blue < 60
        element["src"] = url.replace("127.0.0.1", "localhost")
        assert client.finished(movie=movie)["status"] == "done"
        element["src"] = url.replace("red_one", "another")
        failed = client.finished(movie=movie)
        assert failed["message"] == f"Scene #1, element #1: Failed to download '{element['src']}' (404)"
