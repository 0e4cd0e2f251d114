"""Fault rules: they make the service fail on request, are matched and counted, and can be cleared.

===========  =============================================================================================
kind         what happens
===========  =============================================================================================
``answer``   *status*, *body*, *headers*, *retry_after* instead of the app's response; ``when="before"`` (the
             default) without running the app, ``when="after"`` after it has run: a 500 although a render exists.
             *canned* selects status and body by name: ``invalid-json``, ``html``, ``empty`` (a 200 without a
             body), ``no-movie`` (a 200 without its ``movie``), ``quota``, ``no-credits``, ``suspended``
``delay``    waits *seconds* (real ones) ``before`` or ``after`` the app runs
``slow``     the app runs, and its response is sent slowly over *seconds* (real ones)
``lost``     the app runs, its response is dropped and the connection aborted; with ``when="before"``
             the connection is aborted and the app never runs
``cut``      the app runs, the client gets *bytes* bytes of the body, then the connection is aborted
``render``   the outcome of submitted renders: ``status="error"`` with *message*; ``"pending"`` or
             ``"running"``: stuck there until cleared; ``"timeout"``: shown as such until cleared;
             ``"crash"``: the worker process kills itself
``poll``     the status that polling one render returns, whatever its real status and the list:
             ``status="pending"``, ``"running"`` or ``"timeout"`` (with ``nth``, a status that goes
             backwards); ``"unknown"``: no such project; ``"late"``: that of *seconds* ago on the
             service's clock
``file``     the download of a video: ``status="missing"``: 404; ``"truncated"``: half of the file
             as a complete response; ``"wrong-length"``: Content-Length is that of the whole file, and the
             connection ends after half of it
``webhook``  ``status="missing"``: never sent; ``"twice"``; ``"late"``: *seconds* after the end on the
             service's clock
===========  =============================================================================================

Without a *path*, a rule for calls applies to those of the API. With one, it can also apply to ``/renders/*`` and to
uploads to the drive, ``/storage/*``.
"""

from __future__ import annotations

import fnmatch
import itertools
import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from airflow_json2video.local.contract import MOVIE_QUOTA

__all__ = ["Call", "Fault", "Faults", "Kind"]

Kind = Literal["answer", "delay", "slow", "lost", "cut", "render", "poll", "file", "webhook"]
_STATUSES: Mapping[str, tuple[str, ...]] = {
    "render": ("error", "pending", "running", "timeout", "crash"),
    "poll": ("pending", "running", "timeout", "unknown", "late"),
    "file": ("missing", "truncated", "wrong-length"),
    "webhook": ("missing", "twice", "late"),
}
_CALLS = ("answer", "delay", "slow", "lost", "cut")
_CANNED: Mapping[str, tuple[int, Any]] = {
    "invalid-json": (200, '{"success": true, "movie": {"status": "do'),
    "html": (502, "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"),
    "empty": (200, ""),
    "no-movie": (200, {"success": True}),
    "quota": (401, {"success": False, "message": MOVIE_QUOTA}),
    "no-credits": (400, {"success": False, "message": "Insufficient credits"}),
    "suspended": (403, {"success": False, "message": "account_suspended"}),
}


@dataclass(frozen=True, kw_only=True)
class Call:
    """The facts about a request that rules are matched against."""

    method: str
    path: str
    project: str | None = None
    client_data: str = ""
    """The ``client-data`` of the movie submitted or asked about, as JSON text."""


