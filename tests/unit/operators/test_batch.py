from __future__ import annotations

import copy
import json
import logging
import math
import socket
import time
from contextlib import contextmanager
from datetime import date, datetime, timedelta, timezone
from functools import partial

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, Asset, AssetAlias

from airflow_json2video.batch.submitter import BatchSubmitter
from airflow_json2video.exceptions import (
    AuthenticationFailed,
    BatchFailed,
    ConfigurationError,
    QuotaExhausted,
    ServiceUnreachable,
    find_error,
)
from airflow_json2video.local import LocalService
from airflow_json2video.operators.batch import Json2VideoBatchRenderOperator
from tests.unit.attempts import Attempt, alias_events, outlet_event_accessors
from tests.unit.conftest import connection_json

MOVIE = {
    "resolution": "sd",
    "variables": {"color": "#000000"},
    "scenes": [
        {"duration": 1, "background-color": "{{ color }}", "elements": [{"type": "text", "text": "{{ city }}"}]}
    ],
}
ROWS = [{"city": f"City {number}", "sku": f"sku-{number}"} for number in range(1, 8)]


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch):
    shorten_delays(monkeypatch)


def shorten_delays(monkeypatch):
    """Shorten the delays that only a real service needs."""
    monkeypatch.setattr("airflow_json2video.batch.submitter.backoff", lambda failures, *, jitter: 0.01)
    monkeypatch.setattr("airflow_json2video.operators._batch.deferral._HOLD_S", 0.1)
    monkeypatch.setattr("airflow_json2video.operators._batch.deferral._LOOKUP_SLACK_S", 0.0)
    monkeypatch.setattr("airflow_json2video.triggers.batch._MAX_RESUME_DELAY_S", 0.3)
    monkeypatch.setattr("airflow_json2video.triggers.availability._FIRST_DELAY", 0.1)


@pytest.fixture
def batch(connection, tmp_path):
    def make(**arguments):
        arguments = {
            "task_id": "batch",
            "movie": MOVIE,
            "items": ROWS,
            "item_key": "sku",
            "poll_interval": 0.3,
            "report_path": str(tmp_path / "report.jsonl"),
            **arguments,
        }
        given = {name: value for name, value in arguments.items() if value is not None or name == "max_failures"}
        return Json2VideoBatchRenderOperator(**given)

    return make


class BatchAttempt(Attempt):
    """Runs the steps of one attempt as Airflow does: each resumes with a new operator."""

    def __init__(self, make, **options):
        super().__init__(make(), **options)
        self.make = make
        self.steps = 0

    def run(self):
        self.render_templates()
        outcome = self.start()
        while outcome is self.deferred:
            self.fire()
            outcome = self.next_step()
        return outcome

    def next_step(self):
        self.steps += 1
        before = self.deferred
        self.operator = self.make()
        server_context = self.context["ti"]._ti_context_from_server
        server_context.next_method, server_context.xcom_keys_to_clear = before.method_name, []
        self.render_templates()
        return self.resume()


def lines(tmp_path):
    return [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]


@pytest.fixture
def lines_logged(caplog, capsys):
    """Return the lines of the task's log from level info; Airflow 3 prints them."""
    caplog.set_level(logging.INFO)

    def lines_logged():
        printed = [line for line in capsys.readouterr().out.splitlines() if "[debug" not in line]
        logged = [f"{record.name} {record.getMessage()}" for record in caplog.records]
        return [line for line in printed + logged if "Json2VideoBatchRenderOperator" in line]

    return lines_logged


def test_each_row_is_one_render_and_one_line_of_the_report(batch, service, tmp_path):
    result = BatchAttempt(batch).run()
    assert (result["items"], result["done"], result["credits"]) == (7, 7, 7)
    assert service.posts == 7
    report = lines(tmp_path)
    assert [line["key"] for line in report] == [row["sku"] for row in ROWS]
    assert {line["status"] for line in report} == {"done"}
    assert len({line["url"] for line in report}) == 7


def test_the_event_of_an_asset_has_the_summary_and_an_alias_gets_an_event_for_each_video(batch, service, tmp_path):
    videos, each = Asset("json2video://marketing/catalog"), AssetAlias("catalog")
    events = outlet_event_accessors()
    output = str(tmp_path / "{item}.mp4")
    make = partial(batch, outlets=[videos, each], output_path=output)
    result = BatchAttempt(make, names={"outlet_events": events}).run()
    extra = events[videos].extra
    assert extra == {name: result[name] for name in ("items", "done", "failed", "seconds", "credits", "report_path")}
    facts = [extra for _, extra in alias_events(events[each])]
    assert [one["stored_path"] for one in facts] == [str(tmp_path / f"{row['sku']}.mp4") for row in ROWS]
    assert {one["project"] for one in facts} == {line["project"] for line in lines(tmp_path)}
    assert len({one["movie_hash"] for one in facts}) == 7
    assert {one["credits"] for one in facts} == {1}


