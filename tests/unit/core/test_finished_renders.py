from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timezone

import pytest

from airflow_json2video.core.finished_renders import FinishedRenders, RenderFilter
from airflow_json2video.core.identity import NO_DEPLOYMENT, Stamp, TaskIdentity, add_stamp

NOW = datetime(2026, 6, 1, 0, 1, tzinfo=timezone.utc).timestamp()  # a minute into a month
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def movie(project, status="done", *, created=NOW, **more):
    stamp = datetime.fromtimestamp(created, timezone.utc).isoformat().replace("+00:00", "Z")
    return {"project": project, "status": status, "created_at": stamp, **more}


def names(movies):
    return [m["project"] for m in movies]


def looked(*movies, now=NOW):
    """Renders after a first look that showed these."""
    renders = FinishedRenders()
    assert renders.on_list(movies, now=now) == []
    return renders


def again(renders):
    """Return the same renders after a restart with the stored state."""
    return FinishedRenders(json.loads(json.dumps(renders.state())))


def test_renders_that_ended_before_the_first_poll_are_not_reported():
    renders = looked(movie("old", created=NOW - MINUTE))
    assert renders.on_list([movie("old", created=NOW - MINUTE)], now=NOW + 30) == []


def test_a_render_that_is_running_at_the_first_poll_is_reported_when_it_ends():
    renders = looked(movie("a", "running", created=NOW - MINUTE))
    assert names(renders.on_list([movie("a", created=NOW - MINUTE)], now=NOW + 30)) == ["a"]


def test_a_render_is_reported_once():
    renders = looked()
    told = [names(renders.on_list([movie("a"), movie("b", "error")], now=NOW + 30 * n)) for n in range(1, 40)]
    assert told == [["a", "b"], *[[]] * 38]


def test_a_render_without_a_date_is_reported_once():
    renders = looked()
    odd = {"project": "a", "status": "done", "created_at": "?"}
    told = [names(renders.on_list([odd], now=NOW + 30 * n)) for n in range(1, 40)]
    assert told == [["a"], *[[]] * 38]


def test_the_range_is_short_and_may_cross_midnight_and_the_end_of_a_month():
    renders = looked()
    start, end = renders.span(NOW + 30)
    assert datetime.fromtimestamp(start, timezone.utc).month == 5
    assert end > NOW + 30
    assert end - start < 15 * MINUTE


def test_the_first_poll_includes_running_renders():
    start, _ = FinishedRenders().span(NOW)
    assert NOW - start >= HOUR


def test_the_range_starts_at_the_oldest_recent_running_render():
    renders = looked(movie("a", "running"))
    for minute in range(1, 120):
        now = NOW + minute * MINUTE
        start, _ = renders.span(now)
        assert start < NOW or minute > 15
        assert now - start <= 21 * MINUTE
        renders.on_list([movie("a", "running")] if start <= NOW else [], now=now)


def test_an_old_running_render_is_polled_individually_less_and_less_often():
    renders = looked(movie("a", "running"))
    asked = []
    for step in range(1, int(23 * HOUR / 30)):
        now = NOW + 30 * step
        for project in renders.due_projects(now):
            asked.append(now - NOW)
            assert not renders.on_response(movie(project, "running"), now=now)
        renders.on_list([movie("a", "running")] if renders.span(now)[0] <= NOW else [], now=now)
    assert asked[0] > 10 * MINUTE
    assert len(asked) < 120
    assert asked[-1] - asked[-2] > 30 * MINUTE > 2 * MINUTE > asked[1] - asked[0]
    assert renders.on_response(movie("a"), now=NOW + 23 * HOUR)
    assert renders.due_projects(NOW + 23 * HOUR + 1) == []


def test_if_many_renders_run_long_the_list_includes_them():
    running = [movie(f"a{n}", "running", created=NOW - 1 + n / 100) for n in range(50)]
    renders = looked(*running)
    for step in range(1, 240):
        now = NOW + 30 * step
        start, _ = renders.span(now)
        for project in renders.due_projects(now):
            renders.on_response(movie(project, "running"), now=now)
        assert len(renders.due_projects(now - 1)) <= 10
        assert start < NOW
        assert renders.on_list(running, now=now) == []
    ended = [movie(f"a{n}", created=NOW - 1 + n / 100) for n in range(50)]
    now = NOW + 3 * HOUR
    told = [
        m["project"] for m in ended if m["project"] in renders.due_projects(now) and renders.on_response(m, now=now)
    ]
    told += names(renders.on_list(ended, now=now))
    assert sorted(told) == sorted(names(ended))
    assert renders.on_list(ended, now=now + 30) == []


def test_a_render_that_runs_for_a_day_or_is_unknown_is_forgotten():
    renders = looked(movie("a", "running"), movie("b", "running"))
    renders.on_list([], now=NOW + HOUR)
    renders.on_unknown("b")
    assert renders.due_projects(NOW + HOUR) == ["a"]
    renders.on_list([], now=NOW + DAY + 1)
    assert renders.due_projects(NOW + DAY + 2) == []
    assert renders.state()["open"] == {}


def test_a_status_that_goes_backwards_is_not_reported_twice():
    renders = looked()
    told = []
    for step in range(1, 40):
        told += names(renders.on_list([movie("a", "running" if step % 3 == 0 else "done")], now=NOW + 30 * step))
    assert told == ["a"]


