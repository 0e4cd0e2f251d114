"""What a task that fails says, where it says it, and what a callback can read of it."""

from __future__ import annotations

import json
import traceback
from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_json2video.exceptions import ConfigurationError, InvalidMovie, RenderFailed, find_error
from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.transfers.object_storage_to_json2video import ObjectStorageToJson2VideoOperator
from tests.unit.attempts import Attempt

pytestmark = pytest.mark.usefixtures("connection")

MOVIE = {"scenes": [{"duration": 2, "elements": [{"type": "text", "text": "x"}]}]}
REFUSED = "Property 'text' is not allowed in movie/scenes[0]/elements[0]"


@pytest.fixture(autouse=True)
def whole_messages():
    """Leave the exceptions as Airflow gets them."""


def render(**arguments):
    return Json2VideoRenderOperator(task_id="render", **{"movie": MOVIE, "poll_interval": 0.1, **arguments})


@pytest.fixture
def logged(monkeypatch):
    """What the task logs at level error, record by record."""
    records = []
    quiet = dict.fromkeys(("debug", "info", "warning"), lambda *_, **__: None)
    log = SimpleNamespace(error=lambda text, *args: records.append(text % args), **quiet)
    monkeypatch.setattr(Json2VideoRenderOperator, "log", log, raising=False)
    return records


def test_a_refusal_of_the_validator_fails_without_a_retry_and_shows_the_place_in_the_document(service, logged):
    service.add_fault("render", status="error", message=REFUSED)
    with pytest.raises(AirflowFailException) as caught:
        Attempt(render()).run()
    (text,) = logged
    project = service.renders()[0]["project"]
    assert text.splitlines() == [
        f"Render {project} failed at scenes[0].elements[0].text.",
        f"JSON2Video says: {REFUSED}.",
        'In the document, scenes[0].elements[0].text is "x".',
        "A failed render is not charged.",
        "Correct the document; a retry with the same document fails again.",
        "This was attempt 1 of 3.",
        "A retry cannot help, so the task is not retried.",
    ]
    error = find_error({"exception": caught.value})
    assert (error.code, error.path, error.project) == ("RenderFailed", "scenes[0].elements[0].text", project)
    assert (error.scene, error.element, error.billing.value) == (0, 0, "not_charged")


def test_a_temporary_failure_reaches_a_callback_in_the_same_way(service):
    service.add_fault("render", status="error", message="Scene #1, element #1: Failed to download 'x'")
    with pytest.raises(RenderFailed) as caught:
        Attempt(render()).run()
    error = find_error({"exception": caught.value})
    assert (error.code, error.path, error.retryable) == ("RenderFailed", "scenes[0].elements[0]", True)


@pytest.mark.parametrize("retryable", [False, True])
def test_a_failure_is_logged_once(service, logged, retryable):
    service.add_fault("render", status="error", message="Failed to download x" if retryable else REFUSED)
    with pytest.raises(Exception, match=r"^Render ") as caught:
        Attempt(render()).run()
    shown = "".join(traceback.format_exception(caught.value))
    assert shown.count("Render ") == 1
    assert "not charged" not in shown
    assert len(logged) == 1


def test_the_task_and_the_command_line_report_the_same_errors_of_a_movie(service, logged, tmp_path, capsys):
    from airflow_json2video.commands import main

    movie = {"scenes": [{"elements": [{"type": "text", "txt": "x", "durration": 2}]}]}
    with pytest.raises(AirflowFailException) as caught:
        Attempt(render(movie=movie)).run()
    assert isinstance(find_error(caught.value), InvalidMovie)
    file = tmp_path / "movie.json"
    file.write_text(json.dumps(movie))
    main(["check", str(file)])
    printed = [line.partition(": ")[2] for line in capsys.readouterr().out.splitlines() if line.startswith(str(file))]
    lines = printed[:-1]
    (text,) = logged
    assert len(lines) == 4
    assert all(" ".join(line.split()) in " ".join(text.split()) for line in lines)
    assert service.posts == 0


def test_an_unknown_element_type_is_not_submitted(service):
    with pytest.raises(AirflowFailException) as caught:
        Attempt(render(movie={"scenes": [{"duration": 2, "elements": [{"type": "txet", "text": "x"}]}]})).run()
    assert "did you mean 'text'?" in str(find_error(caught.value))
    assert service.posts == 0


def test_an_unknown_template_is_named(service):
    operator = Json2VideoRenderOperator(task_id="r", template="abc123def456ghi789jk")
    with pytest.raises(AirflowFailException, match=r"^Template 'abc123def456ghi789jk' was not found in this account"):
        Attempt(operator).run()


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"conn_id": "x"}, "unknown argument 'conn_id', did you mean 'json2video_conn_id'?"),
        ({"timeout": 5}, "unknown argument 'timeout', did you mean 'render_timeout'?"),
        ({"max_credit": 5}, "unknown argument 'max_credit', did you mean 'max_credits'?"),
    ],
)
def test_an_argument_that_does_not_exist_names_the_one_that_was_meant(given, meant):
    with pytest.raises(TypeError) as caught:
        render(**given)
    assert meant in str(caught.value)
    assert "'render'" in str(caught.value)


def test_an_argument_that_resembles_none_is_refused_in_airflows_words():
    with pytest.raises(Exception, match=r"[Ii]nvalid arguments"):
        render(xyzzy=1)


def test_every_operator_names_the_connection_that_was_meant():
    with pytest.raises(TypeError, match="did you mean 'json2video_conn_id'"):
        ObjectStorageToJson2VideoOperator(task_id="u", source="a.mp4", conn_id="x")


def test_a_duration_that_is_text_is_refused_and_the_error_suggests_a_timedelta():
    with pytest.raises(ConfigurationError, match=r"render_timeout must be .* timedelta\(hours=1\), got '1h'\.$"):
        render(render_timeout="1h")
    assert render(render_timeout=timedelta(hours=1)).render_timeout == 3600
