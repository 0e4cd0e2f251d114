"""What a task that has made videos says to Airflow of them: the events of its outlets.

Airflow sends the events when the task has succeeded. Loaded when a task runs, not when its DAG file is parsed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_json2video.assets import create_asset
from airflow_json2video.core.identity import fingerprint
from airflow_json2video.core.result import asset_event_extra, without_credentials
from airflow_json2video.exceptions import Json2VideoError
from airflow_json2video.operators._document import build_document

__all__ = ["document_hash", "emit_asset_event", "emit_asset_events", "emit_to_outlets"]


def emit_asset_event(operator: Any, context: Any, result: Mapping[str, Any]) -> dict[str, Any]:
    """Tell the outlets of a render task of its video, and give what they were told.

    :param operator: a render operator whose fields have been rendered.
    :param result: of the task; ``stored_path`` in it if the video was stored.
    """
    facts = asset_event_extra(result, movie_hash=document_hash(operator))
    try:
        emit_to_outlets(
            operator, context, [facts], account=operator.json2video_conn_id, name=_name_of(operator, context)
        )
    except Exception as error:  # the video is there and paid for
        operator.log.warning("The outlets could not be told of video %s: %r.", facts["project"], error)
    return facts


def emit_asset_events(
    operator: Any, context: Any, results: Iterable[Mapping[str, Any]], *, summary: Mapping[str, Any]
) -> None:
    """Tell the outlets of a batch of its videos: an asset gets *summary*, an alias an event for each video.

    :param results: of the items that have a video, as of a render task, with its ``movie_hash``.
    :param summary: the batch's own result.
    """
    if not operator.outlets:
        return
    try:
        videos = [asset_event_extra(result, movie_hash=result["movie_hash"]) for result in results]
        names = ("items", "done", "failed", "seconds", "credits", "report_path")
        extra = {name: summary[name] for name in names}
        if extra["report_path"]:
            extra["report_path"] = without_credentials(extra["report_path"])
        name = _name_of(operator, context)
        emit_to_outlets(operator, context, videos, account=operator.json2video_conn_id, name=name, extra=extra)
    except Exception as error:
        operator.log.warning("The outlets could not be told of the batch's videos: %r.", error)


def emit_to_outlets(
    operator: Any,
    context: Any,
    videos: Sequence[Mapping[str, Any]],
    *,
    account: str,
    name: str,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Put the facts of *videos* into the events of a task's outlets.

    An asset gets one event from a task, whatever it made: with the facts of the video, or with *extra* where there
    are several. An alias gets one event for each video, of the asset ``json2video://<account>/<name>``.

    :param videos: :func:`~airflow_json2video.core.result.asset_event_extra` of each.
    :param extra: what an event that stands for all of them says; default: the facts of the last one.
    """
    from airflow.providers.common.compat.sdk import AssetAlias

    events = context.get("outlet_events")
    if events is None or not videos:
        return
    for outlet in operator.outlets or ():
        if isinstance(outlet, AssetAlias):
            for facts in videos:
                events[outlet].add(create_asset(account=account, name=name), extra=dict(facts))
        elif _is_asset(outlet):
            # What the author has put there already, as in a pre_execute hook, is kept.
            accessor = events[outlet]
            accessor.extra = {**(videos[-1] if extra is None else extra), **(accessor.extra or {})}


def _name_of(operator: Any, context: Any) -> str:
    template = operator.template
    return template if isinstance(template, str) else f"{context['ti'].dag_id}/{context['ti'].task_id}"


def document_hash(operator: Any) -> str | None:
    """Give the fingerprint of the document that the operator's fields stand for now; None if they stand for none."""
    try:
        document = build_document(movie=operator.movie, template=operator.template, variables=operator.variables)
    except Json2VideoError:
        return None
    return fingerprint(document)


def _is_asset(outlet: Any) -> bool:
    # An asset, a dataset, or a reference to one by name or address; outlets may be of other kinds too.
    return hasattr(outlet, "uri") or type(outlet).__name__ in ("AssetNameRef", "AssetUriRef")
