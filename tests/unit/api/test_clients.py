"""The behavior of both clients with normal and faulty responses, in one table. POSTs are counted."""

from __future__ import annotations

import dataclasses
import gc
import logging
import os
import pickle
import socket
import sys
import time
import traceback
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest

from airflow_json2video.api.calls import (
    create_folder,
    create_template,
    delete_file,
    delete_movie,
    get_movie,
    get_storage,
    list_movies,
    move_file,
    submit_movie,
)
from airflow_json2video.api.calls.movies import poll_movies
from airflow_json2video.exceptions import (
    AuthenticationFailed,
    Billing,
    ConfigurationError,
    HostNotResolved,
    InvalidRequest,
    InvalidResponse,
    Json2VideoError,
    ProjectNotFound,
    RateLimited,
    ResponseLost,
    ServerError,
    ServiceUnreachable,
)

# The scripted service is in conftest, which cannot be imported by name in importlib mode.
conftest = sys.modules[next(n for n in sys.modules if n.endswith("unit.api.conftest"))]
answer, KEY, PROJECT = conftest.answer, conftest.KEY, conftest.PROJECT

MOVIE = {"scenes": [{"comment": "größer"}], "client-data": {"k": "v"}}
SUBMITTED = {"success": True, "project": PROJECT, "timestamp": "2026-05-12T10:49:52.924Z"}
DONE = {"success": True, "movie": {"success": True, "status": "done", "project": PROJECT, "url": "https://x/y.mp4"}}
HTML = b"<html><body>Please log in to the hotel's network</body></html>"

FAULTS = {
    "hang_up": (conftest.hang_up, ResponseLost),
    "reset": (conftest.reset, ResponseLost),
    "cut_short": (conftest.cut_short, ResponseLost),
    # http.client accepts incomplete headers, without a body.
    "cut_in_headers": (conftest.cut_in_headers, (ResponseLost, InvalidResponse)),
    "no_http": (conftest.no_http, ResponseLost),
    "html": (answer(200, raw=HTML), InvalidResponse),
    "empty": (answer(200, raw=b""), InvalidResponse),
    "half_json": (answer(200, raw=b'{"success": true, "proj'), InvalidResponse),
    "list": (answer(200, raw=b"[1]"), InvalidResponse),
    "no_project": (answer(200, {"success": True}), InvalidResponse),
    "null_project": (answer(200, {"success": True, "project": None}), InvalidResponse),
    "redirect": (answer(307, {}, headers={"Location": "/v2/movies"}), InvalidResponse),
    "redirect_302": (answer(302, raw=HTML, headers={"Location": "/v2/movies"}), InvalidResponse),
    "html_403": (answer(403, raw=HTML), InvalidResponse),
    "408": (answer(408, raw=b""), ServerError),
    "429": (answer(429, {"message": "Too Many Requests"}, headers={"Retry-After": "1"}), RateLimited),
    "500": (answer(500, {"message": "Internal server error"}), ServerError),
    "502_html": (answer(502, raw=HTML), ServerError),
    "503": (answer(503, raw=b""), ServerError),
    "504": (answer(504, {"message": "Endpoint request timed out"}), ServerError),
    "type_error": (answer(400, {"message": "TypeError: x is not a function"}), ServerError),
}


def failure(act: Any, *args: Any) -> Json2VideoError:
    with pytest.raises(Json2VideoError) as caught:
        act(*args)
    return caught.value


# Requests -------------------------------------------------------------------------------------


def test_a_submission_is_the_document_in_utf8_with_the_key_in_its_header(client, service):
    service.then(answer(200, SUBMITTED))
    assert client.execute(submit_movie(MOVIE)).project == PROJECT
    (seen,) = service.requests
    assert (seen.method, seen.path) == ("POST", "/v2/movies")
    assert seen.headers["x-api-key"] == KEY
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["user-agent"].startswith("airflow-json2video/")
    assert "größer".encode() in seen.body


