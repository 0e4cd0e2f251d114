from __future__ import annotations

import pytest

from airflow_json2video.core.poll_schedule import PollSchedule
from airflow_json2video.core.render_status import PollAgain, RenderTracker, format_duration
from airflow_json2video.exceptions import (
    AccountSuspended,
    AuthenticationFailed,
    ConfigurationError,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    ProjectNotFound,
    RateLimited,
    RenderDeadlineExceeded,
    RenderExpired,
    RenderFailed,
    RenderStalled,
    ServerError,
)

PROJECT = "Qk3vT9zLm2XcB7wA"


def tracker(*, submitted_at=0.0, deadline=3600.0, known=True):
    return RenderTracker(
        PROJECT,
        submitted_at=submitted_at,
        deadline=deadline,
        schedule=PollSchedule(),
        submission_time_known=known,
    )


def running(**more):
    return {"project": PROJECT, "status": "running", **more}


def test_the_outcome_of_a_finished_render_does_not_contain_the_authors_data():
    step = tracker().on_status(
        {"project": PROJECT, "status": "done", "url": "u", "duration": 2, "client-data": {"mine": 1}, "json": "{}"},
        now=10,
        remaining_quota={"time": 5},
    )
    assert step.movie == {"project": PROJECT, "status": "done", "url": "u", "duration": 2}
    assert step.remaining_quota == {"time": 5}


def test_a_finished_render_without_a_file_has_expired_or_was_deleted():
    expired = tracker().on_status({"status": "done", "url": None}, now=10)
    deleted = tracker().on_status({"status": "done", "url": None, "deleted_at": "2026-01-01"}, now=10)
    assert isinstance(expired.error, RenderExpired)
    assert "seven days" in str(expired.error)
    assert "deleted" in str(deleted.error)


def test_the_outcome_of_a_failed_render_contains_the_services_message_and_the_path():
    step = tracker().on_status(
        {"status": "error", "message": "Scene #2, element #1: Failed to download 'x' (404)"}, now=10
    )
    assert isinstance(step.error, RenderFailed)
    assert step.error.path == "scenes[1].elements[0]"
    assert "Failed to download 'x' (404)" in str(step.error)


def test_a_render_with_an_unknown_status_is_polled_again():
    assert isinstance(tracker().on_status({"status": "thinking"}, now=10), PollAgain)


def test_only_a_change_of_status_is_logged():
    render = tracker()
    assert render.on_status(running(), now=10).note
    assert render.on_status(running(), now=20).note is None
    assert render.on_status({"status": "encoding"}, now=30).note


def test_a_stalled_render_is_polled_once_more_and_may_still_finish():
    render = tracker()
    first = render.on_status({"status": "timeout"}, now=100)
    assert isinstance(first, PollAgain)
    assert first.seconds == 60
    assert render.on_status({"status": "done", "url": "u"}, now=160).movie


def test_a_render_that_is_still_stalled_at_the_next_poll_ends_the_wait():
    render = tracker()
    render.on_status({"status": "timeout"}, now=100)
    assert isinstance(render.on_status({"status": "timeout"}, now=160).error, RenderStalled)


def test_a_render_that_is_stalled_at_its_deadline_ends_the_wait():
    assert isinstance(tracker(deadline=100).on_status({"status": "timeout"}, now=100).error, RenderStalled)


def test_the_deadline_is_absolute_and_the_last_poll_is_at_the_deadline():
    render = tracker(deadline=100)
    assert render.on_status(running(), now=97).seconds == pytest.approx(3)
    assert isinstance(render.on_status(running(), now=100).error, RenderDeadlineExceeded)


def test_a_finished_render_is_a_success_even_after_the_deadline():
    assert tracker(deadline=100).on_status({"status": "done", "url": "u"}, now=5000).movie


def test_the_error_of_the_deadline_says_that_the_render_keeps_running():
    text = str(tracker(deadline=100).on_status(running(), now=100).error)
    assert PROJECT in text
    assert "keeps running and will be billed, and a retry of this task reattaches to it" in text


@pytest.mark.parametrize("error", [ServerError("x", http_status=503), RateLimited("x", http_status=429)])
def test_an_outage_shorter_than_the_deadline_does_not_end_the_wait(error):
    render = tracker(deadline=86400)
    now, looks = 0.0, 0
    while now < 80000:
        step = render.on_error(error, now=now)
        assert isinstance(step, PollAgain)
        now += step.seconds
        looks += 1
    assert looks < 800  # it slows down
    assert render.on_status(running(), now=now).seconds <= 60  # and recovers immediately


