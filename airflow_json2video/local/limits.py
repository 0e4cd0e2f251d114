"""Every limit of the local service, with its reason. Imports nothing, so that every part can use it.

Where possible, a limit is checked before the work is done; elsewhere the operating system enforces it for the worker
process.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

__all__ = ["LIMITS", "Limits", "is_deeper"]

_MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of one request, one movie, one file and one render."""

    # A request
    body_bytes: int = 20 * _MIB
    """A request's body. The real limit is not documented; a movie of 2,000 elements is far under 1 MiB."""
    depth: int = 100
    """Objects and arrays inside each other. A movie needs eight; Python's JSON module fails at about a thousand."""

    # A movie, before anything is drawn
    elements: int = 2_000
    """Scenes and elements, including repetitions. Each is a picture in memory during its scene."""
    repetitions: int = 10_000
    """Iterations of all ``iterate`` together, including those that a condition skips."""
    work: int = 30_000_000
    """Characters processed to fill expressions: length of a text times its placeholders; a few seconds at most."""
    resolve_seconds: float = 20.0
    """Real time for all expressions of a movie, as a safeguard."""
    text: int = 10_000
    """Characters of one text that are drawn; the rest is cut off, with a warning. A full screen holds about 2,000."""
    movie_seconds: float = 1_800.0
    """Length of a movie. The sound of half an hour is a temporary file of 700 MB."""
    drawn_pixels: float = 100e9
    """Width times height times frames of a movie that is drawn: half an hour of full HD at 25 frames a second."""

    # A file that a movie names
    asset_bytes: int = 200 * _MIB
    """One download."""
    job_bytes: int = 1024 * _MIB
    """All downloads of one render together."""
    download_seconds: float = 30.0
    """One download, from name resolution to the last byte, including redirects and handshakes (real time)."""
    redirects: int = 3
    """Redirects of one download."""
    image_pixels: int = 50_000_000
    """Width times height of an image: 200 MB once decoded. A file of 49 KB can declare 400 million."""
    clip_pixels: int = 20_000_000
    """Width times height of a clip's pictures: above 5K. A decoder holds up to 16 of them."""

    # A worker process
    render_seconds: float = 1_800.0
    """Real time of a render."""
    worker_bytes: int = 2048 * _MIB
    """Memory of a worker process; a movie of full HD takes under 250 MiB, one of 4K about 500."""
    output_bytes: int = 2048 * _MIB
    """The largest file that a worker process can write."""

    @classmethod
    def of(cls, given: Any) -> Limits:
        """Read limits from a JSON object. Missing ones have their defaults, unknown ones are ignored."""
        known = {f.name for f in fields(cls)}
        return cls(**{k: v for k, v in (given or {}).items() if k in known})


LIMITS = Limits()
"""The defaults."""


def is_deeper(value: Any, depth: int) -> bool:
    """Return whether objects and arrays are nested more than *depth* deep. Without recursion."""
    level = [value]
    for _ in range(depth):
        level = [child for item in level for child in _children(item)]
        if not level:
            return False
    return any(isinstance(item, (dict, list)) for item in level)


def _children(item: Any) -> Iterable[Any]:
    if isinstance(item, dict):
        return item.values()
    return item if isinstance(item, list) else ()
