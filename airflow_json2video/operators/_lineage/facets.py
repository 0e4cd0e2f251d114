"""This package's OpenLineage facets. Import only where the OpenLineage client is installed."""

from __future__ import annotations

import attrs
from openlineage.client.generated.base import JobFacet, RunFacet

__all__ = ["RenderJobFacet", "RenderRunFacet"]


@attrs.define(kw_only=True)
class RenderRunFacet(RunFacet):
    """What a run rendered.

    :ivar project: the render's id. :ivar duration: seconds of video. :ivar credits: the price of these seconds.
    :ivar movieHash: fingerprint of the document, the same for the same movie.
    """

    project: str | None = None
    duration: float | None = None
    credits: int | None = None
    movieHash: str | None = None  # noqa: N815 - OpenLineage's spelling


@attrs.define(kw_only=True)
class RenderJobFacet(JobFacet):
    """What a job renders.

    :ivar template: id of the template at JSON2Video; None if the movie is written in the DAG.
    """

    template: str | None = None
