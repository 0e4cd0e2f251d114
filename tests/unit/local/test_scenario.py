"""A scenario: renders, templates, settings and faults that a test loads into the local service."""

from __future__ import annotations

import re

import pytest

from airflow_json2video.local.scenario import load_scenario


def test_a_scenario_sets_up_clock_settings_templates_renders_and_faults(service, client):
    template = "abc123def456ghi789jk"
    projects = load_scenario(
        service,
        {
            "clock": "frozen",
            "settings": {"credits": 100},
            "templates": {template: {"scenes": [{"duration": 3}]}},
            "renders": [
                {"project": "Qk3vT9zLm2XcB7wA", "movie": {"scenes": [{"duration": 7}]}, "age": 3600, "took": 60},
                {"status": "error", "message": "Out of paint"},
                {"status": "running", "took": 30},
                {"status": "pending", "took": 30},
            ],
            "faults": [{"kind": "answer", "status": 503, "method": "POST"}],
        },
    )
    assert service.wait_idle()
    assert client.post({"template": template}).status_code == 503
    assert service.credits_left == 93
    assert [client.status(project) for project in projects] == ["done", "error", "running", "pending"]
    done = client.movie(projects[0])
    assert (done["duration"], done["rendering_time"]) == (7, 60)
    assert client.session.get(done["url"]).ok
    assert client.movie(projects[1])["message"] == "Out of paint"
    service.clock.advance(30)
    assert [client.status(project) for project in projects[2:]] == ["done", "running"]
    assert client.movie(client.submit({"template": template}))["status"]


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ({"render": []}, "unknown key of a scenario: 'render'. Available: settings, clock"),
        ({"renders": [{"state": "done"}]}, "unknown key of a render of a scenario: 'state'"),
        ({"renders": [{"status": "lost"}]}, "done, error, pending, running, got 'lost'"),
        ({"renders": [{"project": "a"}, {"project": "a"}]}, "render a exists already"),
        ({"renders": [{"movie": {"scenes": []}}]}, "cannot be done: Movie duration cannot be zero"),
        ({"clock": "slow"}, "clock must be real, frozen, quick or a number"),
        ({"settings": {"credit": 1}}, "unknown setting: credit"),
    ],
)
def test_an_invalid_scenario_is_refused_with_the_valid_choices(service, scenario, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        load_scenario(service, scenario)
