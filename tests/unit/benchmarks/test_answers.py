"""The benchmark's server says what the real services say: our own client reads its answers."""

from __future__ import annotations

from datetime import datetime, timezone
from urllib.parse import urlencode

import pytest

from airflow_json2video.api.base_client import BaseClient, Response
from airflow_json2video.api.calls import get_movie, list_movies, submit_movie
from airflow_json2video.api.config import ClientConfig
from airflow_json2video.api.pagination import MovieListing
from airflow_json2video.exceptions import Json2VideoError, ProjectNotFound
from benchmarks.polling.answers import ACCOUNTS, World, project_of
from benchmarks.polling.mix import Plan, Render, make_plan

AT = 1_800_000_000.0


def world_of(*renders, account="own"):
    plan = Plan(size=len(renders), ramp=0, renders=[Render(n, *times) for n, times in enumerate(renders)])
    return World(plan, at=AT, account=ACCOUNTS[account])


def ask(world, call, *, second):
    """Execute a call of ours against the world at a moment, as the client would."""
    target = f"/v2{call.path}" + (f"?{urlencode(call.query)}" if call.query else "")
    status, body = world.answer(target, b"", now=AT + second, method=call.method)
    outcome = BaseClient(ClientConfig(api_key="a-key")).read(
        call, Response(status=status, reason="", headers={}, body=body)
    )
    if isinstance(outcome, Json2VideoError):
        raise outcome
    return outcome


def listed(world, *, second, page_size=100, since=-3600.0):
    instant = lambda seconds: datetime.fromtimestamp(AT + seconds, timezone.utc)  # noqa: E731
    listing = MovieListing(date_start=instant(since), date_end=instant(second + 300), page_size=page_size)
    pages, movies = 0, []
    while call := listing.next_call():
        pages += 1
        movies += listing.accept(ask(world, call, second=second))
    return pages, movies


def test_a_render_is_pending_then_running_then_done():
    world = world_of((0.0, 30.0, 0.0))
    told = [ask(world, get_movie(project_of(0)), second=second).movie for second in (0.5, 10, 31)]
    assert [movie.status for movie in told] == ["pending", "running", "done"]
    assert [bool(movie.url) for movie in told] == [False, False, True]
    assert told[2].created_at.timestamp() == AT
    assert told[2].ended_at.timestamp() == AT + 30


def test_a_single_poll_has_the_document_only_without_format_simple():
    world = world_of((0.0, 30.0, 0.0))
    assert ask(world, get_movie(project_of(0)), second=5).movie.json_text is None
    whole = ask(world, get_movie(project_of(0), simple=False), second=5).movie
    assert 1000 < len(whole.json_text) < 2000
    assert ask(world, get_movie(project_of(0)), second=5).remaining_quota.time > 0


def test_an_unknown_project_gets_the_services_response():
    with pytest.raises(ProjectNotFound):
        ask(world_of((0.0, 30.0, 0.0)), get_movie("abcdefghijklmnop"), second=5)


def test_the_list_is_read_to_its_end_in_pages_and_shows_each_render_once():
    world = world_of(*[(float(n), 600.0, float(n)) for n in range(25)])
    pages, movies = listed(world, second=60, page_size=10)
    assert pages == 3
    assert sorted(movie.project for movie in movies) == [project_of(n) for n in range(25)]
    assert all(movie.json_text for movie in movies), "the list has the documents always"


def test_the_list_shows_only_renders_submitted_in_its_range():
    world = world_of((-500.0, 600.0, 0.0), (-100.0, 600.0, 0.0))
    _, movies = listed(world, second=10, since=-200.0)
    assert [movie.project for movie in movies] == [project_of(1)]


def test_a_list_without_a_range_or_with_pages_over_a_hundred_is_refused():
    world = world_of((0.0, 30.0, 0.0))
    assert world.answer("/v2/movies?limit=101", b"", now=AT)[0] == 400
    with pytest.raises(Json2VideoError):
        ask(world, list_movies(), second=1)


def test_the_account_of_ours_alone_lists_only_renders_that_are_waited_for():
    world = world_of((-50.0, 600.0, 0.0), (-50.0, 600.0, 8.0))
    assert [len(listed(world, second=second)[1]) for second in (1, 9)] == [1, 2]


def test_a_busy_account_lists_what_ended_before():
    plan = make_plan(20, horizon=0, ramp=0)
    _, movies = listed(World(plan, at=AT, account=ACCOUNTS["busy"]), second=1)
    foreign = [movie for movie in movies if movie.project.startswith("Other")]
    assert len(foreign) > 10 * 20, "as many as end in half an hour while twenty are running"
    assert {movie.status for movie in foreign} == {"done"}


def test_the_documents_of_a_heavy_account_weigh_more_than_a_request():
    world = World(make_plan(3, horizon=0, ramp=0), at=AT, account=ACCOUNTS["heavy"])
    _, movies = listed(world, second=1)
    assert all(len(movie.json_text) > 48 * 1024 for movie in movies)


def test_a_status_counts_until_the_end_of_the_render_was_reported_and_no_more_often_than_useful():
    world = world_of((0.0, 30.0, 5.0))
    counted = []
    for second in (4, 6, 7, 11, 31, 32, 50):
        ask(world, get_movie(project_of(0)), second=second)
        counted.append(world.statuses)
    assert counted == [0, 1, 1, 2, 3, 3, 3]


def test_every_render_on_a_page_counts_as_a_status():
    world = world_of(*[(0.0, 600.0, 0.0)] * 7)
    listed(world, second=5)
    assert (world.statuses, world.requests["json2video.list"]) == (7, 1)


def test_a_submission_returns_a_project_that_can_be_polled_and_is_listed():
    world = world_of((0.0, 600.0, 0.0))
    submitted = ask(world, submit_movie({"scenes": [{"duration": 1}]}), second=10)
    assert ask(world, get_movie(submitted.project), second=20).movie.status == "running"
    assert ask(world, get_movie(submitted.project), second=31).movie.status == "done"
    assert len(listed(world, second=31)[1]) == 2


def test_renders_can_be_set_to_end_evenly_within_a_time():
    world = world_of(*[(0.0, 7200.0, 0.0)] * 100)
    numbers = world.finish(4, since=AT + 100, until=AT + 140)
    ends = world.ends()
    assert [ends[number] - AT for number in numbers] == [100, 110, 120, 130]
    assert sum(end < AT + 7200 for end in ends) == 4


@pytest.mark.parametrize(
    ("target", "body", "running", "done"),
    [
        ("/api/2.2/jobs/runs/get", b'{"run_id": 0}', b'"RUNNING"', b'"TERMINATED"'),
        ("/api/v2/accounts/1/runs/0/", b"", b'"status": 3', b'"status": 10'),
        ("/jobs/0", b"", b"not there yet", b'"done"'),
        ("/v1/connectors/0", b"", b'"syncing"', b'"scheduled"'),
        ("/v1/batches/batch_0", b"", b'"in_progress"', b'"completed"'),
    ],
)
def test_each_peer_gets_running_and_done_in_its_own_words(target, body, running, done):
    world = world_of((0.0, 30.0, 0.0))
    assert running in world.answer(target, body, now=AT + 10)[1]
    assert done in world.answer(target, body, now=AT + 31)[1]
    assert world.statuses == 2
