"""The memory of pictures, kept for the next one."""

from __future__ import annotations

import sys

__all__ = ["retain_freed_memory"]

# Parameters of glibc's mallopt(3), by their numbers in malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
# The most that every glibc takes as a threshold; a picture of 3840x2160 just fits.
_KEPT = 32 * 2**20


def retain_freed_memory() -> None:
    """Let this process keep up to 32 MiB that it has freed, where the C library is glibc; elsewhere do nothing.

    Each frame takes and frees pictures of some megabytes. Given back to the system, all their pages are fetched and
    cleared anew for the next frame, which costs more than drawing on them.
    """
    if sys.platform != "linux":
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _KEPT)
        mallopt(_TRIM_THRESHOLD, _KEPT)
        # One store for all threads: what the one frees the other takes.
        mallopt(_ARENA_MAX, 1)
