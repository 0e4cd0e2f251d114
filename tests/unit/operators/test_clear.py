"""What a manual clear means: ``max_tries`` increases, and the task's XComs say whether it had returned its result."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_json2video.operators._render import RenderAttempt
from airflow_json2video.operators.render import Json2VideoRenderOperator
from tests.unit.attempts import Attempt

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2}]}


@pytest.fixture
def render(connection, monkeypatch):
    monkeypatch.setattr("airflow_json2video.submission.submitter.backoff", lambda failures, jitter: 0.01)

    def make(**arguments):
        return Json2VideoRenderOperator(
            **{"on_clear": "resubmit", "movie": MOVIE, "poll_interval": 0.3, "task_id": "render", **arguments}
        )

    return make


def cleared(operator, *, after, retries=2):
    """The attempt that follows *after* because someone cleared the task."""
    try_number = after.context["ti"].try_number + 1
    return Attempt(operator, try_number=try_number, max_tries=try_number - 1 + retries, before=after)


def retry(operator, *, after):
    ti = after.context["ti"]
    return Attempt(operator, try_number=ti.try_number + 1, max_tries=ti.max_tries, before=after)


def projects(*results):
    return len({result["project"] for result in results})


@pytest.mark.parametrize("arguments", [{}, {"do_xcom_push": False}, {"wait_for_completion": False}], ids=str)
def test_a_clear_of_a_task_that_returned_its_result_pays_for_a_new_render(render, service, arguments):
    first = Attempt(render(**arguments))
    before = first.run()
    assert service.wait_idle()
    assert projects(before, cleared(render(**arguments), after=first).run()) == 2


def test_the_same_document_in_the_same_task_instance_is_paid_for_once(connection, service):
    def render(movie=MOVIE):
        return Json2VideoRenderOperator(task_id="render", movie=movie, poll_interval=0.3)

    first = Attempt(render())
    before = first.run()
    second = cleared(render(), after=first)
    assert projects(before, second.run()) == 1
    assert projects(before, retry(render(), after=second).run()) == 1
    assert projects(before, cleared(render({**MOVIE, "comment": "another"}), after=second).run()) == 2
    assert service.posts == 2


def test_a_task_that_reuses_leaves_no_xcom_that_only_a_new_order_needs(render, service):
    first = Attempt(render(on_clear="reuse"))
    first.run()
    second = cleared(render(on_clear="reuse"), after=first)
    second.render_templates().run()
    assert not [key for key in {**first.xcoms, **second.xcoms} if "generation" in key]


def test_a_result_that_was_returned_before_on_clear_was_changed_is_returned_once_more_and_then_replaced(
    render, service
):
    # Under "reuse" nothing notes what was returned; what a trigger pushed last may never have become the result.
    first = Attempt(render(on_clear="reuse"))
    before = first.run()
    second = cleared(render(), after=first)
    assert projects(before, second.run()) == 1
    assert projects(before, cleared(render(), after=second).run()) == 2


def test_an_author_who_changes_on_clear_while_a_render_is_running_pays_for_no_second_one(render, service):
    first = Attempt(render(on_clear="reuse"))
    first.start()
    first.fire()
    assert cleared(render(), after=first).run()["project"] == first.event["project"]
    assert service.posts == 1


def test_a_clear_while_deferred_reattaches_even_if_the_render_has_ended_before_the_next_attempt_polls(render, service):
    first = Attempt(render())
    first.start()
    first.fire()  # it has ended, and the event is lost with the clear
    assert cleared(render(), after=first).run()["project"] == first.event["project"]
    assert service.posts == 1


def test_a_second_clear_while_deferred_still_reattaches(render, service):
    service.settings.update({"render_seconds": 2})
    first = Attempt(render())
    first.start()
    second = cleared(render(), after=first)
    assert second.start() is second.deferred
    assert service.wait_idle()
    cleared(render(), after=second).run()
    assert service.posts == 1


def test_after_a_second_clear_the_render_of_the_first_clear_is_reused_and_not_the_older_one(render, service):
    first = Attempt(render())
    old = first.run()
    second = cleared(render(), after=first)
    second.start()
    second.fire()  # then it is marked failed by hand
    new = cleared(render(), after=second).run()
    assert new["project"] == second.event["project"] != old["project"]
    assert service.posts == 2


def test_a_clear_after_the_reattached_render_was_returned_pays_again(render, service):
    first = Attempt(render())
    first.start()
    second = cleared(render(), after=first)
    adopted = second.run()
    assert projects(adopted, cleared(render(), after=second).run()) == 2


@pytest.mark.parametrize("dies_at", ["before it submits", "while it waits", "after it has given its result"])
def test_a_retry_after_a_clear_knows_what_the_clear_means(render, service, monkeypatch, dies_at):
    first = Attempt(render())
    old = first.run()
    second = cleared(render(), after=first)
    if dies_at == "before it submits":
        with monkeypatch.context() as dying:
            dying.setattr(RenderAttempt, "_checked_document", lambda self: exit())
            with pytest.raises(SystemExit):
                second.start()
    elif dies_at == "while it waits":
        second.start()
    else:
        second.run()
    third = retry(render(), after=second).run()
    assert third["project"] != old["project"]
    assert service.posts == 2


def test_a_retry_does_not_pay_again_for_an_older_render_that_the_attempt_before_returned(render, service):
    first = Attempt(render())
    first.start()
    second = cleared(render(), after=first)
    second.run()  # the result is pushed, and the worker dies before it says so
    retry(render(), after=second).run()
    assert service.posts == 1


def test_lowering_retries_before_the_clear_changes_nothing(render, service):
    first = Attempt(render(), max_tries=9)
    before = first.run()
    assert projects(before, cleared(render(), after=first, retries=0).run()) == 2
    waiting = Attempt(render(), max_tries=9, run_id="another")
    waiting.start()
    waiting.fire()
    after = cleared(render(), after=waiting, retries=0)
    after.context["ti"].run_id = "another"
    assert after.run()["project"] == waiting.event["project"]


def test_if_airflow_has_no_record_of_deliveries_nothing_is_paid_for_twice(render, service):
    first = Attempt(render())
    first.run()
    second = cleared(render(), after=first)
    second.context["ti"]._ti_context_from_server = None
    second.run()
    assert service.posts == 1


def test_the_first_attempt_pushes_no_marker_before_it_returns_its_result(render, service):
    first = Attempt(render())
    first.start()
    assert set(first.xcoms) == {"json2video_project", "json2video_link"}
    first.fire().resume()
    assert "json2video_generation_2_returned_by_attempt_1" in first.xcoms


def test_an_old_result_is_not_mistaken_for_one_of_the_attempt_before(render, service):
    first = Attempt(render())
    first.run()
    second = cleared(render(), after=first)
    second.start()
    second.fire()  # and it is cleared
    second.xcoms = {**first.xcoms, **second.xcoms}  # Airflow 3.0 does not delete the XComs of a mapped task
    third = cleared(render(), after=second)
    assert third.run()["project"] == second.event["project"]
    assert service.posts == 2


def test_a_template_error_after_a_clear_does_not_change_what_the_clear_means(render, service):
    first = Attempt(render())
    first.run()
    second = cleared(render(movie={**MOVIE, "comment": "{{ nobody_knows }}"}), after=first)
    with pytest.raises(AirflowFailException):
        second.render_templates()
    third = cleared(render(), after=second)
    third.render_templates().run()
    assert service.posts == 2
