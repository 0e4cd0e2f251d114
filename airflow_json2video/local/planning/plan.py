"""Computes durations, order and frames: from a resolved document to a timeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from airflow_json2video.local.limits import LIMITS, Limits
from airflow_json2video.local.planning.animation import animation_of
from airflow_json2video.local.planning.colors import parse_color
from airflow_json2video.local.planning.resolve import MovieFault, Resolved
from airflow_json2video.local.planning.speech import estimated_seconds
from airflow_json2video.local.planning.timeline import Layer, ScenePlan, Sound, Timeline, Transition
from airflow_json2video.movie.estimation import FITS_CONTAINER
from airflow_json2video.movie.frames import MAX_SIDE, MIN_SIDE, preset_size

__all__ = ["Probe", "drawable", "number", "plan"]

Probe = Callable[[str, Mapping[str, Any]], "float | None"]
"""Returns the length of an element's media file in seconds, or None; called with the path and the element."""

MAX_SECONDS = LIMITS.movie_seconds
VISUAL = ("image", "video", "text", "html", "component", "audiogram")
SOUNDING = ("audio", "voice", "video")
TYPES = (*VISUAL, "audio", "voice", "subtitles")
OVER_ALL = 1_000_000
"""The z-index of subtitles."""


def number(value: Any, default: float) -> float:
    """Parse a number, also from a text; return *default* for anything else."""
    if isinstance(value, bool) or value is None:
        return default
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        return default
    return result if abs(result) < 1e9 else default


def plan(movie: Resolved, *, probe: Probe | None = None) -> Timeline:
    """Compute the timeline of a movie.

    Scenes follow each other; a transition overlaps its scene with the previous one, so that the movie is shorter by
    that much (not documented; as FFmpeg's xfade does).

    :param probe: measures media files whose length is not set.
    :raises MovieFault: the movie cannot be rendered; the message is the service's.
    """
    return _Planner(movie, probe).timeline()


def drawable(timeline: Timeline, *, limits: Limits = LIMITS) -> None:
    """Check that a movie can be drawn within the limits, before it is drawn.

    :raises MovieFault: it is too large.
    """
    pixels = timeline.width * timeline.height * timeline.frames
    if pixels > limits.drawn_pixels:
        most = limits.drawn_pixels / (timeline.width * timeline.height * timeline.fps)
        raise MovieFault(
            f"The movie is {timeline.duration:.0f} s long; at {timeline.width}x{timeline.height} and"
            f" {float(timeline.fps):g} frames a second at most {float(most):.0f} s can be drawn here"
        )


