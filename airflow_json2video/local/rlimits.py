"""Bounds that the operating system keeps on a render's process. Where it has none, the service's clock is left."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_json2video.local.limits import Limits

__all__ = ["bound_this_process"]


def bound_this_process(limits: Limits) -> None:
    """Bound memory, processor time and the size of files of this process, and of what it starts, from now on.

    Too much memory is a MemoryError or the end of the process, too much time a signal, a file too large an
    OSError. Windows has none of the three, macOS does not keep the first.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    # On so many processors at once for as long as the service would wait.
    _lower(resource, resource.RLIMIT_CPU, int(limits.render_seconds * (os.cpu_count() or 1)) + 1)
    _lower(resource, resource.RLIMIT_FSIZE, limits.output_bytes)
    _lower(resource, resource.RLIMIT_CORE, 0)
    # Memory that can be written, and not RLIMIT_AS: address space is reserved by threads and browsers many times
    # over, the more the machine has processors.
    _lower(resource, resource.RLIMIT_DATA, limits.worker_bytes)


def _lower(resource: Any, kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (soft, hard))
