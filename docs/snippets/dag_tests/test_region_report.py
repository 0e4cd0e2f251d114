"""What is tested is your DAG, in an Airflow without a scheduler and against a service without a price."""

from __future__ import annotations

import pytest
from region_report import dag

pytestmark = pytest.mark.json2video(credits=60)


def test_a_run_pays_for_one_render_of_its_own_region(json2video_service, json2video_connection):
    run = dag.test(run_conf={"region": "South"})
    assert run.state == "success"
    assert json2video_service.posts == 1
    assert json2video_service.submitted[0]["variables"] == {"headline": "Sales, South"}
    assert json2video_service.credits_left == 52


def test_an_answer_that_is_lost_is_not_paid_for_twice(json2video_service, json2video_connection):
    json2video_service.add_fault("lost", method="POST", path="/movies")
    assert dag.test().state == "success"
    assert json2video_service.posts == 1


@pytest.mark.json2video(scenario={"faults": [{"kind": "render", "status": "error", "message": "Out of paint"}]})
def test_a_render_that_fails_fails_the_run_and_costs_nothing(json2video_service, json2video_connection):
    assert dag.test().state == "failed"
    assert json2video_service.credits_left == 60


@pytest.mark.json2video(clock="quick", render_seconds=1200)
def test_a_render_of_twenty_minutes_is_waited_for(json2video_service, json2video_connection):
    assert dag.test().state == "success"
    assert json2video_service.renders()[0]["status"] == "done"
