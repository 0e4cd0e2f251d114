"""Our own facets of OpenLineage. Only to be imported where its client is installed."""

from __future__ import annotations

import attrs
from openlineage.client.generated.base import JobFacet, RunFacet

__all__ = ["RenderJobFacet", "RenderRunFacet"]


@attrs.define(kw_only=True)
class RenderRunFacet(RunFacet):
    """What a run rendered.

    :ivar project: the render's id. :ivar duration: seconds of video. :ivar credits: for its seconds.
    :ivar movieHash: fingerprint of the document, the same for the same movie.
    """

    project: str | None = None
    duration: float | None = None
    credits: int | None = None
    movieHash: str | None = None  # noqa: N815 - as facets write their names


@attrs.define(kw_only=True)
class RenderJobFacet(JobFacet):
    """What a job renders.

    :ivar template: id of the template at JSON2Video; None for a movie of its own.
    """

    template: str | None = None
