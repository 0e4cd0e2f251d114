"""The configuration of a client, and the redaction of secrets."""

from __future__ import annotations

import html
import json
import subprocess
import sys
import time
from urllib.parse import quote, quote_plus

import pytest

from airflow_json2video.api.config import ClientConfig, check_api_key, check_host
from airflow_json2video.api.redaction import encoded_forms
from airflow_json2video.exceptions import ConfigurationError

KEY = "Kq7mPz2Lw9RtBv4XcN8dYh3S"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://api.json2video.com/v2", "https://api.json2video.com/v2"),
        ("https://api.json2video.com", "https://api.json2video.com/v2"),
        ("https://api.json2video.com/", "https://api.json2video.com/v2"),
        ("https://api.json2video.com/v2/", "https://api.json2video.com/v2"),
        (" https://api.json2video.com ", "https://api.json2video.com/v2"),
        ("api.json2video.com", "https://api.json2video.com/v2"),
        ("https://gateway.example:8443/video", "https://gateway.example:8443/video/v2"),
        ("http://127.0.0.1:8095", "http://127.0.0.1:8095/v2"),
        ("http://127.9.8.7", "http://127.9.8.7/v2"),
        ("http://localhost:8095/v2", "http://localhost:8095/v2"),
        ("http://LOCALHOST", "http://LOCALHOST/v2"),
        ("http://[::1]:8095", "http://[::1]:8095/v2"),
    ],
)
def test_a_host_is_accepted_in_several_forms(written, meant):
    assert check_host(written) == meant


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        (None, "empty"),
        ("http://api.json2video.com", "plain http"),
        ("http://localhost.evil.example", "plain http"),
        ("http://127.0.0.1.evil.example", "plain http"),
        ("http://127.1", "plain http"),
        ("http://0.0.0.0", "plain http"),
        ("http://192.168.1.5", "plain http"),
        ("http://[::ffff:10.0.0.1]", "plain http"),
        ("http://[::1", "is not a valid URL"),
        ("ftp://api.json2video.com", "must be https, got 'ftp'"),
        ("file:///etc/passwd", "has no hostname"),
        ("https://", "has no hostname"),
        ("https://user:hunter2@api.json2video.com", "user or a password"),
        ("https://@api.json2video.com", "user or a password"),
        ("https://api.json2video.com?x=1", "query or a fragment"),
        ("https://api.json2video.com/#x", "query or a fragment"),
        ("https://api.json2video.com/?", "query or a fragment"),
        ("https://api.json2video.com:99999", "is not a valid URL"),
        ("https://api.json2video.com:x", "is not a valid URL"),
        ("https://api.json2video.com:0", "from 1 to 65535, got 0"),
        ("https://api.json2\nvideo.com", "control character"),
        ("http://127.0.0.1\\@evil.example", "backslash"),
        ("https://api json2video.com", "a space"),
    ],
)
def test_an_invalid_host_is_rejected_with_the_reason(written, reason):
    with pytest.raises(ConfigurationError) as caught:
        check_host(written)
    assert reason in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "empty"),
        ("  ", "empty"),
        (None, "empty"),
        (KEY + "\n", "whitespace"),
        (" " + KEY, "whitespace"),
        (KEY + "\r\nx-evil: 1", "control character"),
        (KEY + "\x00x", "control character"),
        (KEY + "€", "is not allowed in a header"),
    ],
)
def test_an_invalid_key_is_rejected_and_not_shown(key, reason):
    with pytest.raises(ConfigurationError) as caught:
        check_api_key(key)
    assert reason in str(caught.value)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"connect_timeout": 0}, "connect_timeout must be a number greater than 0"),
        ({"read_timeout": -1}, "read_timeout"),
        ({"read_timeout": float("inf")}, "read_timeout"),
        ({"total_timeout": "5"}, "total_timeout"),
        ({"retries": -1}, "retries must be an integer"),
        ({"retries": 2.5}, "retries"),
        ({"retries": True}, "retries"),
        ({"proxy": "socks5://u:hunter2@proxy:1080"}, "must be http or https"),
        ({"proxy": "http://proxy:x"}, "is not a valid URL"),
        ({"ca_file": "/nowhere/ca.pem"}, "not found"),
        ({"user_agent": "x\r\ny: z"}, "printable ASCII"),
    ],
)
def test_an_invalid_option_is_named(options, words):
    with pytest.raises(ConfigurationError) as caught:
        ClientConfig(api_key=KEY, **options)
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [f"a {KEY} b", f"a {KEY.lower()} b", f'a "{KEY}" b', f"a{KEY}b", f"p=hunter2%40x {KEY}"],
)
def test_secrets_are_redacted_in_every_encoding(text):
    endpoint = ClientConfig(api_key=KEY, proxy="http://user:hunter2%40x@proxy:3128")
    shown = endpoint.redact(text)
    assert KEY.lower() not in shown.lower()
    assert "hunter2" not in shown
    assert "***" in shown
    assert "hunter2" not in repr(endpoint)
    assert KEY not in repr(endpoint)


