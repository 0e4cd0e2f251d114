"""A template as code, and the variables for one, against the local service."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_json2video.exceptions import ServerError
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.operators.template import Json2VideoSyncTemplateOperator
from tests.unit.attempts import Attempt

MOVIE = {
    "resolution": "sd",
    "variables": {"headline": "Hello", "seconds": 2, "loud": False},
    "scenes": [{"duration": "{{ seconds }}", "elements": [{"type": "text", "text": "{{ headline }}"}]}],
}


@pytest.fixture
def hook(connection):
    return Json2VideoHook()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Poll without delays; these tests are not about the delays."""
    monkeypatch.setattr("airflow_json2video.templates._LOOKUP_DELAYS", (0.01, 0.01, 0.01))
    monkeypatch.setattr("airflow_json2video.submission.submitter.backoff", lambda failures, jitter: 0.01)


def sync(**arguments):
    arguments = {"task_id": "template", "name": "showcase", "movie": MOVIE, **arguments}
    return Attempt(Json2VideoSyncTemplateOperator(**arguments)).render_templates().start()


def calls_of(service, method="POST", path="/v2/templates"):
    return [entry for entry in service.requests if (entry.method, entry.path) == (method, path)]


def test_a_missing_template_is_created_and_its_id_is_the_result(hook):
    made = sync(tags=["shop"])
    assert hook.get_template(made).movie == MOVIE
    assert [(t.id, t.name, t.tags) for t in hook.list_templates()] == [(made, "showcase", ["shop"])]


def test_an_unchanged_template_is_not_written_again(hook, service):
    made = sync(tags=["b", "a"])
    assert sync(tags=["a", "b"], movie={**dict(reversed(MOVIE.items()))}) == made
    assert len(calls_of(service)) == 1


def test_tags_may_be_one_text_with_commas(hook, service):
    made = sync(tags="b, a")
    assert hook.get_template(made).tags == ["b", "a"]
    assert sync(tags="a,b") == made
    assert len(calls_of(service)) == 1


def test_a_template_that_is_stored_as_text_is_compared_by_its_content(hook, service):
    made = hook.create_template("showcase", json.dumps(MOVIE, indent=3))
    assert sync() == made
    assert len(calls_of(service)) == 1


@pytest.mark.parametrize("change", [{"movie": {**MOVIE, "resolution": "hd"}}, {"tags": ["new"]}], ids=["movie", "tags"])
def test_a_template_that_differs_is_updated_under_its_id(hook, change):
    made = sync(tags=["old"])
    assert sync(**change) == made
    stored = hook.get_template(made)
    assert stored.movie == change.get("movie", MOVIE)
    assert stored.tags == change.get("tags", ["old"])
    assert len(hook.list_templates()) == 1


def test_two_templates_of_one_name_are_an_error_that_names_both_and_nothing_is_changed(hook, service):
    twins = [hook.create_template("showcase", {"scenes": []}) for _ in range(2)]
    with pytest.raises(AirflowFailException, match="2 templates are named 'showcase'") as failed:
        sync()
    assert all(twin in str(failed.value) for twin in twins)
    assert [hook.get_template(twin).movie for twin in twins] == [{"scenes": []}] * 2
    assert len(calls_of(service)) == 2


def test_a_create_whose_response_is_lost_is_looked_up_by_name_and_never_repeated(hook, service):
    service.add_fault("lost", method="POST", path="/v2/templates")
    made = sync()
    assert [t.id for t in hook.list_templates()] == [made]
    assert len(calls_of(service)) == 1


def test_a_create_whose_request_is_lost_fails_without_a_second_one_and_a_retry_creates_it(hook, service):
    service.add_fault("answer", method="POST", path="/v2/templates", status=500)
    with pytest.raises(ServerError, match="does not show template 'showcase'") as failed:
        sync()
    assert failed.value.retryable
    assert len(calls_of(service)) == 1
    made = sync()
    assert [t.id for t in hook.list_templates()] == [made]


def test_an_update_whose_response_is_lost_is_sent_again_since_that_changes_nothing(hook, service):
    made = sync()
    service.add_fault("lost", method="POST", path="/v2/templates")
    assert sync(movie={**MOVIE, "fps": 30}) == made
    assert hook.get_template(made).movie["fps"] == 30


