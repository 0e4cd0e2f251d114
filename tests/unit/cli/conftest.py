"""A local service for the commands, and a function that runs them in this process."""

from __future__ import annotations

import json

import pytest

from airflow_json2video.commands import main
from airflow_json2video.core.delays import max_delay
from airflow_json2video.core.submission import decide_submission

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2, "elements": [{"type": "text", "text": "Hi"}]}]}


@pytest.fixture(autouse=True)
def short_delays(monkeypatch):
    """Limit all delays: how long they are is tested elsewhere."""
    monkeypatch.setattr("airflow_json2video.core.refusal.CONFIRM_REFUSAL_AFTER", (0.01, 0.02))
    monkeypatch.setattr(
        "airflow_json2video.submission.submitter.decide_submission",
        lambda found, **facts: decide_submission(found, **{**facts, "confirmation_time": 1.5}),
    )
    with max_delay(0.1):
        yield


@pytest.fixture
def movie(tmp_path):
    file = tmp_path / "movie.json"
    file.write_text(json.dumps(MOVIE))
    return str(file)


@pytest.fixture
def run(capsys, service, monkeypatch):
    """Run a command against the local service; returns its exit code, standard output and standard error."""
    monkeypatch.setenv("JSON2VIDEO_API_KEY", "a-key-of-the-tests")

    def run(*arguments, host=service.url):
        capsys.readouterr()
        command_line = [str(argument) for argument in arguments]
        try:
            code = main([*command_line, *(["--host", host] if host else [])])
        except SystemExit as ended:
            code = ended.code
        return code, *capsys.readouterr()

    return run
