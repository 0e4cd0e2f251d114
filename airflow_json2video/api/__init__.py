"""The HTTP API of JSON2Video: every call is described once, as data, and two clients execute it.

Does not import Airflow. A name is loaded when it is first used, since the clients import ``requests`` and ``aiohttp``,
and the results ``pydantic``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_json2video.api.async_client import AsyncJson2VideoClient
    from airflow_json2video.api.calls import Call
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.api.config import DEFAULT_HOST, check_api_key, check_host

__all__ = [
    "DEFAULT_HOST",
    "AsyncJson2VideoClient",
    "Call",
    "Json2VideoClient",
    "check_api_key",
    "check_host",
]

_MODULE_OF = {
    "AsyncJson2VideoClient": "async_client",
    "Call": "calls",
    "DEFAULT_HOST": "config",
    "Json2VideoClient": "client",
    "check_api_key": "config",
    "check_host": "config",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
