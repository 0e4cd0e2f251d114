"""Where the button of a task leads while its render runs."""

from __future__ import annotations

import pytest
import requests

from airflow_json2video.links import DASHBOARD, dashboard_url


@pytest.mark.parametrize("host", ["https://api.json2video.com/v2", "https://gateway.example.com/video/v2"])
def test_the_button_opens_the_dashboard_of_the_service(host):
    assert dashboard_url(host) == DASHBOARD


def test_the_button_opens_a_page_of_the_local_service(service):
    answer = requests.get(dashboard_url(service.host), timeout=10)
    assert answer.ok
    assert "No renders yet" in answer.text


def test_the_button_opens_the_tasks_own_render_on_the_page(service):
    project = requests.post(
        f"{service.host}/movies", json={"scenes": [{"duration": 2}]}, headers={"x-api-key": "key"}, timeout=10
    ).json()["project"]
    address = dashboard_url(service.host, project=project)
    assert address.endswith(f"/#{project}")
    assert f'id="{project}"' in requests.get(address, timeout=10).text
    assert dashboard_url("https://api.json2video.com/v2", project=project) == DASHBOARD
