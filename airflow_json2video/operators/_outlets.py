"""The asset events of a task that rendered videos, for its outlets.

Airflow sends the events when the task has succeeded. Loaded when a task runs, not when its DAG file is parsed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_json2video.assets import create_asset
from airflow_json2video.core.result import asset_event_extra, without_credentials

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_json2video.task_log import TaskLog

__all__ = ["emit_asset_event", "emit_asset_events"]


def emit_asset_event(
    result: Mapping[str, Any],
    *,
    movie_hash: str | None,
    outlets: Iterable[Any] | None,
    account: str,
    template: Any,
    context: Context,
    log: TaskLog,
) -> dict[str, Any]:
    """Emit the events of a render task's video, and return what they say.

    :param result: of the task; ``stored_path`` in it if the video was stored.
    :param movie_hash: fingerprint of the document; None if it is unknown.
    :param account: the id of the connection. :param template: id of the stored template, if there is one.
    """
    extra = asset_event_extra(result, movie_hash=movie_hash)
    try:
        _emit(context, outlets, [extra], account=account, name=_asset_name(template, context))
    except Exception as error:  # the video exists and is paid for
        log.warning("Could not emit the asset event for render %s: %r.", extra["project"], error)
    return extra


def emit_asset_events(
    results: Iterable[Mapping[str, Any]],
    *,
    summary: Mapping[str, Any],
    outlets: Iterable[Any] | None,
    account: str,
    template: Any,
    context: Context,
    log: TaskLog,
) -> None:
    """Emit the events of a batch's videos: an asset gets *summary*, an alias gets one event per video.

    :param results: of the items that have a video, as of a render task, each with its ``movie_hash``.
    :param summary: the batch's own result.
    """
    if not outlets:
        return
    try:
        videos = [asset_event_extra(result, movie_hash=result["movie_hash"]) for result in results]
        extra = {name: summary[name] for name in ("items", "done", "failed", "seconds", "credits", "report_path")}
        if extra["report_path"]:
            extra["report_path"] = without_credentials(extra["report_path"])
        _emit(context, outlets, videos, account=account, name=_asset_name(template, context), summary=extra)
    except Exception as error:
        log.warning("Could not emit the asset events of the batch's videos: %r.", error)


def _emit(
    context: Context,
    outlets: Iterable[Any] | None,
    videos: Sequence[Mapping[str, Any]],
    *,
    account: str,
    name: str,
    summary: Mapping[str, Any] | None = None,
) -> None:
    """Add the facts of *videos* to the events of a task's outlets.

    An asset gets one event per task, with *summary*, or else with the facts of the last video. An alias gets one event
    per video, of the asset ``json2video://<account>/<name>``.
    """
    from airflow.providers.common.compat.sdk import AssetAlias

    events = context.get("outlet_events")
    if events is None or not videos:
        return
    for outlet in outlets or ():
        if isinstance(outlet, AssetAlias):
            for facts in videos:
                events[outlet].add(create_asset(account=account, name=name), extra=dict(facts))
        elif _is_asset(outlet):
            # What the DAG's author added, such as in a pre_execute hook, stays.
            accessor = events[outlet]
            accessor.extra = {**(videos[-1] if summary is None else summary), **(accessor.extra or {})}


def _asset_name(template: Any, context: Context) -> str:
    return template if isinstance(template, str) else f"{context['ti'].dag_id}/{context['ti'].task_id}"


def _is_asset(outlet: Any) -> bool:
    # An asset, a dataset, or a reference to one by name or URI. Outlets may also be of other types.
    return hasattr(outlet, "uri") or type(outlet).__name__ in ("AssetNameRef", "AssetUriRef")
