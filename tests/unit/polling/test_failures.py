"""Refusals and outages: what a poller requests meanwhile, and what the waits end with."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.unit.polling.conftest import Log, json_response


async def failing_for(account, response, projects, *, after, seconds):
    """Wait for renders while the service fails for some time."""
    waits = asyncio.ensure_future(account.wait_for_all(projects))
    await asyncio.sleep(after)
    before = len(account.requests)
    account.respond = lambda project, query: response
    await asyncio.sleep(seconds)
    account.respond = lambda project, query: None
    during = len(account.requests) - before
    return await waits, during


# --- refusals -------------------------------------------------------------------------------------

REFUSALS = {
    "401": json_response({}, status=401),
    "401, a quota": json_response({"message": "You exceeded the quota of movies in your plan"}, status=401),
    "403": json_response({"message": "Forbidden"}, status=403),
    "400": json_response({}, status=400),
    "404": json_response({}, status=404),
    "410": json_response({}, status=410),
    "a key that is not valid": json_response({"message": "Invalid API Key"}, status=400),
    "suspended": json_response({"message": "account_suspended"}, status=403),
    "success: false": json_response({"success": False, "message": "no"}),
    "no such project": json_response(
        {"message": "TypeError: Cannot read properties of undefined (reading 'json')"}, status=400
    ),
    "a redirect": json_response({}, status=302, headers={"location": "https://login.example.com/"}),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_for_a_minute_ends_no_wait(account, kind):
    count = 300 if kind == "401" else 40
    projects = account.add(count, ends_in=120.0)
    outcomes, during = account.run(failing_for(account, REFUSALS[kind], projects, after=30, seconds=60))
    assert during
    assert sum(outcome.movie is not None for outcome in outcomes) == count


def test_a_list_that_is_refused_for_a_minute_ends_no_wait(account):
    async def main():
        waits = asyncio.ensure_future(account.wait_for_all(account.add(100, ends_in=180.0)))
        while not account.pages():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        keys, account.keys = account.keys, {"another"}
        await asyncio.sleep(60)
        account.keys = keys
        return await waits

    assert all(outcome.movie for outcome in account.run(main()))


def test_a_render_that_the_service_does_not_know_for_a_moment_is_polled_again(account):
    [project] = account.add(1)
    account.respond = lambda *_: REFUSALS["no such project"] if len(account.requests) <= 2 else None
    log = Log()
    assert account.run(account.wait(project, log=log)).movie
    assert any("was not found in this account" in line for line in log.lines)


def test_a_key_that_is_refused_until_the_deadline_costs_a_few_requests_and_fails_retryably(account):
    account.keys = {"another"}
    outcomes = account.run(account.wait_for_all(account.add(50, ends_in=6000), deadline=300.0))
    assert {type(outcome.error).__name__ for outcome in outcomes} == {"RenderDeadlineExceeded"}
    assert len({outcome.error.project for outcome in outcomes}) == 50
    for outcome in outcomes:
        text = str(outcome.error)
        assert outcome.error.retryable
        assert "API key" in text
        assert text.count("The render keeps running and will be billed.") == 1
        assert set(re.findall(r"project\d{9}", text)) == {outcome.error.project}
    assert len(account.requests) <= 60


# --- outages --------------------------------------------------------------------------------------


def test_an_outage_costs_a_few_requests_and_all_waits_notice_its_end(account):
    outage = json_response({"message": "Service unavailable"}, status=503)
    projects = account.add(100, ends_in=30.0)
    outcomes, during = account.run(failing_for(account, outage, projects, after=2, seconds=300))
    assert all(outcome.movie for outcome in outcomes)
    assert during <= 40
    assert account.loop.time() < 302 + 300 / 2 + 30


def test_a_retry_after_holds_back_all_polls(account):
    limited = json_response({"message": "Too many requests"}, status=429, headers={"Retry-After": "90"})
    projects = account.add(30, ends_in=30.0)
    outcomes, during = account.run(failing_for(account, limited, projects, after=2, seconds=85))
    assert all(outcome.movie for outcome in outcomes)
    assert during <= 11


def test_one_render_whose_polls_always_fail_delays_no_other(account):
    odd, *rest = account.add(6)
    failure = json_response({"message": "Internal server error"}, status=500)
    account.respond = lambda project, query: failure if project == odd else None

    async def main():
        task = asyncio.ensure_future(account.wait(odd))
        others = await account.wait_for_all(rest)
        assert not task.done()
        task.cancel()
        return others

    assert all(outcome.movie for outcome in account.run(main()))
    assert account.loop.time() < 120


def test_deadlines_hold_in_an_outage(account):
    account.respond = lambda project, query: json_response({}, status=503)
    outcomes = account.run(account.wait_for_all(account.add(20), deadline=75.0))
    assert {type(outcome.error).__name__ for outcome in outcomes} == {"RenderDeadlineExceeded"}
    assert all("polls failed" in str(outcome.error) for outcome in outcomes)
    assert account.loop.time() < 75 + 60
