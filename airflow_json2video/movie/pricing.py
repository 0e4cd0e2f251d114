"""What the generated assets of a movie cost, where that can be known before it is rendered. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from airflow_json2video.movie.catalog import price_of
from airflow_json2video.movie.evaluator import NotKnown, resolve
from airflow_json2video.movie.findings import at
from airflow_json2video.movie.lexer import SegmentKind, placeholders

__all__ = [
    "ANY",
    "FITS_CONTAINER",
    "KNOWN_TYPES",
    "NOTHING",
    "UNREADABLE",
    "Assets",
    "Interval",
    "Unknown",
    "added",
    "number_of",
    "value_of",
]

FITS_CONTAINER = frozenset({"text", "component", "audiogram", "html"})
"""Element types whose duration is -2 when absent (for html that is not documented, but assumed)."""

_UNPRICED = FITS_CONTAINER | {"audio", "subtitles"}

KNOWN_TYPES = _UNPRICED | {"image", "video", "voice"}
"""Element types whose length and price can be known. Of others nothing is."""

UNREADABLE = object()
"""Stands for a value that is not known."""


class Unknown(NamedTuple):
    """Something that keeps a figure from being known."""

    path: str
    reason: str


class Interval(NamedTuple):
    """A length or a price between two bounds, in seconds or credits; the upper one may be infinite."""

    low: float
    high: float

    @property
    def exact(self) -> bool:
        """Whether the bounds agree."""
        return self.low == self.high


ANY = Interval(0.0, math.inf)
NOTHING = Interval(0.0, 0.0)


def added(one: Interval, other: Interval) -> Interval:
    """Return the sum of two intervals."""
    return Interval(one.low + other.low, one.high + other.high)


def value_of(value: Any, variables: Mapping[str, Any]) -> Any:
    """Return *value* with its expressions filled in; :data:`UNREADABLE` if that is not possible."""
    try:
        return resolve(value, variables)
    except NotKnown:
        return UNREADABLE


def number_of(value: Any, variables: Mapping[str, Any]) -> float:
    """Return *value*, with its expressions filled in, as a number.

    :raises NotKnown: if it is none, or none that can be known here.
    """
    value = resolve(value, variables)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise NotKnown("it is not a number")
    return number


@dataclass
class Assets:
    """What the assets added so far cost, in credits, and what keeps that from being known."""

    credits: Interval = NOTHING
    unknown: list[Unknown] = field(default_factory=list)

    def unpriced(self, path: str, reason: str) -> None:
        """Note that something costs nobody knows how much."""
        self.unknown.append(Unknown(path, reason))
        self.credits = added(self.credits, ANY)

    def add(self, node: Mapping[str, Any], path: str, variables: Mapping[str, Any], count: Interval) -> None:
        """Add what the generated asset of *node* costs, *count* times."""
        kind, prompt, model, connection, source = (
            value_of(node.get(key), variables) for key in ("type", "prompt", "model", "connection", "src")
        )
        if not isinstance(kind, str):
            kind = ""
        if (kind in _UNPRICED and not prompt) or (isinstance(connection, str) and connection.strip()):
            return
        is_voice = kind == "voice"
        if is_voice and node.get("model") is None:
            model = "azure"
        if kind not in KNOWN_TYPES:
            self.unpriced(at(path, "type"), "what an element of this type costs is not known")
            return
        if not is_voice and not prompt and (not model or _is_address(source)):
            return
        certain = is_voice or (isinstance(prompt, str) and bool(prompt.strip())) or _has_words(node.get("prompt"))
        asset = price_of(model)
        if asset is None:
            shown = node.get("model")
            self.unpriced(at(path, "model"), f"the price of the model {shown!r} is not known")
            return
        if not asset.credits:
            return
        units = self.units(node, path, variables, per_second=asset.per_second, model=model)
        if not certain or connection:
            self.unknown.append(Unknown(path, "whether it is generated at the account's cost is not known"))
            units = Interval(0.0, units.high)
        if not count.exact:
            self.unknown.append(Unknown(path, "how often it is generated is not known"))
        low, high = (u * c * asset.credits if u and c else 0 for u, c in zip(units, count, strict=True))
        self.credits = added(self.credits, Interval(low, high))

    def units(
        self, node: Mapping[str, Any], path: str, variables: Mapping[str, Any], *, per_second: bool, model: Any
    ) -> Interval:
        """Return how many units of an asset are generated: one, or as many as it has seconds."""
        if not per_second:
            return Interval(1, 1)
        with suppress(NotKnown):
            seconds = number_of(node.get("duration"), variables)
            if seconds > 0:
                return Interval(math.ceil(seconds), math.ceil(seconds))
        self.unknown.append(Unknown(path, f"how many seconds {model!r} generates is not known"))
        return ANY


def _has_words(prompt: Any) -> bool:
    """Whether a prompt has words of its own next to its expressions, so that it is not empty in any case."""
    return isinstance(prompt, str) and any(
        part.kind is SegmentKind.TEXT and part.source.strip() for part in placeholders(prompt)
    )


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
