from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException

from airflow_json2video.exceptions import ConfigurationError, InvalidMovie
from airflow_json2video.operators.batch import Json2VideoBatchRenderOperator
from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.transfers.object_storage_to_json2video import ObjectStorageToJson2VideoOperator
from tests.unit.attempts import Attempt


def rendered(names=None, *, folder=None, seen=(), **arguments):
    with DAG("a_dag", schedule=None, template_searchpath=[str(folder)] if folder else None) as dag:
        operator = Json2VideoRenderOperator(task_id="render", **arguments)
    names = {"ds": "2026-11-22", "params": {"shop": "Wharf"}, **(names or {})}
    context = Attempt(operator, names=names).context
    operator._do_render_template_fields(operator, operator.template_fields, context, dag.get_template_env(), set(seen))
    return operator


def scene(**element):
    return {"scenes": [{"duration": 2, "elements": [{"type": "text", **element}]}]}


def text_of(operator):
    return operator.movie["scenes"][0]["elements"][0]["text"]


def test_airflows_names_are_rendered_and_the_movies_stay():
    movie = {"variables": {"price": 5}, **scene(text="{{ ds }}: {{ price * 2 }} at {{ params.shop }}")}
    assert text_of(rendered(movie=movie)) == "2026-11-22: {{ price * 2 }} at Wharf"


def test_a_variable_may_contain_a_value_of_airflow():
    movie = {"variables": {"day": "{{ ds }}"}, **scene(text="{{ day }}")}
    operator = rendered(movie=movie)
    assert operator.movie["variables"] == {"day": "2026-11-22"}
    assert text_of(operator) == "{{ day }}"


def test_an_expression_that_nothing_fills_fails_with_its_place():
    with pytest.raises(AirflowFailException, match=r"scenes\[0\]\.elements\[0\]\.text") as caught:
        rendered(movie=scene(text="{{ heading }}"))
    assert "heading" in str(caught.value)


def test_an_expression_that_both_could_fill_fails_with_its_place():
    with pytest.raises(AirflowFailException, match=r"scenes\[0\]\.elements\[0\]\.text"):
        rendered(movie={"variables": {"ds": 1}, **scene(text="{{ ds }}")})


def test_variables_of_the_operator_are_declared_for_the_movie():
    operator = rendered(movie=scene(text="{{ city }}"), variables={"city": "{{ params.shop }}"})
    assert text_of(operator) == "{{ city }}"
    assert operator.movie["variables"] == {"city": "Wharf"}
    assert operator.variables == {"city": "Wharf"}


def test_a_templates_variables_are_rendered_and_unknown_names_left_to_the_template():
    operator = rendered(template="{{ params.shop }}", variables={"a": "{{ ds }}", "b": "{{ theirs }}"})
    assert operator.template == "Wharf"
    assert operator.variables == {"a": "2026-11-22", "b": "{{ theirs }}"}


class XCom:
    """Stands for the result of a task, as Airflow's XComArg does."""

    def __init__(self, value, task_id="make"):
        self.value, self.task_id = value, task_id

    def resolve(self, context):
        return self.value

    def iter_references(self):
        return iter([(SimpleNamespace(task_id=self.task_id), "return_value")])


def with_fields(*, names=None, folder=None, **fields):
    """An operator whose fields are what Airflow would hand it, filled."""
    with DAG("a_dag", schedule=None, template_searchpath=[str(folder)] if folder else None) as dag:
        operator = Json2VideoRenderOperator(task_id="render", movie={"scenes": []})
    for name, value in fields.items():
        object.__setattr__(operator, name, value)
    names = {"ds": "2026-11-22", "params": {"shop": "Wharf"}, **(names or {})}
    context = Attempt(operator, names=names).context
    operator._do_render_template_fields(operator, operator.template_fields, context, dag.get_template_env(), set())
    return operator


def test_a_movie_from_an_xcom_is_data_and_is_not_rendered_as_jinja():
    assert text_of(with_fields(movie=XCom(scene(text="{{ ds }}")))) == "{{ ds }}"


def test_an_xcom_inside_a_movie_is_resolved_and_not_rendered():
    assert text_of(with_fields(movie=scene(text=XCom("{{ ds }}")))) == "{{ ds }}"


def test_variables_from_an_xcom_are_data_and_the_movie_next_to_them_is_rendered():
    movie = {"comment": "{{ ds }}", **scene(text="{{ city }}")}
    operator = with_fields(movie=movie, variables=XCom({"city": "Only 5 left, {{ nobody }}! {{ ds }}"}))
    assert operator.movie["comment"] == "2026-11-22"
    assert operator.movie["variables"] == operator.variables == {"city": "Only 5 left, {{ nobody }}! {{ ds }}"}