@dataclass(kw_only=True)
class Fault:
    """One rule. A field that is not set matches everything."""

    kind: Kind
    method: str | None = None
    path: str | None = None
    """Exact path, or a pattern with ``*``; ``/v2`` can be omitted."""
    project: str | None = None
    marker: str | None = None
    """Text that ``client-data`` must contain."""
    nth: int | tuple[int, ...] | None = None
    """Only these of the matching calls, counted from 1."""
    times: int | None = 1
    """How often the rule applies; None: until it is cleared."""
    when: Literal["before", "after"] | None = None
    status: int | str | None = None
    body: Any = None
    canned: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    retry_after: float | str | None = None
    seconds: float = 0.0
    bytes: int = 5
    message: str | None = None
    id: str = ""
    matched: int = 0
    applied: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"the kind of a fault must be one of {', '.join(get_args(Kind))}, got {self.kind!r}")
        if self.when not in (None, "before", "after"):
            raise ValueError(f"when must be 'before' or 'after', got {self.when!r}")
        if self.kind in _STATUSES and self.status not in _STATUSES[self.kind]:
            known = ", ".join(_STATUSES[self.kind])
            raise ValueError(f"the status of a {self.kind} fault must be one of {known}, got {self.status!r}")
        if self.canned is not None:
            if self.kind != "answer" or self.canned not in _CANNED:
                raise ValueError(f"canned requires the kind 'answer' and must be one of {', '.join(_CANNED)}")
            self.status, self.body = _CANNED[self.canned]
        if self.kind == "answer" and self.status is None:
            self.status = 200 if self.body is not None else 500
        if self.kind == "answer" and not isinstance(self.status, int):
            raise ValueError(f"the status of an answer must be a number, got {self.status!r}")
        if isinstance(self.nth, list):
            self.nth = tuple(self.nth)

    @property
    def is_exhausted(self) -> bool:
        """Whether the rule has been applied as often as it can be."""
        return self.times is not None and self.applied >= self.times

    def matches(self, call: Call) -> bool:
        """Return whether the rule matches this call, regardless of its counts."""
        if self.method and self.method.upper() != call.method:
            return False
        if self.path and not _path_matches(self.path, call.path):
            return False
        if self.path is None and self.kind in _CALLS and not call.path.startswith("/v2/"):
            return False
        if self.project and self.project != call.project:
            return False
        return not self.marker or self.marker in call.client_data

    def describe(self) -> dict[str, Any]:
        """Return the rule and its counts as JSON."""
        return {k: v for k, v in asdict(self).items() if v not in (None, {}, "")}


def _path_matches(pattern: str, path: str) -> bool:
    return any(fnmatch.fnmatchcase(path, p) for p in (pattern, f"/v2{pattern}", f"/v2/{pattern}"))


class Faults:
    """The active rules. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: dict[str, Fault] = {}
        self._ids = itertools.count(1)

    def add(self, rule: Mapping[str, Any]) -> Fault:
        """Add a rule.

        :param rule: the fields of :class:`Fault`; ``kind`` is required.
        :raises ValueError: an unknown field, or an invalid value.
        """
        names = {f.name for f in fields(Fault)} - {"id", "matched", "applied"}
        if unknown := sorted(set(rule) - names):
            raise ValueError(f"unknown field of a fault: {', '.join(unknown)}. Available: {', '.join(sorted(names))}")
        if "kind" not in rule:
            raise ValueError(f"a fault requires a kind: {', '.join(get_args(Kind))}")
        fault = Fault(**rule)
        with self._lock:
            fault.id = f"fault-{next(self._ids)}"
            self._rules[fault.id] = fault
        return fault

    def clear(self, id_: str | None = None) -> None:
        """Clear one rule, or all of them. Renders that they held continue."""
        with self._lock:
            if id_ is None:
                self._rules.clear()
            else:
                self._rules.pop(id_, None)

    def is_active(self, id_: str | None) -> bool:
        """Return whether a rule has not been cleared; an exhausted one still holds its renders."""
        return id_ in self._rules

    def all(self) -> list[Fault]:
        """Return every rule, including exhausted ones."""
        with self._lock:
            return list(self._rules.values())

    def matching(self, call: Call, *, kinds: Iterable[Kind]) -> list[Fault]:
        """Return the rules that apply to this call, and count the call."""
        wanted = set(kinds)
        hits = []
        with self._lock:
            for rule in self._rules.values():
                if rule.kind not in wanted or rule.is_exhausted or not rule.matches(call):
                    continue
                rule.matched += 1
                nths = (rule.nth,) if isinstance(rule.nth, int) else rule.nth
                if nths is None or rule.matched in nths:
                    rule.applied += 1
                    hits.append(rule)
        return hits

    @property
    def has_live_rules(self) -> bool:
        """Whether any rule can still apply."""
        with self._lock:
            return any(not rule.is_exhausted for rule in self._rules.values())

    @property
    def need_body(self) -> bool:
        """Whether a rule that can still apply has a marker, for which a submitted document must be read."""
        with self._lock:
            return any(rule.marker and not rule.is_exhausted for rule in self._rules.values())


def marker_text(document: Any) -> str:
    """Return the ``client-data`` of a document as JSON text, empty if it has none."""
    if not isinstance(document, dict) or "client-data" not in document:
        return ""
    return json.dumps(document["client-data"], ensure_ascii=False)
