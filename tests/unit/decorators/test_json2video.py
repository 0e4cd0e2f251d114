"""``@task.json2video`` against the local service."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from datetime import datetime, timedelta
from inspect import signature
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, BaseOperator, task

from airflow_json2video.decorators.json2video import RenderOptions, json2video_task
from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.movie import Movie, Scene, TextElement
from airflow_json2video.operators.render import Json2VideoRenderOperator
from tests.unit.attempts import Attempt

ROOT = Path(__file__).parents[3]
MOVIE = {"resolution": "sd", "scenes": [{"duration": 2, "elements": [{"type": "text", "text": "Hi"}]}]}


@pytest.fixture(autouse=True)
def quick(monkeypatch, connection):
    """Poll the list without delays; these tests are not about the delays."""
    monkeypatch.setattr("airflow_json2video.submission.submitter.backoff", lambda failures, jitter: 0.01)


def operator_of(function, *args, **arguments):
    with DAG("a_dag", schedule=None, start_date=datetime(2026, 1, 1)):  # noqa: DTZ001
        return json2video_task(**{"task_id": "film", "poll_interval": 0.3, **arguments})(function)(*args).operator


def rendered(function, *args, names=None, **arguments):
    operator = operator_of(function, *args, **arguments)
    return Attempt(operator, names=names).render_templates().run()


def submitted(service):
    document = json.loads(service.backend.store.all()[-1].document)
    document.pop("client-data", None)
    return document


def test_the_decorator_is_registered_with_airflow():
    with DAG("a_dag", schedule=None, start_date=datetime(2026, 1, 1)):  # noqa: DTZ001

        @task.json2video(poll_interval=7, retries=3)
        def film():
            """Make a film."""
            return MOVIE

        operator = film().operator
    assert operator.custom_operator_name == "@task.json2video"
    assert (operator.task_id, operator.poll_interval, operator.retries) == ("film", 7, 3)
    assert operator.doc_md == "Make a film."


@pytest.mark.parametrize("deferrable", [True, False])
def test_what_a_function_returns_becomes_a_video_in_one_submission(service, deferrable):
    result = rendered(lambda: MOVIE, deferrable=deferrable)
    assert result["url"].endswith(".mp4")
    assert service.posts == 1
    assert submitted(service) == MOVIE


@pytest.mark.parametrize(
    "movie",
    [MOVIE, Movie(resolution="sd", scenes=[Scene(duration=2, elements=[TextElement(text="Hi")])]), json.dumps(MOVIE)],
    ids=["dictionary", "Movie", "text"],
)
def test_a_movie_may_be_returned_in_any_form(service, movie):
    rendered(lambda: movie)
    assert submitted(service) == MOVIE


def test_a_template_with_variables_may_be_returned_and_is_checked(service):
    movie = {**MOVIE, "variables": {"headline": "Hello"}}
    template = Json2VideoHook().create_template("showcase", movie)
    document = {"template": template, "variables": {"headline": "Sale"}}
    rendered(lambda: document)
    assert submitted(service) == document
    with pytest.raises(AirflowFailException, match=r"variables\.headline: must be a text"):
        rendered(lambda: {"template": template, "variables": {"headline": 1}}, task_id="another")
    assert service.posts == 1


def test_a_coroutine_function_is_run_too(service):
    async def film():
        return MOVIE

    assert rendered(film)["url"]


def test_arguments_are_rendered_and_the_functions_parameters_get_airflows_context(service):
    def film(text, ds=None):
        return {**MOVIE, "comment": f"{text} {ds}"}

    rendered(film, "on {{ ds }}", names={"ds": "2026-05-01"})
    assert submitted(service)["comment"] == "on 2026-05-01 2026-05-01"


def test_an_argument_that_ends_in_json_is_not_opened_as_a_file(service):
    rendered(lambda text: {**MOVIE, "comment": text}, "report.json")
    assert submitted(service)["comment"] == "report.json"


def test_a_webhook_that_ends_in_json_is_not_opened_as_a_file(service):
    rendered(lambda: MOVIE, webhook="https://example.com/{{ ds }}.json", names={"ds": "2026-05-01"})
    endpoint = submitted(service)["exports"][0]["destinations"][0]["endpoint"]
    assert endpoint == "https://example.com/2026-05-01.json"


# Whose braces


def test_what_a_function_returns_is_data_and_no_brace_in_it_is_rendered(service):
    movie = {**MOVIE, "comment": "{{ ds }}"}
    rendered(lambda: movie, names={"ds": "2026-05-01"})
    assert submitted(service) == movie


def test_the_variables_argument_is_rendered_and_overrides_those_of_the_returned_movie(service):
    movie = {**MOVIE, "variables": {"day": "none", "kept": "{{ ds }}"}}
    rendered(lambda: movie, variables={"day": "{{ ds }}"}, names={"ds": "2026-05-01"})
    assert submitted(service)["variables"] == {"day": "2026-05-01", "kept": "{{ ds }}"}


# Once


def counting(log):
    def film():
        log.append("called")
        return {**MOVIE, "comment": f"call {len(log)}"}

    return film


def test_the_function_runs_before_the_submission_and_not_again_after_the_deferral(service):
    log = []
    first = Attempt(operator_of(counting(log)))
    first.render_templates().start()
    assert log == ["called"]
    # Another process resumes the task: its operator is created again, and its fields are rendered again.
    second = Attempt(operator_of(counting(log))).render_templates()
    second.deferred = first.deferred
    assert second.fire().resume()["url"]
    assert log == ["called"]
    assert service.posts == 1


def test_after_an_outage_what_the_function_had_returned_is_submitted_and_it_does_not_run_again(service, monkeypatch):
    from tests.unit.conftest import connection_json

    log = []
    arguments = {"variables": {"day": "{{ ds }}"}, "webhook": "https://example.com/{{ ds }}"}
    names = {"ds": "2026-05-01"}
    monkeypatch.setattr("airflow_json2video.operators._render._MAX_HOLD", 0.005)
    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host="http://127.0.0.1:9/v2", retries=0))
    first = Attempt(operator_of(counting(log), **arguments), names=names).render_templates()
    first.start()
    assert first.deferred.method_name == "resume_submission"
    assert log == ["called"]

    monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", connection_json(host=service.url))
    second = Attempt(operator_of(counting(log), **arguments), names=names).render_templates()
    second.deferred = first.deferred
    assert second.fire().resume() is second.deferred, "it has submitted, and waits for the render"
    assert second.fire().resume()["url"]
    assert log == ["called"]
    assert service.posts == 1
    assert submitted(service)["comment"] == "call 1"
    assert submitted(service)["variables"] == {"day": "2026-05-01"}
    assert submitted(service)["exports"][0]["destinations"][0]["endpoint"] == "https://example.com/2026-05-01"


def test_after_a_wait_for_credits_what_the_function_had_returned_is_submitted_too(service, monkeypatch):
    monkeypatch.setattr("airflow_json2video.triggers.credits._FIRST_DELAY", 0.1)
    log, waiting = [], {"wait_for_credits": timedelta(hours=1)}
    service.settings.update({"credits": 0})
    first = Attempt(operator_of(counting(log), **waiting)).render_templates()
    first.start()
    assert first.deferred.method_name == "resume_submission"
    service.settings.update({"credits": 600})
    second = Attempt(operator_of(counting(log), **waiting)).render_templates()
    second.deferred = first.deferred
    assert second.fire().resume() is second.deferred, "it has submitted, and waits for the render"
    assert second.fire().resume()["url"]
    assert log == ["called"]
    assert submitted(service)["comment"] == "call 1"


def test_the_decorator_stores_the_video_at_output_path(tmp_path):
    result = rendered(lambda: MOVIE, output_path=f"{tmp_path}/{{{{ ds }}}}-{{project}}.mp4", names={"ds": "2026-05-01"})
    assert Path(result["stored_path"]) == tmp_path / f"2026-05-01-{result['project']}.mp4"
    assert Path(result["stored_path"]).stat().st_size == result["size"]


def test_a_retry_runs_the_function_again_and_reattaches_to_the_render_of_the_same_movie(service):
    log = []

    def film():
        log.append("called")
        return MOVIE

    first = Attempt(operator_of(film)).render_templates()
    first.start()  # and the worker dies here
    result = Attempt(operator_of(film), try_number=2).render_templates().run()
    assert result["project"] == first.xcoms["json2video_project"]
    assert log == ["called", "called"]
    assert service.posts == 1


def test_each_mapped_call_is_a_render_of_its_own(service):
    with DAG("a_dag", schedule=None, start_date=datetime(2026, 1, 1)):  # noqa: DTZ001

        @task.json2video(poll_interval=0.3)
        def film(text, color):
            return {**MOVIE, "comment": f"{text} {color}"}

        mapped = film.partial(color="red").expand(text=["a", "b"]).operator
    for index, text in enumerate(["a", "b"]):
        unmapped = mapped.unmap({"op_kwargs": {"text": text}})
        Attempt(unmapped, map_index=index).render_templates().run()
    documents = [json.loads(render.document) for render in service.backend.store.all()]
    assert sorted(document["comment"] for document in documents) == ["a red", "b red"]
    keys = {document["client-data"]["airflow_json2video"]["submission_key"] for document in documents}
    assert len(keys) == 2


# What is refused


@pytest.mark.parametrize("name", ["movie", "template"])
def test_the_movie_comes_from_the_function_and_not_from_an_argument(name):
    with pytest.raises(ConfigurationError, match=f"@task.json2video does not accept '{name}'"):
        operator_of(lambda: MOVIE, **{name: "x"})


@pytest.mark.parametrize("returned", [None, 7, [MOVIE]], ids=["nothing", "a number", "a list"])
def test_a_function_that_does_not_return_a_movie_fails_the_task_and_nothing_is_paid_for(service, returned):
    def film():
        return returned

    with pytest.raises(AirflowFailException, match=f"'film' returned {type(returned).__name__}, which is not a movie"):
        rendered(film)
    assert service.posts == 0


def test_an_invalid_movie_fails_the_task_with_its_place(service):
    with pytest.raises(AirflowFailException, match=r"scenes\[0\]\.elements\[0\]"):
        rendered(lambda: {"scenes": [{"elements": [{"type": "video"}]}]})
    assert service.posts == 0


def test_an_error_of_the_function_is_its_own(service):
    def film():
        raise KeyError("price")

    with pytest.raises(KeyError, match="price"):
        rendered(film)
    assert service.posts == 0


def test_the_result_is_one_xcom_whatever_the_function_says_it_returns():
    def film() -> dict:
        return MOVIE

    assert not operator_of(film).multiple_outputs
    assert operator_of(film, multiple_outputs=True).multiple_outputs


@pytest.mark.long
def test_the_options_of_the_decorator_are_those_of_the_operator_and_of_airflow():
    def names(operator):
        return {name for name in signature(operator.__init__).parameters if name not in ("self", "kwargs")}

    options = RenderOptions.__optional_keys__
    assert names(Json2VideoRenderOperator) - {"movie", "template"} <= options
    assert names(BaseOperator) - {"dag", "multiple_outputs", "task_concurrency"} <= options


def test_a_type_checker_knows_the_arguments_and_what_a_function_may_return(tmp_path):
    pytest.importorskip("mypy")
    pytest.importorskip("airflow.sdk")
    source = """
        from airflow_json2video.decorators.json2video import TemplateRender, json2video_task

        @json2video_task(poll_interval=5, on_clear="reuse", retries=2)
        def good(name: str) -> TemplateRender:
            return {"template": "abc123def456ghi789jk", "variables": {"headline": name}}

        @json2video_task
        def bare() -> dict[str, object]:
            return {"scenes": []}

        good("x")
        good.expand(name=["a", "b"])
        good(7)  # error: argument

        @json2video_task(on_clear="again")  # error: literal
        def wrong_choice() -> dict[str, object]:
            return {}

        @json2video_task  # error: return
        def wrong_return() -> int:
            return 1
    """
    file = tmp_path / "film.py"
    file.write_text(textwrap.dedent(source))
    command = [sys.executable, "-m", "mypy", "--config-file", "", "--follow-imports=silent", str(file)]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False).stdout
    lines = file.read_text().splitlines()
    wanted = {number for number, line in enumerate(lines, 1) if "# error" in line}
    found = {int(line.split(":")[1]) for line in output.splitlines() if ": error:" in line}
    assert found == wanted, output
