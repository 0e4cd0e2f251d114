"""The event trigger: starts a DAG when a render ends that this deployment, or no Airflow, submitted (Airflow 3)."""

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

_MAX_MESSAGE_LENGTH = 500


class Json2VideoRenderEventTrigger(BaseEventTrigger):
    """Fires an event for each render of an account that ends. For an ``AssetWatcher``.

    These are the renders that this deployment submitted, and those that no Airflow submitted: other tools, or the
    service's own pages. Renders of another deployment with the same account fire nothing.

    It reads the account's list, submits nothing and never ends: during an outage, or while the key is refused, it keeps
    trying. An event contains :func:`~airflow_json2video.core.result.asset_event_extra`, and ``status`` and ``message``
    of the render.

    Airflow 3.3 stores its state, so that after a restart nothing fires twice, and renders that ended meanwhile fire.
    Earlier versions store nothing: it starts from now, and renders that end while no triggerer runs are missed.

    :param json2video_conn_id: the connection of the account.
    :param outcome: renders that are ``"done"``, that ``"failed"``, or ``"any"``.
    :param template: only renders of the stored template with this id.
    :param client_data: only renders whose ``client-data`` contains all of this, such as ``{"campaign": "spring"}``.
    :param poll_interval: seconds between two polls of the list; at JSON2Video at least 5.

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
        # Unlike the other triggers, this one rejects unknown arguments: a filter that is ignored would start runs for
        # renders that it excludes.
        super().__init__()  # type: ignore[no-untyped-call]
        if outcome not in ("done", "failed", "any"):
            raise ValueError(f"outcome must be 'done', 'failed' or 'any', got {outcome!r}.")
        if not poll_interval > 0:
            raise ValueError(f"poll_interval must be a number of seconds above 0, got {poll_interval!r}.")
        self.json2video_conn_id = json2video_conn_id
        self.outcome = outcome
        self.template = template
        self.client_data = dict(client_data or {})
        self.poll_interval = float(poll_interval)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and arguments to rebuild this trigger from; Airflow compares triggers by them."""
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
        from airflow_json2video.core.finished_renders import RenderFilter
        from airflow_json2video.hooks.json2video import Json2VideoHook
        from airflow_json2video.polling.account_watcher import watch_account
        from airflow_json2video.polling.watcher_store import WatcherStateStore

        render_filter = RenderFilter(outcome=self.outcome, template=self.template, client_data=self.client_data)
        store = WatcherStateStore.of(
            self, identity=[self.json2video_conn_id, self.outcome, self.template, self.client_data]
        )
        hook = Json2VideoHook(self.json2video_conn_id)
        async for movie in watch_account(hook, render_filter, interval=self.poll_interval, store=store, log=self.log):
            yield TriggerEvent(event_from_movie(movie))  # type: ignore[no-untyped-call]


def event_from_movie(movie: Mapping[str, Any]) -> dict[str, Any]:
    """Return a finished render as the payload of an event: plain JSON without the author's own data."""
    from airflow_json2video.core.result import asset_event_extra, render_result, strip_query_strings

    result = render_result(dict(movie), remaining_quota=None, submission_key=None)
    message = strip_query_strings(str(movie.get("message") or ""))[:_MAX_MESSAGE_LENGTH]
    return {**asset_event_extra(result), "status": movie.get("status"), "message": message or None}
