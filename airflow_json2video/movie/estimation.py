"""Estimate the length and the price of a movie before it is rendered.

Lengths are intervals. Something unknown (a voice, the length of a video, a condition) widens them; where it makes no
difference, the result is still exact. Pure: no pydantic, no I/O.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from airflow_json2video.movie.evaluator import UnknownValue, is_true, resolve, scope
from airflow_json2video.movie.findings import at
from airflow_json2video.movie.frames import frame_size
from airflow_json2video.movie.lexer import has_expression
from airflow_json2video.movie.pricing import (
    ANY,
    FITS_CONTAINER,
    KNOWN_TYPES,
    NOTHING,
    UNREADABLE,
    Assets,
    Interval,
    Unknown,
    add_intervals,
    render_credits,
    resolve_number,
    resolve_value,
)

__all__ = ["FITS_CONTAINER", "NO_LENGTH", "Estimate", "Interval", "Overlap", "SceneSpan", "Unknown", "estimate"]

NO_LENGTH = "the length of this scene cannot be derived from its elements; write its 'duration'"
"""The reason for a scene of unknown length. The service's documentation names an error, and a default of 5 seconds."""


class Overlap(Enum):
    """How a transition changes the length of the movie, which the service does not document."""

    SHORTENS = "shortens"
    """The two scenes overlap during it, as in FFmpeg's xfade: its duration is subtracted. The default."""
    IGNORED = "ignored"
    """The durations of the scenes are added: the larger, safer figure."""


@dataclass(frozen=True)
class SceneSpan:
    """The position of a scene in the movie.

    :param item: index of the item of an iterated scene; None for others.
    :param start: seconds from the start of the movie; None if unknown.
    :param duration: seconds, transitions included; None if unknown.
    """

    path: str
    item: int | None
    start: float | None
    duration: float | None


