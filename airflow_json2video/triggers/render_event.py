"""The event trigger: a DAG starts when a render of this deployment, or of no Airflow, ends (Airflow 3)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

from airflow.triggers.base import TriggerEvent

try:
    from airflow.triggers.base import BaseEventTrigger
except ImportError:
    raise ImportError(
        "Json2VideoRenderEventTrigger needs Airflow 3.0 or later, where an asset can be watched. In Airflow 2, "
        "schedule a DAG that reads Json2VideoHook.list_movies(), or put outlets on the tasks that render."
    ) from None

from airflow_json2video.triggers._loading import load_in_thread

__all__ = ["Json2VideoRenderEventTrigger"]

_LONGEST_MESSAGE = 500


class Json2VideoRenderEventTrigger(BaseEventTrigger):
    """Fires an event for each render of an account that ends. For an ``AssetWatcher``.

    These are the renders of this deployment, and those that no Airflow submitted: of other tools, of the service's
    own pages. What another deployment with the same account submitted fires nothing.

    It reads the account's list, submits nothing and never ends: an outage or a refused key is waited out. An event
    holds :func:`~airflow_json2video.core.result.asset_event_extra`, and ``status`` and ``message`` of the render.

    Airflow 3.3 keeps for it what it has told, so that a restart tells nothing twice, and tells what has ended
    meanwhile. Earlier versions keep nothing: there it starts from now, and what ends while no triggerer runs is missed.

    :param json2video_conn_id: the connection of the account.
    :param outcome: renders that are ``"done"``, that ``"failed"``, or ``"any"``.
    :param template: only renders of the stored template with this id.
    :param client_data: only renders whose ``client-data`` holds all of this, as ``{"campaign": "spring"}``.
    :param poll_interval: seconds between two looks at the list; at JSON2Video at least 5.

    .. code-block:: python

        videos = Asset(
            "json2video://json2video_default",
            watchers=[AssetWatcher(name="renders", trigger=Json2VideoRenderEventTrigger())],
        )
    """

    def __init__(
        self,
        *,
        json2video_conn_id: str = "json2video_default",
        outcome: Literal["done", "failed", "any"] = "done",
        template: str | None = None,
        client_data: Mapping[str, Any] | None = None,
        poll_interval: float = 30.0,
    ) -> None:
        # Unlike the other triggers this one takes no arguments that it does not know: one that chooses, left out of
        # account, would start runs for renders that nobody chose.
        super().__init__()  # type: ignore[no-untyped-call]
        if outcome not in ("done", "failed", "any"):
            raise ValueError(f"outcome must be 'done', 'failed' or 'any', not {outcome!r}.")
        if not poll_interval > 0:
            raise ValueError(f"poll_interval must be a number of seconds above 0, not {poll_interval!r}.")
        self.json2video_conn_id = json2video_conn_id
        self.outcome = outcome
        self.template = template
        self.client_data = dict(client_data or {})
        self.poll_interval = float(poll_interval)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give what the triggerer makes this trigger from, and what Airflow tells it by from other triggers."""
        return (
            "airflow_json2video.triggers.render_event.Json2VideoRenderEventTrigger",
            {
                "json2video_conn_id": self.json2video_conn_id,
                "outcome": self.outcome,
                "template": self.template,
                "client_data": self.client_data,
                "poll_interval": self.poll_interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire an event for each render that ends."""
        await load_in_thread("airflow_json2video.polling.account_watcher", "airflow_json2video.polling.watcher_store")
        from airflow_json2video.core.completed import RenderFilter
        from airflow_json2video.hooks.json2video import Json2VideoHook
        from airflow_json2video.polling.account_watcher import follow
        from airflow_json2video.polling.watcher_store import WatcherStateStore

        wanted = RenderFilter(outcome=self.outcome, template=self.template, client_data=self.client_data)
        memory = WatcherStateStore.of(
            self, told_apart_by=[self.json2video_conn_id, self.outcome, self.template, self.client_data]
        )
        hook = Json2VideoHook(self.json2video_conn_id)
        async for movie in follow(hook, wanted, interval=self.poll_interval, memory=memory, log=self.log):
            yield TriggerEvent(event_of(movie))  # type: ignore[no-untyped-call]


def event_of(movie: Mapping[str, Any]) -> dict[str, Any]:
    """Write a render that has ended as the payload of an event: plain JSON, none of the author's own data."""
    from airflow_json2video.core.result import asset_event_extra, render_result, strip_query_strings

    result = render_result(dict(movie), remaining_quota=None, submission_key=None)
    message = strip_query_strings(str(movie.get("message") or ""))[:_LONGEST_MESSAGE]
    return {**asset_event_extra(result), "status": movie.get("status"), "message": message or None}