def test_an_outage_ends_the_wait_at_the_deadline():
    render = tracker(deadline=100)
    for now in (10, 40):
        render.on_error(ServerError("down", http_status=503), now=now)
    step = render.on_error(ServerError("down", http_status=503), now=100)
    assert isinstance(step.error, RenderDeadlineExceeded)
    assert "down" in str(step.error)
    assert "The render keeps running and will be billed." in str(step.error)


def test_a_short_failure_at_the_deadline_loses_no_finished_render():
    render = tracker(deadline=100)
    render.on_status(running(), now=90)
    for now in (100, 105):
        assert render.on_error(AuthenticationFailed("no"), now=now).seconds == 5.0
    assert render.on_status({"status": "done", "url": "u"}, now=110).movie


def test_the_deadline_ends_a_wait_only_after_three_polls_in_a_row_have_failed():
    for was_answered in (False, True):
        render = tracker(deadline=100)
        if was_answered:
            render.on_status(running(), now=90)
        for now in (100, 105):
            assert isinstance(render.on_error(ServerError("down", http_status=503), now=now), PollAgain)
        step = render.on_error(ServerError("down", http_status=503), now=110)
        assert "The last 3 polls failed, for 10s: down" in str(step.error)


def test_a_tracker_is_failing_from_a_failed_poll_until_the_next_response():
    render = tracker()
    assert not render.is_failing
    render.on_error(ServerError("down", http_status=503), now=10)
    assert render.is_failing
    assert render.on_status(running(), now=20).note  # so that the line of the failure is not the last one
    assert not render.is_failing
    render.on_error(ServerError("down", http_status=503), now=30)
    assert render.is_failing


def test_the_errors_about_a_render_of_others_do_not_say_that_this_task_pays_or_reattaches():
    def of_another():
        return tracker(deadline=100.0, known=False)

    render = of_another()
    for now in (100, 105, 110):
        step = render.on_error(ServerError("down", http_status=503), now=now)
    assert "This task submits nothing and costs nothing." in str(step.error)
    assert "billed" not in str(step.error)
    late = of_another().on_status(running(), now=100).error
    assert "The render keeps running." in str(late)
    assert "reattaches" not in str(late)


def test_retry_after_is_honored_up_to_five_minutes():
    assert tracker().on_error(RateLimited("x", retry_after=90), now=10).seconds == 90
    assert tracker().on_error(RateLimited("x", retry_after=86400), now=10).seconds == 300


REFUSALS = [
    AuthenticationFailed("movies.get: the API key was refused.", http_status=401),
    PermissionDenied("movies.get: the key may not do this.", http_status=403),
    AccountSuspended("movies.get: the account is suspended.", http_status=403),
    InvalidRequest("movies.get: the service refused it.", http_status=400),
    InvalidRequest("movies.get: the service refused it.", http_status=200),  # success: false
    NotFound("movies.get: the service does not know this address.", http_status=404),
    ProjectNotFound("movies.get: the project was not found.", http_status=404),
    ConfigurationError("Connection 'json2video_default' does not exist."),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda e: f"{type(e).__name__}-{e.http_status}")
def test_a_short_refusal_does_not_end_a_wait(refusal):
    for age in (1.0, 1800.0, 3599.0):
        render = tracker()
        assert isinstance(render.on_error(refusal, now=age), PollAgain)
        assert render.on_status({"status": "done", "url": "u"}, now=age + 20).movie


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda e: f"{type(e).__name__}-{e.http_status}")
def test_a_refusal_is_polled_until_the_deadline_and_then_fails_retryably(refusal):
    render, now, asked = tracker(), 10.0, []
    while isinstance(step := render.on_error(refusal, now=now), PollAgain):
        asked.append(now)
        now += step.seconds
    assert any(50 <= at - 10 <= 90 for at in asked)
    assert any(250 <= at - 10 <= 420 for at in asked)
    assert now == pytest.approx(3600)  # the last is asked at the deadline
    assert step.error.retryable
    assert step.error.project == PROJECT
    assert refusal.message in str(step.error)
    assert "The render keeps running and will be billed. A retry of this task reattaches to it." in str(step.error)


