"""What a hostile or careless page, request or movie cannot do to the service."""

from __future__ import annotations

import re
import socket
import time

import pytest

from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.local import LocalService
from airflow_json2video.local.documents import read_json
from airflow_json2video.local.drawing.assets import AssetFault, Assets
from airflow_json2video.local.limits import LIMITS, Limits, is_deeper
from airflow_json2video.local.planning.resolve import MovieFault, resolve
from airflow_json2video.movie.documents import merge_template

RED = {"width": 64, "height": 64, "scenes": [{"duration": 1, "background-color": "#c00"}]}


# The service itself


def raw(service, *lines, body=b""):
    port = int(service.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)
        answer = b""
        while more := connection.recv(65536):
            answer += more
    return answer


def status_of(answer):
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize("name", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example",
                                  "10.0.0.1", "[::2]", "", "user@evil.example", "[broken"])  # fmt: skip
def test_a_page_cannot_reach_the_service_under_a_name_of_its_own(service, name):
    for line in ("GET /v2/movies HTTP/1.1", "GET /_control/renders HTTP/1.1", "GET /renders/a.mp4 HTTP/1.1"):
        said = raw(service, line, f"Host: {name}", "x-api-key: k")
        assert status_of(said) in (400, 403)
        assert b"remaining_quota" not in said
    assert service.requests == []


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST:1234", "127.0.0.1", "127.9.9.9:80", "[::1]:80"])
def test_this_machines_own_names_reach_the_service(service, name):
    assert status_of(raw(service, "GET /v2/movies HTTP/1.1", f"Host: {name}", "x-api-key: k")) == 200


def test_a_request_without_exactly_one_host_header_is_refused(service):
    assert status_of(raw(service, "GET /v2/movies HTTP/1.1", "Host: localhost", "Host: evil.example")) in (400, 403)
    assert status_of(raw(service, "GET /v2/movies HTTP/1.0")) in (400, 403)


def test_who_lets_others_in_has_names_of_their_own(tmp_path):
    with LocalService(mode="instant", home=tmp_path, allow_remote=True) as service:
        assert status_of(raw(service, "GET /v2/movies HTTP/1.1", "Host: render-box:80", "x-api-key: k")) == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.com"])
def test_the_service_refuses_to_listen_on_a_reachable_address(tmp_path, host):
    with pytest.raises(ConfigurationError, match="does not listen on"):
        LocalService(mode="instant", home=tmp_path, host=host)


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../secret",
        "/assets/..%2fsecret",
        "/assets/%2e%2e/secret",
        "/assets//etc/passwd",
        "/assets/link",
        "/assets/up/secret",
        "/assets/%00",
        "/assets/" + "a" * 5000,
        "/assets/..%5csecret",
        "/renders/../service.db",
        "/renders/..%2fservice.db",
        "/renders/%2e%2e",
        "/renders/..%2f..%2fsecret.mp4",
        "/renders/%00.mp4",
    ],
)
def test_no_path_leads_out_of_the_folders_that_are_served(tmp_path, path):
    folder = tmp_path / "assets"
    folder.mkdir()
    (tmp_path / "secret").write_text("SECRET")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to(tmp_path)
    with LocalService(mode="instant", home=tmp_path / "home", assets=folder) as service:
        said = raw(service, f"GET {path} HTTP/1.1", "Host: localhost")
        assert status_of(said) in (400, 404, 405)
        assert b"SECRET" not in said
        assert b"Traceback" not in said


@pytest.mark.parametrize("name", ["link", "up/secret", "../secret", "..%2Fsecret", "%00", "a" * 300])
def test_the_source_of_an_element_does_not_lead_out_of_the_assets_folder(tmp_path, name):
    folder = tmp_path / "assets"
    (folder / "a.example").mkdir(parents=True)
    (tmp_path / "secret").write_text("SECRET")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "a.example" / "up").symlink_to(tmp_path)
    assets = Assets(cache=tmp_path / "cache", origin="http://127.0.0.1:1", folder=folder, fetch=False)
    for url in (f"http://127.0.0.1:1/assets/{name}", f"http://a.example/{name}", f"http://../{name}"):
        with pytest.raises(AssetFault):
            assets.file(url)


@pytest.mark.parametrize("id_", ["../../service", "..%2f..", "/etc/passwd", "a\x00b", "a" * 10_000])
def test_the_id_of_a_template_is_never_used_as_a_path(client, service, id_):
    assert client.session.get(f"{service.host}/templates", params={"id": id_}).status_code == 400
    assert client.post({"template": id_}).status_code == 404


# The body of a request


def test_a_body_over_the_limit_is_refused_and_one_under_it_is_not(client, service):
    padding = "x" * (LIMITS.body_bytes - 100)
    assert client.post({"comment": padding + "x" * 200}).status_code == 413
    assert client.post({"comment": padding}).status_code == 200


