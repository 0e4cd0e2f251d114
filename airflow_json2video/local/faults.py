"""Rules that break the service on request: matched, counted, and cleared by one call.

===========  =============================================================================================
kind         what happens
===========  =============================================================================================
``answer``   *status*, *body*, *headers*, *retry_after* instead of the app's answer; ``when="before"`` (the
             default) without running the app, ``when="after"`` once it has run: a 500 with a project made.
             *canned* gives status and body by name: ``invalid-json``, ``html``, ``empty`` (a 200 without a
             body), ``no-movie`` (a 200 without its ``movie``), ``quota``, ``no-credits``, ``suspended``
``delay``    *seconds* (real ones) ``before`` or ``after`` the app runs
``slow``     the app runs, and its answer trickles out over *seconds* (real ones)
``lost``     the app runs, the answer is thrown away and the connection is aborted; with ``when="before"``
             it is aborted and the app never runs
``cut``      the app runs, the client gets *bytes* bytes of the body, then the connection is aborted
``render``   what becomes of the renders submitted: ``status="error"`` with *message*; ``"pending"`` or
             ``"running"``: stuck there until cleared; ``"timeout"``: shown as such until cleared;
             ``"crash"``: the worker process kills itself
``poll``     what a look at one render shows, whatever is true and whatever the list says:
             ``status="pending"``, ``"running"`` or ``"timeout"`` (with ``nth``, a status that goes
             backwards); ``"unknown"``: no such project; ``"late"``: as it was *seconds* ago on the
             service's clock
``file``     what the address of a video gives: ``status="missing"``: 404; ``"truncated"``: half of the file,
             as if that were all; ``"wrong-length"``: the announced length is that of the whole file, and the
             connection ends after half of it
``webhook``  ``status="missing"``: never sent; ``"twice"``; ``"late"``: *seconds* after the end on the
             service's clock
===========  =============================================================================================

Without a *path*, a rule about calls means those of the API; one with a path may name ``/renders/*`` and
the uploads to the drive, ``/storage/*``, too.
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
    """What is known of a request when the rules are asked."""

    method: str
    path: str
    project: str | None = None
    client_data: str = ""
    """The ``client-data`` of the movie submitted or asked about, as JSON text."""


@dataclass(kw_only=True)
class Fault:
    """One rule. Whatever is not given matches everything."""

    kind: Kind
    method: str | None = None
    path: str | None = None
    """Exact path, or a pattern with ``*``; ``/v2`` may be left out."""
    project: str | None = None
    marker: str | None = None
    """Text that ``client-data`` has to contain."""
    nth: int | tuple[int, ...] | None = None
    """Only these of the calls that match otherwise, counted from 1."""
    times: int | None = 1
    """How often it strikes; None: until it is cleared."""
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
    seen: int = 0
    struck: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"a fault is one of {', '.join(get_args(Kind))}, not {self.kind!r}")
        if self.when not in (None, "before", "after"):
            raise ValueError(f"when is 'before' or 'after', not {self.when!r}")
        if self.kind in _STATUSES and self.status not in _STATUSES[self.kind]:
            known = ", ".join(_STATUSES[self.kind])
            raise ValueError(f"a {self.kind} fault has a status of {known}, not {self.status!r}")
        if self.canned is not None:
            if self.kind != "answer" or self.canned not in _CANNED:
                raise ValueError(f"canned belongs to an answer and is one of {', '.join(_CANNED)}")
            self.status, self.body = _CANNED[self.canned]
        if self.kind == "answer" and self.status is None:
            self.status = 200 if self.body is not None else 500
        if self.kind == "answer" and not isinstance(self.status, int):
            raise ValueError(f"the status of an answer is a number, not {self.status!r}")
        if isinstance(self.nth, list):
            self.nth = tuple(self.nth)

    @property
    def is_exhausted(self) -> bool:
        """Whether it has struck as often as it may."""
        return self.times is not None and self.struck >= self.times

    def matches(self, call: Call) -> bool:
        """Whether the rule is about this call, counts left aside."""
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
        """Give the rule and its counts as JSON."""
        return {k: v for k, v in asdict(self).items() if v not in (None, {}, "")}


def _path_matches(pattern: str, path: str) -> bool:
    return any(fnmatch.fnmatchcase(path, p) for p in (pattern, f"/v2{pattern}", f"/v2/{pattern}"))


class Faults:
    """The rules in force. Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: dict[str, Fault] = {}
        self._ids = itertools.count(1)

    def add(self, rule: Mapping[str, Any]) -> Fault:
        """Put a rule in force.

        :param rule: the fields of :class:`Fault`; ``kind`` is required.
        :raises ValueError: a field that does not exist, or a value that it cannot have.
        """
        names = {f.name for f in fields(Fault)} - {"id", "seen", "struck"}
        if unknown := sorted(set(rule) - names):
            raise ValueError(f"a fault has no {', '.join(unknown)}. It has: {', '.join(sorted(names))}")
        if "kind" not in rule:
            raise ValueError(f"a fault needs a kind: {', '.join(get_args(Kind))}")
        fault = Fault(**rule)
        with self._lock:
            fault.id = f"fault-{next(self._ids)}"
            self._rules[fault.id] = fault
        return fault

    def clear(self, id_: str | None = None) -> None:
        """Drop one rule, or all of them. Renders they held go on."""
        with self._lock:
            if id_ is None:
                self._rules.clear()
            else:
                self._rules.pop(id_, None)

    def is_active(self, id_: str | None) -> bool:
        """Whether a rule has not been cleared; a spent one still holds the renders that it struck."""
        return id_ in self._rules

    def all(self) -> list[Fault]:
        """Give every rule, spent ones included."""
        with self._lock:
            return list(self._rules.values())

    def matching(self, call: Call, *, kinds: Iterable[Kind]) -> list[Fault]:
        """Give the rules that strike this call now, and count it."""
        wanted = set(kinds)
        hits = []
        with self._lock:
            for rule in self._rules.values():
                if rule.kind not in wanted or rule.is_exhausted or not rule.matches(call):
                    continue
                rule.seen += 1
                nths = (rule.nth,) if isinstance(rule.nth, int) else rule.nth
                if nths is None or rule.seen in nths:
                    rule.struck += 1
                    hits.append(rule)
        return hits

    @property
    def has_live_rules(self) -> bool:
        """Whether a rule can still strike."""
        with self._lock:
            return any(not rule.is_exhausted for rule in self._rules.values())

    @property
    def need_body(self) -> bool:
        """Whether a live rule looks for a marker, for which a submitted document has to be read."""
        with self._lock:
            return any(rule.marker and not rule.is_exhausted for rule in self._rules.values())


def marker_text(document: Any) -> str:
    """Give the ``client-data`` of a document as JSON text, empty if there is none."""
    if not isinstance(document, dict) or "client-data" not in document:
        return ""
    return json.dumps(document["client-data"], ensure_ascii=False)
