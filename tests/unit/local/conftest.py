from __future__ import annotations

import pytest
import requests

from airflow_json2video.local import LocalService

KEY = {"x-api-key": "a-key"}


class Client:
    """A minimal client, since the HTTP interface is tested."""

    def __init__(self, service):
        self.service = service
        self.session = requests.Session()
        self.session.headers.update(KEY)

    def post(self, movie, **options):
        return self.session.post(f"{self.service.host}/movies", json=movie, timeout=10, **options)

    def submit(self, movie=None, **more):
        answer = self.post({**(movie or SHORT), **more})
        assert answer.status_code == 200, answer.text
        return answer.json()["project"]

    def get(self, **params):
        return self.session.get(f"{self.service.host}/movies", params=params, timeout=10)

    def movie(self, project, **params):
        answer = self.get(project=project, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()["movie"]

    def status(self, project):
        return self.movie(project)["status"]

    def delete(self, **params):
        return self.session.delete(f"{self.service.host}/movies", params=params, timeout=10)

    def finished(self, movie=None, **more):
        """Submit a movie, wait for the worker, and return the movie object of the API."""
        project = self.submit(movie, **more)
        assert self.service.wait_idle(30)
        return self.movie(project)

    def control(self, method, path, **options):
        return requests.request(method, f"{self.service.url}/_control/{path}", timeout=10, **options)


SHORT = {"resolution": "sd", "scenes": [{"duration": 2, "background-color": "#4392F1"}]}


@pytest.fixture
def service(tmp_path):
    with LocalService(mode="instant", home=tmp_path / "home", seed=1) as service:
        yield service


@pytest.fixture
def client(service):
    return Client(service)


@pytest.fixture
def make_client():
    return Client