def test_a_wrong_content_length_does_not_block_the_service(client, service):
    port = int(service.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as liar:
        liar.sendall(b"POST /v2/movies HTTP/1.1\r\nHost: localhost\r\nx-api-key: k\r\nContent-Length: 10000\r\n\r\n{}")
        assert client.get().status_code == 200
    assert client.get().json()["count"] == 0


@pytest.mark.parametrize("depth", [LIMITS.depth + 1, 400, 900, 10_000, 200_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a_body_nested_without_end_is_refused_as_unreadable(client, service, depth, opening, closing):
    nested = opening * depth + ("1" if opening != "[" else "") + closing * depth
    answer = client.session.post(f"{service.host}/movies", data=f'{{"a": {nested}}}', timeout=10)
    assert (answer.status_code, answer.json()["message"]) == (400, "Error parsing movie JSON or the movie was empty")
    answer = client.session.post(f"{service.host}/templates", data=f'{{"name": "n", "movie": {nested}}}', timeout=10)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "value",
    ["NaN", "-Infinity", "1e999", "-1e999", '"\\ud800"', '"\\uDFFF"', '{"\\ud800": 1}', "1" * 5000, "[[NaN]]"],
)
def test_a_value_that_cannot_be_written_is_refused_and_the_list_still_works(client, service, value):
    answer = client.session.post(f"{service.host}/movies", data=f'{{"client-data": {value}}}', timeout=10)
    assert answer.status_code == 400
    assert client.get().json()["count"] == 0


def test_pairs_of_surrogates_and_large_numbers_are_accepted():
    assert read_json(b'{"a": "\\ud83d\\ude00", "b": 1e300, "c": "\\\\ud800"}') == {
        "a": "😀",
        "b": 1e300,
        "c": "\\ud800",
    }


def test_depth_is_counted_in_objects_and_arrays():
    assert not is_deeper({"a": [1, {"b": []}]}, 4)
    assert is_deeper({"a": [1, {"b": []}]}, 3)
    assert not is_deeper(7, 0)


# The movie, before it is drawn


def fails(movie, **limits):
    began = time.process_time()
    with pytest.raises(MovieFault) as raised:
        resolve(movie, limits=Limits(**limits))
    assert time.process_time() - began < 12
    return str(raised.value)


TEXT = {"type": "text", "text": "a"}


def test_ten_thousand_elements_are_refused_at_the_first_that_is_too_many(client, service):
    movie = {"scenes": [{"duration": 1, "elements": [TEXT] * 10_000}]}
    assert fails(movie) == "Scene #1, element #2000: the movie has more than 2,000 scenes and elements"
    assert fails({"elements": [TEXT] * 10_000}).startswith("Movie, element #2001")
    assert fails({"scenes": [{"duration": 1}] * 10_000}).startswith("Scene #2001: the movie has more")
    seen = client.finished(movie=movie)
    assert (seen["status"], "more than 2,000" in seen["message"]) == ("error", True)


def test_elements_that_come_of_repetition_and_import_are_counted():
    movie = {"variables": {"list": [1] * 300}, "scenes": [{"iterate": "list", "elements": [TEXT] * 10}]}
    assert "more than 2,000" in fails(movie)
    movie = {"scenes": [{"id": "a", "elements": [TEXT] * 1500}, {"import": "a", "elements": [TEXT] * 600}]}
    assert "more than 2,000" in fails(movie)


def test_a_hundred_thousand_iterations_are_refused_even_if_all_are_skipped():
    movie = {"variables": {"list": [1] * 100_000}, "scenes": [{"iterate": "list", "condition": "{{ false }}"}]}
    assert fails(movie) == "Scene #1: the movie repeats scenes more than 10,000 times"
    movie = {"variables": {"list": [1] * 4000}, "scenes": [{"iterate": "list", "condition": "{{ false }}"}] * 3}
    assert fails(movie) == "Scene #3: the movie repeats scenes more than 10,000 times"


def test_many_variables_cost_no_copy_for_each_element():
    movie = {
        "variables": {f"v{n}": n for n in range(200_000)},
        "scenes": [{"elements": [{**TEXT, "x": "{{ v7 }}"}] * 1900}],
    }
    began = time.process_time()
    assert resolve(movie)["scenes"][0]["elements"][1899]["x"] == 7
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    "text",
    [
        "{{ " + "(" * 10_000 + "1" + ")" * 10_000 + " }}",
        "{{ " + "(" * 200 + "1" + ")" * 200 + " }}",
        "{{" + "(" * 300 + "}}",
        "{{ " + "a[" * 200 + "0" + "]" * 200 + " }}",
        "{{ " + "min(" * 200 + "1" + ")" * 200 + " }}",
        "{{ " + "1 ? " * 200 + "1" + ": 1" * 200 + " }}",
        "{{ " + "1+" * 100_000 + "1 }}",
    ],
)
def test_an_expression_that_is_too_deep_or_too_long_is_refused(text):
    assert re.search("too deeply|too long|cannot read", fails({"scenes": [{"elements": [{**TEXT, "text": text}]}]}))


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("{{ a }}" * 200, "too long"),
        ("{{ a + a + a + a + a + a }}", "too long"),
        ("{{ upper(big) }}", "too long"),
        ("{{ 999999999999999 * 999999999999999 }}", "too large"),
        ("x {{ list }}", "cannot be written into a text"),
        ("x {{ nested }}", "cannot be written"),
        ("{{ 1e999 + 1 }}", "too large"),
        ("{{ ceil(1e999) }}", "cannot compute"),
    ],
)
def test_a_result_that_grows_too_large_is_refused(expression, reason):
    variables = {"a": "x" * 20_000, "big": "x" * 500_000, "list": [1] * 100_000, "nested": [[[1] * 2000]]}
    assert reason in fails({"variables": variables, "scenes": [{"elements": [{**TEXT, "text": expression}]}]})


