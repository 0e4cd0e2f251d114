"""Airflow's expressions are rendered, JSON2Video's are left, and ambiguous ones are errors."""

import subprocess
import sys

import jinja2
import pytest
from jinja2.nativetypes import NativeEnvironment

from airflow_json2video.exceptions import InvalidMovie
from airflow_json2video.movie import lexer as lexing
from airflow_json2video.movie.expressions import (
    JINJA_GLOBALS,
    TemplatingFailed,
    names_in,
    render_airflow_expressions,
)
from airflow_json2video.movie.lexer import SegmentKind, segments

CONTEXT = {
    "ds": "2026-01-02",
    "run_id": "manual",
    "params": {"n": 5, "rows": ["a", "b"], "braces": "{{ title }}", "variables": {"title": "T"}},
    "var": {"value": {"hook": "https://a.b"}},
    "macros": {"double": lambda text: text * 2},
    "my_macro": lambda value: f"<{value}>",
}


class Airflow:
    """Jinja as Airflow configures it; it records the templates."""

    def __init__(self, environment=None):
        self.environment = environment or jinja2.Environment(undefined=jinja2.StrictUndefined)
        self.given = []

    def render(self, template):
        self.given.append(template)
        return self.environment.from_string(template).render(CONTEXT)

    def __call__(self, document, **options):
        return render_airflow_expressions(
            document, airflow_names={*CONTEXT, *JINJA_GLOBALS}, render=self.render, **options
        )


@pytest.fixture
def airflow():
    return Airflow()


def movie(text, variables=None, **scene):
    return {"variables": variables or {}, "scenes": [{**scene, "elements": [{"type": "text", "text": text}]}]}


def text_of(document):
    return document["scenes"][0]["elements"][0]["text"]


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("title", {"title"}),
        ("room.image", {"room"}),
        (" price >= 1000000 ? 'Luxury' : \"Family\" ", {"price"}),
        ("a ? b.c : min(d, 3)", {"a", "b", "d"}),
        ("show == true and not hidden or false", {"show", "hidden"}),
        ("min(base, max(3, ceil(x / 2)))", {"base", "x"}),
        ("ds | default('x', boolean=true) | replace('-', sep)", {"ds", "sep"}),
        ("x is not none", {"x"}),
        ("x is divisibleby(y)", {"x", "y"}),
        ("macros.ds_add(ds, -1)", {"macros", "ds"}),
        ("my_macro(ds, fmt='%Y')", {"my_macro", "ds"}),
        ("a if b is defined else c['k'][d]", {"a", "b", "c", "d"}),
        ("ti.xcom_pull(task_ids='t', key=k)['a'].b", {"ti", "k"}),
        ("{'a': b, \"c\": [d]}", {"b", "d"}),
        ("'it''s'", set()),
        ("'{{ not }} a name'", set()),
        ("1.5e3 + .5", set()),
        ("a ~ b || c && d", {"a", "b", "c", "d"}),
        ("größe", {"größe"}),
        ("", set()),
    ],
)
def test_only_names_that_need_a_value_are_names(expression, names):
    assert names_in(expression) == names


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("plain", "T"),
        ("a {{ b }} c", "TET"),
        ("{{ '}}' }}", "E"),
        ("{{ {'a': {'b': 1}} }}x", "ET"),
        ("{{ never closed", "T"),
        ("{{ a {{ b }}", "TE"),
        ("}} {{ a }} {{", "TET"),
        ("{% if a %}{{ b }}{% endif %}", "SES"),
        ("{% raw %}{{ a }}{% endraw %}{{ b }}", "RE"),
        ("{# {{ a }} #}", "C"),
        ("@media{#id{color:red}} {{ a }} #}", "TET"),
        ("{{- a -}}", "E"),
        ("", ""),
    ],
)
def test_a_string_is_split_at_its_braces_without_loss(text, kinds):
    parts = segments(text)
    letters = {SegmentKind.TEXT: "T", SegmentKind.EXPRESSION: "E", SegmentKind.STATEMENT: "S",
               SegmentKind.COMMENT: "C", SegmentKind.RAW: "R"}  # fmt: skip
    assert "".join(letters[part.kind] for part in parts) == kinds
    assert "".join(part.source for part in parts) == text


