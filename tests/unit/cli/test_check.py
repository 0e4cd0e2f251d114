"""``check``: what it finds in movies, without an account."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_json2video.commands import main
from airflow_json2video.hooks.json2video import Json2VideoHook
from tests.unit.cli.conftest import MOVIE

ROOT = Path(__file__).parents[3]


def test_errors_are_reported_and_the_cost_of_a_valid_movie(run, movie, tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text('{"scenes": [{"elements": [{"type": "image"}]}]}')
    code, out, _ = run("check", movie, bad)
    assert code == 1
    assert f"{movie}: 2.0 s of video, about 2 credits" in out
    assert f"{bad}: error: scenes[0].elements[0].src: an image needs 'src'" in out


def test_json_output_has_validity_and_credits(run, movie):
    code, out, _ = run("check", movie, "--json")
    (result,) = json.loads(out)
    assert (code, result["valid"], result["credits"]) == (0, True, 2)


def test_no_account_is_needed(capsys, movie, monkeypatch):
    monkeypatch.delenv("JSON2VIDEO_API_KEY", raising=False)
    assert main(["check", movie]) == 0


def test_online_validates_variables_against_the_schema_of_the_template(run, connection, tmp_path):
    template = Json2VideoHook().create_template("t", {**MOVIE, "variables": {"headline": "x"}})
    file = tmp_path / "t.json"
    file.write_text(json.dumps({"template": template, "variables": {"headline": 7}}))
    assert run("check", file)[0] == 0
    code, out, _ = run("check", file, "--online")
    assert code == 1
    assert "variables.headline: must be a text" in out


FOR_AIRFLOW = {
    **MOVIE,
    "comment": "{{ ds }}",
    "variables": {"city": "{{ params.city }}", "task": "a variable of the movie"},
    "scenes": [{"duration": 2, "elements": [{"type": "text", "text": "{{ params.shop }} in {{ city }}, {{ task }}"}]}],
}


@pytest.mark.parametrize("command", ["check", "render"])
def test_an_airflow_expression_without_a_value_is_refused_before_anything_is_billed(run, service, tmp_path, command):
    file = tmp_path / "for_airflow.json"
    file.write_text(json.dumps(FOR_AIRFLOW))
    code, out, err = run(command, file)
    assert code != 0
    for line in (
        "scenes[0].elements[0].text: {{ params.shop }}: only Airflow can fill this; pass --param shop=VALUE",
        "variables.city: {{ params.city }}: only Airflow can fill this; pass --param city=VALUE",
        "comment: {{ ds }}: only Airflow can fill this; pass --param ds=VALUE",
    ):
        assert line in out + err
    assert service.posts == 0


def test_airflow_expressions_are_filled_from_the_command_line_and_values_are_not_templates(run, service, tmp_path):
    file = tmp_path / "for_airflow.json"
    file.write_text(json.dumps(FOR_AIRFLOW))
    values = ("--param", "shop={{ ds }}", "--param", "ds=2026-11-26", "--var", "city={{ params.shop }}")
    assert run("check", file, *values)[0] == 0
    assert run("render", file, *values, "--no-wait")[0] == 0
    (sent,) = service.submitted
    assert sent["comment"] == "2026-11-26"
    assert sent["scenes"][0]["elements"][0]["text"] == "{{ ds }} in {{ city }}, {{ task }}"
    assert sent["variables"] == {"task": "a variable of the movie", "city": "{{ params.shop }}"}


@pytest.mark.parametrize(
    ("text", "params", "filled"),
    [
        ("{{ params.n + 1 }}", ["n=2"], "3"),
        ("{{ var.value.hook }}", ["var.value.hook=x"], "x"),
        ("{{ (dag_run.logical_date or dag_run.run_after) | ds }}", ["dag_run.logical_date=2026-11-26T10:00"], None),
        ("{{ dag_run.run_after | ds }}", ["dag_run.run_after=2026-11-26T10:00"], "2026-11-26"),
        ("{% if params.sale %}Sale{% endif %}", ["sale=true"], "Sale"),
        ("{% for row in params.rows %}{{ row.name }}{% endfor %}", ['rows=[{"name": "a"}]'], "a"),
        ("{{ ti.xcom_pull('x') }}", [], None),
        ("{{ execution_date }}", [], None),
        ("{{ anything }} {{ price * 2 }}", [], "{{ anything }} {{ price * 2 }}"),
    ],
)
def test_each_kind_of_expression_is_filled_or_refused(text, params, filled):
    from airflow_json2video.cli._airflow_values import fill_expressions as fill
    from airflow_json2video.exceptions import InvalidMovie
    from airflow_json2video.movie.documents import named_values

    def result():
        values = named_values("--param", params)
        return fill({"comment": text}, variables={}, params=values, source="m.json")["comment"]

    if filled is not None:
        assert result() == filled
    else:
        with pytest.raises(InvalidMovie, match="comment"):
            result()


def test_warnings_are_errors_only_with_strict(run, tmp_path):
    file = tmp_path / "movie.json"
    file.write_text(json.dumps({**MOVIE, "width": 100}))
    assert run("check", file)[0] == 0
    assert run("check", file, "--strict")[0] == 1


@pytest.fixture
def write(tmp_path):
    def write(movie, name="movie.json"):
        file = tmp_path / name
        file.write_text(movie if isinstance(movie, str) else json.dumps(movie))
        return str(file)

    return write


def test_all_findings_are_reported_with_their_paths(run, write):
    movie = write({"scenes": [{}, {"elements": [{"type": "image"}, {"type": "video", "src": ""}]}], "webhook": "x"})
    code, out, _ = run("check", movie)
    assert code == 1
    assert f"{movie}: error: scenes[1].elements[0].src: an image needs 'src'" in out
    assert f"{movie}: error: scenes[1].elements[1].src: a video needs 'src'" in out
    assert "webhook: " in out
    assert "[missing-source]" in out


def test_json_output_lists_the_findings(run, write):
    movie = write({"scenes": [{"elements": [{"type": "image"}]}]})
    code, out, _ = run("check", movie, "--json")
    (result,) = json.loads(out)
    assert (code, result["valid"], result["movie"]) == (1, False, movie)
    finding = next(f for f in result["findings"] if f["code"] == "missing-source")
    assert (finding["path"], finding["severity"]) == ("scenes[0].elements[0].src", "error")
    assert result["errors"] + result["warnings"] == len(result["findings"])


def test_an_error_that_only_the_layout_shows_is_reported(run, write):
    movie = {"variables": {"n": 0.2}, "scenes": [{"duration": "{{ n }}"}]}
    code, out, _ = run("check", write(movie))
    assert (code, "error: movie: Movie duration cannot be zero [render-fails]" in out) == (1, True)
    assert run("check", write(movie), "--var", "n=2")[0] == 0


def test_every_file_is_reported_and_the_exit_code_is_the_worst(run, write, tmp_path):
    good, bad, missing = write(MOVIE, "good.json"), write("{", "bad.json"), tmp_path / "missing.json"
    code, out, _ = run("check", bad, good)
    assert code == 1
    assert "line 1, column 2: not JSON" in out
    assert f"{good}: 0 errors" in out
    code, out, err = run("check", missing, bad, good)
    assert code == 2
    assert f"{missing}: error: No such file or directory" in err
    assert "line 1, column 2: not JSON" in out
    assert f"{good}: 0 errors" in out
    code, out, _ = run("check", missing, bad, good, "--json")
    assert (code, [result["valid"] for result in json.loads(out)]) == (2, [False, True])


def test_a_template_is_read_from_a_folder(run, write, tmp_path):
    write({**MOVIE, "width": 100}, "abc123def456ghi789jk.json")
    movie = write({"template": "abc123def456ghi789jk"})
    assert "0 errors, 0 warnings" in run("check", movie)[1]
    code, out, _ = run("check", movie, "--templates", tmp_path, "--json")
    (result,) = json.loads(out)
    assert (code, result["warnings"] > 0, result["duration"]) == (0, True, 2.0)
    assert run("check", movie, "--templates", tmp_path / "empty")[0] == 2
