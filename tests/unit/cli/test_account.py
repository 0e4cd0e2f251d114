"""The account of a command: a connection, or the key of the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.conftest import connection_json

ROOT = Path(__file__).parents[3]


def test_conn_id_selects_an_airflow_connection(run, service, movie, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_MINE", connection_json(host=service.url))
    assert run("list", "--conn-id", "mine", host=None)[0] == 0
    assert service.requests[-1].path == "/v2/movies"


def test_without_a_key_the_default_connection_is_used(run, service, connection, monkeypatch):
    monkeypatch.delenv("JSON2VIDEO_API_KEY")
    assert run("list", host=None)[0] == 0
    assert service.requests


def test_without_a_key_or_a_connection_the_error_says_what_to_do(run, airflow_db, monkeypatch):
    monkeypatch.delenv("JSON2VIDEO_API_KEY")
    monkeypatch.delenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", raising=False)
    code, _, err = run("list", host=None)
    assert code == 2
    assert "Connection 'json2video_default' does not exist.\nSet JSON2VIDEO_API_KEY to an API key" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--host", "http://video.example.com"), "--host: "),
        (("--host", "https://video.example.com"), "No API key for https://video.example.com"),
        (("--conn-id", "x", "--host", "http://127.0.0.1:1"), "--host requires JSON2VIDEO_API_KEY"),
    ],
    ids=["not https", "no key", "mixed"],
)
def test_an_unusable_host_is_refused(run, monkeypatch, arguments, words):
    monkeypatch.delenv("JSON2VIDEO_API_KEY")
    code, _, err = run("list", *arguments, host=None)
    assert code == 2
    assert words in err


def test_an_unreachable_service_is_exit_code_2(run):
    code, _, err = run("status", "x" * 16, host="http://127.0.0.1:9")
    assert code == 2
    assert "error: " in err