@pytest.mark.parametrize(
    "piece_and_end",
    [
        *(("{{", ""), ("{{", "}}"), ("{{ a", "%}"), ("{{ ' ", "}"), ("{{ } } ", "'}}'"), ("{% } } ", "'%}'")),
        *(("{{'\\", "'}}"), ("{{\\'", ""), ("{{ ' ", "}}"), ("{{ '{{ \" ", "}}"), ("{% raw %}", ""), ("{# ", "")),
    ],
    ids=str,
)
def test_scanning_braces_takes_linear_time(monkeypatch, piece_and_end):
    piece, end = piece_and_end
    work = 0
    read, search = lexing._Scan.token, lexing._Scan._search

    def counted(scan, pattern, start):
        nonlocal work
        found = search(scan, pattern, start)
        work += (len(scan._text) if found is None else found) - start
        return found

    def token(scan, position):
        nonlocal work
        work += 1
        return read(scan, position)

    monkeypatch.setattr(lexing._Scan, "token", token)
    monkeypatch.setattr(lexing._Scan, "_search", counted)
    for times in (500, 2000):
        text, work = piece * times + end, 0
        assert "".join(part.source for part in segments(text)) == text
        assert work <= 2 * len(text)


def test_an_expression_of_airflows_names_is_rendered(airflow):
    assert text_of(airflow(movie("{{ ds }} {{ params.n + 1 }} {{ my_macro(run_id) }} {{ range(2) | list }}"))) == (
        "2026-01-02 6 <manual> [0, 1]"
    )


def test_an_expression_of_the_movies_names_is_left_without_calling_jinja(airflow):
    document = movie("{{title}}: {{ price > 3 ? 'a' : 'b' }} {{ min(price, 3) }}", {"title": "T", "price": 1})
    assert airflow(document) == document
    assert airflow.given == []


def test_one_string_may_contain_both(airflow):
    rendered = airflow(movie("{{ title }} on {{ ds }}, {{ 'it''s' }}\n", {"title": "T"}))
    assert text_of(rendered) == "{{ title }} on 2026-01-02, {{ 'it''s' }}\n"


def test_blocks_are_airflows_and_may_enclose_the_movies_expressions(airflow):
    choice = "{% if params.n > 3 %}{{ title }}{% else %}no{% endif %}"
    rows = "{% for row in params.rows %}{{ row }}{{ loop.index }}{% endfor %}"
    assert text_of(airflow(movie(choice + rows, {"title": "T"}))) == "{{ title }}a1b2"


def test_names_that_a_block_binds_are_airflows(airflow):
    text = "{% set a, b = ds, run_id %}{% with c = b %}{{ a }}{{ b }}{{ c }}{% endwith %}"
    macro = "{% macro m(x, y=1) %}{{ x }}{{ y }}{% endmacro %}{{ m(ds) }}"
    assert text_of(airflow(movie(text))) == "2026-01-02manualmanual"
    assert text_of(airflow(movie(macro))) == "2026-01-021"


def test_a_string_that_is_one_expression_becomes_the_value_of_airflow():
    airflow = Airflow(NativeEnvironment())
    rendered = airflow(
        movie("x", duration="{{ params.n }}", variables={"rows": "{{ params.rows }}", "t": "{{ params.n }}!"})
    )
    assert rendered["scenes"][0]["duration"] == 5
    assert rendered["variables"] == {"rows": ["a", "b"], "t": "5!"}


def test_an_expression_without_names_is_json2videos(airflow):
    document = movie("{{ 1 + 2 }} {{ 'x' }} {{ }} {{ ceil(2.5) }}")
    assert airflow(document) == document


@pytest.mark.parametrize(
    "text", ["a { b } }}", "{{ open", "100 %}", "{", "function() { return {a: {b: 1}} }", "{#id {x}}"]
)
def test_unbalanced_braces_are_text(airflow, text):
    assert airflow(movie(text)) == movie(text)
    assert text_of(airflow(movie(text + " {{ ds }}"))) in (f"{text} 2026-01-02", text + " {{ ds }}")


def test_stray_braces_next_to_airflows_expressions_are_preserved(airflow):
    assert text_of(airflow(movie("{{ ds }} {#id{a:b}} {% x {{ '}}' }} }} {{ a"))) == (
        "2026-01-02 {#id{a:b}} {% x {{ '}}' }} }} {{ a"
    )


def test_raw_blocks_leave_their_content_to_json2video(airflow):
    assert text_of(airflow(movie("{% raw %}{{ anything }}{% endraw %}"))) == "{{ anything }}"


def test_braces_in_a_rendered_value_are_not_rendered_again(airflow):
    assert text_of(airflow(movie("{{ params.braces }}"))) == "{{ title }}"


def test_trim_blocks_does_not_change_the_movie():
    airflow = Airflow(jinja2.Environment(trim_blocks=True, lstrip_blocks=True))
    assert text_of(airflow(movie("{{ ds }}\n  {{ title }}\n  x\n", {"title": 1}))) == "2026-01-02\n  {{ title }}\n  x\n"


