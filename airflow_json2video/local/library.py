"""Templates that every account has: a small gallery instead of the vendor's, which is not copied here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["LIBRARY", "TOOLS"]


def _template(
    id_: str, name: str, tags: list[str], movie: dict[str, Any], *, size: tuple[int, int], published: bool = True
) -> dict[str, Any]:
    return {
        "id": id_, "name": name, "tags": tags, "movie": movie, "ai_prompt": None, "published": published,
        "width": size[0], "height": size[1], "video_url": None, "thumbnail_url": None,
        "created_at": "2026-04-01T12:00:00.000Z", "updated_at": "2026-04-15T09:30:00.000Z",
    }  # fmt: skip


def _words(text: str, *, size: str, y: int, **settings: Any) -> dict[str, Any]:
    return {
        "type": "text", "text": text, "x": 0, "y": y, "height": 160, "duration": -2, "position": "custom",
        "settings": {"font-size": size, "text-align": "center", "font-color": "#FFFFFF", **settings},
    }  # fmt: skip


_TITLE = {
    "resolution": "full-hd",
    "variables": {"title": "A title", "subtitle": "Its subtitle", "seconds": 5, "color": "#1F3A5F"},
    "scenes": [
        {
            "duration": "{{ seconds }}",
            "background-color": "{{ color }}",
            "elements": [
                _words("{{ title }}", size="96px", y=380),
                _words("{{ subtitle }}", size="48px", y=560),
            ],
        }
    ],
}
_QUOTE = {
    "resolution": "instagram-story",
    "variables": {"quote": "Measure first.", "author": "An author"},
    "scenes": [
        {
            "duration": 6,
            "background-color": "#2B2D42",
            "elements": [_words("{{ quote }}", size="88px", y=760), _words("{{ author }}", size="44px", y=920)],
        }
    ],
}
_HOMES = {
    "resolution": "full-hd",
    "variables": {"rooms": [{"name": "Kitchen", "square_metres": 14}, {"name": "Bath", "square_metres": 6}]},
    "scenes": [
        {
            "iterate": "rooms",
            "duration": 3,
            "background-color": "#40531B",
            "elements": [_words("{{ name }}, {{ square_metres }} m2", size="80px", y=480)],
        }
    ],
}

LIBRARY: Mapping[str, dict[str, Any]] = {
    t["id"]: t
    for t in (
        _template("locallibrarytitle001", "Title card", ["title", "intro"], _TITLE, size=(1920, 1080)),
        _template("locallibraryquote001", "Quote", ["quote", "social"], _QUOTE, size=(1080, 1920)),
        _template("locallibraryhomes001", "Rooms", ["real estate"], _HOMES, size=(1920, 1080), published=False),
    )
}
"""The gallery of GET /templates/library, by id; one of them is listed only if its tag is requested."""

TOOLS: Mapping[str, dict[str, Any]] = {
    t["id"]: t for t in (_template("localsharedtools0001", "Title card", ["make"], _TITLE, size=(1920, 1080)),)
}
"""The shared library of GET /templates?shared=tools."""