def test_repeatable_calls_share_a_connection_and_a_submission_uses_a_new_one(client, service):
    service.then(answer(200, DONE), answer(200, SUBMITTED), answer(200, DONE))
    client.execute(get_movie(PROJECT))
    client.execute(submit_movie(MOVIE))
    client.execute(get_movie(PROJECT))
    first, submission, second = (seen.connection for seen in service.requests)
    assert first == second != submission


def test_a_netrc_file_is_ignored(client, service, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("default login someone password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    service.then(answer(200, DONE))
    client.execute(get_movie(PROJECT))
    assert "authorization" not in service.requests[0].headers
    assert service.requests[0].headers["x-api-key"] == KEY


def test_loopback_requests_bypass_the_environments_proxy(client, service, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    service.then(answer(200, DONE))
    assert client.execute(get_movie(PROJECT)).movie.status == "done"


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_a_proxy_tunnels_the_connection_and_does_not_see_the_key(driver, service, monkeypatch, how):
    for name in ("NO_PROXY", "no_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    service.then(answer(407, raw=b"who are you"))
    options = {"proxy": service.url} if how == "argument" else {}
    if how == "environment":
        monkeypatch.setenv("https_proxy", service.url)
    driver.open("https://api.json2video.invalid", **options)
    error = failure(driver.execute, submit_movie(MOVIE))
    assert isinstance(error, ServiceUnreachable)
    assert error.billing is Billing.NOT_CHARGED
    assert [(s.method, s.path) for s in service.requests] == [("CONNECT", "api.json2video.invalid:443")]
    assert KEY not in str([s.headers for s in service.requests])


# Submissions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS)
def test_a_submission_is_sent_once_and_its_billing_is_unknown_after_any_failure(client, service, fault):
    behavior, expected = FAULTS[fault]
    service.then(behavior)
    error = failure(client.execute, submit_movie(MOVIE))
    assert isinstance(error, expected), str(error)
    assert service.sent("POST") == 1 == len(service.requests)
    assert error.billing is Billing.UNKNOWN
    assert "account's list" in error.advice
    assert client.slept == []


@pytest.mark.parametrize("fault", [conftest.silence, conftest.drip, conftest.drip_headers])
def test_a_slow_or_endless_response_times_out_and_is_not_retried(driver, service, fault):
    driver.open(service.url, read_timeout=0.4, total_timeout=0.8)
    service.then(fault)
    started = time.monotonic()
    error = failure(driver.execute, submit_movie(MOVIE))
    assert time.monotonic() - started < 8  # the server sends for ten seconds
    assert type(error) is ResponseLost
    assert error.billing is Billing.UNKNOWN
    assert service.sent("POST") == 1


def test_a_response_that_is_too_large_is_aborted(driver, service, monkeypatch):
    driver.open(service.url)
    object.__setattr__(driver.client.config, "max_body", 1_000_000)
    service.then(conftest.endless)
    error = failure(driver.execute, submit_movie(MOVIE))
    assert type(error) is ResponseLost
    assert "larger than 1000000 bytes" in str(error)
    assert service.sent("POST") == 1


def test_a_call_can_limit_the_size_of_its_response(driver, service):
    driver.open(service.url, retries=0)
    service.then(answer(200, {"movies": [], "padding": "x" * 2_000_000}))
    call = poll_movies()
    assert driver.execute(call).movies == []
    error = failure(driver.execute, dataclasses.replace(call, max_bytes=1_000_000))
    assert type(error) is ResponseLost
    assert "larger than 1000000 bytes" in str(error)


def test_a_submission_does_not_reuse_an_idle_connection(client, service):
    def answer_then_close(connection: Any, seen: Any) -> None:
        answer(200, DONE)(connection, seen)
        connection.shutdown(socket.SHUT_RDWR)

    service.then(answer_then_close, answer(200, SUBMITTED))
    client.execute(get_movie(PROJECT))
    assert client.execute(submit_movie(MOVIE)).project == PROJECT
    assert service.sent("POST") == 1


def test_a_refused_connection_means_that_nothing_was_sent(driver):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        driver.open(f"http://127.0.0.1:{unused.getsockname()[1]}")
        error = failure(driver.execute, submit_movie(MOVIE))
    assert type(error) is ServiceUnreachable
    assert error.billing is Billing.NOT_CHARGED
    assert "Nothing was submitted" in error.advice
    assert "refused" in str(error).lower()
    assert "0x" not in str(error)


def test_a_host_that_does_not_resolve_means_that_nothing_was_sent(driver, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    driver.open("https://api.json2video.invalid")
    error = failure(driver.execute, submit_movie(MOVIE))
    assert type(error) is HostNotResolved
    assert isinstance(error, ServiceUnreachable)
    assert error.billing is Billing.NOT_CHARGED
    assert "api.json2video.invalid" in str(error)


def test_a_reset_during_the_tls_handshake_means_that_nothing_was_sent(driver):
    def reset(connection: socket.socket) -> None:
        connection.recv(1)
        conftest.reset(connection, None)

    service = conftest.Service(before_tls=reset)
    driver.open(service.url)
    error = failure(driver.execute, submit_movie(MOVIE))
    service.close()
    assert type(error) is ServiceUnreachable, str(error)
    assert error.billing is Billing.NOT_CHARGED


def test_an_untrusted_certificate_means_that_nothing_was_sent(driver, certificate):
    service = conftest.Service(tls=certificate).then(answer(200, SUBMITTED))
    driver.open(service.url)
    error = failure(driver.execute, submit_movie(MOVIE))
    service.close()
    assert type(error) is ServiceUnreachable
    assert "certificate verify failed" in str(error).lower()
    assert service.requests == []


def test_a_reset_after_a_trusted_handshake_means_that_the_request_may_have_been_sent(driver, certificate):
    service = conftest.Service(tls=certificate).then(answer(200, SUBMITTED), conftest.reset)
    driver.open(service.url, ca_file=str(certificate[0]))
    assert driver.execute(submit_movie(MOVIE)).project == PROJECT
    error = failure(driver.execute, submit_movie(MOVIE))
    service.close()
    assert type(error) is ResponseLost
    assert service.sent("POST") == 2


@pytest.mark.parametrize("disguised", [False, True])
def test_a_replaced_ca_file_is_loaded_without_a_restart(driver, certificate, tmp_path, disguised):
    old, new = certificate, conftest.new_certificate(tmp_path)
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(old[0].read_bytes().ljust(4096, b"\n"))
    seen = ca_file.stat()
    service = conftest.Service(tls=old).then(
        answer(200, {"success": True, "movies": [], "has_next": False}, headers={"Connection": "close"})
    )
    driver.open(service.url, ca_file=str(ca_file), retries=0)
    driver.execute(list_movies())
    service.use(*new)
    assert type(failure(driver.execute, list_movies())) is ServiceUnreachable
    ca_file.write_bytes(new[0].read_bytes().ljust(4096 if disguised else 0, b"\n"))
    if disguised:  # of the same size and age
        os.utime(ca_file, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    driver.execute(list_movies())
    service.close()


def test_an_unreadable_ca_file_does_not_replace_the_loaded_authorities(driver, certificate, tmp_path):
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(certificate[0].read_bytes())
    service = conftest.Service(tls=certificate).then(answer(200, {"success": True, "movies": [], "has_next": False}))
    driver.open(service.url, ca_file=str(ca_file), retries=0)
    driver.execute(list_movies())
    ca_file.write_bytes(b"half")
    driver.client._trust_until = 0.0  # a minute later
    driver.execute(list_movies())
    service.close()


def test_a_slow_tls_response_times_out(driver, certificate):
    service = conftest.Service(tls=certificate).then(conftest.drip)
    driver.open(service.url, ca_file=str(certificate[0]), total_timeout=0.6)
    error = failure(driver.execute, submit_movie(MOVIE))
    service.close()
    assert type(error) is ResponseLost
    assert "more than 0.6 seconds" in str(error)


NEVER_REPEATED = {
    "submit": submit_movie(MOVIE),
    "create template": create_template("t", movie={}),
    "move file": move_file("a.mp4", folder="", destination="b"),
    "delete file": delete_file("a.mp4"),
}


@pytest.mark.parametrize("name", NEVER_REPEATED)
@pytest.mark.parametrize("fault", ["hang_up", "reset", "500", "429", "503"])
def test_a_call_that_is_not_repeatable_is_sent_once(client, service, name, fault):
    service.then(FAULTS[fault][0])
    failure(client.execute, NEVER_REPEATED[name])
    assert len(service.requests) == 1


# Retries ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [get_movie(PROJECT), delete_movie(PROJECT), create_folder("a")], ids=lambda c: c.name)
@pytest.mark.parametrize("fault", ["reset", "cut_short", "500", "502_html", "503", "504", "429", "408"])
def test_a_repeatable_call_is_retried_until_it_succeeds(client, service, call, fault):
    behavior = FAULTS[fault][0]
    service.then(behavior, behavior, answer(200, {**DONE, "project": PROJECT}))
    client.execute(call)
    assert len(service.requests) == 3
    # aiohttp retries an idempotent request once if the connection breaks.
    assert len(client.slept) == 2 or client.kind == "async"


def test_the_last_error_is_raised_after_all_retries(client, service):
    service.then(answer(503, {"message": "down"}))
    error = failure(client.execute, get_movie(PROJECT))
    assert type(error) is ServerError
    assert (error.service_message, error.http_status, error.project) == ("down", 503, PROJECT)
    assert len(service.requests) == 4
    assert client.slept == [0.5, 1.0, 2.0]


def test_the_retry_delay_has_full_jitter(client, service):
    client.chance = 0.0
    service.then(answer(503, raw=b""), answer(200, DONE))
    client.execute(get_movie(PROJECT))
    assert client.slept == [0.0]


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("7", 7, 7.6),
        ("0", 0, 0.6),
        ("86400", 120, 120.6),
        (timedelta(seconds=40), 35, 41),
        (timedelta(hours=-1), 0, 0.6),
        ("soon", 0, 0.6),
        ("-5", 0, 0.6),
    ],
)
def test_retry_after_is_honored_in_both_forms_up_to_a_maximum(client, service, header, low, high):
    if isinstance(header, timedelta):
        header = format_datetime(datetime.now(timezone.utc) + header, usegmt=True)
    service.then(answer(429, {"message": "x"}, headers={"Retry-After": header}), answer(200, DONE))
    client.execute(get_movie(PROJECT))
    assert low <= client.slept[0] <= high


@pytest.mark.parametrize(
    ("behavior", "expected"),
    [
        (answer(400, {"success": False, "message": "Error: Invalid API Key"}), AuthenticationFailed),
        (
            answer(400, {"message": "TypeError: Cannot read properties of null (reading 'success')"}),
            ProjectNotFound,
        ),
        (answer(400, {"error": "no"}), InvalidRequest),
        (answer(200, raw=HTML), InvalidResponse),
        (answer(200, {"success": True, "movie": None}), InvalidResponse),
        (answer(200, {"success": True, "movie": {"project": PROJECT}}), InvalidResponse),
        (answer(200, {"success": True, "movie": {"status": "done", "project": "B" * 16}}), InvalidResponse),
    ],
)
def test_a_refusal_or_an_invalid_response_is_not_retried(client, service, behavior, expected):
    service.then(behavior)
    error = failure(client.execute, get_movie(PROJECT))
    assert type(error) is expected
    assert len(service.requests) == 1


def test_the_error_of_an_invalid_response_names_the_call_and_the_expected_structure(client, service):
    service.then(answer(200, raw=HTML + b"x" * 1000))
    error = failure(client.execute, get_movie(PROJECT))
    expected = f"The response to the request for the status of render {PROJECT} must be a 'movie' with a 'status'"
    assert f"{expected}, got HTTP 200 with HTML" in str(error)
    assert "hotel's network" in str(error)
    assert len(error.message) < 450


def test_compressed_responses_are_decoded(client, service):
    import gzip
    import json

    body = gzip.compress(json.dumps(DONE).encode())
    service.then(answer(200, raw=body, headers={"Content-Encoding": "gzip"}))
    assert client.execute(get_movie(PROJECT)).movie.url == "https://x/y.mp4"


def test_the_error_of_a_damaged_compressed_response_names_the_cause(client, service):
    service.then(answer(200, raw=b"not gzip at all", headers={"Content-Encoding": "gzip"}))
    error = failure(client.execute, submit_movie(MOVIE))
    assert isinstance(error, (ResponseLost, InvalidResponse))
    assert error.billing is Billing.UNKNOWN
    assert service.sent("POST") == 1


# The list -----------------------------------------------------------------------------------------


def page(*projects: str, token: str | None = None, **more: Any) -> Any:
    movies = [{"project": p, "status": "done", "json": "{}"} for p in projects]
    return answer(200, {"success": True, "movies": movies, "has_next": token is not None, "next_token": token, **more})


def test_the_list_is_read_to_its_end_by_the_cursor(client, service):
    service.then(page("A" * 16, token="t+/1"), page(token="t2"), page("B" * 16, "C" * 16))
    found = client.movies("2026-05-01T00:00:00Z", datetime(2026, 5, 12, tzinfo=timezone.utc), page_size=2)
    assert [m.project for m in found] == ["A" * 16, "B" * 16, "C" * 16]
    first, second, third = (seen.path for seen in service.requests)
    assert first == "/v2/movies?date_start=2026-05-01T00%3A00%3A00.000Z&date_end=2026-05-12T00%3A00%3A00.000Z&limit=2"
    assert second == first + "&next_token=t%2B%2F1"
    assert third == first + "&next_token=t2"


@pytest.mark.parametrize("more", [{"has_next": None}, {}], ids=["null", "missing"])
def test_only_an_explicit_false_ends_a_list(client, service, more):
    def half_said(*projects, **fields):
        movies = [{"project": project, "status": "done", "json": "{}"} for project in projects]
        return answer(200, {"success": True, "movies": movies, **fields})

    service.then(half_said("A" * 16, next_token="t1", **more), half_said("B" * 16, **more))
    assert [movie.project for movie in client.movies()] == ["A" * 16, "B" * 16]


def test_a_repeated_cursor_ends_an_endless_list_with_an_error(client, service):
    service.then(answer(200, {"success": True, "movies": [], "next_token": "t1"}))
    with pytest.raises(InvalidResponse, match="cursor of the list of renders repeats"):
        client.movies()


def test_an_explicit_false_ends_a_list_that_has_a_cursor(client, service):
    service.then(answer(200, {"success": True, "movies": [], "next_token": "t1", "has_next": False}))
    assert client.movies() == []


@pytest.mark.parametrize(
    "second",
    [
        page("B" * 16, token="t1"),
        answer(200, {"success": True, "movies": [], "has_next": True, "next_token": None}),
        answer(200, {"success": True, "movies": [], "has_next": True, "next_token": ""}),
        answer(200, {"success": True, "movies": None}),
        answer(200, {"success": True, "movies": ["x"]}),
        answer(200, {"success": True, "movies": [{"status": "done"}]}),
    ],
    ids=["repeating cursor", "no cursor", "empty cursor", "no list", "no object", "no project"],
)
def test_an_incomplete_list_is_an_error(client, service, second):
    service.then(page("A" * 16, token="t1"), second)
    with pytest.raises(InvalidResponse):
        client.movies()


def test_an_endless_list_is_an_error(client, service, monkeypatch):
    from airflow_json2video.api import pagination

    monkeypatch.setattr(pagination, "MAX_PAGES", 5)
    count = iter(range(1000))

    def endless(connection: Any, seen: Any) -> None:
        page("A" * 16, token=f"t{next(count)}")(connection, seen)

    service.then(endless)
    with pytest.raises(InvalidResponse, match="has not ended after 5 pages"):
        client.movies()


# The drive ----------------------------------------------------------------------------------------


def ticket(service: Any) -> Any:
    return answer(
        200, {"success": True, "uploadUrl": f"{service.url}/bucket/x?sig=a%2Fb%3A1", "fileUrl": "https://m/x.mp4"}
    )


@pytest.mark.parametrize("how", ["path", "open file"])
def test_an_upload_announces_the_file_and_sends_it_without_the_key(client, service, tmp_path, how):
    content = bytes(range(256)) * 3000
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    service.then(ticket(service), answer(200, raw=b""))
    if how == "path":
        sent = client.upload_file(path, folder="/videos/")
    else:
        with path.open("rb") as opened:
            sent = client.upload_file(opened, folder="videos")
    assert (sent.url, sent.size, sent.folder) == ("https://m/x.mp4", len(content), "videos")
    announced, put = service.requests
    assert announced.body == b'{"name":"clip.mp4","contentType":"video/mp4","size":768000,"folder":"videos"}'
    assert (put.method, put.path, put.body) == ("PUT", "/bucket/x?sig=a%2Fb%3A1", content)
    assert set(put.headers) - {"host", "connection"} == {"content-type", "content-length"}
    assert put.headers["content-type"] == "video/mp4"
    assert put.headers["content-length"] == str(len(content))


@pytest.mark.parametrize("behavior", [conftest.reset, answer(403, raw=b"<Error><Code>AccessDenied</Code></Error>")])
def test_a_failed_upload_is_not_retried_and_its_error_names_the_blocked_name(client, service, tmp_path, behavior):
    (tmp_path / "clip.mp4").write_bytes(b"12345")
    service.then(ticket(service), behavior)
    error = failure(client.upload_file, tmp_path / "clip.mp4")
    assert isinstance(error, (ResponseLost, InvalidRequest))
    assert "pending record" in error.advice
    assert "sig=" not in str(error)
    assert service.sent("PUT") == 1


def test_an_upload_url_without_tls_is_rejected(client, service, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"12345")
    service.then(answer(200, {"success": True, "uploadUrl": "http://bucket.example/x"}))
    error = failure(client.upload_file, tmp_path / "clip.mp4")
    assert isinstance(error, InvalidResponse)
    assert "not https" in str(error)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda d: d / "missing.mp4", "File not found"),
        (lambda d: (d / "empty.mp4").touch() or d / "empty.mp4", "got 0"),
        (lambda d: (d / "noext").write_bytes(b"1") and d / "noext", "pass content_type"),
        (lambda d: 5, "must be a path or an open binary file"),
    ],
)
def test_a_file_that_cannot_be_uploaded_is_rejected_before_a_request(client, service, tmp_path, make, words):
    error = failure(client.upload_file, make(tmp_path))
    assert isinstance(error, ConfigurationError)
    assert words in str(error)
    assert service.requests == []


def test_the_error_of_a_file_that_shrinks_during_the_upload_names_the_cause(client, service):
    import io

    service.then(ticket(service), answer(200, raw=b""))
    short = io.BytesIO(b"12345")
    error = failure(lambda: client.upload_file(short, name="clip.mp4", size=5000))
    assert "4995 bytes shorter than announced" in str(error)


# The key ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [*FAULTS, "echo_key", "echo_key_html", "fine", "refused"])
def test_the_key_is_not_in_messages_reprs_and_logs(driver, service, caplog, fault):
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "aiohttp", "asyncio", "requests", "airflow_json2video"):
        caplog.set_level(logging.DEBUG, logger=name)
    behavior = {
        "echo_key": conftest.echo_key,
        "echo_key_html": answer(200, raw=b"<html>" + b"x" * 180 + KEY.encode() + b"</html>"),
        "fine": answer(200, SUBMITTED),
        "refused": answer(200, SUBMITTED),
    }.get(fault) or FAULTS[fault][0]
    service.then(behavior)
    driver.open("http://127.0.0.1:9" if fault == "refused" else service.url)
    texts = [repr(driver.client), str(driver.client), repr(driver.client.config), repr(vars(driver.client))]
    chained = []
    for call in (submit_movie(MOVIE), get_movie(PROJECT)):
        texts.append(repr(call))
        texts.append(repr(driver.client._base.request(call)))
        try:
            driver.execute(call)
        except Json2VideoError as error:
            texts += [str(error), repr(error), repr(error.to_dict()), repr(pickle.dumps(error)), repr(vars(error))]
            texts += traceback.format_exception(type(error), error, error.__traceback__)
            chained += [error.__cause__, error.__context__]
    texts += [caplog.text, *(repr(vars(record)) for record in caplog.records)]
    # A chained exception of a library may contain the request and its headers.
    assert not any(chained)
    assert not [text for text in texts if KEY in text or KEY[:12] in text]


