"""The OpenLineage metadata of a render: the files it is made of, the video, and its facts.

Called by Airflow's OpenLineage provider if that is installed and enabled; otherwise nothing here is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.openlineage.facet import Dataset, OutputDataset, OutputStatisticsOutputDatasetFacet

from airflow_json2video.core.identity import fingerprint
from airflow_json2video.core.media_sources import media_urls
from airflow_json2video.core.result import lineage_dataset

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

__all__ = ["lineage_of"]


def lineage_of(document: Mapping[str, Any] | None, video: Mapping[str, Any] | None) -> OperatorLineage[Any, Any]:
    """Return the lineage of a render task.

    :param document: the task's movie; None if its arguments do not describe one, which the task itself reports.
    :param video: :func:`~airflow_json2video.core.result.asset_event_extra` of the video; None if there is none.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_json2video.operators._lineage.facets import RenderJobFacet, RenderRunFacet

    document, facts = document or {}, video or {}
    return OperatorLineage(
        inputs=_inputs(document),
        outputs=_outputs(facts),
        run_facets={
            "json2video_render": RenderRunFacet(
                project=facts.get("project"),
                duration=facts.get("duration"),
                credits=facts.get("credits"),
                movieHash=fingerprint(document) if document else None,
            )
        },
        job_facets={"json2video_movie": RenderJobFacet(template=document.get("template"))},
    )


def _inputs(document: Mapping[str, Any]) -> list[Any]:
    places = [lineage_dataset(address) for address in media_urls(document)]
    return [Dataset(namespace=namespace, name=name) for namespace, name in dict.fromkeys(filter(None, places))]


def _outputs(facts: Mapping[str, Any]) -> list[Any]:
    place = lineage_dataset(str(facts.get("stored_path") or facts.get("url") or ""))
    if place is None:
        return []
    size = OutputStatisticsOutputDatasetFacet(rowCount=None, size=facts.get("size"))
    return [OutputDataset(namespace=place[0], name=place[1], outputFacets={"outputStatistics": size})]
