"""The calls as data: their requests, the checks of their arguments, and the parsing of their responses."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_json2video.api import calls
from airflow_json2video.api.base_client import BaseClient, Response
from airflow_json2video.api.calls.movies import poll_movies
from airflow_json2video.api.config import ClientConfig
from airflow_json2video.api.errors import describe_request
from airflow_json2video.api.responses import MovieStatus, UploadTicket
from airflow_json2video.api.upload import FileContent
from airflow_json2video.exceptions import Billing, ConfigurationError, InvalidResponse, Json2VideoError

PROJECT, TEMPLATE = "Qk3vT9zLm2XcB7wA", "abc123def456ghi789jk"
FILE = FileContent.from_source(io.BytesIO(b"12345"), name="clip.mp4")
TICKET = UploadTicket(uploadUrl="https://bucket.example/x?sig=1", fileUrl="https://m/x.mp4")

EVERY_CALL = [
    (calls.submit_movie({"a": 1}), "movies.submit", "POST /movies", {}, {"a": 1}, False),
    (calls.get_movie(PROJECT), "movies.get", "GET /movies", {"project": PROJECT, "format": "simple"}, None, True),
    (calls.get_movie(PROJECT, simple=False), "movies.get", "GET /movies", {"project": PROJECT}, None, True),
    (calls.list_movies(limit=1), "movies.list", "GET /movies", {"limit": "1"}, None, True),
    (calls.delete_movie(PROJECT), "movies.delete", "DELETE /movies", {"project": PROJECT}, None, True),
    (calls.list_templates(), "templates.list", "GET /templates", {}, None, True),
    (calls.list_templates(tag="a"), "templates.list", "GET /templates", {"tag": "a"}, None, True),
    (calls.get_template(TEMPLATE), "templates.get", "GET /templates", {"id": TEMPLATE}, None, True),
    (
        calls.get_template(TEMPLATE, scopes=["movie", "prompt"]),
        "templates.get",
        "GET /templates",
        {"id": TEMPLATE, "scopes": "movie,prompt"},
        None,
        True,
    ),
    (
        calls.get_template_variables(TEMPLATE),
        "templates.variables",
        "GET /templates",
        {"id": TEMPLATE, "format": "jsonschema"},
        None,
        True,
    ),
    (
        calls.list_library(tags=["a", "b"]),
        "templates.library",
        "GET /templates/library",
        {"tags": "a,b"},
        None,
        True,
    ),
    (
        calls.create_template("n", movie={}, tags=["x"]),
        "templates.create",
        "POST /templates",
        {},
        {"name": "n", "movie": {}, "tags": ["x"]},
        False,
    ),
    (
        calls.update_template(TEMPLATE, name="n"),
        "templates.update",
        "POST /templates",
        {"id": TEMPLATE},
        {"name": "n"},
        True,
    ),
    (
        calls.duplicate_template(TEMPLATE, variables={"a": 1}),
        "templates.duplicate",
        "POST /templates",
        {"id": TEMPLATE, "action": "duplicate"},
        {"variables": {"a": 1}},
        False,
    ),
    (calls.delete_template(TEMPLATE), "templates.delete", "DELETE /templates", {"id": TEMPLATE}, None, False),
    (calls.get_storage(), "drive.storage", "GET /media", {}, None, True),
    (calls.get_file("v/a.mp4"), "drive.file", "GET /media/file", {"path": "v/a.mp4"}, None, True),
    (
        calls.get_folder("/v/", file_type="video", search="in"),
        "drive.folder",
        "GET /media/folder",
        {"path": "v", "page": "0", "page_size": "100", "type": "video", "q": "in"},
        None,
        True,
    ),
    (
        calls.get_folder(),
        "drive.folder",
        "GET /media/folder",
        {"path": "/", "page": "0", "page_size": "100"},
        None,
        True,
    ),
    (calls.list_folders(), "drive.folders", "GET /media/folder", {"tree": "true"}, None, True),
    (
        calls.start_upload(FILE),
        "drive.upload",
        "POST /media/file",
        {},
        {"name": "clip.mp4", "contentType": "video/mp4", "size": 5},
        False,
    ),
    (calls.put_file(TICKET, FILE), "drive.put", "PUT ", {}, None, False),
    (
        calls.move_file("a", folder="/x/", destination=""),
        "drive.move",
        "PUT /media/file",
        {},
        {"name": "a", "folder": "x", "destination": ""},
        False,
    ),
    (
        calls.delete_file("a"),
        "drive.delete",
        "DELETE /media/file",
        {},
        {"name": "a", "folder": ""},
        False,
    ),
    (calls.create_folder("a/b"), "drive.create_folder", "POST /media/folder", {}, {"folder": "a/b"}, True),
    (calls.delete_folder("a/b"), "drive.delete_folder", "DELETE /media/folder", {}, {"folder": "a/b"}, False),
]


@pytest.mark.parametrize(("call", "name", "line", "query", "body", "repeatable"), EVERY_CALL)
def test_a_call_matches_the_api_reference(call, name, line, query, body, repeatable):
    assert (call.name, f"{call.method} {call.path}") == (name, line)
    assert (call.query, call.body, call.repeatable) == (query, body, repeatable)


def test_a_post_that_creates_something_is_not_repeatable():
    made = {c.name for c, *_ in EVERY_CALL if c.method == "POST" and c.repeatable}
    assert made == {"templates.update", "drive.create_folder"}


NOW = datetime(2026, 5, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: calls.submit_movie({}), "got an empty value"),
        (lambda: calls.submit_movie(None), "got None"),
        (lambda: calls.submit_movie("{}"), "of type str"),
        (lambda: calls.get_movie("short"), "expected 16 letters or digits, got 5"),
        (lambda: calls.get_movie(PROJECT + "x"), "got 17"),
        (lambda: calls.get_movie("a&project=b/../x"), "got another character"),
        (lambda: calls.get_movie(None), "of type NoneType"),
        (lambda: calls.delete_movie(""), "got 0"),
        (lambda: calls.get_template("short"), "20 letters or digits"),
        (lambda: calls.list_movies(limit=0), "from 1 to 100"),
        (lambda: calls.list_movies(limit=101), "from 1 to 100"),
        (lambda: calls.list_movies(limit=True), "from 1 to 100"),
        (lambda: calls.list_movies(date_start="yesterday"), "must be an ISO 8601 time"),
        (lambda: calls.list_movies(date_start="2026-05-12T00:00:00"), "time zone"),
        (lambda: calls.list_movies(date_start=datetime(2026, 5, 12)), "time zone"),  # noqa: DTZ001
        (lambda: calls.list_movies(date_start=NOW, date_end=NOW - timedelta(days=1)), "before date_start"),
        (lambda: calls.list_movies(date_start=NOW, date_end=NOW + timedelta(days=94)), "at most 93 days"),
        (lambda: calls.list_movies(date_start="2020-01-01T00:00:00Z"), "at most 93 days"),
        (lambda: calls.create_template("x" * 101, movie={}), "at most 100"),
        (lambda: calls.create_template(" ", movie={}), "must be a string that is not blank"),
        (lambda: calls.create_template("x", movie=5), "object or JSON text"),
        (lambda: calls.update_template(TEMPLATE), "Nothing to change"),
        (lambda: calls.list_templates(tag=""), "tag must be a string"),
        (lambda: calls.get_folder(page=-1), "of at least 0"),
        (lambda: calls.get_folder(file_type="pdf"), "image, video, audio or other"),
        (lambda: calls.get_folder("a/../b"), "must be the path of a folder"),
        (lambda: calls.delete_file("a/b"), "must not contain '/'"),
        (lambda: calls.delete_folder("/"), "folder must be a string that is not blank"),
        (lambda: calls.start_upload(_sized(0)), "got 0"),
        (lambda: calls.start_upload(_sized(524_288_001)), "got 524288001"),
    ],
)
def test_a_wrong_argument_is_rejected_before_a_request(build, words):
    with pytest.raises(ConfigurationError) as caught:
        build()
    assert words in str(caught.value)


def test_the_limits_are_inclusive():
    calls.list_movies(limit=100, date_start=NOW, date_end=NOW + timedelta(days=93))
    assert calls.start_upload(_sized(524_288_000)).body["size"] == 524_288_000


def _sized(size: int) -> FileContent:
    return FileContent(name="a.mp4", content_type="video/mp4", size=size, source=io.BytesIO())


# Responses ------------------------------------------------------------------------------------------

BASE = BaseClient(ClientConfig(api_key="Kq7mPz2Lw9RtBv4XcN8dYh3S"))


def read(call: calls.Call[Any], body: Any, *, status: int = 200) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return BASE.read(call, Response(status=status, reason="", headers={}, body=raw))


FINISHED = {
    "success": True,
    "movie": {
        "success": True,
        "status": "done",
        "message": "",
        "project": PROJECT,
        "url": "https://assets.json2video.com/clients/a/renders/x.mp4",
        "ass": False,
        "created_at": "2026-05-12T07:41:41.946Z",
        "ended_at": "2026-05-12T07:44:57.108Z",
        "duration": 108.2,
        "size": 6876189,
        "width": 1080,
        "height": 1920,
        "rendering_time": 195,
        "client-data": {"key": "dag1:run7:task3"},
        "consumed_credits": [],
        "json": '{"resolution":"instagram-story"}',
        "thumbnail": "https://x/y.png",
        "mood": "calm",
    },
    "remaining_quota": {"time": 1807},
}


def test_a_finished_render_is_typed_and_preserves_unknown_fields():
    found = read(calls.get_movie(PROJECT), FINISHED)
    movie = found.movie
    assert (movie.status, movie.duration, movie.size, movie.width) == ("done", 108.2, 6876189, 1080)
    assert movie.ended_at - movie.created_at == timedelta(seconds=195.162)
    assert movie.ass is None
    assert movie.client_data == {"key": "dag1:run7:task3"}
    assert movie.json_text == '{"resolution":"instagram-story"}'
    assert movie.thumbnail == "https://x/y.png"
    assert movie.model_extra == {"mood": "calm"}
    assert found.remaining_quota.time == 1807
    assert found.remaining_quota.movies is None


@pytest.mark.parametrize(
    ("name", "sent", "kept"),
    [
        ("duration", "108.2", 108.2),
        ("duration", "n/a", None),
        ("duration", "NaN", None),
        ("size", "6876189", 6876189),
        ("width", "1080", 1080),
        ("width", "", None),
        ("url", None, None),
        ("url", False, None),
        ("url", "", None),
        ("ended_at", None, None),
        ("ended_at", "soon", None),
        ("created_at", "2026-05-12T07:41:41.946", datetime(2026, 5, 12, 7, 41, 41, 946000, tzinfo=timezone.utc)),
        ("status", "frobnicating", "frobnicating"),
        ("progress", 42, 42.0),
        ("client-data", [], {}),
        ("client-data", None, {}),
        ("client-data", '{"a": 1}', {"a": 1}),
        ("json", {"a": "ü"}, '{"a": "ü"}'),
        ("consumed_credits", {"odd": 1}, {"odd": 1}),
    ],
)
def test_an_informative_field_of_another_type_becomes_none(name, sent, kept):
    movie = read(calls.get_movie(PROJECT), {**FINISHED, "movie": {**FINISHED["movie"], name: sent}}).movie
    assert getattr(movie, {"client-data": "client_data", "json": "json_text"}.get(name, name)) == kept


def test_a_render_requires_only_its_status():
    assert read(calls.get_movie(PROJECT), {"movie": {"status": "pending"}}).movie == MovieStatus(
        project=PROJECT, status="pending"
    )


@pytest.mark.parametrize("quota", [None, [], "5", {"movies": 3, "drafts": "2"}])
def test_an_invalid_quota_does_not_invalidate_a_render(quota):
    assert read(calls.get_movie(PROJECT), {**FINISHED, "remaining_quota": quota}).movie.status == "done"


def test_a_submission_response_with_a_project_is_a_success():
    assert read(calls.submit_movie({"a": 1}), {"success": False, "project": PROJECT}).project == PROJECT


def test_a_refusal_with_status_200_is_an_error_with_unknown_billing():
    error = read(calls.submit_movie({"a": 1}), {"success": False, "message": "no"})
    assert isinstance(error, Json2VideoError)
    assert error.billing is Billing.UNKNOWN
    known = read(calls.submit_movie({"a": 1}), {"success": False, "message": "Insufficient credits"})
    assert known.billing is Billing.NOT_CHARGED


def test_templates_are_filtered_by_tag_even_if_the_service_does_not_filter():
    body = {"templates": [{"id": "a", "tags": ["Promo"]}, {"id": "b", "tags": "x, y"}, {"id": "c", "tags": None}]}
    assert [t.id for t in read(calls.list_templates(), body)] == ["a", "b", "c"]
    assert [t.id for t in read(calls.list_templates(tag="promo"), body)] == ["a"]
    assert [t.id for t in read(calls.list_templates(tag="y"), body)] == ["b"]


@pytest.mark.parametrize("movie", ['{"a": 1}', {"a": 1}])
def test_the_movie_of_a_template_is_returned_as_stored(movie):
    assert read(calls.get_template(TEMPLATE), {"template": {"id": TEMPLATE, "movie": movie}}).movie == movie


@pytest.mark.parametrize("variables", [{"type": "object"}, '{"type": "object"}'])
def test_a_templates_variables_are_a_json_schema(variables):
    body = {"template": {"id": TEMPLATE, "variables": variables}}
    assert read(calls.get_template_variables(TEMPLATE), body) == {"type": "object"}


def test_the_id_of_a_saved_template_has_another_key():
    assert read(calls.create_template("n", movie={}), {"success": True, "templateId": TEMPLATE}).id == TEMPLATE
    assert read(calls.update_template(TEMPLATE, name="n"), {"success": True}).id == TEMPLATE


def test_the_responses_of_the_drive_are_parsed():
    storage = read(calls.get_storage(), {"storage": {"used_bytes": 5, "blocked": False, "blocked_at": None}})
    assert (storage.used_bytes, storage.blocked) == (5, False)
    file = read(calls.get_file("a.mp4"), {"file": {"name": "a.mp4", "contentType": "video/mp4", "status": "pending"}})
    assert (file.content_type, file.status) == ("video/mp4", "pending")
    folder = read(calls.get_folder(), {"path": "/", "total": 1, "folders": ["raw"], "files": [{"name": "a"}]})
    assert (folder.folders, folder.files[0].name) == (["raw"], "a")
    tree = read(calls.list_folders(), {"tree": [{"path": "/", "files": 2, "size": 1048576}]})
    assert tree[0].size == 1048576
    assert read(calls.create_folder("a"), {"success": True, "message": "Folder already exists"}).message


@pytest.mark.parametrize("call", [c for c, *_ in EVERY_CALL if c.url is None and c.expects != "a confirmation"])
@pytest.mark.parametrize("body", [{}, {"success": True}, [], "x", b"", b"<html>", b"\xff\xfe", b"[" * 100_000])
def test_a_response_of_another_structure_is_an_error(call, body):
    if call.name == "templates.update" and isinstance(body, dict):
        pytest.skip("the id is known without the response")
    error = read(call, body)
    assert isinstance(error, InvalidResponse)
    assert describe_request(call.name, call.subject) in str(error)
    assert call.expects in str(error)


# Documents ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (
            {"scenes": [{"duration": float("nan")}]},
            "at scenes[0].duration: nan (float); write None for a missing value",
        ),
        ({"a": {"b": float("inf")}}, "at a.b: inf"),
        ({"a": [1, {"b": object()}]}, "at a[1].b: a value of type object"),
        ({"a": {1, 2}}, "at a: a value of type set"),
        ({"a": NOW}, "at a: a value of type datetime; write value.isoformat(). Nothing was submitted."),
        ({"a": {(1, 2): 3}}, "at a['(1, 2)']: under a key of type tuple; write the key as text"),
        ({"a": "\ud800"}, "at a: text with an unpaired surrogate"),
    ],
)
def test_a_value_that_json_cannot_represent_is_rejected_with_its_path(document, words):
    with pytest.raises(ConfigurationError) as caught:
        BASE.request(calls.submit_movie(document))
    assert words in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_numpy_number_is_sent_as_a_number():
    numpy = pytest.importorskip("numpy")
    request = BASE.request(calls.submit_movie({"scenes": [{"duration": numpy.float32(2)}], "n": numpy.int64(3)}))
    assert request.body == b'{"scenes":[{"duration":2.0}],"n":3}'


@pytest.mark.parametrize("half", [rb"\ud83d", b"\xed\xa0\xbd"], ids=["escaped", "as bytes"])
def test_an_unpaired_surrogate_in_the_services_message_is_replaced(half):
    refused = Response(
        status=400, reason="Bad Request", headers={}, body=b'{"success": false, "message": "No %s"}' % half
    )
    error = BASE.read(calls.get_movie("a" * 16), refused)
    assert "No \ufffd" in str(error)
    str(error).encode()
    known = b'{"success": true, "movie": {"project": "%s", "status": "error", "message": "Bad %s \\ud83d\\ude00"}}'
    answer = Response(status=200, reason="OK", headers={}, body=known % (b"a" * 16, half))
    assert BASE.read(calls.get_movie("a" * 16), answer).movie.message == "Bad \ufffd 😀"


def test_a_list_with_an_unpaired_surrogate_in_a_document_is_parsed():
    movie = b'{"project": "%s", "status": "done", "message": "\\ud83d", "client-data": {"a": "\\ud83d"}}' % (b"a" * 16)
    body = b'{"success": true, "movies": [%s], "pagination": {"has_next": false}}' % movie
    page = BASE.read(calls.list_movies(), Response(status=200, reason="OK", headers={}, body=body))
    assert [movie.message for movie in page.movies] == ["\ufffd"]


def test_an_http_reason_that_is_not_utf_8_is_shown_without_its_bytes():
    error = BASE.read(
        calls.get_movie("a" * 16), Response(status=502, reason="Bad \udce9 Gateway", headers={}, body=b"")
    )
    str(error).encode()


def test_a_recursive_document_is_rejected():
    document: dict[str, Any] = {}
    document["a"] = [document]
    with pytest.raises(ConfigurationError, match="contains itself"):
        BASE.request(calls.submit_movie(document))


def test_the_order_of_a_document_is_preserved():
    body = BASE.request(calls.submit_movie({"b": "{{ü}}", "a": [1, 2.5, None, True, "1"]})).body
    assert body == '{"b":"{{ü}}","a":[1,2.5,null,true,"1"]}'.encode()


# Polled pages without their documents ---------------------------------------------------------------

LISTED = {"project": PROJECT, "status": "running", "json": '{"scenes": []}', "client-data": {"a": 1}, "duration": 2}


def listed(*movies: Any, **more: Any) -> dict[str, Any]:
    return {"success": True, "movies": list(movies), "has_next": False, **more}


def test_a_polled_page_has_the_status_of_renders_without_their_documents():
    body = listed(LISTED, remaining_quota={"time": "7"})
    page = read(poll_movies(), body)
    assert page.movies == [{"project": PROJECT, "status": "running", "duration": 2}]
    assert page.remaining_quota.time == 7
    assert page.bytes_read == len(json.dumps(body))


def test_a_polled_page_sends_the_same_request_as_the_list():
    arguments = {"date_start": NOW - timedelta(days=1), "date_end": NOW, "limit": 7, "next_token": "t"}
    assert BASE.request(poll_movies(**arguments)).url == BASE.request(calls.list_movies(**arguments)).url


@pytest.mark.parametrize("odd", [b'"\\ud800"', b"NaN", b"1e999"])
def test_a_response_that_only_the_fast_parser_rejects_is_parsed(odd):
    body = json.dumps(listed(LISTED)).encode().replace(b'"{\\"scenes\\": []}"', odd)
    assert odd in body
    assert [movie["project"] for movie in read(poll_movies(), body).movies] == [PROJECT]


@pytest.mark.parametrize(
    "body",
    [{}, {"movies": None}, {"movies": {}}, {"movies": [1]}, listed(has_next=True), [], b"", b"<html>", b"[" * 100_000],
    ids=lambda body: str(body)[:40],
)
def test_a_polled_page_of_another_structure_is_an_error(body):
    quick, plain = read(poll_movies(), body), read(calls.list_movies(), body)
    assert isinstance(quick, InvalidResponse)
    assert str(quick).partition(" with ")[0] == str(plain).partition(" with ")[0]


def test_a_refusal_in_a_polled_page_has_the_services_message():
    error = read(poll_movies(), {"success": False, "message": "Error: Invalid API Key", "movies": []})
    assert type(error).__name__ == "AuthenticationFailed"
    assert type(read(poll_movies(), {"message": "down"}, status=503)).__name__ == "ServerError"
