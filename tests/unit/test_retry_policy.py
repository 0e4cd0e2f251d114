from __future__ import annotations

from datetime import timedelta
from importlib import import_module

import pytest

from airflow_json2video import exceptions
from airflow_json2video.api.errors import error_from_response
from airflow_json2video.core.render_failure import error_from_render

try:
    from airflow.sdk.definitions.retry_policy import RetryAction
except ImportError:
    RetryAction = None

PROJECT = "Qk3vT9zLm2XcB7wA"
needs_policies = pytest.mark.skipif(RetryAction is None, reason="retry policies come with Airflow 3.3")


@pytest.mark.skipif(RetryAction is not None, reason="this Airflow has retry policies")
def test_an_older_airflow_gets_one_clear_error():
    with pytest.raises(ImportError, match=r"needs Airflow 3\.3 or later\. Leave it out"):
        import_module("airflow_json2video.retry_policy")


@pytest.fixture
def decide():
    from airflow_json2video.retry_policy import Json2VideoRetryPolicy

    policy = Json2VideoRetryPolicy(source_delay=timedelta(minutes=7), network_delay=timedelta(seconds=11))
    policy = Json2VideoRetryPolicy.deserialize(policy.serialize())
    return lambda error: policy.evaluate(error, 1, 3)


@needs_policies
@pytest.mark.parametrize(
    "error",
    [
        error_from_response(400, "Insufficient credits", call="movies.submit"),
        error_from_response(401, "Movie is larger (1x1) than your plan allowance (1x1)", call="movies.submit"),
        error_from_response(400, "Error: Invalid API Key", call="movies.submit"),
        error_from_response(400, "Template x not found", call="movies.submit"),
        exceptions.InvalidMovie("wrong"),
        exceptions.BudgetExceeded("too dear"),
        exceptions.CreditReserveReached("too little left"),
        error_from_render("Movie duration cannot be zero", project=PROJECT),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_that_a_retry_cannot_correct_fails_now(decide, error):
    assert decide(error).action is RetryAction.FAIL


@needs_policies
def test_a_source_that_could_not_be_fetched_is_retried_after_the_source_delay(decide):
    decision = decide(error_from_render("Scene #1, element #1: Failed to download 'x' (404)", project=PROJECT))
    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, timedelta(minutes=7))


@needs_policies
@pytest.mark.parametrize(
    "error",
    [
        exceptions.ResponseLost("x"),
        exceptions.ServerError("x", http_status=503),
        exceptions.DownloadFailed("x"),
        exceptions.DestinationFailed("x"),
    ],
)
def test_a_network_error_is_retried_after_the_network_delay(decide, error):
    assert decide(error).retry_delay == timedelta(seconds=11)


@needs_policies
def test_retry_after_is_honored(decide):
    assert decide(exceptions.RateLimited("x", retry_after=90)).retry_delay == timedelta(seconds=90)


@needs_policies
def test_an_unknown_error_is_left_to_the_tasks_settings(decide):
    assert decide(ZeroDivisionError()).action is RetryAction.DEFAULT
    assert decide(error_from_render("", project=PROJECT)).action is RetryAction.DEFAULT
