"""Names that strangers chose, made fit for this machine's disk. Pure, but for what a link points to."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["inside", "safe_folder", "safe_name"]

MAX_NAME = 255
"""Bytes of one name: what the usual file systems take."""
MAX_PATH = 2_000
"""Characters of a folder, far under what systems take for a whole path."""


def safe_name(name: str) -> str:
    """Give the name of one file as the drive keeps it: all but ``a-z A-Z 0-9 . _ -`` becomes ``_``.

    The rule is the service's; with it a name holds no separator, blank or control character.

    :raises ValueError: nothing is left that names a file (empty, ``.``, ``..``), or it is too long.
    """
    if not isinstance(name, str):
        raise ValueError(f"a name is a text, not {type(name).__name__}")
    clean = re.sub(r"[^a-zA-Z0-9._-]", "_", name.strip())
    if clean.strip(".") == "":
        raise ValueError(f"{name[:60]!r} is no name of a file")
    if len(clean) > MAX_NAME:
        raise ValueError(f"the name {clean[:20]!r}... is longer than {MAX_NAME} characters")
    return clean


def safe_folder(folder: str) -> str:
    """Give a folder as the drive keeps it, ``a/b``; the root is ``""``. All but ``a-z A-Z 0-9 _ -`` becomes ``_``.

    So a dot does not climb: ``..`` is ``__``.

    :raises ValueError: it is no text, or too long.
    """
    if not isinstance(folder, str):
        raise ValueError(f"a folder is a text, not {type(folder).__name__}")
    parts = [re.sub(r"[^a-zA-Z0-9_-]", "_", part.strip()) for part in folder.split("/") if part.strip()]
    clean = "/".join(parts)
    if len(clean) > MAX_PATH or any(len(part) > MAX_NAME for part in parts):
        raise ValueError(f"the folder {clean[:20]!r}... is too long")
    return clean


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
