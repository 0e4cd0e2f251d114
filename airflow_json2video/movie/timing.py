"""How long a movie will be and what it will cost, where that can be known before it is rendered.

Lengths are intervals: what is not known (a voice, a video's own length, a condition) widens them, and
where it makes no difference the result is exact all the same. Pure: no pydantic, no I/O.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from airflow_json2video.movie.catalog import price_of, render_credits
from airflow_json2video.movie.evaluation import NotKnown, is_true, resolve
from airflow_json2video.movie.findings import at
from airflow_json2video.movie.frames import frame_size

__all__ = ["Estimate", "Interval", "Overlap", "SceneSpan", "Unknown", "estimate"]

FITS_CONTAINER = frozenset({"text", "component", "audiogram", "html"})
"""Element types whose duration is -2 when absent (for html that is not documented, but assumed)."""


class Overlap(Enum):
    """What a transition does to the length of the movie; the service does not document it."""

    SHORTENS = "shortens"
    """The two scenes overlap while it runs, as with FFmpeg's xfade: its duration is taken off. The default."""
    IGNORED = "ignored"
    """The scenes' durations are added up as they are: the larger, safer figure."""


class Unknown(NamedTuple):
    """Something that keeps a figure from being known."""

    path: str
    reason: str


class Interval(NamedTuple):
    """A length between two bounds, in seconds; the upper one may be infinite."""

    low: float
    high: float

    @property
    def exact(self) -> bool:
        """Whether the bounds agree."""
        return self.low == self.high


@dataclass(frozen=True)
class SceneSpan:
    """Where a scene comes to lie.

    :param item: index of the item of an iterated scene; None for others.
    :param start: seconds from the start of the movie; None if not known.
    :param duration: seconds, transitions included; None if not known.
    """

    path: str
    item: int | None
    start: float | None
    duration: float | None


@dataclass(frozen=True)
class Estimate:
    """Length and price of a movie, as far as they can be known beforehand.

    :param duration: seconds; None if not known. Then the two bounds say what is.
    :param at_least: seconds that the movie lasts at any rate.
    :param at_most: seconds that it lasts at most; infinite if that is not known either.
    :param render_credits: credits for the seconds of video; None if not known.
    :param asset_credits: credits for generated assets, none of them taken from the cache; None if not known.
    :param scenes: the scenes in order, iterated ones once for each item.
    :param unknown: what stands in the way, with its path.
    :param overlap: the policy followed for transitions.
    """

    duration: float | None
    at_least: float
    at_most: float
    render_credits: int | None
    asset_credits: int | None
    scenes: tuple[SceneSpan, ...]
    unknown: tuple[Unknown, ...]
    overlap: Overlap

    @property
    def credits(self) -> int | None:
        """Credits in all; None if a part of them is not known."""
        if self.render_credits is None or self.asset_credits is None:
            return None
        return self.render_credits + self.asset_credits


def estimate(document: Any, *, overlap: Overlap = Overlap.SHORTENS) -> Estimate:
    """Estimate length and price of *document*, a Movie JSON document or a ``Movie``.

    One credit a second, begun seconds counting whole; four above 1920x1080 pixels; generated assets at
    the catalogue's prices unless a connection pays for them.

    :param overlap: what transitions do to the length.
    """
    if hasattr(document, "to_document"):
        document = document.to_document()
    return _Planner(document, overlap).estimate()


_ANY = Interval(0.0, math.inf)
_NOTHING = Interval(0.0, 0.0)


class _Element(NamedTuple):
    end: Interval
    after_others: Interval


