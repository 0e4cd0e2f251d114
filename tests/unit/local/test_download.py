"""Fetching from hosts that mean harm: addresses, redirects, sizes, speed. Real sockets; a false resolver where a
name must resolve to something particular."""

from __future__ import annotations

import re
import socket
import threading
import time

import pytest

from airflow_json2video.local.drawing.assets import AssetFault, Assets
from airflow_json2video.local.drawing.download import Download, DownloadFault
from airflow_json2video.local.limits import Limits

PUBLIC = "93.184.216.34"


def answer(body=b"", *, status="200 OK", **headers):
    lines = [f"HTTP/1.1 {status}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if "Content_Length" not in headers and "Transfer_Encoding" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Host:
    """A server of raw bytes: by path, what is sent, or a function that is given the connection."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._over = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                if not (more := connection.recv(65536)):
                    return
                request += more
            path = request.split()[1].decode()
            self.asked.append((path, request.decode()))
            said = self.answers.get(path, answer(status="404 Not Found"))
            try:
                if callable(said):
                    said(connection, self._over)
                else:
                    connection.sendall(said)
            except OSError:
                pass

    def close(self):
        self._over.set()
        self._listener.close()


@pytest.fixture
def host():
    host = Host()
    yield host
    host.close()


@pytest.fixture
def fetch(tmp_path):
    def fetch(url, **options):
        target = tmp_path / "file"
        Download(**{"allow_private": True, "timeout": 5, **options}).save(url, target)
        return target.read_bytes()

    yield fetch
    assert not list(tmp_path.glob("*.part"))


def refused(fetch, url, **options):
    with pytest.raises(DownloadFault) as raised:
        fetch(url, **options)
    return str(raised.value)


class Names:
    """A resolver with given answers, and connections that always go to one server."""

    def __init__(self, host, *answers):
        self._answers = list(answers)
        self._host = host
        self.asked = []
        self.connected = []

    def resolve(self, name, port, **_):
        self.asked.append(name)
        addresses = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    def connect(self, address, timeout):
        self.connected.append(address[0])
        return socket.create_connection(("127.0.0.1", self._host.port), timeout=timeout)

    def options(self):
        return {"allow_private": False, "resolve": self.resolve, "connect": self.connect}


@pytest.mark.parametrize(
    "host_name",
    [
        "127.0.0.1",
        "127.255.0.9",
        "localhost",
        "10.0.0.1",
        "172.16.9.9",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "239.255.255.250",
        "192.88.99.1",
        "198.18.0.1",
        "240.0.0.1",
        "2130706433",
        "0177.0.0.1",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b:1::1]",
        "[2002:7f00:1::]",
        "[2001:0:1:2:3:4:80ff:fffe]",
        "[fe80::1]",
        "[fec0::1]",
        "[fc00::1]",
        "[ff02::1]",
        "[2001:db8::1]",
        "[100::1]",
    ],
)
def test_no_way_of_writing_an_address_leads_to_this_network(fetch, host, host_name):
    connected = []
    url = f"http://{host_name}:{host.port}/a.png"
    assert "is not a public address" in refused(fetch, url, allow_private=False, connect=connected.append)
    assert (connected, host.asked) == ([], [])


def test_a_name_with_one_private_address_among_public_ones_is_refused(fetch, host):
    names = Names(host, [PUBLIC, "10.0.0.1"])
    assert refused(fetch, "http://mixed.example/a.png", **names.options()) == "10.0.0.1 is not a public address"
    assert names.connected == []


def test_a_name_is_resolved_once_and_its_address_is_the_one_connected_to(fetch, host):
    host.answers["/a.png"] = answer(b"body")
    names = Names(host, [PUBLIC], ["127.0.0.1"])
    assert fetch("http://rebinding.example/a.png", **names.options()) == b"body"
    assert (names.asked, names.connected) == (["rebinding.example"], [PUBLIC])
    assert "Host: rebinding.example\r\n" in host.asked[0][1]


def test_a_name_that_turns_private_after_a_redirect_is_refused(fetch, host):
    host.answers["/a.png"] = answer(status="302 Found", Location="/secret")
    host.answers["/secret"] = answer(b"secret")
    names = Names(host, [PUBLIC], ["127.0.0.1"])
    assert refused(fetch, "http://rebinding.example/a.png", **names.options()) == "127.0.0.1 is not a public address"
    assert [path for path, _ in host.asked] == ["/a.png"]


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://127.0.0.1:{port}/secret", "127.0.0.1 is not a public address"),
        ("//[::ffff:127.0.0.1]:{port}/secret", "is not a public address"),
        ("http://2130706433:{port}/secret", "127.0.0.1 is not a public address"),
        ("file:///etc/passwd", "only http and https addresses are downloaded"),
        ("ftp://a.example/a", "only http and https addresses are downloaded"),
        ("http://user:word@a.example/", "an address with a user name or password is not allowed"),
    ],
)
def test_a_redirect_is_checked_like_the_first_address(fetch, host, location, reason):
    host.answers["/a.png"] = answer(status="302 Found", Location=location.format(port=host.port))
    host.answers["/secret"] = answer(b"secret")
    names = Names(host, [PUBLIC])

    def resolve(name, port, **options):
        is_name = name == "public.example"
        return (names.resolve if is_name else socket.getaddrinfo)(name, port, **options)

    assert reason in refused(fetch, "http://public.example/a.png", **{**names.options(), "resolve": resolve})
    assert [path for path, _ in host.asked] == ["/a.png"]


def test_three_redirects_are_followed_and_a_fourth_is_not(fetch, host):
    for n in range(5):
        host.answers[f"/{n}"] = answer(status="302 Found", Location=f"/{n + 1}")
    host.answers["/5"] = answer(b"end")
    assert fetch(f"{host.url}/2") == b"end"
    assert refused(fetch, f"{host.url}/1") == "too many redirects"


def test_a_password_in_an_address_is_neither_sent_nor_shown(tmp_path, host):
    url = f"http://name:hush@127.0.0.1:{host.port}/a.png"
    with pytest.raises(AssetFault) as raised:
        Assets(cache=tmp_path, allow_private=True).file(url)
    assert "hush" not in str(raised.value)
    assert "password is not allowed" in str(raised.value)
    assert host.asked == []


def test_blanks_and_letters_outside_ascii_are_escaped_and_a_line_break_smuggles_nothing(fetch, host):
    host.answers["/a%20b%C3%BC%2F.png?x=1%202"] = answer(b"body")
    assert fetch(f"{host.url}/a bü%2F.png?x=1 2") == b"body"
    refused(fetch, f"{host.url}/a\r\nX-Smuggled: 1\r\n\r\n")
    assert "X-Smuggled: 1\r\n" not in host.asked[-1][1]


@pytest.mark.parametrize("slow", ["body", "headers", "unsized body"])
def test_a_server_that_sends_a_byte_now_and_then_is_cut_off(fetch, host, slow):
    def trickle(connection, over):
        start = {"body": answer(Content_Length=1000), "headers": b"HTTP/1.1 200 OK\r\nX-Long: "}
        connection.sendall(start.get(slow, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"))
        while not over.wait(0.05):
            connection.sendall(b"x")

    host.answers["/a.png"] = trickle
    began = time.monotonic()
    assert refused(fetch, f"{host.url}/a.png", timeout=0.4) == "not downloaded within 0.4 s"
    assert time.monotonic() - began < 15


def test_a_server_that_answers_tls_with_silence_is_cut_off(fetch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        assert refused(fetch, url, timeout=0.3) == "not downloaded within 0.3 s"


def test_a_name_server_that_does_not_respond_times_out(fetch):
    over = threading.Event()

    def silent(*_, **__):
        over.wait(20)
        return []

    began = time.monotonic()
    assert refused(fetch, "http://slow.example/a.png", timeout=0.3, resolve=silent) == "not downloaded within 0.3 s"
    assert time.monotonic() - began < 15
    over.set()


def test_a_body_is_limited_with_or_without_content_length(fetch, host):
    def endless(connection, over):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not over.is_set():
            connection.sendall(b"8000\r\n" + bytes(0x8000) + b"\r\n")

    host.answers["/announced"] = answer(Content_Length=10**12)
    host.answers["/endless"] = endless
    host.answers["/fits"] = answer(bytes(100_000))
    for path in ("/announced", "/endless"):
        assert refused(fetch, host.url + path, max_bytes=100_000) == "larger than 100000 bytes"
    assert len(fetch(f"{host.url}/fits", max_bytes=100_000)) == 100_000


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (answer(b"half", Content_Length=8), "the connection ended after 4 of 8 bytes"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf", "IncompleteRead"),
        (answer(b"x", Content_Length="-5"), ""),
        (b"not http at all\r\n\r\n", "not http"),
        (b"", ""),
    ],
)
def test_an_interrupted_or_invalid_response_leaves_no_partial_file(fetch, host, tmp_path, sent, reason):
    host.answers["/a.png"] = sent
    if b"-5" in sent:
        assert fetch(f"{host.url}/a.png") == b"x"  # an invalid length is ignored
        return
    assert reason in refused(fetch, f"{host.url}/a.png")
    assert list(tmp_path.iterdir()) == []


def test_more_than_was_announced_is_not_read(fetch, host):
    host.answers["/a.png"] = answer(b"bodyand more", Content_Length=4)
    assert fetch(f"{host.url}/a.png") == b"body"


def test_a_compressed_answer_is_refused_so_that_nothing_is_inflated(fetch, host):
    host.answers["/a.png"] = answer(b"\x1f\x8b", Content_Encoding="gzip")
    assert (
        refused(fetch, f"{host.url}/a.png") == "the response is compressed (gzip), although no encoding was requested"
    )
    assert "Accept-Encoding: identity\r\n" in host.asked[0][1]


def test_the_files_of_a_render_are_bounded_together(tmp_path, host):
    for name in "abc":
        host.answers[f"/{name}"] = answer(bytes(400))
    assets = Assets(cache=tmp_path, allow_private=True, limits=Limits(job_bytes=1000, asset_bytes=500))
    assert assets.file(f"{host.url}/a") != assets.file(f"{host.url}/b")
    with pytest.raises(AssetFault, match=re.escape("the files of this render exceed 1000 bytes in total")):
        assets.file(f"{host.url}/c")
    assets.file(f"{host.url}/a")
    assert [path for path, _ in host.asked] == ["/a", "/b", "/c"]


def test_the_next_address_is_tried_when_the_first_does_not_answer(fetch, host):
    host.answers["/a.png"] = answer(b"body")
    names = Names(host, ["93.184.216.34", "93.184.216.35"])

    def connect(address, timeout):
        if address[0].endswith("34"):
            raise ConnectionRefusedError("refused")
        return names.connect(address, timeout)

    assert fetch("http://two.example/a.png", **{**names.options(), "connect": connect}) == b"body"
