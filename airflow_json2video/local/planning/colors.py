"""CSS colors, without a graphics library."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["RGBA", "parse_color"]

RGBA = tuple[int, int, int, int]

_NAMES = {
    "transparent": "#00000000", "black": "#000000", "white": "#ffffff", "red": "#ff0000", "green": "#008000",
    "blue": "#0000ff", "yellow": "#ffff00", "orange": "#ffa500", "purple": "#800080", "gray": "#808080",
    "grey": "#808080", "silver": "#c0c0c0", "navy": "#000080", "teal": "#008080", "lime": "#00ff00",
    "aqua": "#00ffff", "cyan": "#00ffff", "magenta": "#ff00ff", "fuchsia": "#ff00ff", "maroon": "#800000",
    "olive": "#808000", "pink": "#ffc0cb", "gold": "#ffd700", "brown": "#a52a2a", "coral": "#ff7f50",
    "crimson": "#dc143c", "indigo": "#4b0082", "ivory": "#fffff0", "khaki": "#f0e68c", "salmon": "#fa8072",
    "tomato": "#ff6347", "turquoise": "#40e0d0", "violet": "#ee82ee", "whitesmoke": "#f5f5f5",
    "lightgray": "#d3d3d3", "lightgrey": "#d3d3d3", "darkgray": "#a9a9a9", "darkgrey": "#a9a9a9",
    "skyblue": "#87ceeb", "steelblue": "#4682b4", "royalblue": "#4169e1", "darkblue": "#00008b",
    "darkred": "#8b0000", "darkgreen": "#006400", "lightblue": "#add8e6", "lightgreen": "#90ee90",
}  # fmt: skip
_HEX = re.compile(r"#([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})", re.IGNORECASE)
_RGB = re.compile(r"rgba?\(([^)]*)\)", re.IGNORECASE)


def parse_color(text: Any) -> RGBA | None:
    """Parse a CSS color (name, ``#rgb[a]``, ``#rrggbb[aa]``, ``rgb()``, ``rgba()``); None if it is not one."""
    if not isinstance(text, str):
        return None
    text = text.strip().lower()
    text = _NAMES.get(text, text)
    if match := _HEX.fullmatch(text):
        digits = match.group(1)
        if len(digits) < 6:
            digits = "".join(d * 2 for d in digits)
        values = [int(digits[i : i + 2], 16) for i in range(0, len(digits), 2)]
        return (values[0], values[1], values[2], values[3] if len(values) == 4 else 255)
    if match := _RGB.fullmatch(text):
        parts = [p for p in re.split(r"[\s,/]+", match.group(1).strip()) if p]
        try:
            numbers = [float(p[:-1]) * 2.55 if p.endswith("%") else float(p) for p in parts[:3]]
            alpha = 1.0
            if len(parts) > 3:
                alpha = float(parts[3][:-1]) / 100 if parts[3].endswith("%") else float(parts[3])
        except ValueError:
            return None
        if len(numbers) == 3:
            r, g, b = (max(0, min(255, round(n))) for n in numbers)
            return (r, g, b, max(0, min(255, round(alpha * 255))))
    return None
