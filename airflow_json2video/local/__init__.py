"""The JSON2Video HTTP API on this machine: real MP4 files without an API key, credits or a network.

::

    from airflow_json2video.local import LocalService

    with LocalService(mode="instant") as service:
        requests.post(f"{service.host}/movies", headers={"x-api-key": "any"}, json=movie)

The parts: *contract* builds the responses, *app* serves them, *store* stores the state, *lifecycle* and *clock* decide
what shows when, *drive* stores files, *exports* calls webhooks, *faults* make the service fail on request,
*render_queue* and *worker* render, *planning* computes the timeline and *drawing* draws it. *cli* and *page* are the
user interfaces. The service itself imports neither PyAV nor Pillow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_json2video.local.clock import Clock
    from airflow_json2video.local.service import LocalService
    from airflow_json2video.local.settings import Settings

__all__ = ["Clock", "LocalService", "Settings"]

_MODULES = {
    "Clock": "airflow_json2video.local.clock",
    "LocalService": "airflow_json2video.local.service",
    "Settings": "airflow_json2video.local.settings",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)
