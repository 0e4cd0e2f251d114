"""``correction``: brightness, contrast, gamma and saturation of a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image, ImageEnhance

from airflow_json2video.local.planning.plan import number

__all__ = ["Correction"]

_RANGES = {
    "brightness": (-1.0, 1.0, 0.0),
    "contrast": (-1000.0, 1000.0, 1.0),
    "gamma": (0.1, 10.0, 1.0),
    "saturation": (0.0, 3.0, 1.0),
}
"""Minimum, maximum and default of each, from the reference."""


class Correction:
    """A correction, prepared once for all pictures of an element."""

    def __init__(self, values: Mapping[str, float]) -> None:
        self._saturation = values["saturation"]

        def level(value: int) -> int:
            linear = (value / 255 - 0.5) * values["contrast"] + 0.5 + values["brightness"]
            return int(255 * max(0.0, min(1.0, linear)) ** (1 / values["gamma"]) + 0.5)

        self._levels = [level(value) for value in range(256)] * 3

    @classmethod
    def read(cls, element: Mapping[str, Any], note: Callable[[str], None]) -> Correction | None:
        """Parse ``correction``; None if it changes nothing. A value outside its range is clamped and reported."""
        given = element.get("correction")
        if not isinstance(given, Mapping):
            return None
        values = {}
        for name, (low, high, usual) in _RANGES.items():
            wanted = number(given.get(name), usual)
            values[name] = max(low, min(high, wanted))
            if values[name] != wanted:
                note(
                    f"the {name} of a correction must be from {low:g} to {high:g}, got {wanted:g}; "
                    f"{values[name]:g} is used"
                )
        usual_values = {name: usual for name, (_, _, usual) in _RANGES.items()}
        return None if values == usual_values else cls(values)

    def corrected(self, picture: Image.Image) -> Image.Image:
        """Return the corrected picture with its transparency."""
        rgb = picture.convert("RGB").point(self._levels)
        if self._saturation != 1:
            rgb = ImageEnhance.Color(rgb).enhance(self._saturation)
        if picture.mode == "RGBA":
            rgb.putalpha(picture.getchannel("A"))
        return rgb