def test_an_echoed_key_is_redacted_without_the_rest_of_the_message(client, service):
    service.then(conftest.echo_key)
    error = failure(client.execute, get_storage())
    assert error.service_message == "Error: Invalid API Key *** given"
    assert isinstance(error, AuthenticationFailed)


def test_a_client_can_be_closed_twice_and_used_again(client, service):
    service.then(answer(200, DONE))
    client.close()
    client.close()
    assert client.execute(get_movie(PROJECT)).movie.status == "done"


def test_all_connections_are_closed(driver, service, recwarn):
    driver.open(service.url)
    service.then(answer(200, SUBMITTED), answer(200, DONE), conftest.cut_short)
    driver.execute(submit_movie(MOVIE))
    driver.execute(get_movie(PROJECT))
    failure(driver.execute, submit_movie(MOVIE))
    driver.close()
    driver.client = None
    gc.collect()
    assert not [w for w in recwarn if issubclass(w.category, ResourceWarning) and "127.0.0.1" in str(w.message)]


# A returned key ----------------------------------------------------------------------------

ODD_KEY = 'Qw8"é/ ZxT9mLp'


def echoing(form: bytes):
    """Return the key, in the bytes that were received, within *form*."""

    def act(connection: socket.socket, seen: Any) -> None:
        connection.sendall(form.replace(b"KEY", seen.headers["x-api-key"].encode("latin-1")))
        connection.shutdown(socket.SHUT_RDWR)

    return act