def test_the_log_shows_the_progress_without_a_line_for_each_video(batch, service, tmp_path, lines_logged):
    rows = [{"city": "x", "sku": f"sku-{n}"} for n in range(30)]
    BatchAttempt(partial(batch, items=rows, output_path=str(tmp_path / "{item}.mp4"))).run()
    shown = lines_logged()
    assert len(shown) < 10
    assert any("30 of 30 done" in line for line in shown)
    assert not any("sku-7" in line for line in shown)


def test_the_log_shows_the_first_five_failures_and_counts_the_others(batch, service, tmp_path, lines_logged):
    rows = [{"city": "x", "sku": f"sku-{n}"} for n in range(30)]
    service.add_fault("render", status="error", message="Failed to download x", times=12)
    BatchAttempt(partial(batch, items=rows, max_failures=None)).run()
    shown = lines_logged()
    assert sum("Failed to download x" in line for line in shown) == 5
    assert sum("and 7 more problems of single items" in line for line in shown) == 1
    assert sum(line["status"] == "failed" for line in lines(tmp_path)) == 12


def test_rows_without_a_movie_are_whole_movies(batch, service):
    movies = [{"id": f"m{n}", "width": 128, "height": 72, "scenes": [{"duration": n}]} for n in (1, 2, 3)]
    result = BatchAttempt(lambda: batch(movie=None, items=movies, item_key="id")).run()
    assert (result["done"], result["seconds"]) == (3, 6.0)
    assert [movie["scenes"] for movie in service.submitted] == [movie["scenes"] for movie in movies]


def test_a_row_is_the_variables_of_a_stored_template(batch, service):
    service.add_template({"variables": {"city": ""}, "scenes": [{"duration": 1}]}, id="t" * 20)
    BatchAttempt(lambda: batch(movie=None, template="t" * 20)).run()
    assert [document["variables"] for document in service.submitted] == ROWS


@pytest.mark.parametrize(
    "items",
    [lambda: iter(ROWS), lambda: (row for row in ROWS), lambda: tuple(ROWS)],
    ids=["iterator", "generator", "tuple"],
)
def test_items_may_be_a_function_which_is_called_again_for_each_step(batch, service, items):
    assert BatchAttempt(lambda: batch(items=items, max_in_flight=3)).run()["done"] == 7


def test_an_iterable_of_rows_has_the_same_text_whenever_the_dag_file_is_parsed(batch):
    made = [batch(items=(row for row in ROWS)) for _ in range(2)]
    assert str(made[0].items) == str(made[1].items)
    assert "0x" not in str(made[0].items)
    assert copy.deepcopy(made[0].items) is made[0].items


def test_the_rows_may_be_the_result_of_another_task(batch, service):
    class Result:
        def resolve(self, context):
            assert "ti" in context
            return ROWS[:2]

    assert BatchAttempt(lambda: batch(items=Result())).run()["items"] == service.posts == 2


@pytest.mark.parametrize("ending", ["csv", "jsonl", "items"])
def test_a_batch_without_rows_is_skipped(batch, service, tmp_path, ending):
    (tmp_path / "rows.csv").write_text("sku,city\n")
    (tmp_path / "rows.jsonl").write_text("")
    rows = {"items": []} if ending == "items" else {"items": None, "source": str(tmp_path / f"rows.{ending}")}
    with pytest.raises(AirflowSkipException, match=r"has no rows\. Nothing was submitted\."):
        BatchAttempt(lambda: batch(**rows)).run()
    assert service.requests == []


def test_an_unpaired_surrogate_in_a_message_of_the_service_fails_neither_the_batch_nor_its_report(
    batch, service, tmp_path
):
    refused = '{"success": false, "message": "No \\ud83d"}'
    service.add_fault("answer", method="POST", path="/v2/movies", status=400, nth=1, body=refused)
    ended = '{"success": true, "movie": {"project": "%s", "status": "error", "message": "Failed to download \\ud83d"}}'
    make = partial(batch, items=ROWS[:2], max_failures=None)
    attempt = BatchAttempt(make)
    attempt.render_templates().start()
    [render] = service.renders()
    service.add_fault("answer", method="GET", path="/v2/movies", body=ended % render["project"], times=None)
    result = attempt.fire().next_step()
    assert (result["done"], result["failed"]) == (0, 2)
    first, second = (line["error"]["message"] for line in lines(tmp_path))
    assert "No \ufffd" in first
    assert "Failed to download \ufffd" in second


def test_a_function_that_does_not_return_rows_is_refused(batch, service):
    with pytest.raises(AirflowFailException, match="must be a list of rows, got int"):
        BatchAttempt(lambda: batch(items=lambda: 7)).run()


