"""The example documents, valid and invalid, through the operator: rendered, checked, submitted or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException

from airflow_json2video.core.identity import STAMP_KEY
from airflow_json2video.operators.render import Json2VideoRenderOperator
from tests.unit.attempts import Attempt

MOVIES = Path(__file__).resolve().parents[2] / "data" / "movies"
VALID = sorted(MOVIES.glob("valid/*.json"))
INVALID = sorted(MOVIES.glob("invalid/*.json"))
DOUBTFUL = {"14-zero-length-movie", "22-s3-destination"}
"""Not certainly wrong, so they are sent, with a warning."""


def submit(path):
    """Read the file as a DAG does, render it, and submit it without waiting."""
    with DAG("a_dag", schedule=None, template_searchpath=[str(path.parent)]) as dag:
        operator = Json2VideoRenderOperator(task_id="render", movie=path.name, wait_for_completion=False)
    attempt = Attempt(operator, names={"ds": "2026-11-22", "params": {}})
    operator._do_render_template_fields(
        operator, operator.template_fields, attempt.context, dag.get_template_env(), set()
    )
    return attempt.start()


def test_all_the_examples_are_here():
    assert (len(VALID), len(INVALID)) == (18, 23)


@pytest.mark.parametrize("path", VALID, ids=lambda p: p.stem)
def test_a_valid_movie_is_sent_with_a_stamp_and_no_other_change(path, connection, service):
    service.add_template({"scenes": [{"duration": 2}]}, id="abc123def456ghi789jk")
    submit(path)
    [sent] = service.submitted
    document = json.loads(path.read_text())
    del sent["client-data"][STAMP_KEY]
    if "client-data" not in document:
        assert sent.pop("client-data") == {}
    assert json.dumps(sent) == json.dumps(document)


@pytest.mark.parametrize("path", [p for p in INVALID if p.stem not in DOUBTFUL], ids=lambda p: p.stem)
def test_the_problems_of_an_invalid_movie_are_listed_and_nothing_is_sent(path, connection, service):
    with pytest.raises(AirflowFailException, match=r"Nothing was submitted") as caught:
        submit(path)
    assert service.requests == []
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(DOUBTFUL))
def test_a_movie_with_only_warnings_is_sent(name, connection, service):
    submit(MOVIES / "invalid" / f"{name}.json")
    assert service.posts == 1
