"""Which renders of an account have ended since its list was last read. Pure: pages and times are passed in.

The list is ordered by submission, and a render that has just ended may have been submitted long ago. So each poll reads
the range from the oldest running render until now. A few renders that run for very long do not extend this range: they
are polled individually, less often the older they are.

Everything that was submitted before the previous poll, less a margin, was seen then. If such a render is in the list,
has ended, and was not running, it has been reported. So reported renders have to be stored for the margin only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_json2video.core.identity import is_of_another_deployment
from airflow_json2video.core.result import created_at

__all__ = ["FinishedRenders", "RenderFilter"]

_MARGIN = 300.0
"""Seconds by which clocks may differ and the list may lag."""
_MIN_AGE_TO_POLL = 900.0
"""Seconds of age from which a running render may be polled individually."""
_MAX_INDIVIDUAL = 10
"""Renders that may be polled individually. If more of them run for long, such as in a batch, the list is cheaper."""
_ROUNDING = 1.0
_FIRST_WINDOW = 7200.0
"""Seconds before the first poll from which submissions are read."""
_MAX_GAP = 7 * 86400.0
"""Seconds of an outage that are caught up on: the files of earlier renders are already deleted."""
_MAX_RENDER_AGE = 86400.0
"""Seconds of age after which a render that has not ended is no longer polled."""
_POLLS_PER_AGE = 20
"""A render is polled individually each time its age has grown by one part in this number."""

_ENDED = {"done": "done", "error": "failed"}


@dataclass(frozen=True)
class RenderFilter:
    """Selects the renders that fire an event.

    :param outcome: renders that are done, that failed, or both.
    :param template: only those of this stored template; by the document that the list shows.
    :param client_data: only those whose ``client-data`` contains all of this.
    """

    outcome: Literal["done", "failed", "any"] = "done"
    template: str | None = None
    client_data: Mapping[str, Any] = field(default_factory=dict)

    def matches(self, movie: Mapping[str, Any], *, deployment: str | None) -> bool:
        """Return whether a render that has ended matches; one of another deployment never does.

        :param movie: an entry of the list. :param deployment: this one; None if it has submitted nothing yet.
        """
        if self.outcome not in ("any", _ENDED.get(str(movie.get("status")))):
            return False
        if is_of_another_deployment(movie.get("client-data"), movie.get("json"), ours=deployment):
            return False
        if self.template is None and not self.client_data:
            return True
        document = _document(movie)
        if self.template is not None and document.get("template") != self.template:
            return False
        own = movie.get("client-data") or document.get("client-data") or {}
        return _contains(own, self.client_data)


class FinishedRenders:
    """The known renders of an account, from one poll to the next.

    :param state: the result of an earlier :meth:`state`. Without it, renders that have ended before the first poll are
        not reported.
    """

    def __init__(self, state: Any = None) -> None:
        self._start: float | None = None  # start of the range
        self._seen = -math.inf  # everything submitted before this has been seen
        self._reported: dict[str, float] = {}
        self._open: dict[str, float] = {}
        self._polled: dict[str, float] = {}
        if isinstance(state, Mapping) and all(isinstance(state.get(name), (int, float)) for name in ("start", "seen")):
            self._start, self._seen = float(state["start"]), float(state["seen"])
            self._reported, self._open = _timestamps(state.get("reported")), _timestamps(state.get("open"))

    @property
    def has_state(self) -> bool:
        """Whether there has been a poll, so that there is a :meth:`state`."""
        return self._start is not None

    def state(self) -> dict[str, Any]:
        """Return everything that has to be stored, as plain JSON. Only after a poll."""
        return {"start": self._start, "seen": self._seen, "reported": dict(self._reported), "open": dict(self._open)}

    def span(self, now: float) -> tuple[float, float]:
        """Return the range of submissions to list, epoch seconds."""
        start = now - _FIRST_WINDOW if self._start is None else max(self._start, now - _MAX_GAP)
        return min(start, now), now + _MARGIN

    def due_projects(self, now: float) -> list[str]:
        """Return the renders that have to be polled individually now."""
        start, _ = self.span(now)
        return [
            project
            for project, created in self._open.items()
            if created < start and now - self._polled.get(project, created) >= (now - created) / _POLLS_PER_AGE
        ]

    def on_list(self, movies: Iterable[Mapping[str, Any]], *, now: float) -> list[Mapping[str, Any]]:
        """Process the complete list of :meth:`span`; return the renders that have ended since, in that order."""
        is_first = self._start is None
        start, _ = self.span(now)
        fresh = []
        for movie in movies:
            project, status = movie.get("project"), movie.get("status")
            if not isinstance(project, str) or not isinstance(status, str):
                continue
            created = created_at(movie)
            created = now if created is None else created
            if created >= start and self._ends(project, status, created) and not is_first:
                fresh.append(movie)
        self._advance(start, now)
        return sorted(fresh, key=lambda movie: str(movie.get("ended_at") or ""))

    def on_response(self, movie: Mapping[str, Any], *, now: float) -> bool:
        """Process the response about one render that was polled individually; return whether it has ended."""
        project = str(movie.get("project"))
        self._polled[project] = now
        return movie.get("status") in _ENDED and self._open.pop(project, None) is not None

    def on_unknown(self, project: str) -> None:
        """Forget a render that the service no longer knows."""
        self._open.pop(project, None)

    def _ends(self, project: str, status: str, created: float) -> bool:
        """Record an entry of the list; return whether the render has ended since the last poll."""
        is_reported = project in self._reported or (created < self._seen and project not in self._open)
        if status not in _ENDED:
            if not is_reported:  # otherwise its status has gone backwards
                self._open[project] = created
            return False
        self._open.pop(project, None)
        self._reported[project] = max(created, self._reported.get(project, created))
        return not is_reported

    def _advance(self, start: float, now: float) -> None:
        self._open = {project: created for project, created in self._open.items() if created > now - _MAX_RENDER_AGE}
        self._polled = {project: polled for project, polled in self._polled.items() if project in self._open}
        inside = sorted(created for created in self._open.values() if created >= start)
        room = max(0, _MAX_INDIVIDUAL - (len(self._open) - len(inside)))
        left = min(room, sum(created < now - _MIN_AGE_TO_POLL for created in inside))
        oldest = min(inside[left:], default=now) - _ROUNDING
        self._start = max(start, min(oldest, now - _MARGIN))
        self._seen = max(self._seen, now - _MARGIN)
        self._reported = {project: created for project, created in self._reported.items() if created >= self._seen}


def _document(movie: Mapping[str, Any]) -> Mapping[str, Any]:
    text = movie.get("json")
    try:
        document = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return {}
    return document if isinstance(document, Mapping) else {}


def _contains(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(value, Mapping) and all(
            key in value and _contains(value[key], part) for key, part in wanted.items()
        )
    return bool(value == wanted)


def _timestamps(value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping):
        return {}
    return {str(name): float(at) for name, at in value.items() if isinstance(at, (int, float))}