def test_no_more_than_max_in_flight_renders_are_in_flight(batch, service, monkeypatch):
    most = []
    submit = BatchSubmitter.submit

    def counting_submit(self, *, until):
        submit(self, until=until)
        most.append(sum(r["status"] in ("pending", "running") for r in service.renders()))

    monkeypatch.setattr(BatchSubmitter, "submit", counting_submit)
    service.settings.update({"render_seconds": 0.3})
    attempt = BatchAttempt(lambda: batch(max_in_flight=2))
    assert attempt.run()["done"] == 7
    assert max(most) == 2
    assert attempt.steps >= 4


def test_a_used_up_submission_rate_is_waited_for_in_the_triggerer(batch, service):
    attempt = BatchAttempt(lambda: batch(submissions_per_minute=3))
    attempt.render_templates().start()
    assert service.posts == 3
    trigger = attempt.trigger()
    assert trigger.more_to_submit
    assert 50 < trigger.resume_at - time.time() <= 61


def test_the_next_attempt_reattaches_to_the_renders_of_a_killed_worker(batch, service):
    first = BatchAttempt(batch)
    with killed(after_posts=4):
        first.run()
    assert service.posts == 4
    result = BatchAttempt(batch, try_number=2, before=first).run()
    assert result["done"] == 7
    assert service.posts == 7
    assert one_project_each(service)


def test_a_worker_killed_in_a_later_step_pays_for_no_row_twice(batch, service):
    def make():
        return batch(max_in_flight=2)

    first = BatchAttempt(make)
    with killed(after_posts=5):
        first.run()
    assert BatchAttempt(make, try_number=2, before=first).run()["done"] == 7
    assert service.posts == 7
    assert one_project_each(service)


def test_a_step_that_airflow_runs_again_with_the_same_state_reads_the_list_first(batch, service):
    service.settings.update({"render_seconds": 0.2})
    attempt = BatchAttempt(lambda: batch(max_in_flight=2))
    attempt.render_templates().start()
    attempt.fire()
    with killed(after_posts=1):
        attempt.next_step()
    outcome = attempt.next_step()
    while outcome is attempt.deferred:
        outcome = attempt.fire().next_step()
    assert outcome["done"] == 7
    assert service.posts == 7
    assert one_project_each(service)


def test_missing_batch_state_is_rebuilt_from_the_list(batch, service):
    attempt = BatchAttempt(lambda: batch(max_in_flight=3))
    attempt.render_templates().start()
    attempt.fire()
    attempt.xcoms.clear()
    outcome = attempt.next_step()
    while outcome is attempt.deferred:
        outcome = attempt.fire().next_step()
    assert outcome["done"] == 7
    assert service.posts == 7


def test_a_retry_renders_only_what_is_missing(batch, service):
    service.add_fault("render", status="error", message="Failed to download x", times=2)
    rules = {"max_failures": 0.1}
    first = BatchAttempt(lambda: batch(**rules), max_tries=1)
    with pytest.raises(
        BatchFailed, match=r"2 of 7 items failed, max_failures allows 0.*attempt 1 of 2\. Airflow will retry"
    ):
        first.run()
    assert service.posts == 7
    assert BatchAttempt(lambda: batch(**rules), try_number=2, max_tries=1, before=first).run()["done"] == 7
    assert service.posts == 9


def test_with_max_failures_0_the_first_failure_stops_submissions_and_renders_in_flight_are_waited_for(
    batch, service, tmp_path
):
    service.add_fault("render", status="error", message="Failed to download x", times=1)
    service.settings.update({"render_seconds": 0.3})
    with pytest.raises(BatchFailed, match="renders only what is missing"):
        BatchAttempt(lambda: batch(max_in_flight=2)).run()
    assert 2 <= service.posts < 7
    report = lines(tmp_path)
    assert {line["status"] for line in report} == {"done", "failed", "pending"}
    assert "Failed to download x" in next(line["error"]["message"] for line in report if line["status"] == "failed")


@pytest.mark.parametrize(
    ("bound", "fails"), [(None, False), (2, False), (0.3, False), (1, True), (0.1, True), (0, True)]
)
def test_a_batch_fails_if_more_than_max_failures_items_failed(batch, service, bound, fails):
    service.add_fault("render", status="error", message="Failed to download x", times=2)
    attempt = BatchAttempt(lambda: batch(max_failures=bound))
    if fails:
        with pytest.raises(BatchFailed):
            attempt.run()
    else:
        result = attempt.run()
        assert (result["done"], result["failed"], len(result["failures"])) == (5, 2, 2)
    assert service.posts == 7


