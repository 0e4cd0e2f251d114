"""Settings of glibc's memory allocator for drawing."""

from __future__ import annotations

import sys

__all__ = ["retain_freed_memory"]

# Parameters of glibc's mallopt(3), by their numbers in malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
# The maximum threshold of every glibc; a picture of 3840x2160 just fits.
_THRESHOLD = 32 * 2**20


def retain_freed_memory() -> None:
    """Let this process retain up to 32 MiB of freed memory, if the C library is glibc; elsewhere do nothing.

    Each frame allocates and frees pictures of some megabytes. If they were returned to the system, it would have to map
    and clear all their pages again for the next frame, which takes longer than drawing on them.
    """
    if sys.platform != "linux":
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _THRESHOLD)
        mallopt(_TRIM_THRESHOLD, _THRESHOLD)
        # One arena for all threads, so that one can reuse what another has freed.
        mallopt(_ARENA_MAX, 1)
