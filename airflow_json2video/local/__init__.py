"""The JSON2Video HTTP API on this machine: no key, no credits, no network, and a real MP4.

::

    from airflow_json2video.local import LocalService

    with LocalService(mode="instant") as service:
        requests.post(f"{service.host}/movies", headers={"x-api-key": "any"}, json=movie)

The rooms: *contract* says what the service answers, *app* serves it, *store* keeps it, *lifecycle* and
*clock* say when, *drive* holds files, *exports* calls webhooks, *faults* break it on request, *render_queue*
and *worker* render, *planning* decides every frame and *drawing* paints it. *cli*, *page* and *pytest_plugin* are
what a person uses. The HTTP rooms load neither PyAV nor Pillow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_json2video.local.clock import Clock
    from airflow_json2video.local.service import LocalService
    from airflow_json2video.local.settings import Settings

__all__ = ["Clock", "LocalService", "Settings"]

_HOMES = {
    "Clock": "airflow_json2video.local.clock",
    "LocalService": "airflow_json2video.local.service",
    "Settings": "airflow_json2video.local.settings",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
