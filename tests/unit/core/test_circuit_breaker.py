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


def failing(breaker, *projects, error=None, now=0.0, **more):
    for project in projects:
        breaker.record_failure(
            error or ServerError("down", http_status=503), project=project, schedule=PollSchedule(), now=now, **more
        )


def test_one_render_that_keeps_failing_does_not_open_the_breaker():
    breaker = CircuitBreaker()
    failing(breaker, *["one"] * 20)
    assert breaker.error is None


def test_three_renders_that_fail_in_a_row_open_the_breaker():
    breaker = CircuitBreaker()
    failing(breaker, "one", "two", "three")
    assert breaker.half_open_at == 15


def test_a_success_between_failures_starts_the_count_again():
    breaker = CircuitBreaker()
    failing(breaker, "one", "two")
    assert not breaker.record_success()
    failing(breaker, "three", "four")
    assert breaker.error is None


def test_refusals_count_as_failures():
    breaker = CircuitBreaker()
    failing(breaker, "one", "two", "three", error=ProjectNotFound("x", http_status=404))
    assert breaker.half_open_at == 15


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
def test_a_failure_that_concerns_all_renders_opens_the_breaker_immediately(error):
    breaker = CircuitBreaker()
    failing(breaker, "one", error=error)
    assert breaker.error is error


def test_the_delay_between_probes_grows_to_two_minutes():
    breaker, now, pauses = CircuitBreaker(), 0.0, []
    failing(breaker, "one", error=ServiceUnreachable("x"))
    for _ in range(10):
        pauses.append(breaker.half_open_at - now)
        now = breaker.half_open_at
        failing(breaker, "one", now=now, is_probe=True)
    assert pauses[:3] == [15, 22.5, 33.75]
    assert pauses[-1] == 120


def test_failures_of_polls_that_were_in_flight_do_not_delay_the_probe():
    breaker = CircuitBreaker()
    failing(breaker, "one", error=ServiceUnreachable("x"))
    failing(breaker, *"abcdefghij", error=ResponseLost("x"))
    assert breaker.half_open_at == 15


def test_retry_after_is_honored_up_to_five_minutes():
    breaker = CircuitBreaker()
    failing(breaker, "one", error=RateLimited("x", retry_after=90))
    assert breaker.half_open_at == 90
    failing(breaker, "one", error=RateLimited("x", retry_after=86400), is_probe=True)
    assert breaker.half_open_at == 300


def test_one_success_closes_the_breaker():
    breaker = CircuitBreaker()
    failing(breaker, "one", error=ServiceUnreachable("x"))
    assert breaker.record_success()
    assert breaker.error is None
    assert not breaker.record_success()
