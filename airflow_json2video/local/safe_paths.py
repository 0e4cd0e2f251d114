"""Paths that strangers chose, kept below the folder that they are meant for."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["inside"]

MAX_NAME = 255
"""Bytes of one name: what the usual file systems take."""


def inside(root: Path, relative: str) -> Path | None:
    """Give *relative* below *root*, links followed; None if it leads out of it, or cannot be a path at all.

    It need not exist.
    """
    try:
        if any(len(part) > MAX_NAME for part in os.fsencode(relative).split(b"/")):
            return None
        base = root.resolve()
        found = (base / relative).resolve()
    except (OSError, ValueError, RuntimeError):  # half a surrogate pair, a NUL byte, links in a ring
        return None
    return found if found.is_relative_to(base) else None