def test_lost_responses_are_resolved_together_by_one_reading_of_the_list(batch, service):
    service.add_fault("lost", method="POST", path="/v2/movies", nth=[2, 4, 6], times=None)
    assert BatchAttempt(batch).run()["done"] == 7
    assert service.posts == 7
    assert one_project_each(service)
    assert sum(r.method == "GET" and "project" not in r.query for r in service.requests) <= 2


def test_an_item_whose_response_was_lost_is_submitted_again_once_its_absence_is_confirmed(batch, service):
    service.add_fault("answer", method="POST", path="/v2/movies", status=500, nth=3)
    attempt = BatchAttempt(batch)
    assert attempt.run()["done"] == 7
    assert sent(service) == 8
    assert attempt.steps >= 2  # its absence was confirmed without a worker slot


def test_with_on_lost_response_fail_the_item_is_unresolved_and_the_task_is_not_retried(batch, service, tmp_path):
    service.add_fault("answer", method="POST", path="/v2/movies", status=500, nth=3)
    with pytest.raises(AirflowFailException, match="1 of 7 items failed"):
        BatchAttempt(lambda: batch(max_failures=0.1, on_lost_response="fail")).run()
    assert sent(service) == 7
    unsure = [line for line in lines(tmp_path) if line["status"] == "unresolved"]
    assert [line["key"] for line in unsure] == ["sku-3"]
    assert "Then clear the task" in unsure[0]["error"]["advice"]


@pytest.mark.parametrize("words", ["Error creating movie: x", "Error starting subprocess"])
def test_an_item_that_the_service_could_not_start_is_submitted_again_without_delaying_others(batch, service, words):
    body = {"success": False, "message": words}
    service.add_fault("answer", method="POST", path="/v2/movies", status=500, nth=(1, 2), times=None, body=body)
    attempt = BatchAttempt(lambda: batch(max_in_flight=1))
    attempt.render_templates().start()
    assert [document["variables"]["sku"] for document in service.submitted] == ["sku-3"]
    outcome = attempt.deferred
    while outcome is attempt.deferred:
        outcome = attempt.fire().next_step()
    assert outcome["done"] == service.posts == 7
    assert sent(service) == 9
    assert one_project_each(service)


def test_an_item_that_the_service_never_starts_fails_after_the_render_timeout_and_may_be_retried(batch, service):
    body = {"success": False, "message": "Error creating movie: x"}
    service.add_fault(
        "answer", method="POST", path="/v2/movies", status=500, nth=tuple(range(2, 99)), times=None, body=body
    )
    with pytest.raises(BatchFailed, match="Error creating movie"):
        BatchAttempt(lambda: batch(items=ROWS[:2], render_timeout=2)).run()
    assert service.posts == 1


def test_a_list_that_shows_a_new_project_late_causes_no_second_submission(batch, service, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=service.url, confirmation_time=2.0))
    service.settings.update({"list_delay": 0.8})
    service.add_fault("lost", method="POST", path="/v2/movies", nth=2)
    assert BatchAttempt(batch).run()["done"] == 7
    assert service.posts == 7


def test_after_a_429_the_batch_backs_off_and_submits_the_item_again(batch, service):
    service.add_fault("answer", method="POST", path="/v2/movies", status=429, nth=3)
    assert BatchAttempt(batch).run()["done"] == 7
    assert one_project_each(service)


def test_after_three_failed_submissions_in_a_row_the_batch_backs_off(batch, service):
    service.add_fault("answer", method="POST", path="/v2/movies", status=503, times=None)
    BatchAttempt(batch).render_templates().start()
    assert sent(service) == 3


def test_an_account_without_credits_stops_the_batch_and_a_retry_reuses_its_renders(batch, service, tmp_path):
    service.add_fault("answer", method="POST", path="/v2/movies", canned="no-credits", nth=[4, 5, 6, 7], times=None)
    first = BatchAttempt(batch)
    with pytest.raises(AirflowFailException, match=r"Insufficient credits.*stopped there: 3 of 7 done") as caught:
        first.run()
    assert isinstance(find_error(caught.value), QuotaExhausted)
    assert sent(service) == 4
    assert [line["status"] for line in lines(tmp_path)] == ["done"] * 3 + ["pending"] * 4
    service.clear_faults()
    assert BatchAttempt(batch, try_number=2, max_tries=3, before=first).run()["done"] == 7
    assert len(service.renders()) == 7


def test_a_refused_key_stops_the_batch(batch, service):
    service.settings.update({"api_keys": ("another",)})
    with pytest.raises(AirflowFailException, match=r"(?i)api key"):
        BatchAttempt(batch).run()
    assert service.renders() == []


@pytest.fixture
def refusals_pass_quickly(monkeypatch):
    monkeypatch.setattr("airflow_json2video.core.refusal.CONFIRM_REFUSAL_AFTER", (0.1, 1.0))