class _Planner:
    def __init__(self, movie: Resolved, probe: Probe | None) -> None:
        self._movie = movie
        self._probe = probe
        self._warnings = list(movie.warnings)
        self._width, self._height = _size(movie)
        if self._width % 2 or self._height % 2:
            self._width, self._height = self._width // 2 * 2, self._height // 2 * 2
            self._warnings.append(f"the frame was cut to even sides: {self._width}x{self._height}")
        fps = number(movie.get("fps"), 25)
        if not 1 <= fps <= 120:
            raise MovieFault(f"The 'fps' of a movie must be a number from 1 to 120, got {movie.get('fps')}")
        self._fps = Fraction(fps).limit_denominator(1001)
        self._sounds: list[Sound] = []
        self._subtitles: list[tuple[int | None, str, dict[str, Any]]] = []

    def _frames(self, seconds: float) -> int:
        return max(0, int(seconds * self._fps + Fraction(1, 2)))

    def timeline(self) -> Timeline:
        scenes = self._scenes()
        chain = scenes[-1].first + scenes[-1].frames if scenes else 0
        lengths = [(e, self._length(e, self._place(None, e))) for e in self._movie["elements"]]
        ends = [self._frames(_start(e) + length) for e, length in lengths if length is not None]
        frames = max([chain, *ends])
        # Less than one second counts as zero, as in the archived reference.
        if frames < self._fps:
            raise MovieFault("Movie duration cannot be zero")
        if frames > MAX_SECONDS * self._fps:
            raise MovieFault(f"The movie is longer than {MAX_SECONDS:.0f} seconds")
        overlays = self._layers(self._movie["elements"], lengths, frames, scene=None, offset=0)
        overlays += self._subtitled(frames)
        return Timeline(
            width=self._width,
            height=self._height,
            fps=self._fps,
            frames=frames,
            scenes=tuple(scenes),
            overlays=tuple(overlays),
            sounds=tuple(self._sounds),
            warnings=self._warnings,
        )

    def _scenes(self) -> list[ScenePlan]:
        plans: list[ScenePlan] = []
        at = 0
        for scene in self._movie["scenes"]:
            place = scene["_scene"]
            lengths = [(e, self._length(e, self._place(place, e))) for e in scene["elements"]]
            wanted = number(scene.get("duration"), -1)
            if wanted < 0:
                wanted = max((_start(e) + length for e, length in lengths if length is not None), default=0.0)
            if wanted > MAX_SECONDS:
                raise MovieFault(f"The movie is longer than {MAX_SECONDS:.0f} seconds")
            frames = self._frames(wanted)
            if not frames:
                if scene["elements"]:
                    self._warnings.append(f"Scene #{place} has no length and is not shown")
                continue
            transition = self._transition(scene, frames, plans)
            first = at - (transition.frames if transition else 0)
            layers = self._layers(scene["elements"], lengths, frames, scene=place, offset=first, index=len(plans))
            background = scene.get("background-color", "#000000")
            plans.append(
                ScenePlan(
                    number=place,
                    first=first,
                    frames=frames,
                    background=self._background(background, place),
                    transition=transition,
                    layers=tuple(layers),
                )
            )
            at = first + frames
        self._sounds = [_crossed(sound, plans) for sound in self._sounds]
        return plans

    def _background(self, text: Any, place: int) -> tuple[int, int, int] | None:
        rgba = parse_color(text)
        if rgba is None:
            self._warnings.append(f"Scene #{place}: '{text}' is not a color; black is used")
            return (0, 0, 0)
        return rgba[:3] if rgba[3] else None

    def _transition(self, scene: Mapping[str, Any], frames: int, before: list[ScenePlan]) -> Transition | None:
        wanted = scene.get("transition")
        if not isinstance(wanted, Mapping) or not before:
            return None
        seconds = number(wanted.get("duration"), 1.0)
        room = min(frames, before[-1].frames - (before[-1].transition.frames if before[-1].transition else 0))
        length = min(self._frames(seconds), max(0, room - 1))
        if length < self._frames(seconds):
            self._warnings.append(
                f"Scene #{scene['_scene']}: the transition was cut to {float(length / self._fps):.2f} s"
            )
        return Transition(style=str(wanted.get("style") or "fade"), frames=length) if length > 0 else None

    @staticmethod
    def _place(scene: int | None, element: Mapping[str, Any]) -> str:
        return f"{'Movie' if scene is None else f'Scene #{scene}'}, element #{element['_element']}"

    def _length(self, element: Mapping[str, Any], where: str) -> float | None:
        """Return an element's length in seconds, including its extra time; None: as long as its container."""
        kind = element.get("type")
        if kind not in TYPES:
            raise MovieFault(
                f"{where}: Unknown element type '{kind}'" if kind else f"{where}: The element has no 'type'"
            )
        self._require_source(element, kind, where)
        default = -2.0 if kind in FITS_CONTAINER else -1.0
        wanted = number(element.get("duration"), default)
        if wanted == -2 or kind == "subtitles":
            return None
        extra = max(0.0, number(element.get("extra-time"), 0))
        if wanted >= 0:
            return wanted + extra
        intrinsic = self._intrinsic(element, kind, where)
        return None if intrinsic is None else intrinsic + extra

    def _require_source(self, element: Mapping[str, Any], kind: str, where: str) -> None:
        needs: tuple[str, ...] = {
            "image": ("src", "prompt"),
            "video": ("src", "prompt"),
            "audio": ("src",),
            "html": ("html", "src"),
            "voice": ("text",),
            "component": ("component",),
        }.get(kind, ())
        # A text can be empty, for example if its variable is undefined, but not missing.
        if kind == "text" and "text" not in element:
            needs = ("text",)
        if needs and not any(element.get(name) not in (None, "") for name in needs):
            raise MovieFault(f"{where}: The element type '{kind}' requires a '{needs[0]}' property.")

    def _intrinsic(self, element: Mapping[str, Any], kind: str, where: str) -> float | None:
        if kind == "text":
            animation = animation_of(element)
            return animation.seconds(str(element.get("text"))) if animation else None
        if kind == "image":
            # Without its own length, it lasts as long as the scene.
            return None
        if kind == "voice":
            spoken = self._probe(where, element) if self._probe else None
            return estimated_seconds(element) if spoken is None else spoken
        if kind in ("video", "audio"):
            measured = self._probe(where, element) if self._probe and element.get("src") else None
            if measured is None:
                self._warnings.append(f"{where}: its length is unknown without the media file; 5 s are assumed")
                measured = 5.0
            loops = int(number(element.get("loop"), 1))
            seek = number(element.get("seek"), 0)
            left = measured - seek if seek >= 0 else min(measured, -seek)
            return max(0.0, left) * max(1, loops)
        return None

    def _layers(
        self,
        elements: Iterable[dict[str, Any]],
        lengths: list[tuple[dict[str, Any], float | None]],
        container: int,
        *,
        scene: int | None,
        offset: int,
        index: int | None = None,
    ) -> list[Layer]:
        layers = []
        known = {id(e): length for e, length in lengths}
        for element in elements:
            where = self._place(scene, element)
            start = number(element.get("start"), 0)
            length = known[id(element)]
            if start == -1:
                first = max(0, container - self._frames(length)) if length is not None else 0
            else:
                first = self._frames(max(0.0, start))
            frames = container - first if length is None else min(self._frames(length), container - first)
            if frames <= 0:
                continue
            kind = element["type"]
            if kind in SOUNDING and element.get("muted") is not True:
                self._sounds.append(
                    Sound(where=where, first=offset + first, frames=frames, element=element, scene=index)
                )
            if kind in VISUAL:
                layers.append(
                    Layer(
                        kind=kind,
                        where=where,
                        first=first,
                        frames=frames,
                        element=element,
                        z_index=int(number(element.get("z-index"), 0)),
                        fade_in=self._frames(max(0.0, number(element.get("fade-in"), 0))),
                        fade_out=self._frames(max(0.0, number(element.get("fade-out"), 0))),
                    )
                )
            elif kind == "subtitles":
                self._subtitles.append((scene, where, element))
        # The order of the array is the order of drawing; sorting is stable.
        return sorted(layers, key=lambda layer: layer.z_index)

    def _subtitled(self, frames: int) -> list[Layer]:
        """Return the movie's subtitles as the topmost layer: none or one. In a scene they only cause a warning."""
        own = [(where, element) for scene, where, element in self._subtitles if scene is None]
        stray = [(where, element) for scene, where, element in self._subtitles if scene is not None]
        if len(own) > 1:
            raise MovieFault(f"{own[1][0]}: A movie can have only one 'subtitles' element")
        for number_, (where, _) in enumerate(stray):
            fate = "they show over the whole movie" if not own and number_ == 0 else "these are ignored"
            self._warnings.append(f"{where}: subtitles belong to the elements of the movie, not of a scene; {fate}")
        return [
            Layer(
                kind="subtitles", where=where, first=0, frames=frames, element=element, z_index=OVER_ALL,
            )
            for where, element in (own or stray)[:1]
        ]  # fmt: skip


