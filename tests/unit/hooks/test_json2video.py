from __future__ import annotations

import asyncio
import inspect
import json
import sys
from pathlib import Path

import pytest

from airflow_json2video.exceptions import AuthenticationFailed, ProjectNotFound, TemplateNotFound
from airflow_json2video.get_provider_info import get_provider_info
from airflow_json2video.hooks.connection import CONN_FIELDS, connection_settings
from airflow_json2video.hooks.json2video import Json2VideoHook

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2, "elements": [{"type": "text", "text": "Hi"}]}]}


@pytest.fixture
def hook(connection):
    return Json2VideoHook()


def test_the_hook_submits_and_polls_through_the_connection(hook, service):
    project = hook.submit_movie(MOVIE).project
    answer = hook.get_movie(project, with_document=True)
    assert answer.movie.project == project
    assert json.loads(answer.movie.json_text) == MOVIE
    assert [m.project for m in hook.list_movies(limit=1).movies] == [project]
    assert service.posts == 1


def test_every_render_of_a_range_is_listed_over_all_pages(hook):
    from datetime import datetime, timedelta, timezone

    projects = {hook.submit_movie(MOVIE).project for _ in range(3)}
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    assert {m.project for m in hook.iter_movies(date_start=yesterday)} == projects


def test_deleting_a_movie_may_be_repeated(hook):
    project = hook.submit_movie(MOVIE).project
    hook.delete_movie(project)
    hook.delete_movie(project)


def test_missing_resources_raise_different_errors(hook):
    with pytest.raises(ProjectNotFound):
        hook.get_movie("x" * 16)
    with pytest.raises(TemplateNotFound):
        hook.get_template("x" * 20)


def test_the_test_button_sends_a_free_request_and_shows_the_credits_left(hook, service):
    ok, message = hook.test_connection()
    assert ok
    assert "credits left" in message
    assert service.posts == 0


def test_the_test_button_distinguishes_a_wrong_key_from_a_network_error(monkeypatch, service):
    env = "AIRFLOW_CONN_JSON2VIDEO_DEFAULT"
    monkeypatch.setenv(env, json.dumps({"conn_type": "json2video", "password": "invalid-key", "host": service.url}))
    ok, message = Json2VideoHook().test_connection()
    assert not ok
    assert "refused the API key" in message
    assert "invalid-key" not in message
    dead = {"conn_type": "json2video", "password": "k", "host": "http://127.0.0.1:9", "extra": {"retries": 0}}
    monkeypatch.setenv(env, json.dumps(dead))
    ok, message = Json2VideoHook().test_connection()
    assert not ok
    assert "could not be reached" in message


def test_the_test_button_does_not_show_the_generated_connection_id(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_DNDZYFXS", json.dumps({"conn_type": "json2video"}))
    ok, message = Json2VideoHook("DnDzyFxS").test_connection()
    assert not ok
    assert message.startswith("This connection does not contain an API key.")


def test_the_asynchronous_client_uses_the_same_connection(hook, service):
    from airflow_json2video.api import calls

    async def ask():
        async with await hook.get_async_client() as client:
            return await client.execute(calls.list_movies(limit=1))

    assert asyncio.run(ask()).movies == []
    assert hook.settings.is_loopback


def test_a_wrong_key_fails_and_is_not_shown(monkeypatch, service, caplog):
    monkeypatch.setenv(
        "AIRFLOW_CONN_JSON2VIDEO_DEFAULT",
        json.dumps({"conn_type": "json2video", "password": "invalid-and-long-key", "host": service.url}),
    )
    caplog.set_level("DEBUG")
    with pytest.raises(AuthenticationFailed) as caught:
        Json2VideoHook().get_remaining_quota()
    assert "invalid-and-long-key" not in str(caught.value) + repr(caught.value) + caplog.text


def test_both_styles_of_the_connection_form_show_the_same_fields():
    connection = get_provider_info()["connection-types"][0]
    assert connection["connection-type"] == Json2VideoHook.conn_type
    assert connection["hook-name"] == Json2VideoHook.hook_name
    fields = connection["conn-fields"]
    assert {name: (f["label"], f["description"]) for name, f in fields.items()} == {
        name: (label, description) for name, (label, description, _) in CONN_FIELDS.items()
    }
    behaviour, declared = Json2VideoHook.get_ui_field_behaviour(), connection["ui-field-behaviour"]
    assert behaviour["hidden_fields"] == declared["hidden-fields"]
    assert behaviour["relabeling"] == declared["relabeling"]
    assert behaviour["placeholders"] == declared["placeholders"]


def test_the_form_of_airflow_2_can_be_built():
    pytest.importorskip("flask_appbuilder", reason="Airflow 3 without the FAB provider shows the declared form")
    from wtforms import IntegerField, StringField

    widgets = Json2VideoHook.get_connection_form_widgets()
    assert set(widgets) == set(CONN_FIELDS)
    # Airflow 2 drops the whole connection type for a field of any other class, a subclass too.
    assert {field.field_class for field in widgets.values()} == {IntegerField, StringField}


def test_the_form_of_airflow_2_accepts_a_fractional_timeout():
    pytest.importorskip("flask_appbuilder", reason="Airflow 3 without the FAB provider shows the declared form")
    from airflow.models import Connection
    from werkzeug.datastructures import MultiDict
    from wtforms import Form

    form = type("F", (Form,), Json2VideoHook.get_connection_form_widgets())(
        MultiDict({"connect_timeout": "2.5", "read_timeout": "x", "retries": "1.5"})
    )
    assert not form.validate()
    assert set(form.errors) == {"read_timeout", "retries"}
    extra = json.dumps({"connect_timeout": form.connect_timeout.data, "read_timeout": ""})
    settings = connection_settings(Connection(conn_id="c", password="k", extra=extra))
    assert settings.options == {"connect_timeout": 2.5}


def test_the_form_can_be_built_from_the_replacements_of_airflow_3_0_and_3_1(monkeypatch):
    from unittest.mock import MagicMock

    class IntegerField:
        def __init__(self, *_, **__): ...

    for name in ("flask_appbuilder", "flask_appbuilder.fieldwidgets", "flask_babel", "wtforms", "wtforms.validators"):
        monkeypatch.setitem(sys.modules, name, MagicMock())
    sys.modules["wtforms"].IntegerField = IntegerField
    widgets = Json2VideoHook.get_connection_form_widgets()
    numbers = {name for name, (_, _, kind) in CONN_FIELDS.items() if kind is not str}
    assert {name for name, field in widgets.items() if isinstance(field, IntegerField)} == numbers


def test_every_public_method_has_a_docstring_with_an_example():
    lacking = []
    for name, member in inspect.getmembers(Json2VideoHook, inspect.isfunction):
        if name.startswith("_") or member.__module__ != Json2VideoHook.__module__:
            continue
        doc = inspect.getdoc(member) or ""
        if "code-block" not in doc and name not in ("get_conn", "get_async_client"):
            lacking.append(name)
    assert lacking == []


def test_the_hook_offers_every_call_of_the_api():
    from airflow_json2video.api import calls

    used = Path(inspect.getfile(Json2VideoHook)).read_text()
    offered = {n for n in calls.__all__ if inspect.isfunction(getattr(calls, n)) and not n.startswith("check_")}
    by_the_client = {"start_upload", "put_file"}  # the two steps of upload_file
    assert {n for n in offered - by_the_client if f"calls.{n}(" not in used} == set()
