"""Untrusted paths, restricted to a folder."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["inside"]

MAX_NAME = 255
"""Maximum bytes of one name, as on common file systems."""


def inside(root: Path, relative: str) -> Path | None:
    """Return the path of *relative* in *root*, with links resolved; None if it is outside of *root* or invalid.

    The path does not need to exist.
    """
    try:
        if any(len(part) > MAX_NAME for part in os.fsencode(relative).split(b"/")):
            return None
        base = root.resolve()
        found = (base / relative).resolve()
    except (OSError, ValueError, RuntimeError):  # an unpaired surrogate, a NUL byte, a loop of links
        return None
    return found if found.is_relative_to(base) else None