def test_a_movies_own_variables_may_be_an_xcom_and_those_of_the_task_override_them():
    movie = {"variables": XCom({"city": "{{ ds }}", "day": "no"}), **scene(text="{{ city }}")}
    operator = with_fields(movie=movie, variables={"day": "{{ ds }}"})
    assert operator.movie["variables"] == {"day": "2026-11-22", "city": "{{ ds }}"}


def test_the_id_of_a_template_from_an_xcom_is_data():
    operator = with_fields(movie=None, template=XCom("{{ ds }}"), variables={"day": "{{ ds }}"})
    assert (operator.template, operator.variables) == ("{{ ds }}", {"day": "2026-11-22"})


def test_a_file_that_an_xcom_names_is_not_opened(tmp_path):
    (tmp_path / "movie.json").write_text(json.dumps(scene(text="{{ ds }}")))
    with pytest.raises(AirflowFailException, match=r"task 'make' returned the text 'movie\.json' as the movie"):
        with_fields(movie=XCom("movie.json"), folder=tmp_path)


@pytest.mark.parametrize("field", ["movie", "variables", "output_path", "webhook"])
def test_a_task_that_returned_nothing_is_named(field):
    with pytest.raises(AirflowFailException, match=rf"'{field}' is the result of the task 'make', which returned noth"):
        with_fields(**{field: XCom(None)})


def test_a_field_that_airflow_fills_twice_is_filled_once():
    operator = with_fields(movie=scene(text=XCom("{{ ds }}")), output_path=XCom("{{ ds }}"))
    context = Attempt(operator, names={"ds": "no"}).context
    operator._do_render_template_fields(
        operator, operator.template_fields, context, operator.dag.get_template_env(), set()
    )
    assert (text_of(operator), operator.output_path) == ("{{ ds }}", "{{ ds }}")


def test_data_that_ends_like_a_file_name_is_not_opened():
    operator = with_fields(webhook=XCom("https://a.example/{{ ds }}.json"), output_path="/v/{{ ds }}.json")
    assert (operator.webhook, operator.output_path) == ("https://a.example/{{ ds }}.json", "/v/2026-11-22.json")


def test_a_name_that_this_run_lacks_is_refused_with_what_to_use_instead():
    with DAG("a_dag", schedule=None) as dag:
        operator = Json2VideoRenderOperator(
            task_id="render", movie=scene(text="on {{ ds }}"), output_path="/v/{{ ts }}"
        )
    context = Attempt(operator).context
    with pytest.raises(
        AirflowFailException, match=r"output_path: \{\{ ts \}\}: this run has no 'ts'.*run_after\) \| ts"
    ):
        operator._do_render_template_fields(operator, operator.template_fields, context, dag.get_template_env(), set())
    operator.output_path = None
    with pytest.raises(AirflowFailException) as caught:
        operator._do_render_template_fields(operator, operator.template_fields, context, dag.get_template_env(), set())
    assert "scenes[0].elements[0].text: {{ ds }}: this run has no 'ds'" in str(caught.value)
    assert "{{ (dag_run.logical_date or dag_run.run_after) | ds }}" in str(caught.value)


def test_three_braces_are_refused_with_a_hint():
    with pytest.raises(AirflowFailException, match=r"\{\{\{ ds \}\}\}: Jinja cannot read it.*write \{\{ '\{' ~ value"):
        with_fields(movie=scene(text="{{{ ds }}}"))


def test_a_failed_lookup_is_retried_and_named():
    def broken():
        raise ConnectionError("the server is away")

    movie = scene(text="{{ params.look() }}")
    with pytest.raises(InvalidMovie, match=r"scenes\[0\].*could not be filled: ConnectionError: the server is away"):
        with_fields(movie=movie, names={"params": {"look": broken}})


def test_a_value_that_a_mapped_task_received_is_data():
    movie = scene(text="{{ ds }}")
    with DAG("a_dag", schedule=None) as dag:
        operator = Json2VideoRenderOperator(task_id="render", movie=movie)
    context = Attempt(operator, names={"ds": "no"}).context
    operator._do_render_template_fields(
        operator, operator.template_fields, context, dag.get_template_env(), {id(movie)}
    )
    assert text_of(operator) == "{{ ds }}"


def test_a_json_file_is_read_from_the_searchpath_and_rendered(tmp_path):
    (tmp_path / "movie.json").write_text(json.dumps(scene(text="{{ ds }}")))
    assert text_of(rendered(movie="movie.json", folder=tmp_path)) == "2026-11-22"


def test_a_json_file_that_airflow_has_read_already_is_rendered_the_same(tmp_path):
    assert text_of(rendered(movie=json.dumps(scene(text="{{ ds }}")))) == "2026-11-22"


