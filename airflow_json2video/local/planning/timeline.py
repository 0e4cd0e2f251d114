"""The timeline: what shows and sounds at each frame, in whole frames and canvas pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

__all__ = ["Layer", "ScenePlan", "Sound", "Timeline", "Transition"]

RGB = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One element on the canvas, from frame *first* for *frames* frames of its container."""

    kind: str
    where: str
    """Its position as the service's messages write it: ``Scene #1, element #2``."""
    first: int
    frames: int
    element: dict[str, Any]
    """The resolved element."""
    z_index: int = 0
    fade_in: int = 0
    fade_out: int = 0


@dataclass(frozen=True, kw_only=True)
class Sound:
    """One sound, from frame *first* of the movie for *frames* frames."""

    where: str
    first: int
    frames: int
    element: dict[str, Any]
    scene: int | None = None
    """Index of its scene in the timeline; None: the movie."""
    rises: tuple[int, int] | None = None
    """First frame and number of frames of the transition into its scene, on the movie's time."""
    falls: tuple[int, int] | None = None
    """First frame and number of frames of the transition into the next scene."""


@dataclass(frozen=True, kw_only=True)
class Transition:
    """A transition: the scene overlaps the previous one by *frames* frames."""

    style: str
    frames: int


@dataclass(frozen=True, kw_only=True)
class ScenePlan:
    """One scene on the movie's time; *first* is its first frame, including the transition."""

    number: int
    first: int
    frames: int
    background: RGB | None
    """None: transparent."""
    transition: Transition | None = None
    layers: tuple[Layer, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """A whole movie, ready to be drawn."""

    width: int
    height: int
    fps: Fraction
    frames: int
    scenes: tuple[ScenePlan, ...] = ()
    overlays: tuple[Layer, ...] = ()
    """Elements of the movie: those with a negative ``z_index`` are below the scenes. Subtitles are last."""
    sounds: tuple[Sound, ...] = ()
    warnings: list[str] = field(default_factory=list)

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return float(self.frames / self.fps)
