"""The service's clock, which is read from its responses."""

from __future__ import annotations

import sys
import time
from email.utils import formatdate

import pytest

from airflow_json2video.api import clock
from airflow_json2video.api.base_client import _retry_after
from airflow_json2video.api.calls import list_movies
from airflow_json2video.api.clock import ServiceClock, compute_skew, get_clock

conftest = sys.modules[next(n for n in sys.modules if n.endswith("unit.api.conftest"))]
PAGE = {"success": True, "movies": [], "has_next": False}
TWO_HOURS = 7200.0


@pytest.fixture(autouse=True)
def _every_answer(monkeypatch):
    monkeypatch.setattr(clock, "_MIN_INTERVAL", 0.0)
    monkeypatch.setattr(clock, "_clocks", {})


def page_of(seconds_ahead, **headers):
    def act(connection, seen):
        date = formatdate(time.time() + seconds_ahead, usegmt=True)
        conftest.answer(200, PAGE, headers={"Date": date, **headers})(connection, seen)

    return act


def noted(*seconds_ahead, status=200):
    made = ServiceClock("https://api.json2video.com/v2")
    for ahead in seconds_ahead:
        made.record(status, {"Date": formatdate(time.time() + ahead, usegmt=True)}, seconds=0.1)
    return made


@pytest.mark.parametrize(
    ("date", "asked_at", "answered_at", "skew"),
    [
        (100.0, 100.2, 100.4, 0.0),  # truncated to a second
        (100.0, 101.9, 102.0, 0.0),  # updated every second
        (100.0, 99.0, 130.0, 0.0),  # a slow response proves little
        (100.0, 50.0, 60.0, 40.0),
        (100.0, 7300.0, 7301.0, -7198.0),
    ],
)
def test_the_correction_is_the_smallest_skew_that_a_response_proves(date, asked_at, answered_at, skew):
    assert compute_skew(date, asked_at=asked_at, answered_at=answered_at) == pytest.approx(skew)


@pytest.mark.parametrize("ahead", [TWO_HOURS, -TWO_HOURS])
def test_both_clients_read_the_services_time_from_a_response(client, service, ahead):
    here = get_clock(client.client.config.host)
    assert not here.is_known
    assert here.now() == pytest.approx(time.time(), abs=0.1)
    service.then(page_of(ahead))
    client.execute(list_movies())
    assert here.is_known
    assert here.now() == pytest.approx(time.time() + ahead, abs=3)


def test_the_age_of_a_cached_response_is_added_to_its_date(client, service):
    service.then(page_of(-600.0, Age="600"))
    client.execute(list_movies())
    assert get_clock(client.client.config.host).skew == pytest.approx(0, abs=3)


def test_one_response_with_another_clock_has_no_effect():
    assert noted(0.0, TWO_HOURS).skew == 0.0
    assert noted(TWO_HOURS, TWO_HOURS, TWO_HOURS, 0.0).skew == 0.0
    assert noted(0.0, *[TWO_HOURS] * 3).skew == pytest.approx(TWO_HOURS, abs=3)


def test_the_date_of_a_gateway_error_is_ignored():
    assert not noted(TWO_HOURS, status=502).is_known


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}, {"Date": "Mon, 99 Foo 2026 99:99:99 GMT"}])
def test_a_response_without_a_valid_date_has_no_effect(headers):
    made = ServiceClock("https://api.json2video.com/v2")
    made.record(200, headers, seconds=0.1)
    assert not made.is_known
    assert made.skew == 0.0


@pytest.mark.parametrize("date", [0.0, 253402300799.0])
def test_an_implausible_date_is_ignored(date):
    made = ServiceClock("https://api.json2video.com/v2")
    made.record(200, {"Date": formatdate(date, usegmt=True)}, seconds=0.1)
    assert not made.is_known


def test_the_next_responses_confirm_the_first_one(monkeypatch):
    monkeypatch.setattr(clock, "_MIN_INTERVAL", 60.0)
    assert noted(TWO_HOURS, 0.0).skew == 0.0


NO_MOMENT = "Thu, 26 Nov 99999999999999999999 09:00:00 GMT"


@pytest.mark.parametrize("date", [NO_MOMENT, "Thu, 26 Nov 2026 09:00:00 +99999999999999999999", "(" * 1000])
@pytest.mark.parametrize("name", ["Date", "Retry-After"])
def test_an_invalid_header_does_not_invalidate_its_response(client, service, name, date):
    service.then(conftest.answer(200, PAGE, headers={name: date}))
    assert client.execute(list_movies()).movies == []
    assert _retry_after({name: date}) is None


def test_a_skew_above_a_minute_is_logged_once(caplog):
    noted(50.0, 50.0)
    assert caplog.text == ""
    noted(-TWO_HOURS, -TWO_HOURS, -TWO_HOURS)
    assert caplog.text.count("ahead of the clock of api.json2video.com") == 1
    noted(TWO_HOURS)
    assert "behind the clock of api.json2video.com" in caplog.text


def test_a_retry_after_date_is_compared_with_the_services_clock():
    headers = {"date": "Thu, 01 Jan 2015 00:00:00 GMT", "retry-after": "Thu, 01 Jan 2015 00:01:30 GMT"}
    from requests.structures import CaseInsensitiveDict

    assert _retry_after(CaseInsensitiveDict(headers)) == 90.0