REFUSED = {"status": 401, "body": {"success": False, "message": "Invalid API Key"}}


@pytest.mark.usefixtures("refusals_pass_quickly")
def test_one_refused_submission_does_not_stop_a_batch_that_has_paid(batch, service):
    service.add_fault("answer", method="POST", path="/v2/movies", nth=3, **REFUSED)
    assert BatchAttempt(batch).run()["done"] == service.posts == 7


@pytest.mark.usefixtures("refusals_pass_quickly")
def test_one_refused_list_does_not_fail_a_retry(batch, service):
    first = BatchAttempt(batch)
    first.render_templates().start()
    service.add_fault("answer", method="GET", path="/v2/movies", **REFUSED)
    assert BatchAttempt(batch, try_number=2, before=first).run()["done"] == service.posts == 7


@pytest.mark.usefixtures("refusals_pass_quickly")
def test_a_lasting_refusal_ends_the_attempt_and_a_retry_continues_it(batch, service, tmp_path):
    service.add_fault("answer", method="POST", path="/v2/movies", nth=tuple(range(3, 99)), times=None, **REFUSED)
    first = BatchAttempt(batch)
    with pytest.raises(AuthenticationFailed, match=r"2 of 7 done.*Airflow will retry"):
        first.run()
    assert service.posts == 2
    service.clear_faults()
    assert BatchAttempt(batch, try_number=2, before=first).run()["done"] == service.posts == 7


def test_a_key_that_is_refused_briefly_while_renders_are_in_flight_fails_no_item(batch, service):
    service.settings.update({"render_seconds": 1})
    attempt = BatchAttempt(batch)
    attempt.render_templates().start()
    service.add_fault("answer", method="GET", status=401, times=3)
    attempt.fire()
    assert attempt.next_step()["done"] == 7
    assert service.posts == 7


def test_a_key_that_is_refused_until_the_deadline_fails_the_batch_and_a_clear_reuses_its_renders(batch, service):
    service.settings.update({"render_seconds": 1})
    first = BatchAttempt(partial(batch, render_timeout=3))
    first.render_templates().start()
    service.settings.update({"api_keys": ("another",)})
    first.fire()
    with pytest.raises(BatchFailed, match=r"(?i)api key") as caught:
        first.next_step()
    assert caught.value.retryable
    service.settings.update({"api_keys": ()})
    assert BatchAttempt(batch, try_number=2, max_tries=3, before=first).run()["done"] == 7
    assert service.posts == 7


def test_a_clear_after_success_pays_again_only_with_on_clear_resubmit(batch, service):
    first = BatchAttempt(batch)
    first.run()
    assert BatchAttempt(batch, try_number=2, max_tries=3, before=first).run()["done"] == 7
    assert service.posts == 7
    ordered = BatchAttempt(lambda: batch(on_clear="resubmit"), run_id="another")
    ordered.run()
    again = BatchAttempt(
        lambda: batch(on_clear="resubmit"), run_id="another", try_number=2, max_tries=3, before=ordered
    )
    assert again.run()["done"] == 7
    assert service.posts == 21


def test_a_retry_reuses_paid_renders_before_it_checks_max_credits(batch, service, tmp_path):
    first = BatchAttempt(lambda: batch(max_in_flight=4))
    first.render_templates().start()
    assert service.posts == 4
    second = BatchAttempt(lambda: batch(max_credits=1), try_number=2, before=first)
    with pytest.raises(AirflowFailException, match=r"max_credits is 1.*stopped there: 4 of 7 done.*Nothing more was"):
        second.run()
    assert service.posts == 4
    assert [line["status"] for line in lines(tmp_path)] == ["done"] * 4 + ["pending"] * 3


def test_a_retry_with_nothing_left_to_submit_does_not_check_max_credits(batch, service):
    first = BatchAttempt(batch)
    first.render_templates().start()
    assert service.posts == 7
    assert BatchAttempt(lambda: batch(max_credits=1), try_number=2, before=first).run()["done"] == 7


def test_a_retry_reuses_paid_renders_even_if_the_template_was_deleted(batch, service):
    movie = {"variables": {"city": ""}, "scenes": [{"duration": 1}]}
    service.add_template(movie, id="t" * 20)

    def make():
        return batch(movie=None, template="t" * 20, items=[{"sku": "a", "city": "x"}, {"sku": "b", "city": "y"}])

    first = BatchAttempt(make)
    first.render_templates().start()
    assert service.posts == 2
    service.add_fault("answer", method="GET", path="/v2/templates*", status=404, times=None)
    assert BatchAttempt(make, try_number=2, before=first).run()["done"] == 2
    assert service.posts == 2