def test_a_key_that_is_a_common_word_is_redacted_as_a_word_only():
    assert ClientConfig(api_key="test").redact("the latest test 'test' contest") == "the latest *** '***' contest"


def test_a_key_with_quotes_is_redacted_in_json_and_urls():
    endpoint = ClientConfig(api_key='ab"c/d\\e fgh')
    assert "fgh" not in endpoint.redact('x "ab\\"c/d\\\\e fgh" y ab%22c%2Fd%5Ce%20fgh')


ODD = "ab\"cdé\\f/g h'iüß"
SPELLED = {
    "as it is": lambda key: key,
    "JSON": lambda key: json.dumps(key),
    "JSON in UTF-8": lambda key: json.dumps(key, ensure_ascii=False),
    "JSON in JSON": lambda key: json.dumps(json.dumps(key)),
    "repr": repr,
    "repr of JSON": lambda key: repr(json.dumps(key)),
    "repr of bytes": lambda key: repr(key.encode("latin-1")),
    "repr of UTF-8": lambda key: repr(key.encode()),
    "ascii": ascii,
    "an address": lambda key: quote(key, safe=""),
    "an address in latin-1": lambda key: quote(key.encode("latin-1"), safe="/"),
    "a form": quote_plus,
    "HTML": lambda key: html.escape(key),
    "HTML by numbers": lambda key: "".join(f"&#{ord(c)};" for c in key),
    "UTF-8 read as latin-1": lambda key: key.encode().decode("latin-1"),
    "latin-1 read as UTF-8": lambda key: key.encode("latin-1").decode("utf-8", "replace"),
    "latin-1 with surrogates": lambda key: key.encode("latin-1").decode("utf-8", "surrogateescape"),
    "ASCII with question marks": lambda key: key.encode("ascii", "replace").decode(),
    "escapes of Unicode only": lambda key: "".join(f"\\u{ord(c):04X}" for c in key),
    "a mixture": lambda key: quote(key[:5], safe="") + json.dumps(key[5:9])[1:-1] + ascii(key[9:])[1:-1],
}


@pytest.mark.parametrize("how", SPELLED)
@pytest.mark.parametrize("key", [ODD, KEY, "é" * 9], ids=["odd", "plain", "letters"])
def test_a_key_is_redacted_in_any_encoding(key, how):
    written = SPELLED[how](key)
    assert ClientConfig(api_key=key).redact(f"<{written}>").strip("<>\"'b\\") == "***"


def test_the_password_of_a_proxy_is_redacted_in_its_header():
    endpoint = ClientConfig(api_key=KEY, proxy="http://user:hunter2%40x@proxy:3128")
    assert endpoint.redact("Proxy-Authorization: Basic dXNlcjpodW50ZXIyQHg=") == "Proxy-Authorization: Basic ***"


def test_redacting_a_long_text_is_fast():
    began = time.process_time()
    ClientConfig(api_key=ODD).redact("\\" * 32_000 + "ab" * 16_000)
    assert time.process_time() - began < 2


def test_importing_the_api_loads_no_client():
    code = (
        "import sys, airflow_json2video.api as a;"
        "print([m for m in ('requests','aiohttp','pydantic','airflow') if m in sys.modules], a.DEFAULT_HOST)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] https://api.json2video.com/v2"


def test_encoded_forms_has_the_usual_encodings():
    forms = encoded_forms('a"é/ z')
    for how in ("as it is", "JSON", "JSON in UTF-8", "an address", "a form", "UTF-8 read as latin-1"):
        assert SPELLED[how]('a"é/ z').strip('"') in forms
    assert encoded_forms(KEY) == [KEY]