@dataclass
class _Planner:
    document: Mapping[str, Any]
    overlap: Overlap
    unknown_time: list[Unknown] = field(default_factory=list)
    unknown_price: list[Unknown] = field(default_factory=list)
    assets: Interval = _NOTHING

    def estimate(self) -> Estimate:
        if self.document.get("template") is not None:
            self.unknown_time.append(Unknown("template", "the length of a stored template is not in the request"))
            return self.result(_ANY, (), assets_known=False)
        variables = _variables(self.document, {})
        chain, spans = self.chain(variables)
        ends = [chain]
        late = _NOTHING
        for index, element in enumerate(_objects(self.document.get("elements"))):
            timed = self.element(element, at(at("", "elements"), index), variables, Interval(1, 1))
            ends.append(timed.end)
            late = _sum(late, timed.after_others)
        for index, item in enumerate(_objects(self.document.get("preload"))):
            self.price(item, at("preload", index), variables, Interval(1, 1))
        return self.result(_sum(_longest(ends), late), tuple(spans), assets_known=True)

    def result(self, length: Interval, spans: tuple[SceneSpan, ...], *, assets_known: bool) -> Estimate:
        low, high = round(max(length.low, 0.0), 6), length.high if math.isinf(length.high) else round(length.high, 6)
        render: int | None = None
        try:
            width, height = frame_size(self.document)
            if assets_known and not math.isinf(high):
                least, most = (render_credits(seconds, width=width, height=height) for seconds in (low, high))
                render = most if least == most else None
        except NotKnown as error:
            self.unknown_price.append(Unknown("resolution", str(error)))
        exact = low == high
        asset_credits = int(self.assets.low) if self.assets.exact and assets_known else None
        unknown = [] if exact else self.unknown_time
        return Estimate(
            duration=low if exact else None,
            at_least=low,
            at_most=high,
            render_credits=render,
            asset_credits=asset_credits,
            scenes=spans,
            unknown=tuple(dict.fromkeys([*unknown, *self.unknown_price])),
            overlap=self.overlap,
        )

    def chain(self, movie_variables: Mapping[str, Any]) -> tuple[Interval, list[SceneSpan]]:
        """Chain the scenes: the sum of their lengths less the transitions."""
        spans: list[SceneSpan] = []
        total, previous = _NOTHING, _NOTHING
        begun = False  # a scene that is certainly shown came before
        scenes = self.document.get("scenes")
        if isinstance(scenes, str):
            self.unknown_time.append(Unknown("scenes", "an expression"))
            return _ANY, spans
        for path, item, scene, variables, count in self.repeated(_objects(scenes), movie_variables):
            shown = self.shown(scene, path, variables)
            if shown is False:
                continue
            certain = bool(shown) and count.exact
            length = self.scene(scene, path, variables, count if shown else Interval(0, count.high))
            cut = _NOTHING
            if spans and self.overlap is Overlap.SHORTENS:
                cut = self.transition(scene, path, variables, min(previous.high, length.high))
                cut = cut if begun else Interval(0.0, cut.high)
            start = Interval(max(0.0, total.low - cut.high), max(0.0, total.high - cut.low))
            spans.append(
                SceneSpan(
                    path,
                    item,
                    start=round(start.low, 6) if start.exact and certain else None,
                    duration=length.low if length.exact and certain else None,
                )
            )
            with_it = _sum(start, length if count.exact else _ANY)
            total = with_it if certain else Interval(min(total.low, with_it.low), max(total.high, with_it.high))
            previous, begun = length, begun or certain
        return total, spans

    def repeated(
        self, scenes: list[Mapping[str, Any]], movie_variables: Mapping[str, Any]
    ) -> Iterator[tuple[str, int | None, Mapping[str, Any], Mapping[str, Any], Interval]]:
        """Give each scene, iterated ones once for each item, with its variables and how often it is shown."""
        by_id = {scene["id"]: scene for scene in scenes if isinstance(scene.get("id"), str)}
        for index, plain in enumerate(scenes):
            path = at("scenes", index)
            imported = by_id.get(plain["import"]) if isinstance(plain.get("import"), str) else None
            scene: Mapping[str, Any] = plain
            if imported is not None:
                scene = {**plain, "elements": _objects(plain.get("elements")) + _objects(imported.get("elements"))}
            if scene.get("iterate") is None:
                yield path, None, scene, _variables(scene, movie_variables), Interval(1, 1)
                continue
            items = movie_variables.get(scene["iterate"]) if isinstance(scene["iterate"], str) else None
            if not isinstance(items, list):
                self.unknown_time.append(Unknown(at(path, "iterate"), "how many items there are is not known"))
                yield path, None, scene, _variables(scene, movie_variables), _ANY
                continue
            name = scene.get("iterate-as")
            for number, item in enumerate(items):
                own = {**(item if isinstance(item, Mapping) else {}), name if isinstance(name, str) else "item": item}
                yield path, number, scene, _variables(scene, {**movie_variables, **own}), Interval(1, 1)

    def scene(self, scene: Mapping[str, Any], path: str, variables: Mapping[str, Any], count: Interval) -> Interval:
        """Give the length of *scene*; its elements are priced in any case."""
        ends: list[Interval] = [_NOTHING]
        late = _NOTHING
        before = len(self.unknown_time)
        for index, element in enumerate(_objects(scene.get("elements"))):
            timed = self.element(element, at(at(path, "elements"), index), variables, count)
            ends.append(timed.end)
            late = _sum(late, timed.after_others)
        if isinstance(scene.get("elements"), str):
            self.unknown_time.append(Unknown(at(path, "elements"), "an expression"))
            ends.append(_ANY)
        duration = self.number(scene, "duration", path, variables, -1)
        if duration is not None and duration > 0:
            del self.unknown_time[before:]
            return Interval(duration, duration)
        return _ANY if duration is None else _sum(_longest(ends), late)

    def transition(self, scene: Mapping[str, Any], path: str, variables: Mapping[str, Any], limit: float) -> Interval:
        transition = scene.get("transition")
        if transition is None:
            return _NOTHING
        path = at(path, "transition")
        if isinstance(transition, Mapping):
            duration = self.number(transition, "duration", path, variables, None)
            if duration is not None:
                return Interval(max(0.0, duration), max(0.0, duration))
        self.unknown_time.append(Unknown(path, "the duration of the transition is not known"))
        return Interval(0.0, limit)

    def element(self, element: Mapping[str, Any], path: str, outer: Mapping[str, Any], count: Interval) -> _Element:
        """Give where the element ends in its container, or what it adds after the others (start -1)."""
        kind = element.get("type")
        variables = _variables(element, outer)
        shown = self.shown(element, path, variables)
        if shown is False:
            return _Element(_NOTHING, _NOTHING)
        self.price(element, path, variables, count if shown else Interval(0, count.high))
        if kind == "subtitles":
            return _Element(_NOTHING, _NOTHING)
        duration = self.number(element, "duration", path, variables, -2 if str(kind) in FITS_CONTAINER else -1)
        if duration == -2:
            return _Element(_NOTHING, _NOTHING)
        start = self.number(element, "start", path, variables, 0)
        extra = self.number(element, "extra-time", path, variables, 0)
        if duration is not None and duration >= 0:
            length = Interval(duration, duration)
        elif duration is not None and kind == "image":
            length = _NOTHING  # a picture has no length of its own
        else:
            if duration is not None:
                self.unknown_time.append(Unknown(path, f"the own length of {_article(kind)} is not known beforehand"))
            length = _ANY
        length = _sum(length, _ANY if extra is None else Interval(extra, extra))
        if start == -1:
            self.unknown_time.append(Unknown(at(path, "start"), "where an element at the end (-1) ends is not certain"))
            return _Element(_NOTHING, Interval(0.0, length.high))
        end = _sum(length, _ANY if start is None else Interval(start, start))
        return _Element(end if shown else Interval(0.0, end.high), _NOTHING)

    def shown(self, node: Mapping[str, Any], path: str, variables: Mapping[str, Any]) -> bool | None:
        """Say whether the condition holds; None if that is not known."""
        condition = node.get("condition")
        if condition is None:
            return True
        try:
            return is_true(resolve(condition, variables))
        except NotKnown as error:
            self.unknown_time.append(Unknown(at(path, "condition"), str(error)))
            return None

    def number(
        self, node: Mapping[str, Any], key: str, path: str, variables: Mapping[str, Any], default: float | None
    ) -> float | None:
        """Give a number of *node*; None if it is not known (the reason is kept) or absent without default."""
        value = node.get(key)
        if value is None:
            return default
        try:
            number = float(resolve(value, variables))
        except NotKnown as error:
            self.unknown_time.append(Unknown(at(path, key), str(error)))
            return None
        except (TypeError, ValueError, OverflowError):
            self.unknown_time.append(Unknown(at(path, key), "it is no number"))
            return None
        return number if math.isfinite(number) else None

    def price(self, node: Mapping[str, Any], path: str, variables: Mapping[str, Any], count: Interval) -> None:
        """Add what the generated asset of *node* costs, *count* times."""
        is_voice = node.get("type") == "voice"
        if not is_voice and not node.get("prompt"):
            return
        if node.get("connection"):
            return
        try:
            model = resolve(node.get("model"), variables)
        except NotKnown:
            model = None
        asset = price_of("azure" if is_voice and model is None and node.get("model") is None else model)
        if asset is None:
            self.unknown_price.append(Unknown(at(path, "model"), f"the price of the model {model!r} is not known"))
            self.assets = _sum(self.assets, _ANY)
            return
        units = Interval(1, 1)
        if asset.per_second and asset.credits:
            before = len(self.unknown_time)
            seconds = self.number(node, "duration", path, variables, None)
            del self.unknown_time[before:]
            if seconds is None or seconds <= 0:
                self.unknown_price.append(Unknown(path, f"how many seconds {model!r} generates is not known"))
                units = _ANY
            else:
                units = Interval(math.ceil(seconds), math.ceil(seconds))
        if asset.credits:
            if not count.exact:
                self.unknown_price.append(Unknown(path, "how often it is generated is not known"))
            low, high = (u * c * asset.credits if u and c else 0 for u, c in zip(units, count, strict=True))
            self.assets = _sum(self.assets, Interval(low, high))


def _variables(node: Mapping[str, Any], outer: Mapping[str, Any]) -> Mapping[str, Any]:
    own = node.get("variables")
    return {**outer, **own} if isinstance(own, Mapping) else outer


def _objects(nodes: Any) -> list[Mapping[str, Any]]:
    return [node if isinstance(node, Mapping) else {} for node in nodes] if isinstance(nodes, (list, tuple)) else []


def _sum(one: Interval, other: Interval) -> Interval:
    return Interval(one.low + other.low, one.high + other.high)


def _longest(lengths: list[Interval]) -> Interval:
    return Interval(max(length.low for length in lengths), max(length.high for length in lengths))


def _article(kind: Any) -> str:
    name = kind if isinstance(kind, str) else "element of no type"
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"