def test_a_missing_movie_file_is_named_with_the_searched_folders(tmp_path):
    with pytest.raises(AirflowFailException, match=r"'no\.json' was not found") as caught:
        rendered(movie="no.json", folder=tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_movie_file_that_is_not_json_is_named_with_line_and_column(tmp_path):
    (tmp_path / "bad.json").write_text('{\n  "scenes": [}\n')
    with pytest.raises(AirflowFailException, match=r"bad\.json.*line 2"):
        rendered(movie="bad.json", folder=tmp_path)


def test_macros_of_the_dags_author_are_airflows():
    with DAG("a_dag", schedule=None, user_defined_macros={"shout": str.upper}) as dag:
        operator = Json2VideoRenderOperator(task_id="render", movie=scene(text="{{ shout('hi') }}"))
    context = Attempt(operator, names={"ds": "d"}).context
    operator._do_render_template_fields(operator, operator.template_fields, context, dag.get_template_env(), set())
    assert text_of(operator) == "HI"


def test_the_fields_renderers_and_extension_are_declared():
    assert Json2VideoRenderOperator.template_fields_renderers == {"movie": "json", "variables": "json"}
    assert Json2VideoRenderOperator.template_ext == (), "Airflow would open what data names"
    assert SimpleNamespace(fields=Json2VideoRenderOperator.template_fields).fields[0] == "movie"


def test_a_mapped_task_that_received_nothing_fails_without_a_retry():
    with pytest.raises(
        AirflowFailException, match=r"needs either 'movie' or 'template', got neither\. This task is mapped"
    ):
        Json2VideoRenderOperator(task_id="render", movie=None, _airflow_from_mapped=True)
    with pytest.raises(ConfigurationError):
        Json2VideoRenderOperator(task_id="render", movie=None)


@pytest.mark.parametrize("kind", [Json2VideoBatchRenderOperator, ObjectStorageToJson2VideoOperator])
def test_a_relative_source_is_resolved_like_a_movie_file(tmp_path, kind):
    (tmp_path / "rows.csv").write_text("city\nPorto\n")

    def filled(source):
        with DAG("a_dag", schedule=None, template_searchpath=[str(tmp_path)]) as dag:
            operator = kind(task_id="t", source=source)
        context = Attempt(operator, names={"params": {"name": "rows"}}).context
        operator._do_render_template_fields(operator, kind.template_fields, context, dag.get_template_env(), set())
        return operator.source

    whole = str(tmp_path / "rows.csv")
    assert filled("rows.csv") == filled("{{ params.name }}.csv") == filled(whole) == whole
    with pytest.raises(
        AirflowFailException, match=r"'no\.csv' of 'source' was not found\. Searched: .*" + str(tmp_path)
    ):
        filled("no.csv")


def test_the_path_of_a_report_may_end_in_json(tmp_path):
    with DAG("a_dag", schedule=None) as dag:
        operator = Json2VideoBatchRenderOperator(
            task_id="t", items=[scene(text="x")], report_path=f"{tmp_path}/{{{{ run_id }}}}/report.json"
        )
    operator.resolve_template_files()
    context = Attempt(operator, names={"run_id": "r1"}).context
    operator._do_render_template_fields(operator, operator.template_fields, context, dag.get_template_env(), set())
    assert operator.report_path == f"{tmp_path}/r1/report.json"


def test_a_batch_names_the_columns_of_its_rows():
    with DAG("a_dag", schedule=None) as dag:
        operator = Json2VideoBatchRenderOperator(
            task_id="t", items=[{"name": "A", "city": "B"}], movie=scene(text="{{ nmae }}")
        )
    context = Attempt(operator).context
    with pytest.raises(AirflowFailException, match=r"the rows have no column 'nmae'.*\(they have: 'name', 'city'\)"):
        operator._do_render_template_fields(operator, operator.template_fields, context, dag.get_template_env(), set())


class Mapped:
    """A mapped task as an unknown version of Airflow may store it."""

    def __init__(self, **partial_kwargs):
        self.partial_kwargs = partial_kwargs


def test_if_airflow_does_not_expose_the_mapping_only_text_certainly_in_the_dag_file_is_rendered():
    movie = scene(text="{{ ds }}")
    with DAG("a_dag", schedule=None) as dag:
        operator = Json2VideoRenderOperator(task_id="render", movie=movie, variables={"day": "{{ ds }}"})
    dag.task_dict["render"] = Mapped(task_id="render", movie=movie)
    context = Attempt(operator, names={"ds": "2026-11-22"}).context
    operator._do_render_template_fields(operator, operator.template_fields, context, dag.get_template_env(), set())
    assert text_of(operator) == "2026-11-22"
    assert operator.movie["variables"] == {"day": "{{ ds }}"}