def test_rounding_to_a_billion_digits_is_fast():
    movie = {"comment": "{{ round(5, -1000000000) }}", "id": "{{ round(1.25, 1) }}"}
    assert (resolve(movie)["comment"], resolve(movie)["id"]) == (0, 1.2)


@pytest.mark.parametrize(
    "text",
    [
        "{{ } } " * 60_000 + "{ }}",
        "{{" * 200_000,
        "{{ a }}" * 100_000,
        "{{ '" * 100_000 + "}}",
        "{{ " + "a or " * 1500 + "a }}",
        "{{ } } " * 770 + "{ }}",
    ],
)
def test_expressions_that_are_expensive_to_compute_are_refused_quickly(text):
    movie = {"variables": {"a": "0" * 1_000_000}, "scenes": [{"elements": [{**TEXT, "text": text}] * 500}]}
    assert "than can be computed here" in fails(movie, work=5_000_000)


def test_a_long_text_is_cut_with_a_warning_before_it_is_drawn():
    movie = {
        "variables": {"a": "x" * 5000},
        "scenes": [{"elements": [{**TEXT, "text": "{{a}}{{a}}{{a}}"}, {**TEXT, "text": "y" * 2**20}]}],
    }
    resolved = resolve(movie)
    assert [len(e["text"]) for e in resolved["scenes"][0]["elements"]] == [10_000, 10_000]
    assert resolved.warnings == [f"Scene #1, element #{n}: the text was cut to 10,000 characters" for n in (1, 2)]


def test_a_template_that_calls_itself_and_two_that_call_each_other_end(client, service):
    for id_, other in (("a" * 20, "a" * 20), ("b" * 20, "c" * 20), ("c" * 20, "b" * 20)):
        service.add_template({**RED, "template": other, "comment": id_}, id=id_)
    for id_ in ("a" * 20, "b" * 20):
        assert client.finished(movie={"template": id_})["status"] == "done"
    assert "template" not in merge_template({"template": "x"}, {"template": "x", "scenes": []})


def test_scenes_that_import_themselves_and_each_other_end():
    movie = {
        "scenes": [
            {"id": "a", "import": "b", "elements": [TEXT]},
            {"id": "b", "import": "a", "elements": [TEXT]},
            {"id": "c", "import": "c", "elements": [TEXT]},
            {"import": ["a"], "elements": [TEXT]},
        ]
    }
    assert [len(s["elements"]) for s in resolve(movie)["scenes"]] == [2, 2, 1, 1]


def test_a_movie_of_nothing_but_its_own_elements_has_a_length(client, service):
    seen = client.finished(movie={"elements": [{**TEXT, "duration": 3}]})
    assert (seen["status"], seen["duration"]) == ("done", 3)


def test_half_an_hour_of_4k_is_refused_before_it_is_drawn_and_costs_nothing_in_instant(client, service):
    movie = {"width": 3840, "height": 2160, "scenes": [{"duration": 1800}]}
    service.settings.update({"mode": "preview", "credits": 100_000})
    began = time.monotonic()
    seen = client.finished(movie=movie)
    assert seen["message"] == (
        "The movie is 1800 s long; at 3840x2160 and 25 frames a second at most 482 s can be drawn here"
    )
    assert time.monotonic() - began < 60
    service.settings.mode = "instant"
    assert client.finished(movie=movie)["duration"] == 1800
    assert "longer than 1800 seconds" in client.finished(movie={"scenes": [{"duration": 1801}]})["message"]


@pytest.mark.parametrize("field", ["duration", "start", "fps", "width", "z-index", "extra-time"])
def test_a_number_beyond_all_reason_fails_or_is_left_aside(client, service, field):
    values = (10**400, 1e300, -1e300, "1e400", "nan", "9" * 5000, [], {}, True)
    for value in values:
        answer = client.post({field: value, "scenes": [{field: value, "elements": [{**TEXT, field: value}]}]})
        assert answer.status_code in (200, 401)  # a frame above the plan is refused immediately
    assert service.wait_idle(20)
    seen = client.get().json()["movies"]
    assert {movie["status"] for movie in seen} <= {"done", "error"}
    assert len(seen) >= len(values) - 1
    for movie in seen:
        assert not re.search(r"\w+Error:", movie["message"]), movie["message"]
