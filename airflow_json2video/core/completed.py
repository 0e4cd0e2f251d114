"""Which renders of an account have ended since the last look at its list. Pure: given pages and times.

The list shows renders by the time of their submission, and one that has just ended may have been submitted long
before. So what is read again and again is the range from the oldest that goes on up to now; but a few that go on for
very long do not hold it back: they are asked for by themselves, less often the older they are.

Everything that was submitted before the look before, less a margin, has been seen then. If it is in the list, has
ended, and was not going on, it has been told. So what was told needs to be remembered for the margin only.
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
"""Seconds that clocks may differ by, and that the list may be late by."""
_LONG = 900.0
"""Seconds of age from which a render that goes on may be asked for by itself."""
_FEW = 10
"""Renders that may be asked for by themselves. Where more go on for long, as in a batch, the list is cheaper."""
_ROUNDING = 1.0
_FIRST_LOOK_BACK = 7200.0
"""Seconds before the first look in which a render may have been submitted that ends after it."""
_LONGEST_GAP = 7 * 86400.0
"""Seconds that are made up for after an outage: what ended before has no file any more."""
_GIVEN_UP = 86400.0
"""Seconds of age at which a render that has not ended is not asked for any more."""
_SHARE_OF_AGE = 20
"""A render that goes on is asked for by itself after so many parts of its age have passed since the last time."""

_ENDED = {"done": "done", "error": "failed"}


@dataclass(frozen=True)
class RenderFilter:
    """Which of the renders that end are worth an event.

    :param outcome: those that are done, those that failed, or any.
    :param template: only those of this stored template; by the document that the list shows.
    :param client_data: only those whose ``client-data`` holds all of this.
    """

    outcome: Literal["done", "failed", "any"] = "done"
    template: str | None = None
    client_data: Mapping[str, Any] = field(default_factory=dict)

    def matches(self, movie: Mapping[str, Any], *, deployment: str | None) -> bool:
        """Whether a render that has ended, in the list's own names, is one of them; one of another deployment never is.

        :param deployment: this one; None if it has submitted nothing yet.
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
        return _holds(own, self.client_data)


class FinishedRenders:
    """What is known of an account's renders, from one look to the next.

    :param state: of an earlier one, from :meth:`state`. Without it, what has ended at the first look is not new.
    """

    def __init__(self, state: Any = None) -> None:
        self._start: float | None = None  # of the range
        self._seen = -math.inf  # everything submitted before this has been seen
        self._told: dict[str, float] = {}
        self._open: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        if isinstance(state, Mapping) and all(isinstance(state.get(name), (int, float)) for name in ("start", "seen")):
            self._start, self._seen = float(state["start"]), float(state["seen"])
            self._told, self._open = _moments(state.get("told")), _moments(state.get("open"))

    @property
    def has_begun(self) -> bool:
        """Whether there has been a look, so that there is a :meth:`state`."""
        return self._start is not None

    def state(self) -> dict[str, Any]:
        """Give all that has to be kept, as plain JSON. Only after a look."""
        return {"start": self._start, "seen": self._seen, "told": dict(self._told), "open": dict(self._open)}

    def span(self, now: float) -> tuple[float, float]:
        """Give the range of submissions to list, epoch seconds."""
        start = now - _FIRST_LOOK_BACK if self._start is None else max(self._start, now - _LONGEST_GAP)
        return min(start, now), now + _MARGIN

    def to_ask(self, now: float) -> list[str]:
        """Give the renders that are to be asked for by themselves now."""
        start, _ = self.span(now)
        return [
            project
            for project, created in self._open.items()
            if created < start and now - self._asked.get(project, created) >= (now - created) / _SHARE_OF_AGE
        ]

    def on_list(self, movies: Iterable[Mapping[str, Any]], *, now: float) -> list[Mapping[str, Any]]:
        """Learn from the whole list of :meth:`span`, and give the renders that have ended since, in that order."""
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
        self._go_on(start, now)
        return sorted(fresh, key=lambda movie: str(movie.get("ended_at") or ""))

    def on_answer(self, movie: Mapping[str, Any], *, now: float) -> bool:
        """Learn from the answer about one render that was asked for by itself: whether it has ended now."""
        project = str(movie.get("project"))
        self._asked[project] = now
        return movie.get("status") in _ENDED and self._open.pop(project, None) is not None

    def on_unknown(self, project: str) -> None:
        """Learn that the service does not know a render any more."""
        self._open.pop(project, None)

    def _ends(self, project: str, status: str, created: float) -> bool:
        """Take note of an entry of the list: whether it has ended since the last one."""
        was_told = project in self._told or (created < self._seen and project not in self._open)
        if status not in _ENDED:
            if not was_told:  # else its status goes backwards
                self._open[project] = created
            return False
        self._open.pop(project, None)
        self._told[project] = max(created, self._told.get(project, created))
        return not was_told

    def _go_on(self, start: float, now: float) -> None:
        self._open = {project: created for project, created in self._open.items() if created > now - _GIVEN_UP}
        self._asked = {project: asked for project, asked in self._asked.items() if project in self._open}
        inside = sorted(created for created in self._open.values() if created >= start)
        room = max(0, _FEW - (len(self._open) - len(inside)))
        left = min(room, sum(created < now - _LONG for created in inside))
        oldest = min(inside[left:], default=now) - _ROUNDING
        self._start = max(start, min(oldest, now - _MARGIN))
        self._seen = max(self._seen, now - _MARGIN)
        self._told = {project: created for project, created in self._told.items() if created >= self._seen}


def _document(movie: Mapping[str, Any]) -> Mapping[str, Any]:
    text = movie.get("json")
    try:
        document = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return {}
    return document if isinstance(document, Mapping) else {}


def _holds(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(value, Mapping) and all(
            key in value and _holds(value[key], part) for key, part in wanted.items()
        )
    return bool(value == wanted)


def _moments(value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping):
        return {}
    return {str(name): float(at) for name, at in value.items() if isinstance(at, (int, float))}