def test_a_clear_renders_the_rows_that_have_changed(batch, service):
    first = BatchAttempt(batch)
    first.run()
    rows = [dict(row) for row in ROWS]
    rows[2]["city"] = "Another"
    assert BatchAttempt(lambda: batch(items=rows), try_number=2, max_tries=3, before=first).run()["done"] == 7
    assert service.posts == 8


def test_rows_that_change_while_the_batch_runs_fail_the_task(batch, service):
    rows = [dict(row) for row in ROWS]
    attempt = BatchAttempt(lambda: batch(items=rows))
    attempt.render_templates().start()
    rows.append({"city": "More", "sku": "more"})
    with pytest.raises(AirflowFailException, match="changed while the batch was running"):
        attempt.fire().next_step()
    assert service.posts == 7


def test_an_outage_before_the_first_submission_is_waited_out_in_the_triggerer(batch, service, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=service.url, retries=0))
    first = BatchAttempt(batch)
    first.render_templates().start()
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=None)
    second = BatchAttempt(batch, try_number=2, before=first)
    second.render_templates().start()
    assert second.deferred.method_name == "resume_submission"
    service.clear_faults()
    outcome = second.deferred
    while outcome is second.deferred:
        outcome = second.fire().next_step()
    assert outcome["done"] == 7
    assert service.posts == 7


def test_an_outage_while_the_template_is_read_is_waited_out_in_the_triggerer(batch, service, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=service.url, retries=0))
    service.add_template({"variables": {"city": ""}, "scenes": [{"duration": 1}]}, id="t" * 20)
    service.add_fault("answer", method="GET", path="/v2/templates", status=503)
    attempt = BatchAttempt(lambda: batch(movie=None, template="t" * 20))
    attempt.render_templates().start()
    assert attempt.deferred.method_name == "resume_submission"
    outcome = attempt.deferred
    while outcome is attempt.deferred:
        outcome = attempt.fire().next_step()
    assert outcome["done"] == service.posts == 7


def test_the_first_report_of_a_retry_lists_items_as_unknown(batch, service, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=service.url, retries=0))
    first = BatchAttempt(batch)
    first.render_templates().start()
    service.add_fault("answer", method="GET", path="/v2/movies", status=503, times=None)
    BatchAttempt(batch, try_number=2, before=first).render_templates().start()
    assert {line["status"] for line in lines(tmp_path)} == {"unknown"}


def test_an_attempt_that_resumes_after_its_successor_started_submits_nothing_more(batch, service, monkeypatch):
    monkeypatch.setattr("airflow_json2video.version_compat.attempt_is_current", lambda ti: service.posts < 3)
    monkeypatch.setattr("airflow_json2video.batch.submitter._CURRENT_FOR_S", 0.0)
    monkeypatch.setattr("airflow_json2video.version_compat.os._exit", lambda code: None)
    monkeypatch.setattr("airflow_json2video.version_compat.logging.shutdown", lambda: None)
    with pytest.raises(AirflowFailException, match="no longer the running one"):
        BatchAttempt(batch).run()
    assert service.posts == 3


def test_a_refused_item_is_one_failure_and_the_others_are_rendered(batch, service):
    service.add_fault("answer", method="POST", path="/v2/movies", status=400, body={"message": "bad"}, nth=2)
    result = BatchAttempt(lambda: batch(max_failures=None)).run()
    assert (result["done"], result["failed"]) == (6, 1)
    assert result["failures"][0]["key"] == "sku-2"


def test_no_secret_is_in_what_airflow_stores_of_a_batch(batch, service):
    attempt = BatchAttempt(lambda: batch(max_in_flight=2))
    attempt.run()
    assert "a-key-of-the-tests" not in json.dumps([attempt.deferred.trigger.serialize(), attempt.event, attempt.xcoms])


@contextmanager
def killed(*, after_posts):
    """End the process right after the response to a submission, before it is recorded."""
    post = BatchSubmitter._post
    count = 0

    def post_or_die(self, index):
        nonlocal count
        project = post(self, index)
        count += 1
        if count == after_posts:
            raise SystemExit("killed")
        return project

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BatchSubmitter, "_post", post_or_die)
        try:
            yield
        except SystemExit:
            return
    pytest.fail("nothing was killed")


def sent(service):
    """Return the number of submissions that arrived, accepted or not."""
    return sum(request.method == "POST" for request in service.requests)


def one_project_each(service):
    cities = [document["variables"]["city"] for document in service.submitted]
    return sorted(cities) == sorted(row["city"] for row in ROWS)


def test_each_video_is_stored_by_its_key_and_the_report_has_its_path(batch, service, tmp_path):
    BatchAttempt(lambda: batch(output_path=str(tmp_path / "videos" / "{row}-{item}.mp4"))).run()
    for number, line in enumerate(lines(tmp_path), 1):
        assert line["stored_path"] == str(tmp_path / "videos" / f"{number}-sku-{number}.mp4")
        assert (tmp_path / "videos" / f"{number}-sku-{number}.mp4").stat().st_size == line["size"]


