"""How far back the account's list is read: to the start of the run, in ranges that the service allows."""

from __future__ import annotations

import itertools
import time
from datetime import datetime, timedelta, timezone
from functools import partial
from types import SimpleNamespace

import pytest

from airflow_json2video.api import calls
from airflow_json2video.api.client import Json2VideoClient
from airflow_json2video.submission.lookup import find_stamped_renders
from airflow_json2video.version_compat import earliest_submission_time

DAY = 86400.0
NOW = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)


@pytest.fixture
def client(service):
    with Json2VideoClient("key", host=service.host, retries=1, sleep=lambda s: None) as client:
        yield client


@pytest.fixture
def renders_of(service, client):
    """Submit a render and advance the clock, for each number of days; return the projects and the final time."""

    def renders_of(*days):
        projects, now = [], time.time()
        for step in days:
            projects.append(client.execute(calls.submit_movie({"scenes": []})).project)
            service.clock.advance(step * DAY)
            now += step * DAY
        return projects, now

    return renders_of


def lists(service):
    return [call for call in service.ledger.calls if call.method == "GET"]


def projects_since(client, now, since):
    return find_stamped_renders(
        client, lambda movie: movie.project, now=lambda: now, since=since, machine_clock=lambda: now
    )


def test_an_old_render_is_found_although_a_list_covers_93_days(client, renders_of):
    projects, now = renders_of(80, 90, 30)
    found = projects_since(client, now, now - 201 * DAY)
    assert sorted(found) == sorted(projects), "each once, also one that stands in two ranges"


def test_the_list_of_a_recent_run_is_short(client, renders_of):
    projects, now = renders_of(10, 1)
    assert projects_since(client, now, now - 2 * DAY) == projects[1:]


def test_without_the_start_of_the_run_the_list_is_read_for_93_days(client, renders_of):
    projects, now = renders_of(100, 91)
    assert projects_since(client, now, None) == projects[1:]


def test_a_date_in_the_future_or_years_ago_is_limited(client, renders_of, monkeypatch):
    ranges = []
    movies = client.movies

    def noted(**options):
        ranges.append((options["date_start"], options["date_end"]))
        return movies(**options)

    monkeypatch.setattr(client, "movies", noted)
    now = NOW.timestamp()
    projects_since(client, now, now - 4000 * DAY)
    assert len(ranges) == 4
    assert ranges[-1][0] == NOW - timedelta(days=366)
    assert all(older[1] == newer[0] for newer, older in itertools.pairwise(ranges))
    ranges.clear()
    projects_since(client, now, now + 50 * DAY)
    assert ranges == [(NOW - timedelta(days=1), NOW + timedelta(days=1))]


def test_renders_are_found_when_the_first_response_corrects_the_clock(client, renders_of):
    """A machine whose clock is days off requests a range that does not include the service's present."""
    projects, now = renders_of(0.01)
    for wrong_by in (-3 * DAY, 3 * DAY):
        moments = iter((now + wrong_by, now, now, now))
        assert (
            find_stamped_renders(client, lambda movie: movie.project, now=partial(next, moments), since=now) == projects
        )


@pytest.mark.parametrize("wrong_by", [-20000 * DAY, -3 * DAY, 3 * DAY, 20000 * DAY])
def test_renders_are_found_when_the_date_of_the_service_or_gateway_is_wrong(client, renders_of, wrong_by):
    projects, now = renders_of(0.01)
    wrong = now + wrong_by
    found = find_stamped_renders(
        client, lambda movie: movie.project, now=lambda: wrong, since=now, machine_clock=lambda: now
    )
    assert found == projects
    turned = iter((now, wrong))
    found = find_stamped_renders(
        client, lambda movie: movie.project, now=partial(next, turned), since=now, machine_clock=lambda: now
    )
    assert found == projects, "what the first reading showed is not dropped by the second"


def run(**facts):
    return {"dag_run": SimpleNamespace(**facts)}


def cleared(**facts):
    task = SimpleNamespace(retries=2)
    return {**run(**facts), "task": task, "ti": SimpleNamespace(max_tries=5, task=task)}


def ago(days):
    return NOW - timedelta(days=days)


@pytest.mark.parametrize(
    ("context", "days"),
    [
        ({}, None),
        # A backfill of an old date began when it began.
        (run(clear_number=0, start_date=ago(3), run_after=ago(900)), 4),
        # A clear resets the start.
        (run(clear_number=1, start_date=ago(0), run_after=ago(30)), 31),
        (run(clear_number=1, start_date=ago(0), logical_date=ago(31), data_interval_end=ago(30)), 31),
        (run(clear_number=1, start_date=ago(0), logical_date=ago(-5), data_interval_end=ago(40)), None),
        (run(clear_number=1, start_date=ago(0), run_after=None), None),
        (run(clear_number=0, start_date=None, run_after=ago(2)), 3),
        # So does a user who queues a run again by hand; the clear of one that runs was not counted then.
        (cleared(clear_number=0, start_date=ago(0), run_after=ago(30)), 31),
    ],
)
def test_the_start_of_a_run_is_known_after_a_clear_too(context, days):
    began = earliest_submission_time(context)
    assert began == (None if days is None else (NOW - timedelta(days=days)).timestamp())
