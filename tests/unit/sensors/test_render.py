from __future__ import annotations

import time
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
)

from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.sensors.render import Json2VideoRenderSensor
from tests.unit.attempts import Attempt

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2}]}


@pytest.fixture
def sensor(connection, service):
    def make(project=None, **arguments):
        project = project or Json2VideoHook().submit_movie(MOVIE).project
        service.posts_before = service.posts
        return Json2VideoRenderSensor(task_id="wait", project=project, poke_interval=0.3, **arguments)

    return make


def test_it_waits_in_the_triggerer_and_returns_the_same_facts_as_the_operator(sensor, service):
    service.settings.update({"render_seconds": 1.0})
    attempt = Attempt(sensor())
    result = attempt.run()
    assert attempt.deferred is not None
    assert result["url"].endswith(".mp4")
    assert result["duration"] == 2.0
    assert service.posts == service.posts_before


def test_a_render_that_has_ended_needs_no_triggerer(sensor, service):
    operator = sensor()
    assert service.wait_idle()
    attempt = Attempt(operator)
    assert attempt.run()["url"].endswith(".mp4")
    assert attempt.deferred is None


def test_its_first_poll_in_the_triggerer_is_immediate(sensor, service):
    service.settings.update({"render_seconds": 1.0})
    operator = sensor()
    operator.poke_interval = 600
    attempt = Attempt(operator)
    attempt.start()
    begun = time.monotonic()
    while service.renders()[0]["status"] != "done":  # which may be later than the drawing
        assert time.monotonic() - begun < 30
        time.sleep(0.05)
    begun = time.monotonic()
    assert attempt.fire().resume()["url"]
    assert time.monotonic() - begun < 15  # within the shortest interval instead of a minute


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_brief_refusal_does_not_end_a_sensor(sensor, service, deferrable):
    operator = sensor(deferrable=deferrable)
    assert service.wait_idle()
    service.add_fault("answer", status=401, method="GET", times=2)
    service.add_fault("poll", status="unknown", times=2)
    assert Attempt(operator).run()["url"].endswith(".mp4")


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_project_that_stays_unknown_fails_the_sensor_without_a_word_of_a_submission(sensor, monkeypatch, deferrable):
    monkeypatch.setattr("airflow_json2video.core.refusal.CONFIRM_REFUSAL_AFTER", (0.2, 1.0))
    with pytest.raises(AirflowException) as caught:
        Attempt(sensor("x" * 16, deferrable=deferrable)).run()
    assert not isinstance(caught.value, AirflowFailException)
    text = str(caught.value)
    assert "Render 'xxxxxxxxxxxxxxxx' was not found in this account." in text
    assert "This task submits nothing and costs nothing." in text
    assert "was submitted" not in text
    assert "keeps running" not in text


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_it_pokes_on_a_worker_when_it_is_not_deferrable(sensor, service, mode):
    operator = sensor(deferrable=False, mode=mode)
    assert service.wait_idle()
    poked = operator.poke(Attempt(operator).context)
    assert poked.is_done
    assert poked.xcom_value["url"].endswith(".mp4")


def test_a_render_in_progress_is_not_done(sensor, service):
    service.settings.update({"render_seconds": 600})
    operator = sensor(deferrable=False)
    assert operator.poke(Attempt(operator).context) is False


def test_its_timeout_is_a_sensors_timeout(sensor, service):
    service.settings.update({"render_seconds": 600})
    with pytest.raises(AirflowSensorTimeout, match="The render keeps running"):
        Attempt(sensor(timeout=timedelta(seconds=1))).run()


def test_soft_fail_skips_instead(sensor, service):
    service.settings.update({"render_seconds": 600})
    with pytest.raises(AirflowSkipException):
        Attempt(sensor(timeout=1, soft_fail=True)).run()


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_failed_render_fails_it_with_the_services_words(sensor, service, deferrable):
    service.add_fault("render", status="error", message="Movie duration cannot be zero")
    operator = sensor(deferrable=deferrable)
    assert service.wait_idle()
    attempt = Attempt(operator)
    with pytest.raises(AirflowException, match="Movie duration cannot be zero"):
        attempt.run() if deferrable else operator.poke(attempt.context)


@pytest.mark.parametrize("project", ["", "short", "x" * 17])
def test_a_project_id_of_the_wrong_length_is_refused_before_anything_is_asked(sensor, service, project):
    operator = sensor()
    operator.project = project
    asked = len(service.requests)
    with pytest.raises(AirflowFailException, match="16"):
        Attempt(operator).run()
    assert len(service.requests) == asked


def test_a_sensor_logs_what_the_local_service_could_not_draw_as_written(sensor, service, times_logged):
    movie = {"scenes": [{"elements": [{"type": "video", "src": "https://media.example.com/a.mp4"}]}]}
    Attempt(sensor(Json2VideoHook().submit_movie(movie).project)).run()
    (warning,) = service.renders()[0]["warnings"]
    assert times_logged(f": {warning}") == 1
