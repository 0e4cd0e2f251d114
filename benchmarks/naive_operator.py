"""A render operator as usually written, which the crash matrix must fail: ``python -m tests.crash --naive``.

It does what most providers do: a session that repeats every request on 5xx and on a lost answer, the
POST included; nothing that says whose render it is; a retry of the task submits again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import requests
from airflow.providers.common.compat.sdk import AirflowException, BaseHook, BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

__all__ = ["NaiveRenderOperator", "NaiveRenderTrigger"]


class Service:
    """The API calls."""

    def __init__(self, conn_id: str) -> None:
        connection = BaseHook.get_connection(conn_id)
        self.url = f"{connection.host}/movies"
        self.session = requests.Session()
        self.session.headers["x-api-key"] = connection.password or ""
        retries = Retry(total=3, backoff_factor=0.2, status_forcelist=(429, 500, 502, 503, 504), allowed_methods=None)
        self.session.mount("http://", HTTPAdapter(max_retries=retries))

    def submit(self, document: dict[str, Any]) -> str:
        """Send the document; the session repeats the request after an error."""
        answer = self.session.post(self.url, json=document, timeout=30)
        answer.raise_for_status()
        return str(answer.json()["project"])

    def status(self, project: str) -> dict[str, Any]:
        """Poll a render."""
        answer = self.session.get(self.url, params={"project": project}, timeout=30)
        answer.raise_for_status()
        return dict(answer.json()["movie"])


class NaiveRenderTrigger(BaseTrigger):
    """Polls a render until it ends or a poll fails."""

    def __init__(self, conn_id: str, project: str, poll_interval: float) -> None:
        super().__init__()
        self.arguments = {"conn_id": conn_id, "project": project, "poll_interval": poll_interval}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and arguments the triggerer rebuilds this trigger from."""
        return "benchmarks.naive_operator.NaiveRenderTrigger", self.arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire the one event."""
        from airflow.providers.common.compat.connection import get_async_connection

        connection = await get_async_connection(self.arguments["conn_id"])
        headers = {"x-api-key": connection.password or ""}
        parameters = {"project": self.arguments["project"]}
        while True:
            try:
                answer = await asyncio.to_thread(
                    requests.get, f"{connection.host}/movies", params=parameters, headers=headers, timeout=30
                )
                answer.raise_for_status()
                movie = answer.json()["movie"]
            except Exception as error:
                yield TriggerEvent({"status": "error", "message": str(error)})
                return
            if movie["status"] in ("done", "error"):
                yield TriggerEvent(movie)
                return
            await asyncio.sleep(self.arguments["poll_interval"])


class NaiveRenderOperator(BaseOperator):
    """Submits a movie and waits for its video."""

    template_fields = ("movie", "json2video_conn_id")

    def __init__(
        self,
        *,
        movie: Any,
        json2video_conn_id: str,
        poll_interval: float = 10.0,
        deferrable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.movie = movie
        self.json2video_conn_id = json2video_conn_id
        self.poll_interval = poll_interval
        self.deferrable = deferrable

    def submit(self) -> str:
        """Start a render."""
        return Service(self.json2video_conn_id).submit(self.movie)

    def execute(self, context: Any) -> Any:
        """Start a render and wait for it."""
        import time

        project = self.submit()
        context["ti"].xcom_push(key="json2video_project", value=project)
        if self.deferrable:
            self.defer(
                trigger=NaiveRenderTrigger(self.json2video_conn_id, project, self.poll_interval),
                method_name="execute_complete",
            )
        service = Service(self.json2video_conn_id)
        while (movie := service.status(project))["status"] not in ("done", "error"):
            time.sleep(self.poll_interval)
        return self.execute_complete(context, movie)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Return the result."""
        if event["status"] != "done":
            raise AirflowException(f"The render failed: {event.get('message')}")
        return {"project": event["project"], "url": event["url"]}