def test_a_status_that_may_still_change_is_not_an_end():
    renders = looked()
    for status in ("pending", "running", "timeout", "something new", ""):
        assert renders.on_list([movie("a", status)], now=NOW + 30) == []
    assert names(renders.on_list([movie("a")], now=NOW + 60)) == ["a"]


def test_after_a_restart_new_ends_are_reported_and_old_ones_are_not():
    renders = looked(movie("b", "running"))
    assert names(renders.on_list([movie("a"), movie("b", "running")], now=NOW + 30)) == ["a"]
    renders = again(renders)
    start, _ = renders.span(NOW + 3 * HOUR)
    assert start <= NOW
    c = movie("c", created=NOW + HOUR)
    assert names(renders.on_list([movie("a"), movie("b"), c], now=NOW + 3 * HOUR)) == ["b", "c"]


def test_an_individually_polled_render_survives_a_restart():
    renders = looked(movie("a", "running"))
    renders.on_list([], now=NOW + HOUR)
    renders = again(renders)
    assert renders.due_projects(NOW + 2 * HOUR) == ["a"]
    assert renders.on_response(movie("a"), now=NOW + 2 * HOUR)
    assert not again(renders).on_response(movie("a"), now=NOW + 2 * HOUR)


def test_catching_up_is_limited_to_the_retention_of_a_file():
    start, _ = again(looked()).span(NOW + 60 * DAY)
    assert start == NOW + 53 * DAY


def test_the_state_stays_small_during_a_large_batch():
    renders = looked(*(movie(f"slow{n}", "running") for n in range(11)))
    done = []
    for step in range(1, 240):
        done += [movie(f"p{step}-{n}", created=NOW + 30 * step) for n in range(10)]
        told = renders.on_list([*(movie(f"slow{n}", "running") for n in range(11)), *done], now=NOW + 30 * step)
        assert names(told) == names(done[-10:])
    assert renders.span(NOW + 240 * 30)[0] < NOW
    assert len(json.dumps(renders.state())) < 10_000


def test_the_state_stays_small():
    renders = looked()
    for step in range(1, 400):
        now = NOW + 30 * step
        renders.on_list([movie(f"p{step}-{n}", created=now) for n in range(10)], now=now)
    assert len(json.dumps(renders.state())) < 10_000


@pytest.mark.parametrize("state", [None, "x", {}, {"start": "x"}, {"start": None, "reported": 3}, {"start": 1.0}])
def test_an_invalid_state_is_ignored(state):
    renders = FinishedRenders(state)
    assert renders.on_list([movie("old")], now=NOW) == []


def test_an_invalid_entry_is_skipped():
    renders = looked()
    assert names(renders.on_list([{}, {"project": 7, "status": "done"}, movie("a")], now=NOW + 30)) == ["a"]


@pytest.mark.parametrize(
    ("outcome", "status", "taken"),
    [
        ("done", "done", True),
        ("done", "error", False),
        ("failed", "error", True),
        ("failed", "done", False),
        ("any", "done", True),
        ("any", "error", True),
    ],
)
def test_the_filter_selects_by_outcome(outcome, status, taken):
    assert RenderFilter(outcome=outcome).matches(movie("a", status), deployment="id:here") is taken


def test_renders_of_other_deployments_are_excluded():
    wanted = RenderFilter()
    task = TaskIdentity(deployment="id:here", dag_id="d", run_id="r", task_id="t", map_index=-1, generation=0)

    def of(deployment):
        return add_stamp({}, Stamp.of(dataclasses.replace(task, deployment=deployment), "f", attempt=1))

    for theirs in ("id:there", "namespace:here"):
        for deployment in ("id:here", None):
            assert not wanted.matches(movie("a", **of(theirs)), deployment=deployment)
            assert not wanted.matches(movie("a", json=json.dumps(of(theirs))), deployment=deployment)
    for deployment in ("id:here", None):
        assert wanted.matches(movie("a", **of(NO_DEPLOYMENT)), deployment=deployment)
        assert wanted.matches(movie("a"), deployment=deployment)
    assert wanted.matches(movie("a", **of("id:here")), deployment="id:here")


def test_the_template_is_read_from_the_listed_document():
    wanted = RenderFilter(template="abc123def456ghi789jk")
    assert wanted.matches(movie("a", json='{"template": "abc123def456ghi789jk"}'), deployment="id:here")
    assert not wanted.matches(movie("a", json='{"template": "another"}'), deployment="id:here")
    assert not wanted.matches(movie("a", json="not JSON"), deployment="id:here")
    assert not wanted.matches(movie("a"), deployment="id:here")


def test_client_data_matches_partially_and_recursively():
    wanted = RenderFilter(client_data={"campaign": {"name": "spring"}, "lot": 7})
    whole = {"campaign": {"name": "spring", "year": 2026}, "lot": 7, "more": 1}
    assert wanted.matches(movie("a", **{"client-data": whole}), deployment="id:here")
    assert wanted.matches(movie("a", json=json.dumps({"client-data": whole})), deployment="id:here"), (
        "an entry may have it only in the document"
    )
    assert not wanted.matches(movie("a", **{"client-data": {**whole, "lot": 8}}), deployment="id:here")
    assert not wanted.matches(movie("a", **{"client-data": {"campaign": "spring", "lot": 7}}), deployment="id:here")
    assert not wanted.matches(movie("a"), deployment="id:here")
