"""Where the button of a task leads while its render runs."""

from __future__ import annotations

import pytest
import requests

from airflow_json2video.links import DASHBOARD, pages_of


@pytest.mark.parametrize("host", ["https://api.json2video.com/v2", "https://gateway.example.com/video/v2"])
def test_the_button_leads_to_the_dashboard_of_the_service(host):
    assert pages_of(host) == DASHBOARD


def test_the_button_leads_to_an_address_that_a_local_service_answers(service):
    answer = requests.get(pages_of(service.host), timeout=10)
    assert answer.ok
    assert answer.json() == {"renders": []}
