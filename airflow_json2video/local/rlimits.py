"""Limits that the operating system enforces for a worker process. Without them, only the service's timeout applies."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_json2video.local.limits import Limits

__all__ = ["limit_this_process"]


def limit_this_process(limits: Limits) -> None:
    """Limit memory, CPU time and file size of this process and its children.

    Above the memory limit a MemoryError is raised or the process is killed, above the CPU limit it gets a signal, and
    above the file size an OSError is raised. Windows has none of these limits, macOS does not enforce the first.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    # The service's timeout, times the number of CPUs that can be used in parallel.
    _lower(resource, resource.RLIMIT_CPU, int(limits.render_seconds * (os.cpu_count() or 1)) + 1)
    _lower(resource, resource.RLIMIT_FSIZE, limits.output_bytes)
    _lower(resource, resource.RLIMIT_CORE, 0)
    # Writable memory instead of RLIMIT_AS, because threads and browsers reserve much more address space than they
    # use, the more so the more CPUs there are.
    _lower(resource, resource.RLIMIT_DATA, limits.worker_bytes)


def _lower(resource: Any, kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (soft, hard))
