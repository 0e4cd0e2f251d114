from __future__ import annotations

import pytest

from airflow_json2video.core.circuit_breaker import CircuitBreaker
from airflow_json2video.core.poll_schedule import PollSchedule
from airflow_json2video.exceptions import (
    AccountSuspended,
    AuthenticationFailed,
    PermissionDenied,
    ProjectNotFound,
    RateLimited,
    ResponseLost,
    ServerError,
    ServiceUnreachable,
)


def failing(outage, *projects, error=None, now=0.0, **more):
    for project in projects:
        outage.on_failure(
            error or ServerError("down", http_status=503), project=project, schedule=PollSchedule(), now=now, **more
        )


def test_one_render_that_keeps_failing_is_no_outage():
    outage = CircuitBreaker()
    failing(outage, *["one"] * 20)
    assert outage.error is None


def test_several_renders_that_fail_in_a_row_are():
    outage = CircuitBreaker()
    failing(outage, "one", "two", "three")
    assert outage.until == 15


def test_a_success_between_them_says_that_it_is_the_renders():
    outage = CircuitBreaker()
    failing(outage, "one", "two")
    assert not outage.on_success()
    failing(outage, "three", "four")
    assert outage.error is None


def test_refusals_count_as_failures():
    outage = CircuitBreaker()
    failing(outage, "one", "two", "three", error=ProjectNotFound("x", http_status=404))
    assert outage.until == 15


@pytest.mark.parametrize(
    "error",
    [
        RateLimited("x", http_status=429),
        ServiceUnreachable("x"),
        AuthenticationFailed("x", http_status=401),
        PermissionDenied("x", http_status=403),
        AccountSuspended("x", http_status=403),
    ],
)
def test_some_failures_are_the_services_at_once(error):
    outage = CircuitBreaker()
    failing(outage, "one", error=error)
    assert outage.error is error


def test_it_is_tried_less_and_less_often_but_every_two_minutes():
    outage, now, pauses = CircuitBreaker(), 0.0, []
    failing(outage, "one", error=ServiceUnreachable("x"))
    for _ in range(10):
        pauses.append(outage.until - now)
        now = outage.until
        failing(outage, "one", now=now, is_probe=True)
    assert pauses[:3] == [15, 22.5, 33.75]
    assert pauses[-1] == 120


def test_failures_that_were_under_way_do_not_lengthen_it():
    outage = CircuitBreaker()
    failing(outage, "one", error=ServiceUnreachable("x"))
    failing(outage, *"abcdefghij", error=ResponseLost("x"))
    assert outage.until == 15


def test_the_services_wish_is_honoured_up_to_five_minutes():
    outage = CircuitBreaker()
    failing(outage, "one", error=RateLimited("x", retry_after=90))
    assert outage.until == 90
    failing(outage, "one", error=RateLimited("x", retry_after=86400), is_probe=True)
    assert outage.until == 300


def test_one_success_ends_it():
    outage = CircuitBreaker()
    failing(outage, "one", error=ServiceUnreachable("x"))
    assert outage.on_success()
    assert outage.error is None
    assert not outage.on_success()