def test_a_retry_stores_only_missing_files(batch, service, tmp_path):
    def make():
        return batch(output_path=str(tmp_path / "videos" / "{item}.mp4"))

    first = BatchAttempt(make)
    first.run()
    (tmp_path / "videos" / "sku-3.mp4").unlink()
    ages = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "videos").iterdir()}
    BatchAttempt(make, try_number=2, before=first).run()
    assert service.posts == 7
    assert len(list((tmp_path / "videos").iterdir())) == 7
    assert all((tmp_path / "videos" / name).stat().st_mtime_ns == age for name, age in ages.items())


def test_with_delete_remote_a_retry_finds_the_stored_files(batch, service, tmp_path):
    def make():
        return batch(output_path=str(tmp_path / "videos" / "{project}.mp4"), delete_remote=True)

    first = BatchAttempt(make)
    first.run()
    assert BatchAttempt(make, try_number=2, before=first).run()["done"] == 7
    assert service.posts == 7


def test_a_video_that_cannot_be_stored_is_a_failed_item_and_a_retry_stores_it_without_paying(batch, service, tmp_path):
    def make():
        return batch(output_path=str(tmp_path / "videos" / "{item}.mp4"), max_failures=0.1)

    service.add_fault("file", status="truncated", nth=2)
    first = BatchAttempt(make, max_tries=1)
    with pytest.raises(BatchFailed, match="1 of 7 items failed"):
        first.run()
    assert BatchAttempt(make, try_number=2, max_tries=1, before=first).run()["done"] == 7
    assert service.posts == 7
    assert len(list((tmp_path / "videos").glob("*.mp4"))) == 7


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"output_path": "/tmp/x.mp4"}, "is the same file for all items"),
        ({"output_path": "/tmp/{key}.mp4"}, r"Unknown placeholder \{key\}"),
        (
            {"output_path": "/tmp/{item}.mp4", "items": [{"sku": "a/b", "city": "x"}]},
            r"row 1 \(a/b\): .*part of a file",
        ),
        ({"output_path": "/dev/null/{item}.mp4"}, r"/dev/null"),
        ({"report_path": "/proc/nowhere/report.jsonl"}, r"report '/proc/nowhere/report\.jsonl' cannot be written"),
        ({"items": [*ROWS, {"sku": "x", "city": math.nan}]}, r"row 8 \(x\): 'city' is nan \(float\)"),
        (
            {"items": [*ROWS, {"sku": "x", "city": ["\ud83d"]}]},
            r"row 8 \(x\): 'city\[0\]' is text with an unpaired surrogate",
        ),
        (
            {"variables": {"day": date(2026, 11, 26)}},
            r"'variables\.day' is a value of type date; write value\.isoformat",
        ),
        ({"items": [{"n": 1}] * 10_001, "item_key": "n"}, "more than 10,000 rows"),
        ({"items": ROWS[:2] * 2}, r"row 3 \(sku-1\) has the key of row 1"),
        ({"items": [{"sku": "a"}, {"sku": "b", "city": "x"}]}, r"row 1 \(a\) has no 'city'"),
        ({"items": "text"}, "must be a list of rows"),
        ({"items": None, "source": "/nowhere/rows.csv"}, r"'/nowhere/rows\.csv' cannot be read"),
        ({"max_credits": 6}, r"would cost about 7 credits, and max_credits is 6"),
        ({"movie": None, "template": "t" * 20}, r"(?i)template"),
        ({"movie": {"scenes": [{"elements": [{"type": "image"}]}]}}, r"7 of 7 documents are certainly wrong"),
    ],
)
def test_a_mistake_in_the_last_row_or_in_an_argument_costs_nothing(batch, service, arguments, words):
    attempt = BatchAttempt(lambda: batch(**{"report_path": None, **arguments}))
    with pytest.raises(AirflowFailException, match=words) as caught:
        attempt.run()
    assert "Nothing was submitted" in str(caught.value)
    assert service.posts == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"source": "a.csv"}, "both"),
        ({"items": None}, "neither"),
        ({"template": "t" * 20}, "both"),
        ({"max_in_flight": 0}, "max_in_flight"),
        ({"max_in_flight": 1001}, "max_in_flight"),
        ({"submissions_per_minute": 0}, "submissions_per_minute"),
        ({"max_failures": -1}, "max_failures"),
        ({"max_failures": "all"}, "max_failures"),
        ({"render_timeout": 0}, "render_timeout"),
        ({"on_clear": "x"}, "on_clear"),
    ],
)
def test_wrong_arguments_are_refused_when_the_dag_is_parsed(batch, arguments, words):
    with pytest.raises(ConfigurationError, match=words):
        batch(**arguments)


