"""Four renders that start together in a deployment without an id, and the id that a worker and a triggerer read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.providers.common.compat.sdk import DAG, BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_json2video.operators.render import Json2VideoRenderOperator


class AskTrigger(BaseTrigger):
    """Fires with the deployment as a triggerer knows it."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "tests.integration.dags.deployment_id.AskTrigger", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        from airflow_json2video.deployment import aget_deployment

        yield TriggerEvent(await aget_deployment(None))


class AskOperator(BaseOperator):
    """Returns the deployment as a worker and as a triggerer know it."""

    def execute(self, context: Any) -> None:
        self.defer(trigger=AskTrigger(), method_name="resume")

    def resume(self, context: Any, event: Any) -> list[str]:
        from airflow_json2video.deployment import get_deployment

        return [str(get_deployment(None)), str(event)]


with DAG(
    "deployment_id",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    default_args={"retries": 2, "retry_delay": timedelta(seconds=5)},
):
    movies = [{"width": 128, "height": 72, "scenes": [{"duration": 1}], "id": str(number)} for number in range(4)]
    render = Json2VideoRenderOperator.partial(task_id="render", poll_interval=1).expand(movie=movies)
    render >> AskOperator(task_id="ask")
