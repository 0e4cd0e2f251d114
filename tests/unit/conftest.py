"""Fixtures: the JSON2Video API on loopback, and a connection to it."""

from __future__ import annotations

import pytest

from airflow_json2video.local import LocalService


@pytest.fixture
def service(tmp_path):
    """Run the local service in its fastest mode: a render ends as soon as it is drawn."""
    with LocalService(mode="instant", home=tmp_path / "service") as running:
        yield running


@pytest.fixture
def connection(monkeypatch, service):
    """Set the default connection to the local service."""
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=service.url))
    return "json2video_default"


@pytest.fixture(autouse=True)
def deployment(monkeypatch):
    """Set this deployment's id, which is a Variable in Airflow's database; tests of the id itself use a database."""
    value = "the-deployment-of-the-tests"
    monkeypatch.setattr("airflow_json2video.deployment.read_variable", lambda key: value)
    return value


@pytest.fixture
def times_logged(caplog, capsys):
    """Return a function that counts how often a text was logged or printed since its last call."""

    def times_logged(text):
        times = max(caplog.text.count(text), capsys.readouterr().out.count(text))
        caplog.clear()
        return times

    return times_logged


def connection_json(*, key="a-key-of-the-tests", host="", **extra):
    import json

    extra.setdefault("confirmation_time", 0.2)
    return json.dumps({"conn_type": "json2video", "password": key, "host": host, "extra": extra})


@pytest.fixture(autouse=True)
def whole_messages(monkeypatch):
    """Make the exception of a failed task contain everything that its log says, so that a test can read it.

    Otherwise it contains the first line only, which ``operators/test_failing.py`` tests.
    """

    def whole(error):
        return f"{error.message}{chr(10) if chr(10) in error.message else ' '}{error.advice}".strip()

    monkeypatch.setattr("airflow_json2video.exceptions.Json2VideoError.headline", property(whole))