def test_variables_pass_values_of_airflow_to_the_movie(airflow):
    rendered = airflow(movie("{{ title }}", {"title": "{{ ds }}", "deep": [{"a": "{{ run_id }}"}]}))
    assert rendered["variables"] == {"title": "2026-01-02", "deep": [{"a": "manual"}]}
    assert text_of(rendered) == "{{ title }}"


def test_a_variable_may_have_the_name_of_its_airflow_value(airflow):
    document = {"variables": {"ds": "{{ ds }}"}, "scenes": [{"variables": {"run_id": "{{ run_id }}"}}]}
    assert airflow(document) == {"variables": {"ds": "2026-01-02"}, "scenes": [{"variables": {"run_id": "manual"}}]}


def test_variables_that_airflow_renders_as_an_object_declare_their_names():
    airflow = Airflow(NativeEnvironment())
    rendered = airflow({**movie("{{ title }}"), "variables": "{{ params.variables }}"})
    assert (rendered["variables"], text_of(rendered)) == ({"title": "T"}, "{{ title }}")


def test_scopes_are_movie_scene_and_element(airflow):
    def document(place):
        nodes = {"movie": {}, "scene": {}, "element": {}}
        nodes[place] = {"variables": {"own": 1}}
        element = {"text": "{{ own }}", **nodes["element"]}
        return {**nodes["movie"], "scenes": [{**nodes["scene"], "elements": [element]}], "elements": []}

    for place in ("movie", "scene", "element"):
        assert airflow(document(place)) == document(place)
    outside = {"scenes": [{"variables": {"own": 1}}, {"elements": [{"text": "{{ own }}"}]}]}
    with pytest.raises(InvalidMovie, match=r"scenes\[1\]\.elements\[0\]\.text: \{\{ own \}\}"):
        airflow(outside)


@pytest.mark.parametrize("text", ["{{ room.img }}", "{{ img }}"])
def test_iteration_declares_the_item_and_its_keys(airflow, text):
    document = movie(text, {"rooms": [{"img": 1}]}, iterate="rooms", **{"iterate-as": "room"})
    assert airflow(document) == document
    unnamed = movie("{{ item.img }}", {"rooms": [{"img": 1}]}, iterate="rooms")
    assert airflow(unnamed) == unnamed


def test_names_of_unknown_items_are_left_to_the_service(airflow):
    document = movie("{{ anything }} {{ ds }}", {"rooms": "{{ all_rooms }}", "all_rooms": 1}, iterate="rooms")
    assert text_of(airflow(document)) == "{{ anything }} 2026-01-02"


def test_the_names_of_a_stored_template_are_unknown(airflow):
    body = {"template": "abc123def456ghi789jk", "variables": {"a": "{{ ds }}", "b": "{{ theirs }}"}}
    assert airflow(body)["variables"] == {"a": "2026-01-02", "b": "{{ theirs }}"}
    assert airflow(body, declared=["theirs"])["variables"]["b"] == "{{ theirs }}"
    with pytest.raises(InvalidMovie, match="'theirs' is neither"):
        airflow(body, declared=["other"])


def test_every_other_part_of_the_document_is_rendered_too(airflow):
    document = {
        "client-data": {"run": "{{ run_id }}", "{{ ds }}": 1},
        "scenes": [],
        "exports": [{"destinations": [{"type": "webhook", "endpoint": "{{ var.value.hook }}"}]}],
        "preload": ("{{ ds }}", 5, None),
    }
    assert airflow(document) == {
        "client-data": {"run": "manual", "{{ ds }}": 1},
        "scenes": [],
        "exports": [{"destinations": [{"type": "webhook", "endpoint": "https://a.b"}]}],
        "preload": ["2026-01-02", 5, None],
    }
    assert document["client-data"]["run"] == "{{ run_id }}"


@pytest.mark.parametrize(
    ("text", "variables", "words"),
    [
        ("{{ titel }}", {"title": 1}, "'titel' is neither in Airflow's context nor declared .*did you mean 'title'"),
        ("{{ dss }}", {}, "did you mean 'ds'"),
        ("{{ ds }}", {"ds": 1}, "both Airflow and the movie define 'ds'; rename the movie's variable"),
        ("{{ ds + title }}", {"title": 1}, r'mixes \'ds\' of Airflow with \'title\' of JSON2Video.*"\{\{ ds \}\}"'),
        ("{{ max(ds, 'a') }}", {}, "mixes 'ds' of Airflow with 'max' of JSON2Video"),
        ("{{ my_macro(title) }}", {"title": 1}, "mixes 'my_macro' of Airflow with 'title'"),
        ("{{ now() }}", {}, "'now' is neither.*raw"),
        ("{% if title %}x{% endif %}", {"title": 1}, "'title' is the movie's.*'condition'"),
        ("{% if nobody %}x{% endif %}", {}, "Airflow does not define 'nobody'"),
        (
            "{{ execution_date }}",
            {},
            r"Airflow 3 removed 'execution_date'; write \{\{ dag_run\.logical_date or dag",
        ),
        ("{% if next_ds %}x{% endif %}", {}, r"write \{\{ data_interval_end \| ds \}\}"),
    ],
)
def test_an_expression_of_both_or_neither_is_an_error_with_advice(airflow, text, variables, words):
    with pytest.raises(InvalidMovie, match=words) as caught:
        airflow(movie(text, variables))
    assert r"scenes[0].elements[0].text" in str(caught.value)
    assert [finding.code for finding in caught.value.findings] == ["expression-owner"]


