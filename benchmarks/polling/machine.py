"""The description of the machine, which belongs to every figure."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path

__all__ = ["describe", "versions"]


def describe() -> str:
    """Return a description of this machine: processor, cores, memory, system, Python."""
    system = platform.freedesktop_os_release()["PRETTY_NAME"] if platform.system() == "Linux" else platform.platform()
    return (
        f"{os.cpu_count()} cores of {_processor()}, {_memory()} GB of memory, {system}, "
        f"Linux {platform.release().split('-')[0]}, Python {platform.python_version()}"
    )


def versions(distributions: list[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {}
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        model = None
    if model is None:
        return f"an unnamed {platform.machine()} processor"
    return re.sub(r"\((R|TM)\)|\s+CPU|\s+@.*|\s+Processor", "", model.group(1)).strip()


def _memory() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
