"""The journal, the switches, and who may use them."""

from __future__ import annotations

import pytest
import requests

from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.local import LocalService


def test_the_journal_holds_every_call_and_never_a_key(client, service):
    project = client.submit()
    client.get(project=project, format="simple")
    service.add_fault("answer", status=503)
    client.get(project=project)
    response = client.control("GET", "requests")
    calls = [
        (c["method"], c["path"], c["query"], c["status"], c["project"], c["reached_app"])
        for c in response.json()["requests"]
    ]
    assert calls == [
        ("POST", "/v2/movies", "", 200, project, True),
        ("GET", "/v2/movies", f"project={project}&format=simple", 200, project, True),
        ("GET", "/v2/movies", f"project={project}", 503, project, False),
    ]
    assert "a-key" not in response.text


def test_settings_are_read_and_changed_over_http_all_or_none(client, service):
    answer = client.control("POST", "settings", json={"credits": 5, "list_order": "oldest"})
    assert (answer.json()["credits"], service.settings.list_order) == (5, "oldest")
    for bad in ({"credits": 9, "list_order": "random"}, {"credits": 9, "nonsense": 1}, {"credits": "9"}, [1]):
        assert client.control("POST", "settings", json=bad).status_code == 400
    assert service.settings.credits == 5


def test_keys_are_not_shown_by_the_settings(client, service):
    service.settings.api_keys = ("secret-key",)
    assert "secret-key" not in client.control("GET", "settings").text


def test_renders_are_listed_with_their_warnings_and_their_file(client, service):
    movie = {"resolution": "sd", "scenes": [{"duration": 2, "elements": [{"type": "text", "text": "{{ nobody }}"}]}]}
    client.finished(movie=movie)
    (render,) = client.control("GET", "renders").json()["renders"]
    assert render["frames"] == 50
    assert render["warnings"] == ["Scene #1, element #1: the variable 'nobody' is not defined; it is treated as empty"]
    assert render["file"].endswith("out.mp4")


def test_a_reset_forgets_renders_faults_and_journal(client, service):
    client.finished()
    service.add_fault("answer", status=500, times=None)
    assert client.control("POST", "reset").status_code == 200
    assert client.get().json()["movies"] == []
    assert len(service.requests) == 1


def test_a_web_page_may_not_steer_the_service(service):
    answer = requests.post(f"{service.url}/_control/reset", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403


def test_the_service_listens_only_on_loopback_by_default():
    with pytest.raises(ConfigurationError, match="allow_remote"):
        LocalService(host="0.0.0.0")


def test_an_unknown_setting_is_refused_by_name():
    with pytest.raises(ValueError, match="unknown setting: color"):
        LocalService(color="red")


def test_the_http_rooms_load_no_codec_no_pictures_and_no_airflow():
    import subprocess
    import sys

    code = (
        "import sys, airflow_json2video.local.app, airflow_json2video.local.backend;"
        "print([m for m in ('av', 'PIL', 'numpy', 'airflow') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
