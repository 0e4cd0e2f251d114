"""What the service charges, in credits: for the seconds of a render, and for AI-generated assets. Pure.

The catalog of models is a snapshot of the service's, and an open set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from airflow_json2video.movie.evaluator import UnknownValue, resolve
from airflow_json2video.movie.findings import at
from airflow_json2video.movie.lexer import SegmentKind, placeholders

__all__ = [
    "ANY",
    "CATALOG",
    "FITS_CONTAINER",
    "KNOWN_TYPES",
    "NOTHING",
    "UNREADABLE",
    "Asset",
    "Assets",
    "Interval",
    "Unknown",
    "add_intervals",
    "find_asset",
    "render_credits",
    "resolve_number",
    "resolve_value",
]

_LARGE_FRAME = 1920 * 1080


def render_credits(seconds: float, *, width: int, height: int) -> int:
    """Return the price of a render of *seconds*: one credit per second, rounded up.

    Above 1920x1080 pixels it is four credits per second, the higher of two published prices.
    """
    # The small subtraction prevents 2.0000001 s, a rounding of frames, from costing 3.
    return math.ceil(seconds - 1e-6) * (4 if width * height > _LARGE_FRAME else 1)


@dataclass(frozen=True)
class Asset:
    """A model of the catalog.

    :param kind: ``image``, ``voice``, ``video`` or ``avatar``.
    :param credits: price of one unit.
    :param per_second: whether the unit is a second of the asset; otherwise it is a file.
    """

    kind: str
    credits: int
    per_second: bool = False


def _catalog() -> Mapping[str, Asset]:
    images = {
        "flux-schnell": 0,
        "text-to-image-basic": 0,
        "freepik-classic": 0,
        "gemini-2.5-flash": 20,
        "nano-banana": 20,
        "nano-banana-pro": 80,
        "nano-banana-2": 40,
        "seedream-v4": 15,
        "text-to-image-pro": 15,
        "flux-pro": 20,
    }
    voices = ("azure", "elevenlabs", "elevenlabs-flash-v2-5", "elevenlabs-v2", "elevenlabs-v3")
    catalog = {name: Asset("image", price) for name, price in images.items()}
    catalog |= {name: Asset("voice", 0, per_second=True) for name in voices}
    catalog |= {
        "seedance-v1.5-pro": Asset("video", 20, per_second=True),
        "wan-v2.5": Asset("video", 30, per_second=True),
        "infinite-talk": Asset("avatar", 20, per_second=True),
        "talking-head": Asset("avatar", 20, per_second=True),
    }
    return MappingProxyType(catalog)


CATALOG = _catalog()
"""The models by name, aliases included."""


def find_asset(model: object) -> Asset | None:
    """Return the entry of *model* in the catalog; None if it has none."""
    return CATALOG.get(model) if isinstance(model, str) else None


FITS_CONTAINER = frozenset({"text", "component", "audiogram", "html"})
"""Element types whose default duration is -2 (for html this is assumed, not documented)."""

_UNPRICED = FITS_CONTAINER | {"audio", "subtitles"}

KNOWN_TYPES = _UNPRICED | {"image", "video", "voice"}
"""Element types whose length and price can be estimated."""

UNREADABLE = object()
"""The placeholder of an unknown value."""


class Unknown(NamedTuple):
    """A reason why a length or a price is unknown."""

    path: str
    reason: str


class Interval(NamedTuple):
    """A length or a price between two bounds, in seconds or credits; the upper one may be infinite."""

    low: float
    high: float

    @property
    def exact(self) -> bool:
        """Whether the bounds are equal."""
        return self.low == self.high


ANY = Interval(0.0, math.inf)
NOTHING = Interval(0.0, 0.0)


def add_intervals(one: Interval, other: Interval) -> Interval:
    """Return the sum of two intervals."""
    return Interval(one.low + other.low, one.high + other.high)


def resolve_value(value: Any, variables: Mapping[str, Any]) -> Any:
    """Return *value* with its expressions replaced; :data:`UNREADABLE` if that is not possible."""
    try:
        return resolve(value, variables)
    except UnknownValue:
        return UNREADABLE


def resolve_number(value: Any, variables: Mapping[str, Any]) -> float:
    """Return *value*, with its expressions replaced, as a number.

    :raises UnknownValue: it is not a number, or is unknown.
    """
    value = resolve(value, variables)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise UnknownValue("it is not a number")
    return number


@dataclass
class Assets:
    """The price of the assets added so far, in credits, and why it is unknown."""

    credits: Interval = NOTHING
    unknown: list[Unknown] = field(default_factory=list)

    def add_unknown(self, path: str, reason: str) -> None:
        """Add an unknown price."""
        self.unknown.append(Unknown(path, reason))
        self.credits = add_intervals(self.credits, ANY)

    def add(self, node: Mapping[str, Any], path: str, variables: Mapping[str, Any], count: Interval) -> None:
        """Add the price of the generated asset of *node*, *count* times."""
        kind, prompt, model, connection, source = (
            resolve_value(node.get(key), variables) for key in ("type", "prompt", "model", "connection", "src")
        )
        if not isinstance(kind, str):
            kind = ""
        if (kind in _UNPRICED and not prompt) or (isinstance(connection, str) and connection.strip()):
            return
        is_voice = kind == "voice"
        if is_voice and node.get("model") is None:
            model = "azure"
        if kind not in KNOWN_TYPES:
            self.add_unknown(at(path, "type"), "the price of an element of this type is unknown")
            return
        if not is_voice and not prompt and (not model or _is_address(source)):
            return
        certain = is_voice or (isinstance(prompt, str) and bool(prompt.strip())) or _has_words(node.get("prompt"))
        asset = find_asset(model)
        if asset is None:
            shown = node.get("model")
            self.add_unknown(at(path, "model"), f"the price of the model {shown!r} is unknown")
            return
        if not asset.credits:
            return
        units = self.units(node, path, variables, per_second=asset.per_second, model=model)
        if not certain or connection:
            self.unknown.append(Unknown(path, "it is unknown whether it is generated at the account's cost"))
            units = Interval(0.0, units.high)
        if not count.exact:
            self.unknown.append(Unknown(path, "it is unknown how many times it is generated"))
        low, high = (u * c * asset.credits if u and c else 0 for u, c in zip(units, count, strict=True))
        self.credits = add_intervals(self.credits, Interval(low, high))

    def units(
        self, node: Mapping[str, Any], path: str, variables: Mapping[str, Any], *, per_second: bool, model: Any
    ) -> Interval:
        """Return the number of generated units: one, or the seconds of the asset."""
        if not per_second:
            return Interval(1, 1)
        with suppress(UnknownValue):
            seconds = resolve_number(node.get("duration"), variables)
            if seconds > 0:
                return Interval(math.ceil(seconds), math.ceil(seconds))
        self.unknown.append(Unknown(path, f"it is unknown how many seconds {model!r} generates"))
        return ANY


def _has_words(prompt: Any) -> bool:
    """Return whether a prompt has text next to its expressions, so that it is certainly not empty."""
    return isinstance(prompt, str) and any(
        part.kind is SegmentKind.TEXT and part.source.strip() for part in placeholders(prompt)
    )


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