def _crossed(sound: Sound, scenes: list[ScenePlan]) -> Sound:
    """Fade the sound of a scene together with its picture during a transition."""
    if sound.scene is None:
        return sound
    entering = [(s.first, s.transition.frames) if s.transition else None for s in scenes[sound.scene :][:2]]
    return replace(sound, rises=entering[0], falls=entering[1] if len(entering) > 1 else None)


def _start(element: Mapping[str, Any]) -> float:
    return max(0.0, number(element.get("start"), 0))


def _size(movie: Mapping[str, Any]) -> tuple[int, int]:
    name = movie.get("resolution")
    if size := preset_size(name):
        return size
    if name not in (None, "", "custom"):
        raise MovieFault(f"Invalid resolution '{name}'")
    given = [movie.get(side) is not None for side in ("width", "height")]
    if any(given) and not all(given):
        raise MovieFault("Width and Height required when resolution is custom")
    width, height = (int(number(movie.get(s), d)) for s, d in (("width", 640), ("height", 360)))
    if not (MIN_SIDE <= width <= MAX_SIDE and MIN_SIDE <= height <= MAX_SIDE):
        raise MovieFault(f"The frame is {width}x{height}; each side must be from {MIN_SIDE} to {MAX_SIDE} pixels")
    return width, height