def test_a_missing_column_is_named_with_the_existing_ones(airflow):
    columns = ["name", "city"]
    assert airflow(movie("{{ name }}"), declared=columns, columns=columns) == movie("{{ name }}")
    with pytest.raises(InvalidMovie, match=r"no column 'nmae' \(did you mean 'name'\?\) \(they have: 'name', 'city'\)"):
        airflow(movie("{{ nmae }}"), declared=columns, columns=columns)


def test_data_is_inserted_unchanged_and_never_rendered(airflow):
    class XCom:
        """The result of another task."""

    data = {"deep": ["{{ ds }}", "{{ nobody }}", "{% raw %}"]}
    rendered = airflow(
        {"variables": {"rows": XCom()}, "scenes": XCom(), "comment": "{{ ds }}"},
        resolve=lambda value: data if isinstance(value, XCom) else value,
    )
    assert rendered == {"variables": {"rows": data}, "scenes": data, "comment": "2026-01-02"}
    assert airflow.given == ["{{ ds }}"]


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n", "\r\n\r\n"])
def test_line_endings_next_to_an_airflow_expression_are_preserved(airflow, end):
    text = f"a{end}{{{{ ds }}}}{end}{{% raw %}}b{end}c{{% endraw %}}{end}"
    assert text_of(airflow(movie(text))) == f"a{end}2026-01-02{end}b{end}c{end}"


def test_data_that_looks_like_a_placeholder_is_preserved(airflow, monkeypatch):
    looks = "\ue0fa0\ue0fb \ue0fa7\ue0fa"
    monkeypatch.setitem(CONTEXT, "params", {"looks": looks})
    assert text_of(airflow(movie("{{ title }}{{ params.looks }}", {"title": 1}))) == "{{ title }}" + looks


def failing(**how):
    def render(template):
        raise TemplatingFailed("it has no value; write {{ run_id }}", **how)

    return render


def test_an_expression_that_cannot_be_rendered_is_named_with_its_path_and_advice():
    document = {"comment": "{{ run_id }} {{ ds }}", "scenes": [{"comment": "{% if ds %}x{% endif %}"}]}
    with pytest.raises(InvalidMovie) as caught:
        render_airflow_expressions(document, airflow_names={"ds", "run_id"}, render=failing(name="ds"))
    assert [(finding.path, finding.message) for finding in caught.value.findings] == [
        ("comment", "{{ ds }}: it has no value; write {{ run_id }}"),
        ("scenes[0].comment", "{% if ds %}: it has no value; write {{ run_id }}"),
    ]
    assert not caught.value.retryable


def test_a_failed_lookup_is_retryable_unless_another_error_is_final():
    for document, retryable in (({"a": "{{ ds }}"}, True), ({"a": "{{ ds }}", "b": "{{ nobody }}"}, False)):
        with pytest.raises(InvalidMovie) as caught:
            render_airflow_expressions(document, airflow_names={"ds"}, render=failing(retryable=True))
        assert caught.value.retryable is retryable


def test_all_ambiguous_expressions_are_listed(airflow):
    with pytest.raises(InvalidMovie) as caught:
        airflow({"comment": "{{ a }} {{ b }}", "scenes": [{"duration": "{{ c }}"}]})
    assert [finding.path for finding in caught.value.findings] == ["comment", "comment", "scenes[0].duration"]


def test_an_undocumented_function_of_the_movies_names_is_json2videos(airflow):
    document = movie("{{ upper(title) }}", {"title": "T"})
    assert airflow(document) == document


def test_importing_this_module_loads_neither_pydantic_nor_jinja_nor_airflow():
    code = (
        "import sys, airflow_json2video.movie.expressions; import airflow_json2video.movie as m; dir(m); "
        "print([n for n in ('pydantic', 'jinja2', 'airflow', 'requests') if n in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
