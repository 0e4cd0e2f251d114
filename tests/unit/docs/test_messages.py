"""A message that a page quotes is a message of the code, word for word."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_json2video.api.errors import error_from_response
from airflow_json2video.api.validation import check_stored_name
from airflow_json2video.commands import main
from airflow_json2video.core.identity import Stamp
from airflow_json2video.core.poll_schedule import PollSchedule
from airflow_json2video.core.price import Price, check_max_credits
from airflow_json2video.core.render_failure import error_from_render
from airflow_json2video.core.render_status import RenderTracker
from airflow_json2video.core.storage_path import check_path_template
from airflow_json2video.core.submission import FoundRender, decide_submission
from airflow_json2video.exceptions import ConfigurationError, InvalidMovie
from airflow_json2video.hooks.connection import connection_settings
from airflow_json2video.local import Settings
from airflow_json2video.local.cli import serve
from airflow_json2video.movie import Scene, TextElement, estimate, load_document, render_airflow_expressions
from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.templates import check_stored_template_variables

DOCS = Path(__file__).parents[3] / "docs"
PROJECT = "Qk3vT9zLm2XcB7wA"


def assert_quoted(page, *messages):
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    for message in messages:
        assert str(message) in text, f"docs/{page}.md does not quote: {message}"


def connection(**fields):
    empty = {"conn_id": "json2video_default", "host": None, "port": None, "schema": None, "extra": None}
    return SimpleNamespace(**{**empty, "password": "a-key", **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {"password": ""},
        {"host": "http://video.example.com"},
        {"host": "https://me:secret@video.example.com"},
        {"extra": '{"read_timeout": "long"}'},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_the_errors_of_an_invalid_connection(fields):
    with pytest.raises(ConfigurationError) as refused:
        connection_settings(connection(**fields))
    assert_quoted("connection", refused.value)


def render(project=PROJECT, *, status, print_="same"):
    stamp = replace(MINE, fingerprint=print_)
    created = datetime(2026, 1, 1, tzinfo=timezone.utc)
    return FoundRender(project=project, status=status, created_at=created, has_file=True, stamp=stamp)


MINE = Stamp(
    deployment="id:here",
    submission_key="k",
    task_key="t",
    name_key="n",
    generation=1,
    attempt=2,
    fingerprint="same",
)


def test_the_error_of_a_name_that_the_drive_would_change():
    with pytest.raises(ConfigurationError) as refused:
        check_stored_name("my logo.png")
    assert_quoted("operations", refused.value)


def test_the_errors_of_variables_that_do_not_match_the_templates_schema():
    schema = {"type": "object", "properties": {"seconds": {"type": "number", "default": 2}}}
    client = SimpleNamespace(execute=lambda call: schema)
    document = {"template": "abc123def456ghi789jk", "variables": {"seconds": "soon"}}
    with pytest.raises(InvalidMovie) as refused:
        check_stored_template_variables(client, document, log=None)
    assert_quoted("operations", refused.value)


def test_the_messages_of_a_later_attempt_about_the_renders_it_finds():
    facts = {"mine": MINE, "unconfirmed": None, "read_at": 0.0, "confirmation_time": 300.0}
    adopted = decide_submission([render(status="running")], **facts)
    changed = decide_submission([render(status="done", print_="another")], **facts)
    several = decide_submission([render(status="done"), render("x", status="done")], **facts)
    assert_quoted("what-happens-when", adopted.reason, *changed.warnings)
    assert several.warnings[0].startswith("Several renders carry submission key ")
    assert_quoted("what-happens-when", "Several renders carry submission key ")


def test_the_error_of_a_render_that_missed_its_deadline():
    watch = RenderTracker(PROJECT, submitted_at=0.0, deadline=3600.0, schedule=PollSchedule())
    ended = watch.on_status({"status": "running"}, now=3600.0)
    assert_quoted("what-happens-when", ended.error)


def test_the_error_of_a_failed_render():
    words = "Scene #1, element #1: Failed to download 'https://example.com/a.png' (404)"
    assert_quoted("what-happens-when", *error_from_render(words, project=PROJECT).format_report().splitlines())


def test_the_error_of_an_empty_account():
    assert_quoted("errors", error_from_response(400, "Insufficient credits", call="movies.submit").format_report())


def test_the_message_of_a_killed_task(monkeypatch):
    operator = Json2VideoRenderOperator(task_id="render", movie={"scenes": []})
    said = []
    monkeypatch.setattr(type(operator), "log", SimpleNamespace(warning=lambda text, *args: said.append(text % args)))
    operator._begin({})._waiting_for = PROJECT
    operator.on_kill()
    assert_quoted("what-happens-when", *said)
    assert said


@pytest.mark.parametrize("expression", ["heading", "ds", "headline ~ ds"])
def test_the_errors_of_ambiguous_braces(expression):
    variables = {"headline": "", **({"ds": ""} if expression == "ds" else {})}
    document = {"variables": variables, "scenes": [{"comment": f"{{{{ {expression} }}}}"}]}
    with pytest.raises(InvalidMovie) as refused:
        render_airflow_expressions(document, airflow_names={"ds"}, render=str)
    (finding,) = refused.value.findings
    assert_quoted("movie", finding.message)


def test_the_errors_of_mistakes_in_a_constructor():
    with pytest.raises(TypeError) as unknown:
        Scene(duraton=2)
    with pytest.raises(ValueError) as wrong:
        TextElement(text="Hi", z_index=200)
    assert_quoted("movie", f"TypeError: {unknown.value}")
    assert_quoted("movie", "ValidationError: " + re.sub(r" \[type=.*", "", str(wrong.value)))


def test_the_error_of_a_file_that_is_not_json():
    with pytest.raises(InvalidMovie) as refused:
        load_document('{\n"a": 1,\n\n  b', source="weekly_report.json")
    assert_quoted("movie", str(refused.value).partition("not JSON: ")[0] + "not JSON: ")


def test_the_lines_of_an_estimate():
    movie = json.loads((DOCS.parent / "dags_examples" / "movies" / "weekly_report.json").read_text())
    guess = estimate(movie)
    assert_quoted("costs", f"Estimated: {guess.duration:.1f} s of video, about {guess.credits} credits.")
    clip = {"scenes": [{"elements": [{"type": "video", "src": "https://example.com/a.mp4"}]}]}
    (path, reason), *_ = estimate(clip).unknown
    assert_quoted("costs", f"The cost cannot be estimated in advance ({path}: {reason}).")


def test_the_first_lines_of_the_local_service():
    address = "http://127.0.0.1:8899"
    service = SimpleNamespace(
        settings=Settings(), host=f"{address}/v2", url=address, home=Path("/tmp/json2video-u5hbhb71")
    )
    assert f"{serve._announcement(service)}\n" == (DOCS / "snippets" / "serve.txt").read_text()


def test_every_option_in_the_page_about_the_local_service_exists(capsys):
    known = ""
    for command in (["check"], *(["local", name] for name in ("serve", "render", "frame", "sheet", "plan"))):
        with pytest.raises(SystemExit):
            main([*command, "--help"])
        known += capsys.readouterr().out
    options = re.findall(r"(?<![\w-])--[a-z][a-z-]+", (DOCS / "local-service.md").read_text(encoding="utf-8"))
    assert options
    assert [option for option in options if option not in known] == []


def test_the_errors_of_an_invalid_path():
    with pytest.raises(ConfigurationError) as refused:
        check_path_template("/videos/{film}.mp4", known=())
    assert_quoted("store", refused.value)


def test_the_errors_of_a_limit():
    price = Price.of({"resolution": "sd", "scenes": [{"duration": 2}]})
    assert_quoted("costs", check_max_credits(price, max_credits=1))
