"""One by one, or by the list: what a poller requests of an account, and what a list that misbehaves does to it."""

from __future__ import annotations

import asyncio
import math

import pytest

from tests.unit.polling.conftest import Log, json_response, raw_response

# --- which is cheaper -----------------------------------------------------------------------------


def test_a_few_renders_are_polled_one_by_one(account):
    assert all(outcome.movie for outcome in account.run(account.wait_for_all(account.add(3))))
    assert account.pages() == []


def test_many_renders_are_polled_by_reading_the_list(account):
    outcomes = account.run(account.wait_for_all(account.add(150, ends_in=180.0)))
    assert all(outcome.movie for outcome in outcomes)
    assert account.pages()
    assert len(account.requests) < 2 * 150  # each by itself would be polled several times


@pytest.mark.parametrize("order", ["newest", "oldest", "shuffled"])
def test_all_pages_are_read_in_any_order(account, order, monkeypatch):
    monkeypatch.setattr("airflow_json2video.core.list_cost._LARGEST_PAGE", 20)
    account.order = order
    outcomes = account.run(account.wait_for_all(account.add(100, ends_in=120.0)))
    assert all(outcome.movie for outcome in outcomes)
    assert any("next_token" in one.query for one in account.pages())


@pytest.mark.parametrize("order", ["oldest", "shuffled"])
def test_a_list_that_is_crowded_with_renders_of_others_costs_little_more_than_single_polls(account, order):
    account.order = order
    account.add(4000, age=60.0)
    outcomes = account.run(account.wait_for_all(account.add(40, ends_in=240.0)))
    assert all(outcome.movie for outcome in outcomes)
    assert 1 <= len(account.pages()) <= 15


def test_a_crowded_list_that_shows_the_newest_first_is_read(account):
    account.add(4000, age=60.0)
    outcomes = account.run(account.wait_for_all(account.add(100, ends_in=180.0)))
    assert all(outcome.movie for outcome in outcomes)
    assert len(account.requests) < 3 * 100


def test_a_list_of_huge_documents_costs_one_probe(account):
    outcomes = account.run(account.wait_for_all(account.add(60, ends_in=180.0, size=300_000)))
    assert all(outcome.movie for outcome in outcomes)
    assert [one.query["limit"] for one in account.pages()] == ["10"]


def test_renders_that_the_list_never_shows_are_polled_one_by_one(account):
    account.list_delay = math.inf
    outcomes = account.run(account.wait_for_all(account.add(80, ends_in=120.0)))
    assert all(outcome.movie for outcome in outcomes)
    # A probe and an attempt; then after ten single polls, after twenty more, after forty more, and so on.
    assert len(account.pages()) <= 2 + math.log2(1 + len(account.requests) / 10)


def test_renders_that_the_list_shows_late_are_found(account):
    account.list_delay = 60.0
    assert all(outcome.movie for outcome in account.run(account.wait_for_all(account.add(80, ends_in=180.0))))


def test_a_render_older_than_the_longest_range_is_polled_by_itself(account):
    day = 86400.0
    [old] = account.add(1, age=100 * day, ends_in=-1.0)

    async def main():
        return await asyncio.gather(
            account.wait(old, age=100 * day), account.wait_for_all(account.add(80, ends_in=120.0))
        )

    old_outcome, outcomes = account.run(main())
    assert old_outcome.movie
    assert all(outcome.movie for outcome in outcomes)
    assert account.single_polls(old)
    assert account.pages()


def test_the_range_of_a_list_starts_before_the_oldest_render_and_ends_after_now(account):
    account.run(account.wait_for_all(account.add(80, ends_in=120.0)))
    query = account.pages()[-1].query
    assert query["date_start"] < query["date_end"]
    assert set(query) >= {"date_start", "date_end", "limit"}


def test_renders_near_their_deadline_are_polled_one_by_one_because_a_scan_may_be_slow(account):
    outcomes = account.run(account.wait_for_all(account.add(60, ends_in=20.0), deadline=29.0))
    assert all(outcome.movie for outcome in outcomes)
    assert account.pages() == []


# --- a list that misbehaves -----------------------------------------------------------------------


def page(projects, **more):
    movies = [{"project": project, "status": "running", "json": "{}"} for project in projects]
    return json_response({"success": True, "movies": movies, "has_next": False, **more})


async def no_response(client, call):
    await asyncio.sleep(1000)


async def unreachable(client, call):
    return client._base.transport_error(call, "connection refused", sent=False)


async def too_large(client, call):
    return client._base.transport_error(call, "the body is larger than 16777216 bytes", sent=True)


MISBEHAVIORS = {
    "a cursor that repeats": page(["x" * 16], has_next=True, next_token="again"),
    "no cursor": page(["x" * 16], has_next=True),
    "another shape": json_response({"success": True, "movies": {"not": "a list"}}),
    "entries of another shape": json_response(
        {"success": True, "movies": [{"project": 5}, {"status": "done"}, {}], "has_next": False}
    ),
    "an entry that is not an object": json_response({"success": True, "movies": [7], "has_next": False}),
    "HTML": raw_response(b"<html>sorry</html>"),
    "a refusal with status 200": json_response({"success": False, "message": "no", "movies": []}),
    "a server error": json_response({"message": "Internal server error"}, status=500),
    "a refusal": json_response({"success": False, "message": "Invalid limit"}, status=400),
    "a body that is too large": too_large,
    "no response": no_response,
    "no connection": unreachable,
}


@pytest.mark.parametrize("kind", MISBEHAVIORS)
def test_a_list_that_misbehaves_delays_no_render_and_is_not_read_again_soon(account, kind):
    account.respond = lambda project, query: MISBEHAVIORS[kind] if project is None else None
    outcomes = account.run(account.wait_for_all(account.add(60, ends_in=150.0)))
    assert all(outcome.movie for outcome in outcomes), [outcome.error for outcome in outcomes if outcome.error]
    assert 1 <= len(account.pages()) <= 8
    assert account.loop.time() < 240


def test_a_list_that_cannot_be_read_is_logged_once(account):
    def respond(project, query):
        is_scan = project is None and query["limit"] != "10"
        return raw_response(b"<html>sorry</html>") if is_scan else None

    account.respond = respond
    log = Log()
    account.run(account.wait_for_all(account.add(60, ends_in=150.0), log=log))
    lines = [line for line in log.lines if "could not be read" in line]
    assert lines
    assert "HTML" in lines[0]
    assert "is polled by itself" in lines[0]
    assert len({line.partition(" Render ")[2] for line in lines}) == len(lines)
