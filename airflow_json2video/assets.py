"""Videos as assets of Airflow: the URI scheme ``json2video``, and the videos in an asset's events.

``json2video://<account>/<name>`` identifies a series of videos, not a single one: ``json2video://marketing/weekly-report``
is the latest weekly report. JSON2Video does not name its accounts, so you choose *account*; by convention it is the id
of the connection. You choose *name* too, such as the name of a template, a DAG or a series; it may have several parts.
Without a name, ``json2video://<account>`` is every video of the account.

Airflow imports this module while it reads a DAG file with such an asset, so it imports nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from airflow.providers.common.compat.openlineage.facet import Dataset as OpenLineageDataset
    from airflow.providers.common.compat.sdk import Asset

__all__ = ["create_asset", "triggering_videos"]

SCHEME = "json2video"

_SEGMENT = "-._~!$&'()*+,;=:@"
"""Characters allowed in a path segment in addition to letters and digits (RFC 3986); others are written as %XX."""


def create_asset(*, account: str = "json2video_default", name: str = "", extra: dict[str, Any] | None = None) -> Asset:
    """Return the asset ``json2video://<account>/<name>``; a ``Dataset`` in Airflow 2.11.

    :param account: the account of the videos; by convention the id of the connection.
    :param name: the series, such as ``weekly-report`` or ``shops/north``; empty: all videos.
    :raises ValueError: the account is empty, or a part of the name is ``.`` or ``..``.

    .. code-block:: python

        render = Json2VideoRenderOperator(..., outlets=[create_asset(name="weekly-report")])
    """
    from urllib.parse import quote, urlsplit

    from airflow.providers.common.compat.sdk import Asset

    path = "/".join(quote(part, safe=_SEGMENT) for part in name.split("/"))
    uri = f"{SCHEME}://{quote(account, safe='-._~')}/{path}"
    # Also if the package is on the path but not installed, so that Airflow has no handler for the scheme.
    return Asset(uri=sanitize_uri(urlsplit(uri)).geturl(), extra=extra)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return the URI in its normal form; Airflow calls this for each URI of the scheme.

    :raises ValueError: the account is missing, or the URI has a part that the scheme does not allow. The message does
        not quote that part, since it may be a key.
    """
    from urllib.parse import quote, unquote

    shape = f"write {SCHEME}://<account>/<name>"
    if "@" in uri.netloc:
        raise ValueError(
            f"a {SCHEME} asset must not contain a user or a password; {shape}. The API key belongs in the connection"
        )
    if not uri.netloc:
        raise ValueError(f"a {SCHEME} asset needs an account; {shape}, the account by convention the connection's id")
    if ":" in uri.netloc:
        raise ValueError(f"a {SCHEME} asset must not contain a port; {shape}")
    if uri.query:
        raise ValueError(f"a {SCHEME} asset must not contain a query; {shape}")
    parts = [unquote(part) for part in uri.path.split("/") if part]
    if {".", ".."} & set(parts):
        raise ValueError(f"a part of the name of a {SCHEME} asset is '.' or '..'; {shape}")
    path = "/".join(quote(part, safe=_SEGMENT) for part in parts)
    return uri._replace(scheme=SCHEME, path=f"/{path}", query="", fragment="")


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> OpenLineageDataset:  # noqa: ARG001
    """Return the OpenLineage dataset of an asset of the scheme; Airflow's OpenLineage provider calls this."""
    from urllib.parse import unquote, urlsplit

    from airflow.providers.common.compat.openlineage.facet import Dataset

    uri = urlsplit(asset.uri)
    return Dataset(namespace=f"{SCHEME}://{uri.netloc}", name=unquote(uri.path.strip("/")) or "/")


def triggering_videos(context: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the facts of the videos whose asset events triggered this run, oldest first.

    They come from a render task with outlets, or from a
    :class:`~airflow_json2video.triggers.render_event.Json2VideoRenderEventTrigger`; events of other assets are
    left out.

    :param context: the context of a task.
    :returns: :func:`~airflow_json2video.core.result.asset_event_extra` of each.

    .. code-block:: python

        @task
        def publish(**context):
            for video in triggering_videos(context):
                print(video["project"], video["stored_path"] or video["url"])
    """
    by_asset = context.get("triggering_asset_events") or context.get("triggering_dataset_events") or {}
    events = [event for asset in by_asset for event in by_asset[asset]]
    videos = []
    for event in sorted(events, key=lambda event: event.timestamp):
        extra = event.extra
        if isinstance(extra, Mapping) and extra.get("from_trigger"):
            extra = extra.get("payload")
        if isinstance(extra, Mapping) and {"project", "movie_hash"} <= set(extra):
            videos.append(dict(extra))
    return videos
