"""The metrics, sent through the Airflow that is installed."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from airflow_json2video import metrics
from airflow_json2video.exceptions import RenderFailed
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.triggers.render import Json2VideoRenderTrigger
from airflow_json2video.version_compat import stats
from tests.unit.attempts import Attempt

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2}]}


class Statsd:
    """Records what Airflow's ``Stats`` receives."""

    def __init__(self):
        self.sent = []

    def incr(self, name, count=1, *_, **__):
        self.sent.append((name, count))

    def gauge(self, name, value, *_, **__):
        self.sent.append((name, value))

    timing = gauge

    def total(self, name):
        return sum(value for sent, value in self.sent if sent == name)


@pytest.fixture
def statsd(monkeypatch):
    received = Statsd()
    monkeypatch.setattr(metrics, "stats", lambda **_: received)
    return received


def test_the_outcomes_of_renders_are_counted(statsd):
    metrics.render_submitted()
    metrics.render_reattached()
    metrics.render_done(12.5)
    metrics.render_done(None)
    metrics.render_failed()
    assert statsd.sent == [
        ("json2video.renders.submitted", 1),
        ("json2video.renders.reattached", 1),
        ("json2video.renders.done", 1),
        ("json2video.render_time", timedelta(seconds=12.5)),
        ("json2video.renders.done", 1),
        ("json2video.renders.failed", 1),
    ]


def test_the_poller_reports_its_requests_and_its_size(statsd, connection, service):
    project = Json2VideoHook().submit_movie(MOVIE).project

    async def main():
        return [event async for event in Json2VideoRenderTrigger(project, poll_interval=0.2).run()]

    asyncio.run(main())
    asked = sum("project=" in entry.query for entry in service.requests)
    assert statsd.total("json2video.poller.requests.single") == asked > 0
    assert statsd.total("json2video.poller.requests.list") == 0
    assert statsd.total("json2video.poller.statuses") == asked
    assert statsd.sent[-2] == ("json2video.poller.waiting", 0)


def test_a_metric_that_cannot_be_sent_is_ignored(monkeypatch):
    def broken(**_):
        raise OSError("no such host")

    monkeypatch.setattr(metrics, "stats", broken)
    metrics.render_submitted()


@pytest.mark.parametrize("in_triggerer", [False, True])
def test_this_airflows_stats_accept_the_metrics(in_triggerer):
    to = stats(in_triggerer=in_triggerer)
    to.incr("json2video.poller.requests.single", 3)
    to.gauge("json2video.poller.waiting", 2)
    to.timing("json2video.poller.loop_lag", timedelta(milliseconds=3))


def test_metrics_use_the_stats_of_the_triggerer():
    from airflow.jobs import triggerer_job_runner

    core = getattr(triggerer_job_runner, "Stats", None) or triggerer_job_runner.stats
    ours = stats(in_triggerer=True)
    assert ours is core or ours.incr is core.incr


def test_a_task_sends_the_outcome_of_its_render(statsd, connection, service, monkeypatch):
    monkeypatch.setattr("airflow_json2video.submission.submitter.backoff", lambda failures, jitter: 0.01)
    render = {"task_id": "render", "movie": MOVIE, "poll_interval": 0.2}
    Attempt(Json2VideoRenderOperator(**render)).run()
    Attempt(Json2VideoRenderOperator(**render), try_number=2).run()
    service.add_fault("render", status="error", message="no such font")
    with pytest.raises(RenderFailed):
        Attempt(Json2VideoRenderOperator(**render), run_id="another").run()
    counted = {
        name: statsd.total(f"json2video.renders.{name}") for name in ("submitted", "reattached", "done", "failed")
    }
    assert counted == {"submitted": 2, "reattached": 1, "done": 2, "failed": 1}
    assert [value for name, value in statsd.sent if name == "json2video.render_time"] == [timedelta(seconds=1)] * 2
