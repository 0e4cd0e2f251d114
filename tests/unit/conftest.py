"""A real JSON2Video API on loopback, and a connection to it."""

from __future__ import annotations

import pytest

from airflow_json2video.local import LocalService


@pytest.fixture
def service(tmp_path):
    """The local service in its quickest mode; renders end as soon as they are drawn."""
    with LocalService(mode="instant", home=tmp_path / "service") as running:
        yield running


@pytest.fixture
def connection(monkeypatch, service):
    """The default connection, to the local service."""
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=service.url))
    return "json2video_default"


def connection_json(*, key="a-key-of-the-tests", host="", **extra):
    import json

    return json.dumps({"conn_type": "json2video", "password": key, "host": host, "extra": extra})
