"""A client of the local service, and submissions through it."""

from __future__ import annotations

import logging

import pytest

from airflow_json2video.api.client import Json2VideoClient
from airflow_json2video.core.identity import Stamp, fingerprint
from airflow_json2video.submission.submitter import Submitter
from tests.unit.submission.support import MOVIE, TASK


@pytest.fixture
def no_backoff(monkeypatch):
    monkeypatch.setattr("airflow_json2video.submission.submitter.backoff", lambda failures, jitter: 0.01)


@pytest.fixture
def client(service):
    with Json2VideoClient("key", host=service.host, retries=1, sleep=lambda s: None) as client:
        yield client


@pytest.fixture
def submission(client):
    def make(*, attempt=1, movie=MOVIE, task=TASK, **more):
        stamp = Stamp.of(task, fingerprint(movie), attempt=attempt)
        return Submitter(
            client=client,
            document=movie,
            stamp=stamp,
            log=logging.getLogger(__name__),
            **{
                "previous_attempt": attempt - 1 if attempt > 1 else None,
                "confirmation_time": 0.3,
                **more,
            },
        )

    return make
