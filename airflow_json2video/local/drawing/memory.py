"""Memory of pictures, kept for the next one."""

from __future__ import annotations

import sys

__all__ = ["keep_freed_memory"]

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_MIB = 2**20
# The most that every glibc takes as a threshold; a picture of 3840x2160 just fits.
_LARGEST = 32 * _MIB
_KEPT = 64 * _MIB


def keep_freed_memory() -> None:
    """Let this process keep up to 64 MiB that it has freed, where the C library is glibc; elsewhere do nothing.

    Each frame takes and frees pictures of some megabytes. Given back to the system, all their pages are fetched and
    cleared anew for the next frame, which costs more than drawing on them.
    """
    if sys.platform != "linux":
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST)
        mallopt(_TRIM_THRESHOLD, _KEPT)
        mallopt(_TOP_PAD, _KEPT // 4)
