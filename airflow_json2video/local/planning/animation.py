"""Text styles as simple animations: what appears when. No pixels.

The timing of the service's styles is not documented. These are approximations that show that a text moves, and for how
long.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["PLAIN", "STYLES", "Animation", "animation_of"]


@dataclass(frozen=True, kw_only=True)
class Animation:
    """The animation of a text that appears as a whole, word by word or letter by letter."""

    effect: str
    """``fade``, ``rise``, ``pop`` or ``jump``."""
    by: str
    """``whole``, ``word`` or ``letter``."""
    description: str
    step: float = 0.0
    """Seconds from the start of one unit to the start of the next."""
    length: float
    """Seconds in which one unit appears."""

    def seconds(self, text: str) -> float:
        """Return the time until a whole text has appeared."""
        return max(0, self._units(text) - 1) * self.step + self.length

    def _units(self, text: str) -> int:
        if self.by == "whole":
            return 1
        if self.by == "word":
            return len(text.split())
        return sum(1 for c in text if not c.isspace() and unicodedata.category(c)[0] != "M")

    def progress(self, unit: int, seconds: float) -> float:
        """Return how far a unit has appeared, 0 to 1."""
        return max(0.0, min(1.0, (seconds - unit * self.step) / self.length))


PLAIN = "001"
STYLES: Mapping[str, Animation] = {
    "002": Animation(effect="fade", by="whole", length=0.8, description="fades in"),
    "003": Animation(effect="fade", by="word", step=0.25, length=0.2, description="appears word by word"),
    "004": Animation(effect="fade", by="letter", step=0.06, length=0.04, description="appears letter by letter"),
    "005": Animation(effect="rise", by="whole", length=0.7, description="slides up"),
    "006": Animation(effect="pop", by="whole", length=0.5, description="pops up"),
    "007": Animation(effect="jump", by="letter", step=0.05, length=0.45, description="jumps in letter by letter"),
}


def animation_of(element: Mapping[str, Any]) -> Animation | None:
    """Return the animation of a text element; None if it has none."""
    return STYLES.get(str(element.get("style") or PLAIN))
