"""Temporary files, which a later process removes if the one that created them was killed."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["temporary_file"]

_SUFFIX = "json2video-part"
_PATTERN = re.compile(rf"\..+\.[0-9a-f]{{12}}\.{_SUFFIX}(\.\w+)?")
_MIN_AGE = 60.0
"""Seconds within which a file that is not locked may still be about to be locked."""
_CLEANUP_INTERVAL = 300.0
"""Seconds."""
_cleaned_at: dict[Path, float] = {}


@contextmanager
def temporary_file(folder: Path, *, of: str, ending: str = "") -> Iterator[Path]:
    """Create an empty file in *folder* that will become *of*, and remove it at the end if it still exists.

    The process that writes the file holds a lock on it. A file without a lock belongs to a process that was killed,
    and is removed.

    :param of: name of the final file. :param ending: of the temporary name, such as ``.mp4``.
    """
    _remove_stale(folder)
    short = os.fsencode(of)[:120].decode(errors="ignore")
    path = folder / f".{short}.{secrets.token_hex(6)}.{_SUFFIX}{ending}"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield path
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        os.close(handle)


def _remove_stale(folder: Path) -> None:
    now = time.time()
    if now - _cleaned_at.get(folder, 0.0) < _CLEANUP_INTERVAL:
        return
    _cleaned_at[folder] = now
    with os.scandir(folder) as entries:
        left = [entry.path for entry in entries if _PATTERN.fullmatch(entry.name)]
    for path in left:
        with suppress(OSError):
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if now - os.fstat(handle).st_mtime > _MIN_AGE:
                    Path(path).unlink()
            finally:
                os.close(handle)
