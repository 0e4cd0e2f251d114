"""GET /movies without a project: dates, pages, order."""

from __future__ import annotations

import pytest

DAY = 86400


def projects(answer):
    assert answer.status_code == 200, answer.text
    return [movie["project"] for movie in answer.json()["movies"]]


def pages(client, limit, **params):
    found, token, count = [], None, 0
    while True:
        answer = client.get(limit=limit, **params, **({"next_token": token} if token else {})).json()
        found += [m["project"] for m in answer["movies"]]
        count += 1
        assert answer["count"] == len(answer["movies"]) <= limit
        assert answer["has_prev"] is (token is not None)
        if not answer["has_next"]:
            assert answer["next_token"] is None
            return found, count
        token = answer["next_token"]


@pytest.mark.parametrize("order", ["newest", "oldest", "shuffled"])
def test_all_pages_together_hold_every_movie_once_in_every_order(client, service, order):
    service.settings.list_order = order
    made = []
    for _ in range(7):
        made.append(client.submit())
        service.clock.advance(1)
    found, count = pages(client, 3)
    assert count == 3
    assert sorted(found) == sorted(made)
    expected = {"newest": made[::-1], "oldest": made}.get(order)
    if expected:
        assert found == expected
    else:
        assert found not in (made, made[::-1])
        assert found == pages(client, 3)[0]


def test_a_movie_submitted_between_two_pages_does_not_duplicate_another(client, service):
    made = []
    for _ in range(4):
        made.append(client.submit())
        service.clock.advance(1)
    first = client.get(limit=2).json()
    client.submit()
    second = client.get(limit=2, next_token=first["next_token"]).json()
    assert [m["project"] for m in first["movies"] + second["movies"]] == made[::-1]


def test_the_list_starts_on_the_first_of_the_month_by_default(client, service):
    service.clock.freeze()
    service.clock.move_to("2026-04-30T23:59:58Z")
    before = client.submit()
    service.clock.move_to("2026-05-01T00:00:01Z")
    after = client.submit()
    assert projects(client.get()) == [after]
    assert projects(client.get(date_start="2026-04-30T23:00:00Z")) == [after, before]
    assert projects(client.get(**{"from": "2026-04-01", "to": "2026-04-30"})) == [before]
    answer = client.get().json()
    assert (answer["from"], answer["to"]) == ("2026-05-01T00:00:00.000Z", "2026-05-01T23:59:59.999Z")


def test_a_range_above_93_days_is_refused(client):
    assert client.get(date_start="2026-01-01", date_end="2026-04-03").status_code == 200
    assert client.get(date_start="2026-01-01", date_end="2026-06-01").status_code == 400


@pytest.mark.parametrize("params", [{"date_start": "yesterday"}, {"limit": "many"}, {"next_token": "???"}])
def test_a_query_that_cannot_be_read_is_refused(client, params):
    assert client.get(**params).status_code == 400


@pytest.mark.parametrize(("asked", "given"), [("1000", 100), ("0", 1), ("7", 7)])
def test_the_limit_stays_within_1_and_100(client, asked, given):
    assert client.get(limit=asked).json()["limit"] == given


def test_an_empty_list_is_a_success(client):
    answer = client.get().json()
    assert (answer["success"], answer["count"], answer["movies"], answer["has_next"]) == (True, 0, [], False)


def test_a_new_project_can_be_delayed_in_the_list_and_for_polls(client, service):
    service.clock.freeze()
    service.settings.update({"list_delay": 10, "status_delay": 5})
    project = client.submit()
    assert projects(client.get()) == []
    assert client.get(project=project).status_code == 400
    service.clock.advance(6)
    assert client.get(project=project).status_code == 200
    assert projects(client.get()) == []
    service.clock.advance(5)
    assert projects(client.get()) == [project]
