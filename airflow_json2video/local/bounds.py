"""Bounds that the operating system keeps on a render's process. Where it has none, the service's clock is left."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_json2video.local.limits import Limits

__all__ = ["bound_this_process"]


def bound_this_process(limits: Limits) -> None:
    """Bound memory, processor time and the size of files of this process from now on.

    Too much memory is a MemoryError or the end of the process, too much time a signal, a file too large an
    OSError. Windows has none of the three, macOS does not keep the first.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    # On so many processors at once for as long as the service would wait.
    seconds = int(limits.render_seconds * (os.cpu_count() or 1)) + 1
    _lower(resource, resource.RLIMIT_CPU, seconds)
    _lower(resource, resource.RLIMIT_FSIZE, limits.output_bytes)
    _lower(resource, resource.RLIMIT_CORE, 0)
    _lower(resource, resource.RLIMIT_AS, limits.worker_bytes)
    # A browser lays claim to much more address space than it uses, and is bounded by whoever starts it. It is
    # started with a function to run after the fork, and before that this one runs; other programs keep the bound.
    os.register_at_fork(after_in_child=lambda: _lift(resource, resource.RLIMIT_AS))


def _lower(resource: Any, kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (soft, hard))


def _lift(resource: Any, kind: int) -> None:
    _, hard = resource.getrlimit(kind)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (hard, hard))