def test_mapped_batches_do_not_share_renders(batch, service):
    for index in (0, 1):
        assert BatchAttempt(batch, map_index=index).run()["done"] == 7
    assert service.posts == 14


def test_airflows_expressions_in_the_movie_are_templated_and_those_of_the_rows_are_not(batch, service):
    movie = {**MOVIE, "comment": "{{ run_id }}"}
    attempt = BatchAttempt(lambda: batch(movie=movie), names={"run_id": "manual__1"})
    attempt.run()
    assert {document["comment"] for document in service.submitted} == {"manual__1"}
    assert service.submitted[0]["scenes"][0]["elements"][0]["text"] == "{{ city }}"


def test_the_backoff_after_a_failure_holds_even_if_renders_resume_the_worker_earlier(batch, service, monkeypatch):
    monkeypatch.setattr("airflow_json2video.operators._batch.deferral._HOLD_S", 60.0)
    service.add_fault("answer", method="POST", path="/v2/movies", status=429, nth=3)
    attempt = BatchAttempt(batch)
    attempt.render_templates().start()
    assert sent(service) == 3
    attempt.deferred.trigger.resume_at = time.time()
    attempt.fire().next_step()
    assert sent(service) == 3


@pytest.mark.parametrize(("on_lost_response", "done"), [("resubmit", 7), ("fail", 2)])
def test_after_three_lost_responses_one_item_at_a_time_probes_the_service(batch, service, on_lost_response, done):
    service.add_fault("answer", method="POST", path="/v2/movies", status=503, times=None)
    attempt = BatchAttempt(lambda: batch(max_failures=None, on_lost_response=on_lost_response))
    attempt.render_templates().start()
    seen = [sent(service)]
    while sent(service) < 5:
        attempt.fire().next_step()
        seen.append(sent(service))
    assert sorted(set(seen)) == [3, 4, 5]
    service.clear_faults()
    outcome = attempt.deferred
    while outcome is attempt.deferred:
        outcome = attempt.fire().next_step()
    assert (outcome["done"], outcome["unresolved"]) == (done, 7 - done)
    assert service.posts == done


def test_a_service_that_is_unreachable_for_the_render_timeout_fails_the_batch_with_nothing_submitted(
    batch, monkeypatch
):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    host = f"http://127.0.0.1:{free}"
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=host, retries=0))
    with pytest.raises(ServiceUnreachable):
        BatchAttempt(lambda: batch(render_timeout=1)).run()


def test_a_batch_submits_once_the_service_is_reachable_again(batch, monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    host = f"http://127.0.0.1:{free}"
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=host, retries=0))
    attempt = BatchAttempt(batch)
    attempt.render_templates().start()
    assert attempt.deferred.method_name == "resume_submission"
    with LocalService(mode="instant", port=free, home=tmp_path / "late") as late:
        outcome = attempt.deferred
        while outcome is attempt.deferred:
            outcome = attempt.fire().next_step()
        assert outcome["done"] == late.posts == 7


def test_an_execution_timeout_fails_the_batch_and_the_next_attempt_continues_it(batch, service):
    service.settings.update({"render_seconds": 2})

    def make():
        return batch(max_in_flight=2, execution_timeout=timedelta(seconds=1))

    first = BatchAttempt(make)
    first.context["ti"].start_date = datetime.now(timezone.utc)
    with pytest.raises(BatchFailed, match=r"execution_timeout has passed.*stopped there"):
        first.run()
    assert service.posts == 2
    service.settings.update({"render_seconds": 0})
    second = BatchAttempt(lambda: batch(max_in_flight=2), try_number=2, before=first)
    assert second.run()["done"] == 7
    assert service.posts == 7


def test_a_failed_row_that_a_killed_step_submitted_again_is_not_submitted_a_third_time(batch, service, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=service.url, confirmation_time=1.5))
    service.add_fault("render", status="error", message="Failed to download x", nth=1)
    rules = {"max_failures": 0.1}
    first = BatchAttempt(lambda: batch(**rules))
    with pytest.raises(BatchFailed):
        first.run()
    second = BatchAttempt(lambda: batch(**rules), try_number=2, before=first)
    service.settings.update({"list_delay": 0.3, "render_seconds": 0.5})
    with killed(after_posts=1):
        second.run()
    # Airflow runs the same attempt again as a resumed one, and the list does not show the new render yet.
    second.operator = second.make()
    second.context["ti"]._ti_context_from_server.next_method = "resume_batch"
    second.render_templates()
    outcome = second._outcome(lambda: second.operator.resume_batch(second.context))
    while outcome is second.deferred:
        time.sleep(0.2)
        outcome = second.fire().next_step()
    assert outcome["done"] == 7
    assert service.posts == 8