OK = b"HTTP/1.1 200 OK\r\n"
BODY = b"Content-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    "form",
    [
        OK + b"no colon KEY\r\n" + BODY,
        OK + b"x-echo KEY: 1\r\n" + BODY,
        OK + b"KEY: 1\r\n" + BODY,
        OK + b"Content-Type: KEY\r\n" + BODY,
        OK + b"Content-Length: KEY\r\n\r\n{}",
        OK + b"Content-Encoding: KEY\r\n" + BODY,
        OK + b"Transfer-Encoding: KEY\r\n\r\n{}",
        OK + b"Transfer-Encoding: chunked\r\n\r\nKEY\r\n",
        OK + b"Set-Cookie: KEY\r\n" + BODY,
        OK + b"Location: KEY\r\n" + BODY,
        OK + b"Retry-After: KEY\r\nx\x00KEY: \r\n" + BODY,
        b"HTTP/1.1 400 KEY\r\n" + BODY,
        b"HTTP/1.1 KEY\r\n" + BODY,
        b"KEY\r\n\r\n",
        b"HTTP/1.1 502 Bad\r\nContent-Length: 100\r\n\r\n<html>KEY" + b" " * 91,
    ],
    ids=lambda form: form.replace(OK, b"").decode().split("\r\n")[0],
)
def test_a_key_that_the_service_returns_is_redacted_in_messages_and_logs(driver, service, caplog, form):
    client = driver.open(service.url, key=ODD_KEY, retries=0)
    service.then(echoing(form))
    with caplog.at_level(logging.DEBUG, logger=""):
        try:
            client.execute(get_movie(PROJECT))
        except Json2VideoError as error:
            shown = "".join(traceback.format_exception(type(error), error, error.__traceback__)) + repr(error.to_dict())
            assert "ZxT9mLp" not in shown
    formatter = logging.Formatter()
    logged = "\n".join(formatter.format(record) for record in caplog.records)
    assert "ZxT9mLp" not in logged