@dataclass(frozen=True)
class Estimate:
    """The estimated length and price of a movie.

    :param duration: seconds; None if unknown, and then the two bounds apply.
    :param at_least: lower bound of the seconds.
    :param at_most: upper bound of the seconds; infinite if unknown.
    :param render_credits: credits for the seconds of video; None if unknown.
    :param asset_credits: credits for generated assets, without the cache; None if unknown.
    :param scenes: the scenes in order; an iterated scene appears once for each item.
    :param unknown: the reasons why something is unknown, with their paths.
    :param overlap: how transitions were counted.
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
        """The total of the credits; None if a part is unknown."""
        if self.render_credits is None or self.asset_credits is None:
            return None
        return self.render_credits + self.asset_credits


def estimate(document: Any, *, overlap: Overlap = Overlap.SHORTENS) -> Estimate:
    """Estimate the length and the price of *document*, a Movie JSON document or a ``Movie``.

    One credit per second, rounded up; four above 1920x1080 pixels; generated assets at the prices of the catalog,
    unless a connection pays for them.

    :param overlap: how transitions change the length.
    """
    if hasattr(document, "to_document"):
        document = document.to_document()
    planner = _Planner(document, overlap)
    first = planner.estimate()
    if not planner.may_skip_transitions:
        return first
    # Subtitles may turn the transitions of all scenes into cuts, including those before them.
    return _Planner(document, overlap, may_skip_transitions=True).estimate()


class _Element(NamedTuple):
    end: Interval
    after_others: Interval


_UNTIMED = _Element(ANY, NOTHING)


@dataclass
class _Planner:
    document: Mapping[str, Any]
    overlap: Overlap
    unknown_time: list[Unknown] = field(default_factory=list)
    assets: Assets = field(default_factory=Assets)
    may_skip_transitions: bool = False
    """With subtitles and sound, most transitions of the live service became hard cuts, which may subtract nothing."""

    def estimate(self) -> Estimate:
        if self.document.get("template") is not None:
            self.unknown_time.append(Unknown("template", "the length of a stored template is not in the request"))
            return self.result(ANY, (), assets_known=False)
        variables = scope(self.document.get("variables"), {})
        own = self.elements(self.document, "", variables, Interval(1, 1))
        chain, spans = self.chain(variables)
        for item, path in self.objects(self.document, "preload", ""):
            if item is not None:
                self.assets.add({"type": "image", **item}, path, variables, Interval(1, 1))
        return self.result(add_intervals(_longest([chain, own.end]), own.after_others), tuple(spans), assets_known=True)

    def result(self, length: Interval, spans: tuple[SceneSpan, ...], *, assets_known: bool) -> Estimate:
        low, high = round(max(length.low, 0.0), 6), length.high if math.isinf(length.high) else round(length.high, 6)
        render: int | None = None
        try:
            width, height = frame_size(self.document)
            if assets_known and not math.isinf(high):
                least, most = (render_credits(seconds, width=width, height=height) for seconds in (low, high))
                render = most if least == most else None
        except UnknownValue as error:
            self.assets.unknown.append(Unknown("resolution", str(error)))
        exact = low == high
        asset_credits = int(self.assets.credits.low) if self.assets.credits.exact and assets_known else None
        unknown = [] if exact else self.unknown_time
        return Estimate(
            duration=low if exact else None,
            at_least=low,
            at_most=high,
            render_credits=render,
            asset_credits=asset_credits,
            scenes=spans,
            unknown=tuple(dict.fromkeys([*unknown, *self.assets.unknown])),
            overlap=self.overlap,
        )

    def chain(self, movie_variables: Mapping[str, Any]) -> tuple[Interval, list[SceneSpan]]:
        """Return the sum of the lengths of the scenes, less the transitions, and the position of each scene."""
        spans: list[SceneSpan] = []
        total, previous = NOTHING, NOTHING
        has_begun = False  # whether a previous scene is certainly shown
        scenes = self.objects(self.document, "scenes", "")
        if any(scene is None for scene, _ in scenes):
            return ANY, spans  # the number and the content of the scenes are unknown
        for path, item, scene, variables, count in self.repeated(scenes, movie_variables):
            shown = self.shown(scene, path, variables)
            if shown is False:
                continue
            certain = bool(shown) and count.exact
            length = self.scene(scene, path, variables, count if shown else Interval(0, count.high))
            cut = NOTHING
            if spans and self.overlap is Overlap.SHORTENS:
                cut = self.transition(scene, path, variables, min(previous.high, length.high))
                cut = cut if has_begun else Interval(0.0, cut.high)
            start = Interval(max(0.0, total.low - cut.high), max(0.0, total.high - cut.low))
            spans.append(
                SceneSpan(
                    path,
                    item,
                    start=round(start.low, 6) if start.exact and certain else None,
                    duration=length.low if length.exact and certain else None,
                )
            )
            with_it = add_intervals(start, length if count.exact else ANY)
            total = with_it if certain else Interval(min(total.low, with_it.low), max(total.high, with_it.high))
            previous, has_begun = length, has_begun or certain
        return total, spans

    def repeated(
        self, scenes: Sequence[tuple[Mapping[str, Any] | None, str]], movie_variables: Mapping[str, Any]
    ) -> Iterator[tuple[str, int | None, Mapping[str, Any], Mapping[str, Any], Interval]]:
        """Yield each scene, once per item of an iterated one, with its variables and how many times it is shown."""
        known = [scene for scene, _ in scenes if scene is not None]
        for plain, path in scenes:
            scene = self.with_import(plain or {}, path, known)
            if scene.get("iterate") is None:
                yield path, None, scene, scope(scene.get("variables"), movie_variables), Interval(1, 1)
                continue
            items = movie_variables.get(scene["iterate"]) if isinstance(scene["iterate"], str) else None
            if not isinstance(items, list):
                self.unknown_time.append(Unknown(at(path, "iterate"), "the number of items is unknown"))
                yield path, None, scene, scope(scene.get("variables"), {}), ANY
                continue
            name = scene.get("iterate-as")
            name = name if isinstance(name, str) else "item"
            for number, item in enumerate(items):
                # An expression may be any name of the item, or an item with any keys.
                is_open = has_expression(name) or (isinstance(item, str) and has_expression(item))
                own = {**(item if isinstance(item, Mapping) else {}), name: item}
                outer = {} if is_open else {**movie_variables, **own}
                yield path, number, scene, scope(scene.get("variables"), outer), Interval(1, 1)

    def with_import(
        self, scene: Mapping[str, Any], path: str, scenes: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        """Return *scene* with the elements of the scene that it imports; with unknown ones if that is uncertain."""
        name = scene.get("import")
        if name is None:
            return scene
        found = [other for other in scenes if other.get("id") == name]
        own, more = scene.get("elements"), found[0].get("elements") if found else None
        certain = (
            len(found) == 1
            and isinstance(name, str)
            and not has_expression(name)
            and not any(isinstance(other.get("id"), str) and has_expression(other["id"]) for other in scenes)
            and not (found[0].get("import") or found[0].get("variables"))
        )
        if not certain or not all(isinstance(elements, (list, tuple, type(None))) for elements in (own, more)):
            self.unknown_time.append(Unknown(at(path, "import"), "what is imported is not certain"))
            return {**scene, "elements": [*(own if isinstance(own, (list, tuple)) else ()), UNREADABLE]}
        return {**scene, "elements": [*(own or ()), *(more or ())]}

    def scene(self, scene: Mapping[str, Any], path: str, variables: Mapping[str, Any], count: Interval) -> Interval:
        """Return the length of *scene*, and add the prices of its elements."""
        before = len(self.unknown_time)
        content = self.elements(scene, path, variables, count)
        duration = self.number(scene, "duration", path, variables, -1)
        if duration is not None and duration > 0:
            del self.unknown_time[before:]
            return Interval(duration, duration)
        length = add_intervals(content.end, content.after_others)
        if duration is None:
            return ANY
        if length.low == 0 and not math.isinf(length.high):
            self.unknown_time.append(Unknown(path, NO_LENGTH))
            return ANY
        return length

    def elements(self, node: Mapping[str, Any], path: str, variables: Mapping[str, Any], count: Interval) -> _Element:
        """Return where the elements of *node* end, and what they add after that; add their prices."""
        ends, late = [NOTHING], NOTHING
        for element, place in self.objects(node, "elements", path):
            timed = _UNTIMED if element is None else self.element(element, place, variables, count)
            ends.append(timed.end)
            late = add_intervals(late, timed.after_others)
        return _Element(_longest(ends), late)

    def objects(self, node: Mapping[str, Any], key: str, path: str) -> list[tuple[Mapping[str, Any] | None, str]]:
        """Return the objects of the array *key* with their paths; None for an object that is unknown."""
        items, path = node.get(key), at(path, key)
        if items is None or (isinstance(items, (list, tuple)) and not items):
            return []
        listed = [(items, path)]
        if isinstance(items, (list, tuple)):
            listed = [(item, at(path, index)) for index, item in enumerate(items)]
        found: list[tuple[Mapping[str, Any] | None, str]] = []
        for item, place in listed:
            known = item if isinstance(item, Mapping) and items is not item else None
            if known is None:
                self.unknown_time.append(Unknown(place, "the content of this place is unknown"))
                self.assets.add_unknown(place, "the content of this place is unknown")
            found.append((known, place))
        return found

    def transition(self, scene: Mapping[str, Any], path: str, variables: Mapping[str, Any], limit: float) -> Interval:
        transition = scene.get("transition")
        if transition is None:
            return NOTHING
        path = at(path, "transition")
        if isinstance(transition, Mapping):
            duration = self.number(transition, "duration", path, variables, None)
            if duration is not None and self.may_skip_transitions:
                self.unknown_time.append(Unknown(path, "with subtitles it may become a cut that shortens nothing"))
                return Interval(0.0, max(0.0, min(duration, limit)))
            if duration is not None and duration <= limit:
                return Interval(max(0.0, duration), max(0.0, duration))
        self.unknown_time.append(Unknown(path, "the duration of the transition is unknown"))
        return Interval(0.0, limit)

    def element(self, element: Mapping[str, Any], path: str, outer: Mapping[str, Any], count: Interval) -> _Element:
        """Return where the element ends in its container, or what it adds after the others (start -1)."""
        variables = scope(element.get("variables"), outer)
        shown = self.shown(element, path, variables)
        if shown is False:
            return _Element(NOTHING, NOTHING)
        kind = self.kind(element, path, variables)
        self.assets.add(element, path, variables, count if shown else Interval(0, count.high))
        if kind in ("subtitles", None):
            self.may_skip_transitions = True
        if kind == "subtitles":
            return _Element(NOTHING, NOTHING)
        default = None if kind is None else -2 if kind in FITS_CONTAINER else -1
        duration = self.number(element, "duration", path, variables, default)
        if duration == -2:
            return _Element(NOTHING, NOTHING)
        start = self.number(element, "start", path, variables, 0)
        extra = self.number(element, "extra-time", path, variables, 0)
        if duration is None or start is None:
            return _UNTIMED
        if duration > 0:
            length = Interval(duration, duration)
        elif kind == "image":
            length = NOTHING  # an image has no length
        else:
            self.unknown_time.append(Unknown(path, f"the length of {_with_article(kind)} is unknown before the render"))
            length = ANY
        length = add_intervals(length, ANY if extra is None else Interval(max(0.0, extra), max(0.0, extra)))
        if start == -1:
            self.unknown_time.append(Unknown(at(path, "start"), "the end of an element that starts at -1 is uncertain"))
            return _Element(NOTHING, Interval(0.0, length.high))
        end = add_intervals(length, Interval(start, start))
        return _Element(end if shown and kind is not None else Interval(0.0, end.high), NOTHING)

    def kind(self, element: Mapping[str, Any], path: str, variables: Mapping[str, Any]) -> str | None:
        """Return the type of an element; None if it is unknown."""
        kind = resolve_value(element.get("type"), variables)
        if isinstance(kind, str) and kind in KNOWN_TYPES:
            return kind
        self.unknown_time.append(Unknown(at(path, "type"), "the type of the element is unknown"))
        return None

    def shown(self, node: Mapping[str, Any], path: str, variables: Mapping[str, Any]) -> bool | None:
        """Return whether the condition is true; None if that is unknown."""
        condition = node.get("condition")
        if condition is None:
            return True
        try:
            if not isinstance(condition, (str, bool, int, float)):
                raise UnknownValue("it is not a condition")
            return is_true(resolve(condition, variables))
        except UnknownValue as error:
            self.unknown_time.append(Unknown(at(path, "condition"), str(error)))
            return None

    def number(
        self, node: Mapping[str, Any], key: str, path: str, variables: Mapping[str, Any], default: float | None
    ) -> float | None:
        """Return a number of *node*; None if it is unknown (the reason is recorded) or absent without a default."""
        if node.get(key) is None:
            return default
        try:
            if key == "duration" and resolve_value(node[key], variables) == "auto":
                return -1.0
            return resolve_number(node[key], variables)
        except UnknownValue as error:
            self.unknown_time.append(Unknown(at(path, key), str(error)))
            return None


def _longest(lengths: list[Interval]) -> Interval:
    return Interval(max(length.low for length in lengths), max(length.high for length in lengths))


def _with_article(kind: Any) -> str:
    name = kind if isinstance(kind, str) else "element of no type"
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"
