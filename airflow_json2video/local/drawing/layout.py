"""Positions on the canvas: CSS lengths, presets, boxes, and windows for pan and zoom. No pixels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_json2video.local.planning.plan import number

__all__ = ["GAP", "Box", "Motion", "Turn", "css_length", "fitted", "motion_of", "placed", "turn_of"]

_LENGTH = re.compile(r"\s*(-?\d*\.?\d+)\s*(px|vw|vh|vmin|vmax|em|rem|pt|%)?\s*", re.IGNORECASE)
MAX_SIDE = 8192
GAP = 0.05
"""Margin of the presets: 5 % of the canvas."""


@dataclass(frozen=True)
class Box:
    """A box on the canvas, in pixels."""

    x: int
    y: int
    width: int
    height: int


def css_length(value: Any, *, canvas: tuple[int, int], whole: float, em: float, default: float) -> float:
    """Parse a CSS length to pixels; a number without a unit is pixels.

    :param canvas: the reference of ``vw`` and ``vh``.
    :param whole: the reference of ``%``.
    :param em: the value of ``em``.
    """
    match = _LENGTH.fullmatch(str(value)) if value is not None and not isinstance(value, bool) else None
    if match is None:
        return default
    amount, unit = float(match.group(1)), (match.group(2) or "px").lower()
    width, height = canvas
    units = {
        "px": 1.0, "pt": 4 / 3, "vw": width / 100, "vh": height / 100, "%": whole / 100, "em": em, "rem": 16.0,
        "vmin": min(canvas) / 100, "vmax": max(canvas) / 100,
    }  # fmt: skip
    return amount * units[unit]


def fitted(element: Mapping[str, Any], natural: tuple[int, int], canvas: tuple[int, int]) -> tuple[int, int]:
    """Return the size at which an image or clip is drawn; -1 preserves the proportions, ``resize`` overrides sizes."""
    w, h = natural
    resize = element.get("resize")
    if resize in ("cover", "fill", "contain", "fit"):
        ratios = (canvas[0] / w, canvas[1] / h)
        scale = max(ratios) if resize in ("cover", "fill") else min(ratios)
        return _side(w * scale), _side(h * scale)
    scale_ = element.get("scale")
    legacy: Mapping[str, Any] = scale_ if isinstance(scale_, Mapping) else {}
    width = number(element.get("width", legacy.get("width")), -1)
    height = number(element.get("height", legacy.get("height")), -1)
    if width > 0 and height > 0:
        return _side(width), _side(height)
    if width > 0:
        return _side(width), _side(h * width / w)
    if height > 0:
        return _side(w * height / h), _side(height)
    return _side(w), _side(h)


def _side(value: float) -> int:
    return max(1, min(MAX_SIDE, round(value)))


def placed(element: Mapping[str, Any], size: tuple[int, int], canvas: tuple[int, int]) -> Box:
    """Return the box of an element of this size; ``x`` and ``y`` shift a preset, as in current tutorials."""
    width, height = size
    x, y = round(number(element.get("x"), 0)), round(number(element.get("y"), 0))
    position = str(element.get("position") or "custom")
    vertical, _, horizontal = position.partition("-")
    if position == "custom" or vertical not in ("top", "center", "bottom"):
        if element.get("resize") in ("cover", "fill", "contain", "fit"):
            # A resized element is larger or smaller than the canvas in one direction; it is centered there.
            return Box((canvas[0] - width) // 2 + x, (canvas[1] - height) // 2 + y, width, height)
        return Box(x, y, width, height)
    # An element without room for the margin, such as a text on the whole frame, is at the edge.
    gap_x, gap_y = (min(round(c * GAP), max(0, c - s)) for c, s in zip(canvas, size, strict=True))
    if element.get("resize") is not None:
        gap_x = gap_y = 0
    left = {"left": gap_x, "right": canvas[0] - width - gap_x}
    top = {"top": gap_y, "bottom": canvas[1] - height - gap_y}
    return Box(
        left.get(horizontal, (canvas[0] - width) // 2) + x,
        top.get(vertical, (canvas[1] - height) // 2) + y,
        width,
        height,
    )


@dataclass(frozen=True, kw_only=True)
class Motion:
    """The motion of the view over a picture while it shows."""

    scale: tuple[float, float] = (1.0, 1.0)
    """Magnification at the start and at the end."""
    shift: tuple[float, float] = (0.0, 0.0)
    """Direction of the camera: -1, 0 or 1, horizontally and vertically."""
    distance: float = 0.0
    """Distance, as a fraction of the picture."""
    crop: bool = True
    """Whether the view stays inside the picture; otherwise the whole picture moves in the opposite direction."""

    @property
    def nearest(self) -> float:
        """Maximum magnification of the picture."""
        return max(self.scale) * (1 + self.distance if self.crop else 1)

    def window(self, progress: float, size: tuple[float, float]) -> tuple[float, float, float, float]:
        """Return the visible part of a picture of *size* at *progress* (0 to 1): left, top, right, bottom."""
        scale = self.scale[0] + (self.scale[1] - self.scale[0]) * progress
        # The view is slightly smaller than the picture, so that it can move.
        room = scale * (1 + self.distance) if self.crop else scale
        width, height = size[0] / room, size[1] / room
        way = (2 * progress - 1) if self.crop else 0.0
        x = (size[0] - width) / 2 * (1 + self.shift[0] * way)
        y = (size[1] - height) / 2 * (1 + self.shift[1] * way)
        return x, y, x + width, y + height

    def offset(self, progress: float, size: tuple[float, float]) -> tuple[float, float]:
        """Return the offset of the whole picture from its position, in the unit of *size*."""
        if self.crop:
            return 0.0, 0.0
        way = (0.5 - progress) * self.distance
        return self.shift[0] * way * size[0], self.shift[1] * way * size[1]


_SIDES = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}


def motion_of(element: Mapping[str, Any]) -> Motion | None:
    """Parse ``zoom`` and ``pan``; None if the picture does not move.

    The scale of ``zoom`` is not documented: here one step is 3 % over the element's whole time. Whether ``pan`` is the
    direction of the camera or of the picture is not documented either: here it is the camera's.
    """
    zoom = max(-10.0, min(10.0, number(element.get("zoom"), 0)))
    parts = [_SIDES[part] for part in str(element.get("pan") or "").split("-") if part in _SIDES]
    if not zoom and not parts:
        return None
    closest = 1 + abs(zoom) * 0.03
    return Motion(
        scale=(1.0, closest) if zoom >= 0 else (closest, 1.0),
        shift=(sum(p[0] for p in parts), sum(p[1] for p in parts)),
        distance=max(0.01, min(0.5, number(element.get("pan-distance"), 0.1))) if parts else 0.0,
        crop=element.get("pan-crop") is not False,
    )


@dataclass(frozen=True)
class Turn:
    """The rotation of an element: by *angle* degrees clockwise, or by that angle every *speed* seconds."""

    angle: float
    speed: float = 0.0

    def at(self, seconds: float) -> float:
        """Return the angle at a time.

        Whether the real service stops after one ``speed`` is not documented: here the rotation continues.
        """
        return self.angle if self.speed <= 0 else self.angle * seconds / self.speed


def turn_of(element: Mapping[str, Any]) -> Turn | None:
    """Parse ``rotate``; None if the element is not rotated."""
    rotate = element.get("rotate")
    if not isinstance(rotate, Mapping):
        return None
    angle = max(-360.0, min(360.0, number(rotate.get("angle"), 0)))
    return Turn(angle, max(0.0, number(rotate.get("speed"), 0))) if angle else None