def test_a_render_of_others_that_is_unknown_for_five_minutes_does_not_exist():
    render = tracker(known=False)
    now = 0.0
    while isinstance(step := render.on_error(REFUSALS[6], now=now), PollAgain):
        now += step.seconds
    assert 300 <= now < 600
    assert isinstance(step.error, ProjectNotFound)
    assert "This task submits nothing and costs nothing." in str(step.error)
    for untrue in ("submitted and", "goes on", "keeps running", "billed"):
        assert untrue not in str(step.error)


def test_a_single_not_found_after_a_long_outage_does_not_end_the_wait():
    render = tracker(known=False)
    for now in range(0, 900, 60):
        render.on_error(ServerError("down", http_status=503), now=now)
    assert isinstance(render.on_error(REFUSALS[6], now=900), PollAgain)


def test_a_long_render_is_logged_at_growing_intervals():
    render, now, noted = tracker(deadline=1e6), 10.0, []
    render.on_status(running(), now=now)
    while now < 4 * 3600:
        now += 10
        if note := render.on_status(running(), now=now).note:
            noted.append((now, note))
    assert [round(when / 60) for when, _ in noted] == [5, 15, 45, 135]
    assert noted[1][1] == (
        f"Render {PROJECT} is still running after 15m 0s (deadline in 277h 31m). Next poll in {noted[1][1][-4:]}"
    )


@pytest.mark.parametrize("behind", [60.0, 7200.0])
def test_a_clock_that_is_behind_the_submission_delays_no_poll(behind):
    render = tracker(submitted_at=behind, deadline=behind + 3600)
    assert render.first_poll(now=0.0) <= 12
    assert render.on_status(running(), now=5.0).seconds <= 60


def test_after_a_restart_the_progress_of_a_long_render_is_logged_once():
    render = tracker(deadline=1e6)
    assert render.on_status(running(), now=1000).note
    assert render.on_status(running(), now=1010).note is None


def test_the_first_poll_waits_until_the_quickest_render_may_be_done():
    assert 5 <= tracker().first_poll(now=0.0) <= 12
    late = tracker(submitted_at=1e9, deadline=1e9 + 3600)
    assert 5 <= late.first_poll(now=1e9) <= 12
    assert tracker().first_poll(now=1000.0) < 5  # unwatched for long, as after a restart
    assert tracker(deadline=100).first_poll(now=99.0) == pytest.approx(1, abs=1)
    assert tracker(deadline=100).first_poll(now=200.0) == 0


def test_a_render_of_unknown_age_is_polled_immediately_and_its_age_is_learned():
    render = tracker(submitted_at=1e9, deadline=1e9 + 3600, known=False)
    assert render.first_poll(now=1e9) < 5
    assert render.submitted_at_known is None
    assert "after 16m 40s" in render.on_status(running(created_at="2001-09-09T01:30:00.000Z"), now=1e9).note
    assert render.submitted_at_known == 1e9 - 1000


def test_the_age_of_a_render_of_this_task_does_not_depend_on_created_at():
    render = tracker(deadline=1e6)
    render.on_status(running(created_at="2001-09-09T01:30:00.000Z"), now=10)
    assert render.submitted_at_known == 0.0


def test_durations_are_formatted_for_people():
    assert [format_duration(s) for s in (0, 59.4, 60, 725, 3600, 3780)] == [
        "0s",
        "59s",
        "1m 0s",
        "12m 5s",
        "1h 0m",
        "1h 3m",
    ]


def test_a_render_that_has_just_ended_is_polled_until_its_file_appears():
    render = tracker(deadline=4000.0)
    done = {"status": "done", "url": None, "ended_at": "1970-01-01T00:00:10Z"}
    first, second = render.on_status(done, now=12), render.on_status(done, now=22)
    assert isinstance(first, PollAgain)
    assert "its file has not appeared yet" in first.note
    assert isinstance(second, PollAgain)
    assert second.note is None
    assert render.on_status({**done, "url": "u"}, now=40).movie["url"] == "u"


def test_a_file_that_does_not_appear_ends_the_wait_with_a_retryable_error():
    render = tracker(deadline=4000.0)
    done = {"status": "done", "url": None, "ended_at": "1970-01-01T00:00:10Z"}
    assert isinstance(render.on_status(done, now=12), PollAgain)
    step = render.on_status(done, now=612)
    assert isinstance(step.error, RenderExpired)
    assert step.error.retryable
    assert "A retry requests its file again and submits nothing" in str(step.error)