def test_every_brace_in_a_template_is_stored_as_written(hook):
    movie = {**MOVIE, "scenes": [{"duration": 2, "elements": [{"type": "text", "text": "{{ ds }} {{ undeclared }}"}]}]}
    assert hook.get_template(sync(movie=movie)).movie == movie


def test_airflows_expressions_work_in_the_name_and_the_tags(hook):
    operator = Json2VideoSyncTemplateOperator(task_id="t", name="shop-{{ ds }}", movie=MOVIE, tags=["{{ ds }}"])
    Attempt(operator, names={"ds": "2026-05-01"}).render_templates().start()
    assert [(t.name, t.tags) for t in hook.list_templates()] == [("shop-2026-05-01", ["2026-05-01"])]


def test_a_template_from_a_file_is_found_like_any_template_file(hook, tmp_path):
    from datetime import datetime

    from airflow.providers.common.compat.sdk import DAG

    (tmp_path / "showcase.json").write_text(json.dumps(MOVIE))
    with DAG("a_dag", schedule=None, start_date=datetime(2026, 1, 1), template_searchpath=str(tmp_path)):  # noqa: DTZ001
        operator = Json2VideoSyncTemplateOperator(task_id="template", name="showcase", movie="showcase.json")
    assert hook.get_template(Attempt(operator).render_templates().start()).movie == MOVIE


def test_an_invalid_movie_is_not_stored(service, connection):
    with pytest.raises(AirflowFailException, match=r"scenes\[0\].elements\[0\]"):
        sync(movie={"scenes": [{"elements": [{"type": "video"}]}]})
    assert calls_of(service) == []


def test_a_name_of_more_than_a_hundred_characters_is_refused_before_anything_is_created(service, connection):
    with pytest.raises(AirflowFailException, match="at most 100"):
        sync(name="x" * 101)
    assert calls_of(service) == []


# What is given to a stored template


def render(template, variables, **arguments):
    operator = Json2VideoRenderOperator(
        task_id="render", template=template, variables=variables, poll_interval=0.3, **arguments
    )
    return Attempt(operator)


def test_variables_that_fit_the_templates_schema_are_rendered(hook, service):
    assert render(sync(), {"headline": "Sale", "seconds": 1}).run()["duration"] == 1.0


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"headline": 7}, "variables.headline: must be a text (default: 'Hello'), got the number 7"),
        ({"seconds": "soon"}, "variables.seconds: must be a number (default: 2), got the text 'soon'"),
        ({"loud": None}, "variables.loud: must be true or false (default: False), got null"),
    ],
    ids=["number for a text", "text for a number", "null"],
)
def test_a_variable_of_the_wrong_kind_fails_the_task_by_its_name_and_nothing_is_paid_for(
    hook, service, variables, words
):
    attempt = render(sync(), variables)
    with pytest.raises(AirflowFailException) as failed:
        attempt.run()
    assert words in str(failed.value)
    assert "Nothing was submitted." in str(failed.value)
    assert service.posts == 0


def test_a_template_inside_a_movie_document_is_checked_too(hook, service):
    operator = Json2VideoRenderOperator(task_id="render", movie={"template": sync(), "variables": {"headline": []}})
    with pytest.raises(AirflowFailException, match=r"variables\.headline: must be a text .*, got an array"):
        Attempt(operator).run()
    assert service.posts == 0


def test_a_schema_that_cannot_be_read_is_a_warning_and_the_render_is_submitted(hook, service, times_logged):
    template = sync()
    service.add_fault("answer", method="GET", path="/v2/templates", status=403)
    assert render(template, {"headline": 7}).run()["url"]
    assert times_logged(f"The variables of template {template} were not checked") == 1


def test_a_name_that_the_template_does_not_declare_is_a_warning_with_the_nearest_one(hook, service, times_logged):
    assert render(sync(), {"headlin": "Sale"}).run()["url"]
    assert times_logged("variables.headlin: the template does not declare this variable; did you mean 'headline'?") == 1


def test_a_paid_render_is_reused_although_its_template_has_changed_since(hook, service):
    service.settings.update({"render_seconds": 1})
    template = sync()
    first = render(template, {"headline": "Sale"})
    first.start()  # and the worker dies here
    sync(movie={**MOVIE, "variables": {"headline": 1, "seconds": 2}})
    operator = render(template, {"headline": "Sale"}).operator
    assert Attempt(operator, try_number=2).run()["project"] == first.xcoms["json2video_project"]
    assert service.posts == 1
