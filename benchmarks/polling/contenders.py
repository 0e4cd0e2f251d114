"""The contenders: a trigger of each kind, built as the triggerer builds it, and the connection that it reads.

Each polls every 10 s. Ours gets 10 s as its ``poll_interval`` and schedules its own polls around it.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

__all__ = ["CONTENDERS", "DEFAULT", "INTERVAL", "OURS", "Contender", "Task"]

INTERVAL = 10
"""Seconds between two polls."""
_FAR = 7200.0
"""Seconds until a deadline that no run reaches."""


@dataclass(frozen=True)
class Task:
    """One render that a trigger is to wait for.

    :ivar submitted_at: epoch seconds.
    """

    number: int
    submitted_at: float


@dataclass(frozen=True)
class Contender:
    """A way to wait.

    :ivar key: its name on the command line. :ivar title: its name in the table.
    :ivar distribution: its package; None for this checkout.
    :ivar account: the kind of JSON2Video account; see ``answers.ACCOUNTS``.
    :ivar is_planned: it chooses the times of its polls itself.
    :ivar is_trigger: False runs it without the environment of a trigger.
    :ivar connection: makes the value of ``AIRFLOW_CONN_BENCH`` from the server's address and the CA file.
    :ivar trigger: makes a trigger; its arguments are read back from ``serialize()``.
    :ivar succeeded: reads an event.
    """

    key: str
    title: str
    distribution: str | None
    connection: Callable[[str, str], dict[str, Any]]
    trigger: Callable[[Task], Any]
    succeeded: Callable[[Any], bool]
    account: str = "own"
    is_planned: bool = False
    is_trigger: bool = True

    def version(self) -> str | None:
        """Return the installed version; None if it is not installed."""
        if self.distribution is None:
            return ""
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            return None


# --- ours -------------------------------------------------------------------------------------


def _our_connection(url: str, ca_file: str) -> dict[str, Any]:
    return {
        "conn_type": "json2video",
        "host": f"{url}/v2",
        "password": "a-key-of-the-benchmark",
        "extra": json.dumps({"ca_file": ca_file}),
    }


def _our_trigger(task: Task) -> Any:
    from airflow_json2video.triggers.render import Json2VideoRenderTrigger
    from benchmarks.polling.answers import project_of

    return Json2VideoRenderTrigger(
        project=project_of(task.number),
        json2video_conn_id="bench",
        submitted_at=task.submitted_at,
        deadline=time.time() + _FAR,
        poll_interval=float(INTERVAL),
    )


def _ours(key: str, title: str, account: str) -> Contender:
    return Contender(
        key=key,
        title=title,
        distribution=None,
        connection=_our_connection,
        trigger=_our_trigger,
        succeeded=lambda event: event["error"] is None and event["movie"]["status"] == "done",
        account=account,
        is_planned=True,
    )


# --- the bare minimum -------------------------------------------------------------------------


class BareGets:
    """One shared ``aiohttp`` session, and for each render nothing but a GET every 10 s."""

    _session: Any = None

    def __init__(self, path: str) -> None:
        self.path = path

    async def run(self) -> AsyncIterator[Any]:
        """Poll until the status is ``done``."""
        import ssl

        import aiohttp

        if BareGets._session is None:
            context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
            BareGets._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))
        url = json.loads(os.environ["AIRFLOW_CONN_BENCH"])["host"] + self.path
        while True:
            async with BareGets._session.get(url) as response:
                body = await response.read()
            if b'"status":"done"' in body:
                yield body
                return
            await asyncio.sleep(INTERVAL)


def _bare_trigger(task: Task) -> Any:
    from benchmarks.polling.answers import project_of

    return BareGets(f"/v2/movies?project={project_of(task.number)}&format=simple")


# --- other providers --------------------------------------------------------------------------


def _databricks_connection(url: str, _: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {"conn_type": "databricks", "host": parts.hostname, "port": parts.port, "password": "dapi-a-token"}


def _databricks_trigger(task: Task) -> Any:
    from airflow.providers.databricks.triggers.databricks import DatabricksExecutionTrigger

    return DatabricksExecutionTrigger(
        run_id=task.number, databricks_conn_id="bench", polling_period_seconds=INTERVAL, run_page_url="https://nowhere"
    )


def _dbt_trigger(task: Task) -> Any:
    from airflow.providers.dbt.cloud.triggers.dbt import DbtCloudRunJobTrigger

    return DbtCloudRunJobTrigger(
        conn_id="bench",
        run_id=task.number,
        end_time=time.time() + _FAR,
        poll_interval=float(INTERVAL),
        account_id=1,
    )


def _http_trigger(task: Task) -> Any:
    from airflow.providers.http.triggers.http import HttpSensorTrigger

    return HttpSensorTrigger(endpoint=f"jobs/{task.number}", http_conn_id="bench", poke_interval=float(INTERVAL))


def _fivetran_trigger(task: Task) -> Any:
    import pendulum
    from fivetran_provider_async.hooks import FivetranHookAsync
    from fivetran_provider_async.triggers import FivetranTrigger

    # The address is a constant of the class, and no connection changes it.
    FivetranHookAsync.api_host = urlsplit(json.loads(os.environ["AIRFLOW_CONN_BENCH"])["host"]).netloc
    return FivetranTrigger(
        task_id="render",
        connector_id=str(task.number),
        fivetran_conn_id="bench",
        previous_completed_at=pendulum.from_timestamp(task.submitted_at),
        poke_interval=float(INTERVAL),
    )


def _batch_trigger(task: Task) -> Any:
    from airflow.providers.common.ai.triggers.llm_batch import LLMBatchTrigger

    return LLMBatchTrigger(
        llm_conn_id="bench",
        adapter="openai",
        batch_id=f"batch_{task.number}",
        poll_interval=INTERVAL,
        end_time=time.time() + _FAR,
        timeout=int(_FAR),
        cancel_on_kill=False,
        cancel_on_timeout=False,
    )


OURS = ("ours-list", "ours-busy", "ours-single")

CONTENDERS = {
    contender.key: contender
    for contender in (
        _ours("ours-list", "JSON2Video, list", "own"),
        _ours("ours-busy", "JSON2Video, list of a busy account", "busy"),
        _ours("ours-single", "JSON2Video, one by one", "heavy"),
        Contender(
            key="bare",
            title="bare GETs, shared session",
            distribution="aiohttp",
            connection=lambda url, _: {"conn_type": "http", "host": url},
            trigger=_bare_trigger,
            succeeded=lambda event: b"done" in event,
            is_trigger=False,
        ),
        Contender(
            key="databricks",
            title="Databricks",
            distribution="apache-airflow-providers-databricks",
            connection=_databricks_connection,
            trigger=_databricks_trigger,
            succeeded=lambda event: "SUCCESS" in event["run_state"],
        ),
        Contender(
            key="dbt",
            title="dbt Cloud",
            distribution="apache-airflow-providers-dbt-cloud",
            connection=lambda url, _: {"conn_type": "dbt_cloud", "host": urlsplit(url).netloc, "password": "a-token"},
            trigger=_dbt_trigger,
            succeeded=lambda event: event["status"] == "success",
        ),
        Contender(
            key="http",
            title="HTTP sensor",
            distribution="apache-airflow-providers-http",
            connection=lambda url, _: {"conn_type": "http", "host": url},
            trigger=_http_trigger,
            succeeded=lambda event: event is True,
        ),
        Contender(
            key="fivetran",
            title="Fivetran",
            distribution="airflow-provider-fivetran-async",
            connection=lambda url, _: {"conn_type": "fivetran", "host": url, "login": "key", "password": "secret"},
            trigger=_fivetran_trigger,
            succeeded=lambda event: event["status"] == "success",
        ),
        Contender(
            key="common-ai",
            title="common-ai LLM batch",
            distribution="apache-airflow-providers-common-ai",
            connection=lambda url, _: {"conn_type": "pydanticai", "host": f"{url}/v1", "password": "sk-a-key"},
            trigger=_batch_trigger,
            succeeded=lambda event: event["status"] == "success",
        ),
    )
}

DEFAULT = tuple(key for key in CONTENDERS if key != "ours-busy")
"""The contenders that are measured by default. With a busy account the poller needs minutes to settle."""
