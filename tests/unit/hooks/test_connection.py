from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.hooks.connection import connection_settings

KEY = "s3cr3t-of-the-tests"


def settings(**fields):
    defaults = {"conn_id": "video", "host": None, "port": None, "schema": None, "password": KEY, "extra": None}
    return connection_settings(SimpleNamespace(**{**defaults, **fields}))


def test_only_the_key_is_required():
    assert settings().host == "https://api.json2video.com/v2"
    assert settings().api_key == KEY
    assert settings().options == {}


@pytest.mark.parametrize("password", [None, "", "  "])
def test_a_connection_without_a_key_is_refused_by_name(password):
    with pytest.raises(ConfigurationError, match="Connection 'video' does not contain an API key"):
        settings(password=password)


@pytest.mark.parametrize(
    ("host", "port", "schema", "address"),
    [
        ("https://video.example.com", None, None, "https://video.example.com/v2"),
        ("video.example.com", None, None, "https://video.example.com/v2"),
        ("http://127.0.0.1:8080", None, None, "http://127.0.0.1:8080/v2"),
        ("http://127.0.0.1", 8080, None, "http://127.0.0.1:8080/v2"),
        ("127.0.0.1", 8080, "v2", "http://127.0.0.1:8080/v2"),
        ("localhost", 8080, None, "http://localhost:8080/v2"),
        ("::1", 8080, None, "http://[::1]:8080/v2"),
    ],
)
def test_a_host_is_https_or_loopback_however_it_was_written(host, port, schema, address):
    assert settings(host=host, port=port, schema=schema).host == address


@pytest.mark.parametrize("host", ["http://video.example.com", "ftp://127.0.0.1", "https://user:pw@example.com"])
def test_any_other_host_is_refused_with_the_reason_and_the_connections_name(host):
    with pytest.raises(ConfigurationError, match="Connection 'video', host: ") as caught:
        settings(host=host)
    assert "pw" not in str(caught.value)


def test_options_are_read_from_extra_as_text_or_object():
    extra = {"connect_timeout": "3", "read_timeout": 60, "retries": 1, "proxy": "http://p:3128", "ca_file": ""}
    expected = {"connect_timeout": 3.0, "read_timeout": 60.0, "retries": 1, "proxy": "http://p:3128"}
    assert settings(extra=json.dumps(extra)).options == expected
    assert settings(extra=extra).options == expected


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"retries": "many"}, "retries.*integer"),
        ({"read_timeout": -1}, "read_timeout.*negative"),
        ("not json", "extra is not valid JSON"),
    ],
)
def test_an_option_of_the_wrong_kind_is_named(extra, words):
    with pytest.raises(ConfigurationError, match=words):
        settings(extra=extra)


def test_the_key_is_in_no_repr():
    assert KEY not in repr(settings())


def test_only_this_machine_is_loopback():
    assert settings(host="http://127.0.0.1:1").is_loopback
    assert not settings().is_loopback


def test_a_namespace_is_not_an_argument_of_the_client():
    found = settings(extra={"namespace": "staging", "retries": 1})
    assert (found.namespace, found.options) == ("staging", {"retries": 1})
    assert settings(extra={"namespace": ""}).namespace is None
    assert settings().namespace is None


@pytest.mark.parametrize("namespace", [" ", "two words", "a/b", "x" * 65, ["a"]])
def test_an_invalid_namespace_is_refused(namespace):
    with pytest.raises(ConfigurationError, match=r"'namespace' in extra must be 1 to 64 letters"):
        settings(extra={"namespace": namespace})


def test_the_confirmation_time_is_not_an_argument_of_the_client():
    found = settings(extra={"confirmation_time": "90", "retries": 1})
    assert (found.confirmation_time, found.options) == (90.0, {"retries": 1})
    assert settings().confirmation_time == 300.0


@pytest.mark.parametrize("seconds", ["nan", "inf", -1, "soon"])
def test_an_infinite_confirmation_time_is_refused(seconds):
    """With NaN an absence would never be confirmed."""
    with pytest.raises(ConfigurationError, match="confirmation_time"):
        settings(extra={"confirmation_time": seconds})
